"""Pictures in number, for files and for the evaluation: from noise, or healed after a brush."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from diffusion_toy.contract.messages import Disc
from diffusion_toy.diffusion.counter_noise import Purpose
from diffusion_toy.diffusion.process import q_sample
from diffusion_toy.diffusion.sampling import SamplingPlan, heal, image_seeds, sample, step_noise
from diffusion_toy.diffusion.schedule import NoiseSchedule, make_schedule
from diffusion_toy.errors import InvalidValueError
from diffusion_toy.model.unet import UNetConfig
from diffusion_toy.predictors.base import Precision, warm_up
from diffusion_toy.predictors.compiled import CompiledPredictor
from diffusion_toy.predictors.eager import EagerPredictor
from training.data.images import to_bytes, to_unit_range
from training.objectives.autoguidance import AutoguidedNetwork
from training.objectives.recipes import DiffusionNetwork

DrawingNetwork = DiffusionNetwork | AutoguidedNetwork
BATCH = 128
KINDS = ("eager", "compiled", "openvino")  # what can run the network that draws
Progress = Callable[[int], object]  # told how many pictures have made one more step


def ignored(_pictures: int) -> None:
    """Ignore the progress: for work that nobody watches."""


@dataclass(frozen=True, eq=False)
class Pipeline:
    """A network with a schedule, ready to draw.

    Attributes:
        forward: predicts v, in its precision, whatever runs it.
        config: of its pictures and labels.
        schedule: whose time steps it walks.
        device: where.
    """

    forward: EagerPredictor
    config: UNetConfig
    schedule: NoiseSchedule
    device: torch.device

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return C, H, W of a picture."""
        return self.config.channels, self.config.height, self.config.width


def make_pipeline(
    network: DrawingNetwork,
    device: torch.device,
    precision: str = "float32",
    kind: str = "eager",
    schedule: NoiseSchedule | None = None,
) -> Pipeline:
    """Make `network` ready to draw, by its own schedule unless another is given.

    Args:
        network: in torch.
        device: where; `cpu` for OpenVINO.
        precision: of the matrix products.
        kind: one of `KINDS`, what runs it.
        schedule: whose time steps it walks.

    Raises:
        InvalidValueError: OpenVINO for a GPU, or for a network that it cannot build.
        MissingExtraError: OpenVINO is not installed.
        PredictorError: it cannot run so here.
    """
    config = network.config
    if kind == "openvino":
        if device.type != "cpu":
            raise InvalidValueError(
                "--predictor", "openvino", f"what runs on {device.type}", "use --device cpu"
            )
        from training.drawing.openvino import on_openvino

        forward = EagerPredictor(on_openvino(network, Precision(precision)), config, device)
    elif kind == "compiled":
        forward = CompiledPredictor(network, config, device, Precision(precision), (BATCH,))
    else:
        forward = EagerPredictor(network, config, device, Precision(precision))
    warm_up(forward)
    return Pipeline(forward, config, schedule or make_schedule(*network.schedule), device)


def labels_of(choice: str, count: int, num_classes: int) -> Tensor:
    """Return (count,) int64 labels for `none`, `balanced` or a class; num_classes stands for none.

    Raises:
        InvalidValueError: neither of them.
    """
    if choice == "none":
        return torch.full((count,), num_classes)
    if choice == "balanced":
        return torch.arange(count) % num_classes
    if choice.isdecimal() and int(choice) < num_classes:
        return torch.full((count,), int(choice))
    raise InvalidValueError("--labels", repr(choice), f"none, balanced, 0…{num_classes - 1}")


def labels_for(network: DrawingNetwork, choice: str, count: int) -> Tensor:
    """Return `labels_of` this network's classes.

    Raises:
        InvalidValueError: neither of them, or a label for a network that knows none.
    """
    if choice != "none" and not network.takes_labels:
        raise InvalidValueError("--labels", repr(choice), "none: this network knows no labels")
    return labels_of(choice, count, network.config.num_classes)


def generate(
    pipeline: Pipeline,
    labels: Tensor,
    sampler: SamplingPlan,
    seed: int,
    progress: Progress = ignored,
    strength: float = 1.0,
) -> Tensor:
    """Draw pictures from pure noise: (N, C, H, W) uint8, one for each label.

    A picture is a function of the seed, its number and its label, up to rounding errors that
    depend on the batch. `strength` is the standard deviation of the noise that is begun with; other
    than 1 it is not what the network is told.
    """
    shape, device, null_label = pipeline.shape, pipeline.device, pipeline.config.num_classes
    images = []
    for first in range(0, len(labels), BATCH):
        batch = labels[first : first + BATCH].to(device)
        seeds = picture_seeds(seed, first, len(batch)).to(device)
        x_T = strength * step_noise(seeds, shape, Purpose.START)(0)
        noise = step_noise(seeds, shape)
        for moment in sample(pipeline.forward, x_T, batch, null_label, pipeline.schedule, sampler, noise):
            last = moment
            progress(len(batch) if moment.t > 0 else 0)
        images.append(to_bytes(last.x0_hat))
    return torch.cat(images)


def picture_seeds(seed: int, first: int, count: int) -> Tensor:
    """Return seeds for the pictures `first`…`first + count − 1` of a run, (count,) int64, on the CPU."""
    return torch.from_numpy(image_seeds(seed, first, count))


def brush_mask(height: int, width: int, radius_px: float) -> Tensor:
    """Return the disc of this radius, in pixels, about the middle of a picture: (height, width) bool."""
    return torch.from_numpy(Disc(0.5, 0.5, radius_px / min(height, width)).covers(height, width))


def brush_and_heal(
    pipeline: Pipeline,
    images: Tensor,
    labels: Tensor,
    radius_px: float,
    level: float,
    stride: float,
    seed: int,
    progress: Progress = ignored,
) -> Tensor:
    """Noise each picture truthfully within a disc about its middle, and heal it.

    Args:
        images: (N, C, H, W) uint8.
        labels: (N,) int64, what the network is told; num_classes stands for none.
        radius_px: of the disc, pixels.
        level: to which the disc is noised, 0…1.
        stride: time steps a network step.

    Returns:
        (N, C, H, W) float32, the healed pictures; outside the disc exactly the given ones.
    """
    config, device = pipeline.config, pipeline.device
    mask = brush_mask(config.height, config.width, radius_px)
    healed = []
    for first in range(0, len(images), BATCH):
        clean = to_unit_range(images[first : first + BATCH]).to(device)
        seeds = picture_seeds(seed, first, len(clean)).to(device)
        u = (mask * level).float().expand(len(clean), -1, -1).to(device)
        eps = step_noise(seeds, pipeline.shape, Purpose.INJECTION)(0)
        x = torch.where(u[:, None] > 0, q_sample(clean, u[:, None], eps), clean)
        told = labels[first : first + BATCH].to(device)
        noise = step_noise(seeds, pipeline.shape)
        healed.append(
            heal(
                pipeline.forward, x, u, told, config.num_classes, pipeline.schedule, stride, 1.0, noise
            ).cpu()
        )
        progress(len(clean))
    return torch.cat(healed)
