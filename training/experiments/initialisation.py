"""Experiments that begin with pure noise: few steps, a schedule that ends too early, and branches."""

from __future__ import annotations

import torch
from torch import Tensor

from diffusion_toy.contract.messages import Sampler
from diffusion_toy.diffusion.counter_noise import Purpose
from diffusion_toy.diffusion.process import q_sample
from diffusion_toy.diffusion.sampling import SamplingPlan, sample, step_noise
from diffusion_toy.diffusion.schedule import make_schedule
from training.drawing.generation import BATCH, Progress, generate, labels_of, picture_seeds
from training.evaluation import metrics
from training.experiments.ablations import even
from training.experiments.results import Cell, Proportion, Recognition, Table, mean_correlation, mean_measures
from training.experiments.setup import Condition, Experiment, Setup, denoise, levels_of, on_schedule

STEPS = {
    Sampler.DDPM: (300, 100, 50, 20, 10, 5),
    Sampler.DDIM: (100, 50, 20, 10, 5),  # what these are for
    Sampler.DPMPP: (100, 50, 20, 10, 5),
    Sampler.SDE_DPMPP: (50, 20, 10, 5),
}
STRENGTHS = (0.5, 0.8, 1.2)  # of what is begun with, where it should be noise of strength 1
STRENGTH_STEPS = 50
TRIALS = 1000  # of chance

BRANCH_TIMES = (250, 200, 150, 100, 50)
BRANCHES = 8
PICTURES_A_TRUNK = 4  # a trunk is branched at every moment: fewer trunks than pictures in other rows


def chance_total_variation(shares: Tensor, count: int, seed: int) -> float:
    """Return the mean `metrics.total_variation` of `count` draws from the shares to the shares themselves."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.multinomial(shares, TRIALS * count, replacement=True, generator=generator)
    parts = drawn.reshape(TRIALS, count)
    each = [metrics.total_variation(metrics.class_shares(part, len(shares)), shares) for part in parts]
    return sum(each) / TRIALS


def few_steps(setup: Setup) -> Experiment:
    """Draw in many and in few steps, from noise of the wrong strength, and on too short a schedule."""
    pipeline, count = setup.pipeline, setup.count
    classes = pipeline.config.num_classes
    shares = metrics.class_shares(setup.data.training.labels, classes)
    linear = on_schedule(setup, make_schedule("linear", pipeline.schedule.T)).pipeline
    plans = [
        (kind.words, pipeline, SamplingPlan(kind, min(steps, pipeline.schedule.T)))
        for kind, choices in STEPS.items()
        for steps in choices
    ]
    odd = [
        (kind.words, SamplingPlan(kind, min(STRENGTH_STEPS, pipeline.schedule.T)))
        for kind in (Sampler.DDPM, Sampler.DDIM)
    ]
    plans.append(("DDPM, linear", linear, SamplingPlan(Sampler.DDPM, linear.schedule.T)))

    def row(name: str, steps: int | None, told: str, images: Tensor, asked: Tensor | None) -> dict[str, Cell]:
        recognition, n = setup.recognizer(images), len(images)
        clear = recognition.clear
        balance = metrics.total_variation(metrics.class_shares(recognition.classes, classes), shares)
        return {
            "pictures": name, "steps": steps, "network told": told, "n": n,
            "a clear digit": Proportion(int(clear.sum()), n),
            "the one asked for":
                None if asked is None else Proportion(int((clear & (recognition.classes == asked)).sum()), n),
            "class TV": balance if asked is None else None,
            **mean_measures(images),
        }  # fmt: skip

    def run(progress: Progress) -> Table:
        test = setup.data.test
        order = torch.randperm(len(test), generator=torch.Generator().manual_seed(setup.seed))
        rows = [row("real test digits", None, "–", test.images[order[:count]], None)]
        rows[0]["class TV"] = chance_total_variation(shares, count, setup.seed)
        for told, choice in (("nothing", "none"), ("a class", "balanced")):
            labels = labels_of(choice, count, classes)
            for name, on, sampler in plans:
                images = generate(on, labels, sampler, setup.seed, progress)
                asked = None if choice == "none" else labels
                rows.append(row(name, sampler.steps, told, images, asked))
        for strength in STRENGTHS:
            for name, sampler in odd:
                images = generate(pipeline, setup.no_labels, sampler, setup.seed, progress, strength)
                title = f"{name}, begun with {strength:g} × the noise"
                rows.append(row(title, sampler.steps, "nothing", images, None))
        eps = step_noise(setup.seeds, pipeline.shape, Purpose.INJECTION)(0)
        T = linear.schedule.T
        x_T = q_sample(setup.clean, levels_of(linear.schedule, T), eps)
        control = Condition({}, x_T, even(T), setup.no_labels, setup.seeds)
        images = denoise(linear, [control], progress)[0]
        rows.append(row("DDPM, linear, begun with real digits noised", T, "nothing", images, None))
        return Table("steps", "From noise to digits in many and in few steps", rows)

    steps = 2 * sum(sampler.steps for _, _, sampler in plans) + linear.schedule.T
    steps += len(STRENGTHS) * sum(sampler.steps for _, sampler in odd)
    return Experiment("steps", count * steps, run)


def agreement(cells: dict[str, Cell], recognition: Recognition, images: Tensor) -> dict[str, Cell]:
    """Return a row that says how far the pictures of each group agree.

    Args:
        cells: what the row says before its figures.
        recognition: what the pictures show, group after group.
        images: (trunks, BRANCHES, C, H, W) uint8, a group for each trunk.
    """
    trunks = len(images)
    classes = recognition.classes.reshape(trunks, BRANCHES)
    most = torch.tensor([int(torch.bincount(group).max()) for group in classes])
    return {
        **cells,
        "n": trunks,
        f"all {BRANCHES} the same digit": Proportion(int((most == BRANCHES).sum()), trunks),
        "more than half the same": Proportion(int((most > BRANCHES // 2).sum()), trunks),
        "largest group": float(most.double().mean()) / BRANCHES,
        "a clear digit": Proportion(int(recognition.clear.sum()), trunks * BRANCHES),
        "correlation": sum(mean_correlation(group) for group in images) / trunks,
    }


def branches(setup: Setup) -> Experiment:
    """Continue one unlabelled generation several times, with other seeds."""
    pipeline, T = setup.pipeline, setup.pipeline.schedule.T
    trunks = max(setup.count // PICTURES_A_TRUNK, 2)
    null_label = pipeline.config.num_classes
    labels = torch.full((trunks,), null_label)
    times = [t for t in BRANCH_TIMES if t < T]

    def trunk_pictures(progress: Progress) -> dict[int, Tensor]:
        """Return x_t of all trunks at each of the times."""
        kept: dict[int, list[Tensor]] = {t: [] for t in times}
        for first in range(0, trunks, BATCH):
            batch = labels[first : first + BATCH].to(pipeline.device)
            seeds = picture_seeds(setup.seed, first, len(batch)).to(pipeline.device)
            x_T, noise = (
                step_noise(seeds, pipeline.shape, Purpose.START)(0),
                step_noise(seeds, pipeline.shape),
            )
            sampler = SamplingPlan(Sampler.DDPM, T)
            for moment in sample(pipeline.forward, x_T, batch, null_label, pipeline.schedule, sampler, noise):
                if round(moment.t) in kept:
                    kept[round(moment.t)].append(moment.x_t.cpu())
                if round(moment.t) == times[-1]:
                    break
                progress(len(batch))
        return {t: torch.cat(parts) for t, parts in kept.items()}

    def run(progress: Progress) -> Table:
        seeds = picture_seeds(setup.seed + 1, 0, trunks * BRANCHES)
        told = labels.repeat_interleave(BRANCHES)
        conditions = [
            Condition({}, x.repeat_interleave(BRANCHES, 0), even(t), told, seeds)
            for t, x in trunk_pictures(progress).items()
        ]
        name = "branched at t"
        rows = [real_groups(setup, {name: "real digits, any"}, trunks, one_class=False)]
        for t, images in zip(times, denoise(pipeline, conditions, progress), strict=True):
            groups = images.reshape(trunks, BRANCHES, *images.shape[1:])
            rows.append(agreement({name: t}, setup.recognizer(images), groups))
        rows.append(real_groups(setup, {name: "real digits of one class"}, trunks, one_class=True))
        return Table("branches", f"{BRANCHES} continuations of one generation", rows)

    steps = trunks * (T - times[-1] + BRANCHES * sum(times))
    return Experiment("branches", steps, run)


def real_groups(setup: Setup, cells: dict[str, Cell], trunks: int, one_class: bool) -> dict[str, Cell]:
    """Return the row of `agreement` for groups of real test digits, of any class or each of one."""
    test, generator = setup.data.test, torch.Generator().manual_seed(setup.seed)
    groups = []
    for trunk in range(trunks):
        of_class = test.labels == trunk % setup.pipeline.config.num_classes
        pool = of_class.nonzero()[:, 0] if one_class else torch.arange(len(test))
        groups.append(pool[torch.randint(len(pool), (BRANCHES,), generator=generator)])
    images = test.images[torch.cat(groups)]
    return agreement(cells, setup.recognizer(images), images.reshape(trunks, BRANCHES, *images.shape[1:]))
