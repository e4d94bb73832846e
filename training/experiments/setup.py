"""The setting of the experiments, and denoising pictures of any kind and noise in one go."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffusion_toy.diffusion import sampling
from diffusion_toy.diffusion.sampling import strides
from diffusion_toy.diffusion.schedule import NoiseSchedule
from diffusion_toy.errors import InvalidValueError
from training.data.images import ImageSet, Splits, to_bytes, to_unit_range
from training.drawing.generation import BATCH, Pipeline, Progress, picture_seeds
from training.experiments.results import Cell, Recognizer, Table, mean_measures, outcomes

DDPM, DDIM = 1.0, 0.0  # η of a step


@dataclass(frozen=True, eq=False)
class Setup:
    """The network, the data and the recognizer that all experiments share.

    Attributes:
        pipeline: the network under test, and the schedule.
        recognizer: who says what a picture shows.
        digits: real test pictures that are clearly what their labels say.
        data: the whole data set.
        seed: of all noise.
    """

    pipeline: Pipeline
    recognizer: Recognizer
    digits: ImageSet
    data: Splits
    seed: int

    @property
    def count(self) -> int:
        """Return the number of pictures in a row."""
        return len(self.digits)

    @property
    def clean(self) -> Tensor:
        """Return the digits as the network sees them, (N, C, H, W) float32 in [−1, 1]."""
        return to_unit_range(self.digits.images)

    @property
    def seeds(self) -> Tensor:
        """Return (N,) int64, one for each digit, which so meets the same noise in every row of a table."""
        return picture_seeds(self.seed, 0, self.count)

    @property
    def no_labels(self) -> Tensor:
        """Return (N,) int64, what an unlabelled network is told."""
        return torch.full((self.count,), self.pipeline.config.num_classes)


def clear_digits(recognizer: Recognizer, test: ImageSet, count: int, seed: int) -> ImageSet:
    """Choose `count` test pictures at random among those that are clearly what their labels say.

    So whatever is not the same digit afterwards has been changed, and was not unclear before.

    Raises:
        InvalidValueError: there are not as many.
    """
    recognition = recognizer(test.images)
    order = torch.randperm(len(test), generator=torch.Generator().manual_seed(seed))
    usable = recognition.clear & (recognition.classes == test.labels)
    chosen = order[usable[order]][:count]
    if len(chosen) < count:
        raise InvalidValueError("--count", count, f"1…{len(chosen)}, the clear digits of the test split")
    return ImageSet(test.images[chosen], test.labels[chosen])


@dataclass(frozen=True, eq=False)
class Condition:
    """Noisy pictures, to become one row of a table.

    Attributes:
        cells: what the row says before its figures.
        x: (N, C, H, W) float32.
        t: time steps that the network is told, float64 that broadcasts to (N, H, W).
        labels: (N,) int64, what it is told they are; num_classes stands for nothing.
        seeds: (N,) int64, of the noise that the steps add.
        eta: of the steps: 1 DDPM, 0 DDIM.
    """

    cells: dict[str, Cell]
    x: Tensor
    t: NDArray[np.float64]
    labels: Tensor
    seeds: Tensor
    eta: float = DDPM

    @property
    def steps(self) -> int:
        """Return how many steps it takes until all is clean."""
        return math.ceil(float(self.t.max()))


@dataclass(frozen=True, eq=False)
class Experiment:
    """A measurement that is still to be made.

    Attributes:
        name: by which `--only` chooses it.
        steps: how many pictures go through the network until its table is ready.
        run: makes the table; told of the progress.
    """

    name: str
    steps: int
    run: Callable[[Progress], Table]


def levels_of(schedule: NoiseSchedule, t: NDArray[np.float64] | float) -> Tensor:
    """Return the levels at time steps, of the same shape, float32."""
    return torch.from_numpy(np.asarray(schedule.level_of_time_step(t))).float()


def network_steps(conditions: Sequence[Condition]) -> int:
    """Return how many pictures go through the network to denoise all conditions."""
    return sum(c.steps * len(c.x) for c in conditions)


def denoise(pipeline: Pipeline, conditions: Sequence[Condition], progress: Progress) -> list[Tensor]:
    """Denoise the pictures of all conditions, one time step a step, each pixel from its own.

    Pictures that take about as long share a batch, so conditions of any size cost no more than they must.

    Returns:
        (N, C, H, W) uint8 for each condition.
    """
    height, width = pipeline.shape[1:]
    x = torch.cat([c.x for c in conditions])
    t = np.concatenate([np.broadcast_to(c.t, (len(c.x), height, width)) for c in conditions])
    labels, seeds = (torch.cat([getattr(c, name) for c in conditions]) for name in ("labels", "seeds"))
    eta = torch.cat([torch.full((len(c.x),), c.eta) for c in conditions])
    order = np.argsort(np.concatenate([[c.steps] * len(c.x) for c in conditions]), kind="stable")
    done = torch.empty(x.shape, dtype=torch.uint8)
    for part in np.array_split(order, range(BATCH, len(order), BATCH)):
        mine = torch.from_numpy(part)
        done[mine] = _denoise(pipeline, x[mine], t[part], labels[mine], seeds[mine], eta[mine], progress)
    return list(torch.split(done, [len(c.x) for c in conditions]))


@torch.inference_mode()
def _denoise(
    pipeline: Pipeline,
    x: Tensor,
    t: NDArray[np.float64],
    labels: Tensor,
    seeds: Tensor,
    eta: Tensor,
    progress: Progress,
) -> Tensor:
    device, null_label = pipeline.device, pipeline.config.num_classes
    x, labels, seeds, eta = (values.to(device) for values in (x, labels, seeds, eta))
    walk = list(strides(t))
    moments = sampling.denoise(
        pipeline.forward, x, iter(walk), labels, null_label, pipeline.schedule, eta,
        sampling.step_noise(seeds, pipeline.shape),
    )  # fmt: skip
    for moment, now in zip(moments, walk, strict=True):
        result = moment.x_t
        progress(int((now > 0).any((1, 2)).sum()))
    return to_bytes(result)


def denoised_rows(setup: Setup, conditions: Sequence[Condition], progress: Progress) -> list[dict[str, Cell]]:
    """Denoise the noisy digits of each condition, and say what has become of them."""
    rows = []
    for condition, images in zip(conditions, denoise(setup.pipeline, conditions, progress), strict=True):
        recognition = setup.recognizer(images)
        rows.append(
            {**condition.cells, **outcomes(recognition, setup.digits.labels), **mean_measures(images)}
        )
    return rows


def untouched_row(setup: Setup, cells: dict[str, Cell]) -> dict[str, Cell]:
    """Return the row of the real digits themselves; its names are those of `cells`."""
    images = setup.digits.images
    blank: dict[str, Cell] = dict.fromkeys(cells)
    blank[next(iter(cells))] = "real digits, untouched"
    return {**blank, **outcomes(setup.recognizer(images), setup.digits.labels), **mean_measures(images)}


def denoising(setup: Setup, name: str, title: str, conditions: Sequence[Condition]) -> Experiment:
    """Return the experiment that denoises these conditions of the digits, below the untouched ones."""

    def run(progress: Progress) -> Table:
        rows = denoised_rows(setup, conditions, progress)
        return Table(name, title, [untouched_row(setup, conditions[0].cells), *rows])

    return Experiment(name, network_steps(conditions), run)


def on_schedule(setup: Setup, schedule: NoiseSchedule) -> Setup:
    """Return the same setup on another schedule."""
    return replace(setup, pipeline=replace(setup.pipeline, schedule=schedule))
