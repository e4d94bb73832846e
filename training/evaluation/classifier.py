"""The small classifier whose features and opinions the evaluation is made of.

It is trained on the same training images as the generators, and scored on the test split. Nothing
but the evaluation uses it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from diffusion_toy.errors import CheckpointError, InvalidValueError
from diffusion_toy.files import write_atomically
from diffusion_toy.model.checkpoint import check_readable
from training.data.images import ImageSet, Splits, class_difference, to_unit_range

FEATURES = 128
WIDTHS = (16, 32, 48)
FORMAT, FORMAT_VERSION, KEY = "diffusion-toy-classifier", 1, "diffusion_toy_classifier"
BATCH = 512
CLASSIFIERS = Path(__file__).parents[1] / "classifiers"  # what is shipped, by the name of the data set
# What training varies, since handwriting does: turn, stretch and shift of a picture.
TURN_DEGREES, STRETCH, SHIFT_PX = 10.0, 0.1, 2.0


def _block(c_in: int, c_out: int) -> list[nn.Module]:
    return [nn.Conv2d(c_in, c_out, 3, padding=1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU()]


class Classifier(nn.Module):
    """Three pairs of convolutions, a layer of 128 features, and the classes.

    Attributes:
        shape: C, H, W of a picture.
        num_classes: how many classes it knows.
        label_names: their names, () where its file does not keep them.
    """

    label_names: tuple[str, ...] = ()

    def __init__(self, shape: Sequence[int], num_classes: int) -> None:
        super().__init__()
        channels, height, width = shape
        self.shape, self.num_classes = (channels, height, width), num_classes
        layers: list[nn.Module] = []
        for c_in, c_out in zip((channels, *WIDTHS), WIDTHS, strict=False):
            layers += [*_block(c_in, c_out), *_block(c_out, c_out), nn.MaxPool2d(2)]
        self.convolutions = nn.Sequential(*layers)
        self.reduce = nn.Linear(WIDTHS[-1] * (height // 8) * (width // 8), FEATURES)
        self.head = nn.Linear(FEATURES, num_classes)

    def features(self, x: Tensor) -> Tensor:
        """Return the features (B, 128), none negative, of pictures (B, C, H, W) float32 in [−1, 1]."""
        return F.relu(self.reduce(self.convolutions(x).flatten(1)))

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (B, num_classes) of pictures (B, C, H, W) float32 in [−1, 1]."""
        logits: Tensor = self.head(F.dropout(self.features(x), 0.3, self.training))
        return logits


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a classifier makes of N pictures: `features` (N, 128), `probabilities` (N, classes)."""

    features: Tensor
    probabilities: Tensor

    @property
    def classes(self) -> Tensor:
        """Return the most probable class of each picture, (N,) int64."""
        return self.probabilities.argmax(1)

    @property
    def confidence(self) -> Tensor:
        """Return the probability of the most probable class, (N,) in 0…1."""
        return self.probabilities.amax(1)


@torch.inference_mode()
def classify_images(
    classifier: Classifier, images: Tensor, device: torch.device | None = None
) -> Predictions:
    """Classify uint8 images (N, C, H, W).

    Raises:
        InvalidValueError: images of another size than the classifier was trained on.
    """
    if tuple(images.shape[1:]) != classifier.shape:
        raise InvalidValueError(
            "images", tuple(images.shape[1:]), f"the classifier's size {classifier.shape}"
        )
    classifier.eval()
    features, probabilities = [], []
    for batch in torch.split(images, BATCH):
        h = classifier.features(to_unit_range(batch).to(device or "cpu"))
        features.append(h.cpu())
        probabilities.append(classifier.head(h).softmax(1).cpu())
    return Predictions(torch.cat(features), torch.cat(probabilities))


def distorted(x: Tensor, generator: torch.Generator) -> Tensor:
    """Turn, stretch and shift each picture (B, C, H, W) a little, at random; −1 comes in at the border."""

    def uniform(limit: float, *shape: int) -> Tensor:
        return (2 * torch.rand(len(x), *shape, generator=generator) - 1) * limit

    angle = uniform(math.radians(TURN_DEGREES))
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).reshape(-1, 2, 2)
    scale = torch.diag_embed(1 + uniform(STRETCH, 2))
    shift = uniform(2 * SHIFT_PX / x.shape[-1], 2, 1)
    grid = F.affine_grid(torch.cat([turn @ scale, shift], 2), list(x.shape), align_corners=False)
    return F.grid_sample(x + 1, grid, align_corners=False) - 1


def train_classifier(
    data: ImageSet, num_classes: int, epochs: int, seed: int
) -> Iterator[tuple[Classifier, float]]:
    """Train a classifier, yielding it and its last loss after every epoch.

    AdamW with one cycle of the learning rate, batches of 128, distorted pictures.
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    classifier = Classifier(data.images.shape[1:], num_classes)
    batch = min(128, len(data))
    steps = len(data) // batch
    optimizer = torch.optim.AdamW(classifier.parameters(), weight_decay=0.02)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=epochs * steps)
    for _ in range(epochs):
        classifier.train()
        loss = torch.zeros(())
        order = torch.randperm(len(data), generator=generator)[: steps * batch]
        for indices in torch.split(order, batch):
            x = distorted(to_unit_range(data.images[indices]), generator)
            loss = F.cross_entropy(classifier(x), data.labels[indices])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            rate.step()
        yield classifier, loss.item()


def accuracy(classifier: Classifier, data: ImageSet) -> float:
    """Return the share of the images that the classifier puts into their class, 0…1."""
    return float((classify_images(classifier, data.images).classes == data.labels).float().mean())


def save_classifier(path: Path, classifier: Classifier, dataset: str, test_accuracy: float) -> None:
    """Write the classifier as a safetensors file, whole or not at all."""
    header = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "shape": classifier.shape,
        "num_classes": classifier.num_classes,
        "label_names": classifier.label_names,
        "dataset": dataset,
        "test_accuracy": test_accuracy,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.contiguous() for name, tensor in classifier.state_dict().items()}
    write_atomically(path, save(tensors, {KEY: json.dumps(header)}))


def load_classifier(path: Path) -> Classifier:
    """Read a classifier from its file, in evaluation mode.

    Raises:
        CheckpointError: the file is missing, may not be read, is damaged or something else.
    """
    remedy = "make one with: python -m training classifier"
    check_readable("classifier", path, remedy)
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})[KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if (header["format"], header["version"]) != (FORMAT, FORMAT_VERSION):
            raise ValueError(f"version {header['version']}")
        classifier = Classifier(header["shape"], header["num_classes"])
        classifier.load_state_dict(tensors)
        classifier.label_names = tuple(header.get("label_names", ()))
    except (SafetensorError, OSError, RuntimeError, ValueError, TypeError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(
            f"classifier {path} is damaged or of another version ({reason}); {remedy}"
        ) from error
    return classifier.eval().requires_grad_(False)


def check_classifier(classifier: Classifier, path: Path, data: Splits) -> None:
    """Refuse a classifier of other pictures or classes than the data, or of the same in another order.

    Raises:
        InvalidValueError: it is of others.
    """
    shape, names = tuple(data.test.images.shape[1:]), classifier.label_names
    if classifier.shape != shape:
        raise InvalidValueError(
            "--classifier", f"{path} for pictures {classifier.shape}", f"pictures {shape}"
        )
    if classifier.num_classes != len(data.label_names):
        limit = f"the {len(data.label_names)} classes of the data"
        raise InvalidValueError("--classifier", f"{path} of {classifier.num_classes} classes", limit)
    if names and names != data.label_names:
        found = class_difference(data.label_names, names)
        raise InvalidValueError("--classifier", f"{path} with {found}", "the classes of the data")


def shipped_classifier(dataset: str) -> Path:
    """Return the path of the classifier that is shipped for a data set; it may not exist."""
    return CLASSIFIERS / f"{dataset}.safetensors"
