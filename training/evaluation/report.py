"""The evaluation: one table of what a model's pictures are worth, beside what real ones score.

All distances are to the test split, in the features of a small classifier; the pictures are
rounded to bytes first. The floor is what real training images of the same number score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from diffusion_toy.diffusion.sampling import SamplingPlan
from training.data.images import ImageSet, to_bytes, to_unit_range
from training.drawing.generation import (
    Pipeline,
    Progress,
    brush_and_heal,
    brush_mask,
    generate,
    ignored,
    labels_of,
)
from training.evaluation import metrics
from training.evaluation.classifier import Classifier, Predictions, classify_images
from training.evaluation.map_error import LEVEL_BANDS, map_errors

CONFIDENT = 0.99  # probability of its class from which a picture counts as a clear one
MEMORY_SAMPLE = 1000  # pictures whose nearest training image is looked up
HEAL_RADII_PX, HEAL_LEVELS = (4.0, 6.0, 8.0), (0.5, 0.85, 1.0)


@dataclass(frozen=True)
class Scores:
    """One row of the evaluation's table: how pictures compare with the test split.

    Attributes:
        frechet: distance to the test split; `ratio` is that over the floor's.
        precision, recall: k-NN, against the test split.
        confident: share that the classifier is sure of (at least 0.99).
        total_variation: of its classes against the training split's shares, 0…1.
        class_accuracy: share with the class that was asked for; None without a label.
        nearest: median distance to the nearest training image (root mean square, grey values).
    """

    name: str
    count: int
    frechet: float
    ratio: float
    precision: float
    recall: float
    confident: float
    total_variation: float
    class_accuracy: float | None
    nearest: float


@dataclass(frozen=True)
class HealScores:
    """Scores of real test digits that were brushed about the middle and healed.

    Attributes:
        kept: share that the classifier still puts into the class it did before.
        confident: share that it is sure of.
        untouched: whether every pixel outside the brush is the same, bit for bit.
    """

    name: str
    count: int
    radius_px: float
    level: float
    kept: float
    confident: float
    untouched: bool


@dataclass(frozen=True)
class MapScores:
    """Errors on real test digits under level maps.

    Attributes:
        errors: mean squared error of v, for each of `LEVEL_BANDS`.
    """

    name: str
    count: int
    errors: tuple[float, ...]


@dataclass(frozen=True)
class Report:
    """All figures of an evaluation; `settings` say how it was made."""

    settings: dict[str, Any]
    rows: list[Scores] = field(default_factory=list)
    healing: list[HealScores] = field(default_factory=list)
    maps: list[MapScores] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return all figures as plain values, for a JSON file."""
        return {"confident_from": CONFIDENT, **asdict(self)}

    def __str__(self) -> str:
        head = ["pictures", "n", "Fréchet", "× floor", "− floor", "precision", "recall", "confident",
                "class TV", "class acc.", "nearest"]  # fmt: skip
        floor = self.rows[0].frechet if self.rows else 0.0
        table = [
            [r.name, str(r.count), f"{r.frechet:.4f}", f"{r.ratio:.2f}", f"{r.frechet - floor:.4f}",
             f"{r.precision:.3f}", f"{r.recall:.3f}", f"{r.confident:.3f}", f"{r.total_variation:.3f}",
             "–" if r.class_accuracy is None else f"{r.class_accuracy:.4f}", f"{r.nearest:.1f}"]
            for r in self.rows
        ]  # fmt: skip
        parts = [markdown(head, table)]
        if self.healing:
            head = ["healed", "n", "radius, px", "u", "class kept", "confident", "outside"]
            table = [
                [h.name, str(h.count), f"{h.radius_px:g}", f"{h.level:g}", f"{h.kept:.3f}",
                 f"{h.confident:.3f}", "identical" if h.untouched else "CHANGED"]
                for h in self.healing
            ]  # fmt: skip
            parts.append(markdown(head, table))
        if self.maps:
            head = ["error of v under maps", "n", *(f"u {low:g}–{high:g}" for low, high in LEVEL_BANDS)]
            table = [[one.name, str(one.count), *(f"{e:.4f}" for e in one.errors)] for one in self.maps]
            parts.append(markdown(head, table))
        return "\n\n".join(parts)


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown, its columns aligned."""
    lines = [list(head), *map(list, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in lines
    )


class Evaluation:
    """Scores pictures against one data set; `floor` is the row of the real training images.

    Args:
        classifier: whose features and opinions count.
        training, test: the data set's splits.
        count: pictures a row; the floor is taken of as many training images, or of all.
        seed: of which training images those are.
    """

    def __init__(
        self, classifier: Classifier, training: ImageSet, test: ImageSet, count: int, seed: int = 0
    ) -> None:
        self.classifier, self.training, self.test = classifier, training, test
        self.num_classes = classifier.num_classes
        self._reference = classify_images(classifier, test.images)
        self._radii = metrics.neighbour_radii(self._reference.features)
        self._shares = metrics.class_shares(training.labels, self.num_classes)
        chosen = torch.randperm(len(training), generator=torch.Generator().manual_seed(seed))[:count]
        self._floor: float | None = None
        self.floor = self.scores("real training images", training.images[chosen], training.labels[chosen])
        self._floor = self.floor.frechet

    def scores(self, name: str, images: Tensor, asked: Tensor | None = None) -> Scores:
        """Score uint8 images (N, C, H, W); `asked` (N,) are the classes they should have."""
        found = classify_images(self.classifier, images)
        features, reference = found.features, self._reference.features
        precision, recall = metrics.precision_recall(features, reference, self._radii)
        frechet = metrics.frechet_distance(features, reference)
        nearest = metrics.nearest_distances(images[:MEMORY_SAMPLE], self.training.images)
        return Scores(
            name=name,
            count=len(images),
            frechet=frechet,
            ratio=1.0 if self._floor is None else frechet / self._floor,
            precision=precision,
            recall=recall,
            confident=confident_share(found),
            total_variation=metrics.total_variation(
                metrics.class_shares(found.classes, self.num_classes), self._shares
            ),
            class_accuracy=None if asked is None else float((found.classes == asked).float().mean()),
            nearest=float(nearest.median()),
        )

    def generated(
        self,
        pipeline: Pipeline,
        choice: str,
        sampler: SamplingPlan,
        count: int,
        seed: int,
        progress: Progress = ignored,
    ) -> Scores:
        """Draw and score `count` pictures, labelled as `labels_of` makes of `choice`."""
        labels = labels_of(choice, count, pipeline.config.num_classes)
        images = generate(pipeline, labels, sampler, seed, progress)
        asked = None if choice == "none" else labels
        name = "unlabelled" if choice == "none" else "labelled"
        if choice not in ("none", "balanced"):
            name = f"class {choice}"
        return self.scores(name, images, asked)

    def healed(
        self,
        pipeline: Pipeline,
        labelled: bool,
        radius_px: float,
        level: float,
        stride: float,
        count: int,
        seed: int,
        progress: Progress = ignored,
    ) -> HealScores:
        """Brush and heal the first `count` test images, and score what is left of them."""
        images, labels = self.test.images[:count], self.test.labels[:count]
        told = told_to_all(labelled, labels, pipeline.config.num_classes)
        pictures = brush_and_heal(pipeline, images, told, radius_px, level, stride, seed, progress)
        found = classify_images(self.classifier, to_bytes(pictures))
        before = self._reference.classes[:count]
        outside = ~brush_mask(images.shape[-2], images.shape[-1], radius_px)
        return HealScores(
            name="labelled" if labelled else "unlabelled",
            count=len(images),
            radius_px=radius_px,
            level=level,
            kept=float((found.classes == before).float().mean()),
            confident=confident_share(found),
            untouched=not bool(((pictures != to_unit_range(images)) & outside).any()),
        )

    def mapped(
        self, pipeline: Pipeline, labelled: bool, count: int, seed: int, progress: Progress = ignored
    ) -> MapScores:
        """Noise the first `count` test images by level maps, and score what the network predicts."""
        images, labels = self.test.images[:count], self.test.labels[:count]
        told = told_to_all(labelled, labels, pipeline.config.num_classes)
        name = "labelled" if labelled else "unlabelled"
        return MapScores(name, len(images), map_errors(pipeline, images, told, seed, progress))


def told_to_all(labelled: bool, labels: Tensor, num_classes: int) -> Tensor:
    """Return the labels (N,) that a network is told: these, or none for all."""
    return labels if labelled else torch.full_like(labels, num_classes)


def confident_share(found: Predictions) -> float:
    """Return the share of pictures that the classifier is sure of, 0…1."""
    return float((found.confidence >= CONFIDENT).float().mean())
