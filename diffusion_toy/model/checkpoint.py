"""Model files: safetensors with everything needed to rebuild and to judge the network.

Loading runs no code from the file (no pickle). The metadata is one JSON text under the key
`diffusion_toy`; `ModelMetadata` is its shape.
"""

from __future__ import annotations

import hashlib
import json
import math
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from diffusion_toy.diffusion.arrays import Array, on_host
from diffusion_toy.errors import CheckpointError, DiffusionToyError, InvalidValueError
from diffusion_toy.files import write_atomically
from diffusion_toy.model.config import UNetConfig, weight_shapes

if TYPE_CHECKING:
    from diffusion_toy.model.unet import UNet

FORMAT = "diffusion-toy-model"
FORMAT_VERSION = 1
TEXT_MAX = 255  # characters of a name
UNWANTED = ("Cc", "Cs", "Zl", "Zp")  # control characters, surrogates, ends of lines and paragraphs
_KEY = "diffusion_toy"
_EXAMPLE_IMAGES, _EXAMPLE_LABELS = "examples.images", "examples.labels"


@dataclass(frozen=True)
class ModelMetadata:
    """What a model file says of itself; a server tells all of its clients some of it, so it is checked.

    Attributes:
        config: rebuilds the network.
        dataset: the name of what it was trained on.
        label_names: one for each class.
        border_value: the value in [−1, 1] that the data's outermost pixels have, None if not constant.
        training: what produced the weights (configuration, epochs, images, loss, versions).
        scores: evaluation figures, name to number.
        residual_calibration: root mean square of (x − √ᾱ·x̂0)/√(1−ᾱ) on real pictures at levels in even
            steps from 0 to 1, by which noise is measured; empty where it was not taken.

    Raises:
        InvalidValueError: text that is not Unicode, not one name for each class, or a border value or
            calibration that is no number.
    """

    config: UNetConfig
    dataset: str
    label_names: tuple[str, ...]
    border_value: float | None = None
    training: Mapping[str, Any] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)
    residual_calibration: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        _check_text("dataset", self.dataset)
        for name in self.label_names:
            _check_text("label_names", name)
        if len(self.label_names) != self.config.num_classes:
            count = f"one name for each of {self.config.num_classes} classes"
            raise InvalidValueError("label_names", f"of {len(self.label_names)} classes", count)
        if self.border_value is not None and not -1 <= self.border_value <= 1:
            raise InvalidValueError("border_value", self.border_value, "−1…1")
        if not all(map(math.isfinite, self.residual_calibration)):
            raise InvalidValueError("residual_calibration", self.residual_calibration, "the finite numbers")


def _check_text(field: str, text: object) -> None:
    """Refuse what no message can carry, such as a folder's name in Latin-1 with its bytes smuggled in.

    A model is listed for everybody, so one text must neither fill a message nor steer somebody's terminal.

    Raises:
        InvalidValueError: no text, too long a one, or one with surrogates or control characters.
    """
    fits = isinstance(text, str) and 1 <= len(text) <= TEXT_MAX
    if fits and not any(unicodedata.category(character) in UNWANTED for character in str(text)):
        return
    shown = ascii(text)
    limit = f"the texts of valid Unicode, of 1 to {TEXT_MAX} characters, without control characters"
    raise InvalidValueError(field, shown if len(shown) <= TEXT_MAX else f"{shown[:TEXT_MAX]}…", limit)


@dataclass(frozen=True, eq=False)
class Examples:
    """Hold a few real pictures that travel with a model: (N, C, H, W) uint8, and (N,) int64 labels."""

    images: Array
    labels: Array


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """Hold a network's weights, its metadata, examples, name and fingerprint.

    `weights` are float32, by the names of `config.weight_shapes`; `name` is the file's stem;
    `fingerprint` the first 16 hex digits of the file's SHA-256; `examples`, of NumPy's arrays, is None
    where the file has none.
    """

    weights: Mapping[str, NDArray[np.float32]]
    metadata: ModelMetadata
    examples: Examples | None
    name: str
    fingerprint: str

    @property
    def config(self) -> UNetConfig:
        """Return the network's shape."""
        return self.metadata.config

    @cached_property
    def network(self) -> UNet:
        """Return the network in torch, in evaluation mode on the CPU; made when first asked for."""
        import torch

        from diffusion_toy.model.unet import UNet

        network = UNet(self.config)
        network.load_state_dict({name: torch.from_numpy(value) for name, value in self.weights.items()})
        return network.eval().requires_grad_(False)


def save_model(
    path: Path, weights: Mapping[str, Array], metadata: ModelMetadata, examples: Examples | None = None
) -> None:
    """Write a model file atomically; `weights` is the network's state dict."""
    header = {"format": FORMAT, "version": FORMAT_VERSION, **asdict(metadata)}
    tensors = dict(weights)
    if examples is not None:
        tensors |= {_EXAMPLE_IMAGES: examples.images, _EXAMPLE_LABELS: examples.labels}
    tensors = {name: np.ascontiguousarray(on_host(tensor)) for name, tensor in tensors.items()}
    write_atomically(path, save(tensors, {_KEY: json.dumps(header)}))


def _parse_metadata(path: Path, text: str | None) -> ModelMetadata:
    if text is None:
        raise CheckpointError(
            f"{path} is a safetensors file, but not a Diffusion Toy model; "
            "make one with: python -m training export"
        )
    header = json.loads(text)
    if not isinstance(header, dict):
        raise CheckpointError(
            f"{path} has metadata of another kind; make one with: python -m training export"
        )
    if header.get("format") != FORMAT or header.get("version") != FORMAT_VERSION:
        raise CheckpointError(
            f"{path} has format {header.get('format')} version {header.get('version')}; "
            f"this release reads {FORMAT} version {FORMAT_VERSION}"
        )
    return ModelMetadata(
        config=UNetConfig(**header["config"]),
        dataset=header["dataset"],
        label_names=tuple(header["label_names"]),
        border_value=header["border_value" if "border_value" in header else "rim_value"],  # its earlier name
        residual_calibration=tuple(map(float, header.get("residual_calibration", ()))),
        training=header["training"],
        scores=header["scores"],
    )


def _check_examples(examples: Examples, config: UNetConfig) -> None:
    """Refuse examples that are not pictures for this network.

    Raises:
        ValueError: another shape or type, or a label that the network does not have.
    """
    images, labels = examples.images, examples.labels
    shape = (len(labels), config.channels, config.height, config.width)
    if images.dtype != np.uint8 or images.shape != shape:
        raise ValueError(f"examples are {images.dtype} {tuple(images.shape)}, not uint8 {shape}")
    if labels.dtype != np.int64 or not ((labels >= 0) & (labels < config.num_classes)).all():
        raise ValueError(f"labels of examples are outside 0…{config.num_classes - 1}")


def _check_weights(weights: Mapping[str, NDArray[Any]], config: UNetConfig) -> None:
    """Refuse weights that are not those of a network of this shape.

    Raises:
        ValueError: one is missing, too many, or of another shape or type.
    """
    expected = weight_shapes(config)
    if odd := expected.keys() ^ weights.keys():
        raise ValueError(f"the weights {', '.join(sorted(odd)[:3])} are missing or not the network's")
    for name, value in weights.items():
        if value.shape != expected[name] or value.dtype.kind != "f":
            raise ValueError(f"{name} is {value.dtype} {value.shape}, not a number of shape {expected[name]}")


def check_readable(what: str, path: Path, remedy: str) -> None:
    """See that a file is there and may be read; `what` and `remedy` are for the error's text.

    Raises:
        CheckpointError: it is missing, a folder or another thing that is no file, or may not be read.
    """
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):  # a pipe would be waited for
            raise CheckpointError(f"{what} {path} is no file; {remedy}")
        path.open("rb").close()
    except FileNotFoundError as error:
        raise CheckpointError(f"{what} {path} does not exist; {remedy}") from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CheckpointError(f"{what} {path} cannot be read ({reason}); {remedy}") from error


def _version(path: Path) -> tuple[int, int, int]:
    """Return what differs once somebody has written or replaced a file."""
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def load_model(path: Path) -> LoadedModel:
    """Read a model file.

    Raises:
        CheckpointError: the file is missing, may not be read, is damaged, changes while it is read, or is
            not a Diffusion Toy model.
    """
    check_readable("model file", path, "give --model a .safetensors file")
    try:
        _check_text("name", path.stem)  # which everybody is told
    except InvalidValueError as error:
        raise CheckpointError(f"model file {str(path)!a} cannot be served: its {error}; rename it") from error
    before = _version(path)
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = _parse_metadata(path, (file.metadata() or {}).get(_KEY))
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        examples = None
        if _EXAMPLE_IMAGES in weights:
            examples = Examples(weights.pop(_EXAMPLE_IMAGES), weights.pop(_EXAMPLE_LABELS))
            _check_examples(examples, metadata.config)
        _check_weights(weights, metadata.config)
    except CheckpointError:
        raise
    except (SafetensorError, DiffusionToyError, OSError, RuntimeError, ValueError, TypeError, KeyError) as e:
        reason = str(e).splitlines()[0] if str(e) else type(e).__name__
        raise CheckpointError(f"model file {path} is damaged ({reason}); fetch or export it again") from e
    weights = {name: value.astype(np.float32, copy=False) for name, value in weights.items()}
    if not all(np.isfinite(value).all() for value in weights.values()):
        raise CheckpointError(f"model file {path} holds weights that are not finite; export it again")
    try:
        fingerprint = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        same = before == _version(path)
    except OSError:
        same = False
    if not same:  # the fingerprint may be another file's than the weights
        raise CheckpointError(f"model file {path} changed while it was read; try again")
    return LoadedModel(weights, metadata, examples, path.stem, fingerprint)
