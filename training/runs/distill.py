"""`python -m training distill`: a network learns what another one, guided or not, predicts."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from diffusion_toy.contract.messages import GUIDANCE_MAX, check_range
from diffusion_toy.diffusion.process import q_sample
from diffusion_toy.errors import InvalidValueError
from diffusion_toy.model.checkpoint import LoadedModel, load_model
from diffusion_toy.options import REQUIRED, option
from training.data.images import ImageSet, Splits
from training.data.named import load_splits
from training.drawing.commandline import AddParser, add_command
from training.objectives.autoguidance import (
    WEIGHT_DEFAULT,
    WEIGHT_MAX,
    Autoguidance,
    check_named,
    check_weak,
    picture_of,
)
from training.objectives.config import TrainConfig
from training.objectives.recipes import Network, mean_square_of_noisy
from training.runs.batches import Batches
from training.runs.export import check_classes
from training.runs.ranks import Ranks
from training.runs.teacher import Teacher
from training.runs.train import RunOptions, run

TEACHER = "the teacher"  # a heading of the help
AHEAD = 4  # batches that the teacher prepares while the student learns


def distillation_loss(
    network: Network, x0: Tensor, u: Tensor, eps: Tensor, labels: Tensor, target: Tensor
) -> Tensor:
    """Return the mean squared difference to the teacher's v over the pixels that hold any noise.

    Args:
        network, x0, u, eps, labels: as of `velocity_loss`.
        target: (B, C, H, W), what the teacher predicts for the same noisy pictures.
    """
    u_image = u[:, None]
    error = network(q_sample(x0, u_image, eps), u, labels) - target
    return mean_square_of_noisy(error, u_image)


class TaughtBatches(Batches):
    """Batches with a teacher's velocity for their target, in place of the data's.

    A batch is a function of the seed and the step, and so is its target. The teacher is the dearer of the
    two, so several epochs in a row share its pictures, levels, noise and velocity.

    Args:
        config: of the run.
        data: the training images.
        teacher: what is learnt from.
        ranks: the processes that share the run; the teacher computes this one's part of a batch.
    """

    def __init__(
        self, config: TrainConfig, data: ImageSet, teacher: Teacher, ranks: Ranks | None = None
    ) -> None:
        super().__init__(config, data)
        self.loss = distillation_loss
        self._teacher, self._ranks = teacher, ranks or Ranks()
        self._targets: dict[int, Tensor] = {}  # of the epochs that share them, by the step within

    def batch(self, step: int) -> tuple[Tensor, ...]:
        """Return x0, u, eps, labels and the teacher's v; the latter for this process's part alone."""
        epoch, within = divmod(step, self.per_epoch)
        first = epoch - epoch % self.config.repeats
        x0, u, eps, classes, told = self.drawn(first * self.per_epoch + within)
        labels = self.labels(classes, told)
        if epoch == first:
            self._targets.pop(within, None)
        if within not in self._targets:
            mine = self._ranks.part(len(u))
            target = torch.zeros_like(x0)
            known = classes if self.config.teacher_knows_labels else labels
            x = q_sample(x0, u[:, None], eps)
            target[mine] = self._teacher(x[mine], u[mine], labels[mine], known[mine])
            self._targets[within] = target.half()
        return x0, u, eps, labels, self._targets[within].float()

    def of_steps(self, steps: range) -> Iterator[tuple[Tensor, ...]]:
        """Yield the batch of each step; a teacher that works beside the student prepares a few ahead."""
        if not self._teacher.works_beside:
            yield from super().of_steps(steps)
            return
        with ThreadPoolExecutor(1, "teacher") as pool:
            waiting = deque(pool.submit(self.batch, step) for step in steps[:AHEAD])
            try:
                for step in steps:
                    batch = waiting.popleft().result()
                    if step + AHEAD in steps:
                        waiting.append(pool.submit(self.batch, step + AHEAD))
                    yield batch
            finally:
                pool.shutdown(cancel_futures=True)


@dataclass(frozen=True, kw_only=True)
class DistillOptions(RunOptions):
    """What `distill` takes.

    Raises:
        InvalidValueError: an interval whose end is below its beginning, or guidance without a weak model.
    """

    usual_shape: ClassVar[str] = "fast"

    teacher: Path = option(
        REQUIRED,
        "model file whose velocity is learnt; its data set is the run's",
        metavar="FILE",
        group=TEACHER,
    )
    weak: Path | None = option(
        None,
        "model file of a weaker network, for instance of fewer epochs, that guides the teacher",
        metavar="FILE",
        group=TEACHER,
    )
    autoguidance: float | None = option(
        None,
        "weight w of the guidance v + w·(v − v_weak) where no label is told; only with --weak",
        low=0,
        high=WEIGHT_MAX,
        metavar="W",
        told="1",
        group=TEACHER,
    )
    labelled_autoguidance: float | None = option(
        None,
        "the same where a label is told",
        low=0,
        high=WEIGHT_MAX,
        metavar="W",
        told="0",
        group=TEACHER,
    )
    interval: tuple[float, float] | None = option(
        None,
        "noise levels between which it guides",
        low=0,
        high=1,
        metavar=("LOW", "HIGH"),
        told="0 1",
        group=TEACHER,
    )
    guidance: float = option(
        1.0,
        "weight of the label in what is taught; 1: as the teacher was trained",
        low=0,
        high=GUIDANCE_MAX,
        metavar="W",
        group=TEACHER,
    )
    teacher_knows_labels: bool = option(
        False,
        "tell the teacher every label: what the student learns to say without one is then the mean of the "
        "teacher's answers for the classes that the picture may be of",
        group=TEACHER,
    )
    repeats: int = option(
        4,
        "epochs in a row that share the teacher's noise and velocity; with 1 all is new in every epoch, and "
        "the teacher computes all the time",
        low=1,
        group=TEACHER,
    )
    out: Path = Path("runs/distilled")
    batch_size: int = 64

    def __post_init__(self) -> None:
        if self.interval is not None:
            low, high = self.interval
            check_range("--interval", high, low, 1)
        check_named(
            self.weak, autoguidance=self.autoguidance, interval=self.interval,
            labelled_autoguidance=self.labelled_autoguidance,
        )  # fmt: skip

    @property
    def how_guided(self) -> Autoguidance:
        """Return how much the weak model guides."""
        weight = WEIGHT_DEFAULT if self.autoguidance is None else self.autoguidance
        low, high = self.interval or (0.0, 1.0)
        return Autoguidance(weight, self.labelled_autoguidance or 0.0, low, high)


def add_distill(add_parser: AddParser) -> None:
    """Add the command `distill` and its options."""
    help = "train a network to predict what a finished one does, guided or not"
    add_command(add_parser, "distill", help, DistillOptions, run_distill)


def run_distill(options: DistillOptions) -> int:
    """Train a student; as `train`, but for where the target comes from."""
    teacher = load_model(options.teacher)
    model, dataset = teacher.config, teacher.metadata.dataset
    base = TrainConfig(
        dataset=dataset, teacher=teacher.fingerprint, repeats=options.repeats, guidance=options.guidance,
        teacher_knows_labels=options.teacher_knows_labels,
    )  # fmt: skip
    weak: LoadedModel | None = None
    guidance = options.how_guided
    if options.weak is not None:
        weak = load_model(options.weak)
        check_weak(model, dataset, teacher.metadata.label_names, weak)
        base = replace(
            base, weak=weak.fingerprint, autoguidance=guidance.weight,
            labelled_autoguidance=guidance.labelled_weight,
            interval_low=guidance.low, interval_high=guidance.high,
        )  # fmt: skip

    def load() -> Splits:
        data = load_splits(dataset, options.data, model.channels, model.height)
        check_classes(data, teacher.metadata.label_names, model.num_classes, options.teacher)
        return data

    def make_batches(config: TrainConfig, data: ImageSet, device: torch.device, ranks: Ranks) -> Batches:
        student, expected = picture_of(config.model), picture_of(model)
        if student != expected:
            limit = f"pictures (C, H, W) {expected}, which the teacher takes"
            raise InvalidValueError("--warm-start", f"a model with {student}", limit)
        made = Teacher(teacher, weak, guidance, device, config.precision, options.guidance)
        return TaughtBatches(config, data, made, ranks)

    return run(options, base, load, make_batches)
