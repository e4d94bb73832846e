"""The command `average`: one model whose weights are the mean of several models' weights.

Wortsman et al. 2022, "Model soups". Runs that start from the same weights end near each other, on different
sides of the optimum. Their mean is nearer to it than any of them, and costs no more than one network.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffusion_toy.errors import InvalidValueError
from diffusion_toy.files import check_file
from diffusion_toy.model.checkpoint import LoadedModel, load_model
from training.data.named import load_splits
from training.drawing.commandline import AddParser
from training.runs.calibration import rounded_calibration
from training.runs.export import check_classes, write_model


def add_average(add_parser: AddParser) -> None:
    """Add the command `average` and its flags."""
    p = add_parser("average", help="make one model of several: the mean of their weights")
    p.add_argument(
        "files", type=Path, nargs="+", default=argparse.SUPPRESS, metavar="FILE",
        help="a model file; two or more, of runs that went on from one another or began with one file",
    )  # fmt: skip
    p.add_argument(
        "--out", type=Path, required=True, default=argparse.SUPPRESS, help="the .safetensors file to write"
    )
    p.add_argument(
        "--data", type=Path, default=Path("data"),
        help="folder of the data set, on whose test images the model is calibrated",
    )  # fmt: skip
    p.add_argument(
        "--float16", action="store_true", help="store the weights in half precision: half the size"
    )
    p.set_defaults(run=run_average)


def run_average(args: argparse.Namespace) -> int:
    """Run `average`: write the mean of several model files."""
    check_file("--out", args.out, make_folder=True)
    models = load_alike(args.files)
    first = models[0].metadata
    data = load_splits(first.dataset, args.data, first.config.channels, first.config.height)
    check_classes(data, first.label_names, first.config.num_classes, args.files[0])
    network = models[0].network
    network.load_state_dict(mean_weights([model.network.state_dict() for model in models]))
    sources: dict[str, Any] = {model.fingerprint: model.metadata.training for model in models}
    metadata = replace(
        first,
        training={"average_of": sources, "torch": torch.__version__},
        scores={},
        residual_calibration=rounded_calibration(network, data.test.images, first.config.num_classes),
    )
    write_model(args.out, network.state_dict(), metadata, models[0].examples, args.float16)
    print(f"wrote {args.out} ({args.out.stat().st_size / 1e6:.2f} MB), the mean of {len(models)} models")
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
