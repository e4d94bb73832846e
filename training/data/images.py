"""Images in memory, and how their values are converted."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
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

    def fingerprint(self) -> str:
        """Return 16 hex digits that change with any image, any label and their order."""
        digest = hashlib.sha256(f"{tuple(self.images.shape)}".encode())
        for tensor in (self.images, self.labels.long()):
            digest.update(tensor.contiguous().numpy().data)
        return digest.hexdigest()[:16]


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


def class_difference(before: Sequence[str], now: Sequence[str]) -> str:
    """Say how class names that are not the same differ, by the first difference: there may be hundreds."""
    if len(before) != len(now):
        return f"{len(now)} classes instead of {len(before)}"
    label = next(label for label, names in enumerate(zip(before, now, strict=True)) if names[0] != names[1])
    return f"the class {now[label]} in the place of {before[label]} (label {label})"


def to_unit_range(images: Tensor) -> Tensor:
    """Convert uint8 0…255 to float32 [−1, 1], of any shape."""
    return images.float() / 127.5 - 1


def to_bytes(images: Tensor) -> Tensor:
    """Convert float32 [−1, 1] to uint8 0…255, rounded, of any shape; the result is on the CPU."""
    return ((images.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).cpu()
