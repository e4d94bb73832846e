"""What a run writes for TensorBoard: loss, learning rate and speed, and pictures as they get better."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import torch
from torch.utils.tensorboard.writer import SummaryWriter

from diffusion_toy.contract.messages import Sampler
from diffusion_toy.diffusion.sampling import SamplingPlan
from training.drawing.generation import generate, labels_of, make_pipeline
from training.objectives.recipes import DiffusionNetwork

SCALARS_EVERY = 20  # optimizer steps
PICTURES = 20  # of each kind
PICTURE_SAMPLER = SamplingPlan(Sampler.DDIM, steps=20, eta=1.0)


class RunLog:
    """The TensorBoard event files of one run, open within its `with`.

    Args:
        folder: where they go, beside the checkpoint; `tensorboard --logdir FOLDER` shows them.
        step: of the run now; what an interrupted run wrote beyond it is dropped.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self._writer = SummaryWriter(str(folder), purge_step=step)  # type: ignore[no-untyped-call]

    def __enter__(self) -> RunLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()  # type: ignore[no-untyped-call]

    def scalars(self, step: int, **values: float) -> None:
        """Write values of a step, each under its name."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)  # type: ignore[no-untyped-call]

    def pictures(self, step: int, network: DiffusionNetwork, device: torch.device, precision: str) -> None:
        """Draw a grid without labels and one of each class in turn; the same noise every time."""
        pipeline = make_pipeline(network, device, precision)
        for choice in ("none", "balanced") if network.takes_labels else ("none",):
            labels = labels_of(choice, PICTURES, network.config.num_classes)
            images = generate(pipeline, labels, PICTURE_SAMPLER, 0)
            name = "unlabelled" if choice == "none" else "labelled"
            self._writer.add_images(name, images, step)  # type: ignore[no-untyped-call]
