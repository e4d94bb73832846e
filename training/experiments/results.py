"""What became of pictures, in figures that are hard to over-read: shares with intervals, and tables."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from training.evaluation.classifier import Classifier, classify_images
from training.evaluation.report import CONFIDENT, markdown

NORMAL_95 = 1.959964  # standard errors to either side that hold 95 % of a normal variable
GREY = (25, 230)  # grey values between which a pixel is neither paper nor ink


@dataclass(frozen=True)
class Proportion:
    """`hits` of `count` cases, with the interval that holds the true share in 95 of 100 such trials.

    The interval is Wilson's (1927): unlike the textbook's ± it stays within 0…1, and has a width at
    0 and at 1 too.
    """

    hits: int
    count: int

    def __post_init__(self) -> None:
        if not 0 <= self.hits <= self.count or self.count < 1:
            raise ValueError(f"{self.hits} of {self.count} cases")

    @property
    def value(self) -> float:
        """Return hits/count, 0…1."""
        return self.hits / self.count

    @property
    def interval(self) -> tuple[float, float]:
        """Return the ends of the 95 % interval, each 0…1."""
        p, n, z2 = self.value, self.count, NORMAL_95**2
        middle = p + z2 / (2 * n)
        half = NORMAL_95 * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
        low, high = ((middle + side * half) / (1 + z2 / n) for side in (-1, 1))
        return max(low, 0.0), min(high, 1.0)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.2f} ({low:.2f}–{high:.2f})"


Cell = Proportion | float | int | str | None


@dataclass(frozen=True)
class Table:
    """The figures of one experiment: rows of named cells, all rows with the same names."""

    name: str
    title: str
    rows: list[dict[str, Cell]]

    def to_json(self) -> dict[str, Any]:
        """Return all figures as plain values, for a JSON file; a proportion with its cases and interval."""
        rows = [{name: _plain(cell) for name, cell in row.items()} for row in self.rows]
        return {"name": self.name, "title": self.title, "rows": rows}

    def __str__(self) -> str:
        cells = [[_shown(cell) for cell in row.values()] for row in self.rows]
        return f"## {self.title}\n\n{markdown(list(self.rows[0]), cells)}"


def _plain(cell: Cell) -> Any:
    if isinstance(cell, Proportion):
        low, high = cell.interval
        return {"hits": cell.hits, "count": cell.count, "share": cell.value, "low": low, "high": high}
    return cell


def _shown(cell: Cell) -> str:
    if cell is None:
        return "–"
    return f"{cell:.3f}".replace("-", "−") if isinstance(cell, float) else str(cell)


@dataclass(frozen=True, eq=False)
class Recognition:
    """What a recognizer found in N pictures: `classes` (N,) int64, and whether each is `clear`, (N,) bool."""

    classes: Tensor
    clear: Tensor


class Recognizer:
    """Recognize what pictures show: a classifier, and bounds on how a real picture looks.

    A picture is a clear digit if the classifier is sure of it (at least 0.99) and if it has no less
    and no more ink, grey and roughness than real digits. The classifier alone would not do: it has
    seen nothing but digits, and is sure that a blank page is a 1 and that noise is an 8.

    Args:
        classifier: whose opinion counts.
        real: uint8 pictures (N, C, H, W) whose least and greatest measures are the bounds.
    """

    def __init__(self, classifier: Classifier, real: Tensor) -> None:
        self._classifier = classifier
        self._bounds = {name: values.aminmax() for name, values in measures(real).items()}

    def __call__(self, images: Tensor) -> Recognition:
        """Return what uint8 pictures (N, C, H, W) show."""
        found = classify_images(self._classifier, images)
        clear = found.confidence >= CONFIDENT
        for name, values in measures(images).items():
            low, high = self._bounds[name]
            clear &= (low <= values) & (values <= high)
        return Recognition(found.classes, clear)


def outcomes(recognition: Recognition, labels: Tensor) -> dict[str, Cell]:
    """Count the pictures that are clearly of their class in `labels` (N,), clearly of another, or of none."""
    clear, same = recognition.clear, recognition.classes == labels
    count = len(labels)
    return {
        "n": count,
        "same digit": Proportion(int((clear & same).sum()), count),
        "another digit": Proportion(int((clear & ~same).sum()), count),
        "no clear digit": Proportion(int((~clear).sum()), count),
    }


def measures(images: Tensor) -> dict[str, Tensor]:
    """Measure uint8 pictures (N, C, H, W) without knowing what they show: (N,) each, 0…1.

    Ink: share of pixels brighter than the middle. Grey: share that is neither ink nor paper.
    Roughness: mean difference of neighbouring pixels, of the greatest possible (total variation).
    """
    values = images.float() / 255
    down, right = (values.diff(dim=dim).abs().flatten(1).mean(1) for dim in (-2, -1))
    grey = (images > GREY[0]) & (images < GREY[1])
    return {
        "ink": (images > 127).float().flatten(1).mean(1),
        "grey": grey.float().flatten(1).mean(1),
        "roughness": (down + right) / 2,
    }


def mean_measures(images: Tensor) -> dict[str, Cell]:
    """Return the means of `measures` over all pictures."""
    return {name: float(values.mean()) for name, values in measures(images).items()}


def excess_kurtosis(noise: Tensor) -> float:
    """Return the fourth moment over the squared second, minus 3, of noise of mean 0: 0 if it is Gaussian."""
    square = noise.double().square()
    return float(square.square().mean() / square.mean() ** 2 - 3)


def neighbour_correlation(noise: Tensor) -> float:
    """Correlate noise (N, C, H, W) of mean 0 with its right neighbours: 0 if independent, 1 if the same."""
    z = noise.double()
    left, right = z[..., :-1], z[..., 1:]
    return float((left * right).mean() / (left.square().mean() * right.square().mean()).sqrt())


def mean_correlation(images: Tensor) -> float:
    """Return the mean correlation of all pairs among uint8 pictures (K, C, H, W), K of 2 and more."""
    table = torch.corrcoef(images.flatten(1).float())
    pairs = torch.triu_indices(len(images), len(images), offset=1)
    return float(table[pairs[0], pairs[1]].nanmean())
