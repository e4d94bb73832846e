"""`python -m training distill`: a network learns what another one, guided or not, predicts."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffusion_toy.diffusion.process import q_sample, sigma
from diffusion_toy.errors import InvalidValueError
from diffusion_toy.model.checkpoint import LoadedModel, load_model
from training.data.images import ImageSet
from training.drawing.commandline import AddParser, check_flags, naming_flags
from training.objectives.autoguidance import WEIGHT_MAX, Autoguidance, check_weak, picture_of
from training.objectives.config import TrainConfig
from training.objectives.recipes import Network
from training.runs.loop import Trainer
from training.runs.ranks import Ranks
from training.runs.teacher import Teacher
from training.runs.train import add_run_flags, run

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
    noisy = (sigma(u_image) > 0).float().expand_as(error)
    loss: Tensor = (error.square() * noisy).sum() / noisy.sum().clamp(min=1)
    return loss


class Distiller(Trainer):
    """A `Trainer` whose target is a teacher's velocity in place of the data's.

    A batch is a function of the seed and the step, and so is its target. The teacher is the dearer of the
    two, so several epochs in a row share its pictures, levels, noise and velocity.
    """

    def __init__(
        self,
        config: TrainConfig,
        data: ImageSet,
        device: torch.device,
        initial_weights: Mapping[str, Tensor] | None = None,
        ranks: Ranks | None = None,
        stop_asked: Callable[[], bool] = lambda: False,
        label_names: tuple[str, ...] = (),
        *,
        teacher: Teacher,
    ) -> None:
        super().__init__(config, data, device, initial_weights, ranks, stop_asked, label_names)
        self.loss = distillation_loss
        self._teacher = teacher
        self._targets: dict[int, Tensor] = {}  # of the epochs that share them, by the step within

    def batch(self, step: int) -> tuple[Tensor, ...]:
        """Return x0, u, eps, labels and the teacher's v; the latter for this process's part alone."""
        epoch, within = divmod(step, self.steps_per_epoch)
        first = epoch - epoch % self.config.repeats
        x0, u, eps, labels = super().batch(first * self.steps_per_epoch + within)
        if epoch == first:
            self._targets.pop(within, None)
        if within not in self._targets:
            mine = self._ranks.part(len(u))
            target = torch.zeros_like(x0)
            target[mine] = self._teacher(q_sample(x0, u[:, None], eps)[mine], u[mine], labels[mine])
            self._targets[within] = target.half()
        return x0, u, eps, labels, self._targets[within].float()

    def batches(self) -> Iterator[tuple[Tensor, ...]]:
        """Yield every batch that is left; a teacher that works beside the student prepares a few ahead."""
        if not self._teacher.works_beside:
            yield from super().batches()
            return
        with ThreadPoolExecutor(1, "teacher") as pool:
            steps = range(self.step, self.total_steps)
            waiting = [pool.submit(self.batch, step) for step in steps[:AHEAD]]
            try:
                for step in steps:
                    batch = waiting.pop(0).result()
                    if step + AHEAD < self.total_steps:
                        waiting.append(pool.submit(self.batch, step + AHEAD))
                    yield batch
            finally:
                pool.shutdown(cancel_futures=True)


def add_distill(add_parser: AddParser) -> None:
    """Add the command `distill`."""
    p = add_parser("distill", help="train a network to predict what a finished one does, guided or not")
    suppress = argparse.SUPPRESS
    p.add_argument(
        "--teacher", type=Path, required=True, default=suppress, metavar="FILE",
        help="model file whose velocity is learnt; its data set is the run's",
    )  # fmt: skip
    p.add_argument(
        "--weak", type=Path, default=suppress, metavar="FILE",
        help="model file of a weaker network, for instance of fewer epochs, that guides the teacher",
    )  # fmt: skip
    p.add_argument(
        "--autoguidance", type=float, default=1.0, metavar="W",
        help=f"weight w of the guidance v + w·(v − v_weak) where no label is told, 0…{WEIGHT_MAX:g}",
    )  # fmt: skip
    p.add_argument(
        "--labelled-autoguidance", type=float, default=0.0, metavar="W",
        help=f"the same where a label is told, 0…{WEIGHT_MAX:g}",
    )  # fmt: skip
    p.add_argument(
        "--interval", type=float, nargs=2, default=[0.0, 1.0], metavar=("LOW", "HIGH"),
        help="noise levels between which it guides, 0…1",
    )  # fmt: skip
    p.add_argument(
        "--repeats", type=int, default=4,
        help="epochs in a row that share the teacher's noise and velocity, 1 and above; with 1 all is new "
        "in every epoch, and the teacher computes all the time",
    )  # fmt: skip
    add_run_flags(p, Path("runs/distilled"), 64, "fast")
    p.set_defaults(run=run_distill)


def run_distill(args: argparse.Namespace) -> int:
    """Train a student; as `train`, but for where the target comes from."""
    low, high = args.interval
    check_flags(
        ("--autoguidance", args.autoguidance, 0, WEIGHT_MAX),
        ("--labelled-autoguidance", args.labelled_autoguidance, 0, WEIGHT_MAX),
        ("--interval", low, 0, 1), ("--interval", high, low, 1),
    )  # fmt: skip
    teacher = load_model(args.teacher)
    model, dataset = teacher.config, teacher.metadata.dataset
    with naming_flags():
        config = TrainConfig(dataset=dataset, teacher=teacher.fingerprint, repeats=args.repeats)
    weak: LoadedModel | None = None
    guidance = Autoguidance(args.autoguidance, args.labelled_autoguidance, low, high)
    if "weak" in args:
        weak = load_model(args.weak)
        check_weak(model, dataset, weak)
        config = replace(
            config, weak=weak.fingerprint, autoguidance=guidance.weight,
            labelled_autoguidance=guidance.labelled_weight, interval_low=low, interval_high=high,
        )  # fmt: skip
    args.channels, args.image_size = model.channels, model.height

    def make_trainer(config: TrainConfig, data: ImageSet, device: torch.device, *rest: Any) -> Trainer:
        student, expected = picture_of(config.model), picture_of(model)
        if student != expected:
            limit = f"pictures (C, H, W) {expected}, which the teacher takes"
            raise InvalidValueError("--warm-start", f"a model with {student}", limit)
        made = Teacher(teacher, weak, guidance, device, config.precision)
        return Distiller(config, data, device, *rest, teacher=made)

    return run(args, config, make_trainer)
