"""From a training checkpoint to a model file: the averaged weights with all that is known of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from diffusion_toy.errors import CheckpointError, InvalidValueError
from diffusion_toy.model.checkpoint import Examples, ModelMetadata, load_model, save_model
from diffusion_toy.options import REQUIRED, option
from training.data.images import ImageSet, Splits, class_difference
from training.data.named import load_splits
from training.objectives.config import TrainConfig
from training.objectives.recipes import RECIPES, DiffusionNetwork
from training.runs.calibration import rounded_calibration
from training.runs.loop import config_of, read_checkpoint

EXAMPLES_PER_CLASS = 5


@dataclass(frozen=True, kw_only=True)
class ModelFileOptions:
    """Which model file to write."""

    out: Path = option(REQUIRED, "the .safetensors file to write")
    data: Path = option(
        Path("data"), "folder of the data set, whose test images give the calibration, and examples"
    )
    float16: bool = option(False, "store the weights in half precision: half the size")


def choose_examples(test_images: ImageSet, classes: int) -> Examples:
    """Choose the first five test images of each class, to travel with the model."""
    labels = test_images.labels
    first = [(labels == label).nonzero()[:EXAMPLES_PER_CLASS, 0] for label in range(classes)]
    chosen = torch.cat(first)
    return Examples(test_images.images[chosen], labels[chosen])


def describe(config: TrainConfig, state: dict[str, Any], data: Splits) -> ModelMetadata:
    """Return what the model file says of itself; None where the run did not record it."""
    settings = {name: value for name, value in asdict(config).items() if name != "model"}
    steps_per_epoch = state["steps_per_epoch"]
    progress = {
        "steps": state["step"],
        "images": state["step"] * config.batch_size,
        "epochs": round(state["step"] / steps_per_epoch, 2) if steps_per_epoch else None,
        "loss": state["loss"],
        "torch": torch.__version__,
    }
    network = network_of(config, state)
    return ModelMetadata(
        config.model, config.dataset, data.label_names, data.border_value, {**settings, "progress": progress},
        residual_calibration=rounded_calibration(network, data.test.images, config.model.num_classes),
    )  # fmt: skip


def averaged_weights(state: dict[str, Any]) -> dict[str, Tensor]:
    """Return the moving average of a training checkpoint's weights, as a state dict of `UNet`."""
    prefix = "module."
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in state["average"].items()
        if name.startswith(prefix)
    }


def network_of(config: TrainConfig, state: dict[str, Any]) -> DiffusionNetwork:
    """Return the network of a checkpoint with its averaged weights, ready to draw with.

    Raises:
        RuntimeError: the weights are not this network's.
    """
    network = RECIPES[config.recipe].network(config.model)
    network.load_state_dict(averaged_weights(state))
    return network.eval().requires_grad_(False)


class TrainedNetwork(NamedTuple):
    """A network with what is known of its training.

    Attributes:
        network: ready to draw with, on the CPU.
        dataset: what it was trained on.
        label_names: of its classes, () where the file keeps none.
    """

    network: DiffusionNetwork
    dataset: str
    label_names: tuple[str, ...]


def load_network(path: Path) -> TrainedNetwork:
    """Read the network of a model file or of a training checkpoint.

    Raises:
        CheckpointError: the file is missing, damaged, or neither of the two.
    """
    if path.suffix == ".safetensors":
        model = load_model(path)
        return TrainedNetwork(model.network, model.metadata.dataset, model.metadata.label_names)
    state = read_checkpoint(path)
    config = config_of(state)
    try:
        return TrainedNetwork(network_of(config, state), config.dataset, known_classes(state))
    except RuntimeError as error:
        raise CheckpointError(f"checkpoint {path} is damaged; start again without it") from error


def load_data_of(trained: TrainedNetwork, folder: Path, path: Path) -> Splits:
    """Read the data set that a network was trained on, and see that it still has the same classes.

    Raises:
        DataError: it cannot be read.
        InvalidValueError: it has other classes than the network of the file `path`.
    """
    config = trained.network.config
    data = load_splits(trained.dataset, folder, config.channels, config.height)
    check_classes(data, trained.label_names, config.num_classes, path)
    return data


def export(checkpoint: Path, out: Path, data: Splits, half: bool = False) -> None:
    """Write the averaged weights of `checkpoint` as a model file, with examples from `data`.

    With `half` the weights are stored as float16: half the size, each rounded to 11 bits. Whoever loads
    the file has float32 again.

    Raises:
        CheckpointError: the checkpoint is missing, damaged, or of a network that cannot be served.
        InvalidValueError: the data are not what the network was trained on.
    """
    state = read_checkpoint(checkpoint)
    config = config_of(state)
    if not RECIPES[config.recipe].can_be_served:
        raise CheckpointError(
            f"checkpoint {checkpoint} is of the recipe {config.recipe}, which cannot be served"
        )
    check_classes(data, known_classes(state), config.model.num_classes, checkpoint)
    examples = choose_examples(data.test, config.model.num_classes)
    write_model(out, averaged_weights(state), describe(config, state, data), examples, half)


def known_classes(state: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the class names that a training checkpoint keeps, () where it keeps none."""
    return tuple(state["label_names"] or ())


def check_classes(data: Splits, label_names: Sequence[str], num_classes: int, path: Path) -> None:
    """Refuse data of other classes than the network of this file has, or of the same in another order.

    Args:
        data: what was read from `--data`.
        label_names: the names that the file keeps; () where it keeps none, so that only their number counts.
        num_classes: how many the network knows.
        path: the file.

    Raises:
        InvalidValueError: they are others.
    """
    if len(data.label_names) != num_classes:
        limit = f"the {num_classes} classes of {path}"
        raise InvalidValueError("--data", f"with {len(data.label_names)} classes", limit)
    if label_names and data.label_names != tuple(label_names):
        given = class_difference(label_names, data.label_names)
        raise InvalidValueError("--data", f"with {given}", f"the classes of {path}")


def write_model(
    out: Path, weights: Mapping[str, Tensor], metadata: ModelMetadata, examples: Examples | None, half: bool
) -> None:
    """Write a model file, in a folder made for it if there is none; with `half` as float16, see `export`."""
    out.parent.mkdir(parents=True, exist_ok=True)
    stored = {name: tensor.half() if half else tensor for name, tensor in weights.items()}
    save_model(out, stored, metadata, examples)
