"""The command `average`: one model whose weights are the mean of several models' weights.

Wortsman et al. 2022, "Model soups". Runs that start from the same weights end near each other, on different
sides of the optimum. Their mean is nearer to it than any of them, and costs no more than one network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffusion_toy.errors import InvalidValueError
from diffusion_toy.files import check_file
from diffusion_toy.model.checkpoint import LoadedModel, load_model
from diffusion_toy.options import REQUIRED, option
from training.data.named import load_splits
from training.drawing.commandline import AddParser, add_command
from training.runs.calibration import rounded_calibration
from training.runs.export import ModelFileOptions, check_classes, write_model


@dataclass(frozen=True, kw_only=True)
class AverageOptions(ModelFileOptions):
    """What `average` takes."""

    files: tuple[Path, ...] = option(
        REQUIRED,
        "a model file; two or more, of runs that went on from one another or began with one file",
        metavar="FILE",
        several=True,
        positional=True,
    )
    data: Path = option(Path("data"), "folder of the data set, on whose test images the model is calibrated")


def add_average(add_parser: AddParser) -> None:
    """Add the command `average` and its options."""
    help = "make one model of several: the mean of their weights"
    add_command(add_parser, "average", help, AverageOptions, run_average)


def run_average(options: AverageOptions) -> int:
    """Run `average`: write the mean of several model files."""
    check_file("--out", options.out, make_folder=True)
    models = load_alike(options.files)
    first = models[0].metadata
    data = load_splits(first.dataset, options.data, first.config.channels, first.config.height)
    check_classes(data, first.label_names, first.config.num_classes, options.files[0])
    network = models[0].network
    network.load_state_dict(mean_weights([model.network.state_dict() for model in models]))
    sources: dict[str, Any] = {model.fingerprint: model.metadata.training for model in models}
    metadata = replace(
        first,
        training={"average_of": sources, "torch": torch.__version__},
        scores={},
        residual_calibration=rounded_calibration(network, data.test.images, first.config.num_classes),
    )
    write_model(options.out, network.state_dict(), metadata, models[0].examples, options.float16)
    print(
        f"wrote {options.out} ({options.out.stat().st_size / 1e6:.2f} MB), the mean of {len(models)} models"
    )
    return 0


def load_alike(paths: Sequence[Path]) -> list[LoadedModel]:
    """Read model files of one network and one data set.

    Raises:
        CheckpointError: one is missing or damaged.
        InvalidValueError: fewer than two different ones, or not of one network and one data set.
    """
    models = [load_model(path) for path in paths]
    if len({model.fingerprint for model in models}) < max(2, len(models)):
        raise InvalidValueError("FILE", " ".join(map(str, paths)), "two and more files, each another model")
    first = models[0].metadata
    for path, model in zip(paths, models, strict=True):
        own = model.metadata
        if (own.config, own.dataset, own.label_names) != (first.config, first.dataset, first.label_names):
            limit = f"models of the network, data set and classes of {paths[0]}"
            raise InvalidValueError("FILE", path, limit)
    return models


def mean_weights(states: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return the mean of state dicts of one network, float32."""
    return {name: torch.stack([state[name] for state in states]).mean(0) for name in states[0]}
