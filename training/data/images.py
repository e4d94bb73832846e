"""Images in memory, and how their values are converted."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from diffusion_toy.errors import DiffusionToyError, InvalidValueError


class DataError(DiffusionToyError):
    """Training images could not be read."""


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images in memory: `images` (N, C, H, W) uint8, `labels` (N,) int64."""

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or self.images.ndim != 4:
            raise InvalidValueError(
                "images", f"{self.images.dtype} {tuple(self.images.shape)}", "(N, C, H, W) uint8"
            )
        if len(self.images) != len(self.labels):
            raise InvalidValueError("labels", len(self.labels), f"one for each of {len(self.images)} images")

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True, eq=False)
class Splits:
    """A data set in memory.

    Attributes:
        training, test: its two parts.
        label_names: one for each class.
        border_value: of the outermost pixels in [−1, 1], None where they vary.
        report: what a user should know of how it was read, in a few lines; "" if nothing.
        details: the report with every file that it names, "" if there is no report.
    """

    training: ImageSet
    test: ImageSet
    label_names: tuple[str, ...]
    border_value: float | None
    report: str = ""
    details: str = ""


def to_unit_range(images: Tensor) -> Tensor:
    """uint8 0…255 to float32 [−1, 1], any shape."""
    return images.float() / 127.5 - 1


def to_bytes(images: Tensor) -> Tensor:
    """Convert float32 [−1, 1] to uint8 0…255, rounded, of any shape; the result is on the CPU."""
    return ((images.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).cpu()
