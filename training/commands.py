"""The commands of `python -m training`: train a model, export it, sample from it, score it."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from diffusion_toy import __version__
from diffusion_toy.errors import DiffusionToyError, InvalidValueError
from diffusion_toy.files import check_file, write_atomically
from diffusion_toy.options import REQUIRED, option
from training.data.named import load_splits
from training.drawing.commandline import (
    DrawingOptions,
    add_command,
    guided_by_flags,
    pipeline_of,
    progress_bar,
    sampler_of,
)
from training.drawing.generation import generate, labels_for
from training.evaluation.evaluate import add_classifier, add_evaluate
from training.experiments.command import add_experiments
from training.runs.average import add_average
from training.runs.distill import add_distill
from training.runs.export import ModelFileOptions, export, load_network
from training.runs.loop import config_of, read_checkpoint
from training.runs.train import INTERRUPTED, add_train


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands and their flags."""
    p = argparse.ArgumentParser(prog="python -m training", description="Train a model for Diffusion Toy.")
    p.add_argument("--version", action="version", version=__version__)
    commands = p.add_subparsers(dest="command", required=True)
    add_parser = commands.add_parser
    add_train(add_parser)
    add_distill(add_parser)
    add_command(add_parser, "export", "turn a checkpoint into a model file", ExportOptions, run_export)
    add_command(add_parser, "sample", "draw pictures from a model", SampleOptions, run_sample)
    add_average(add_parser)
    add_evaluate(add_parser)
    add_classifier(add_parser)
    add_experiments(add_parser)
    return p


@dataclass(frozen=True, kw_only=True)
class ExportOptions(ModelFileOptions):
    """What `export` takes."""

    checkpoint: Path = option(REQUIRED, "the run's checkpoint.pt")


def run_export(options: ExportOptions) -> int:
    """Run `export`: write the model file of a checkpoint."""
    check_file("--out", options.out, make_folder=True)
    config = config_of(read_checkpoint(options.checkpoint))
    data = load_splits(config.dataset, options.data, config.model.channels, config.model.height)
    export(options.checkpoint, options.out, data, options.float16)
    print(f"wrote {options.out} ({options.out.stat().st_size / 1e6:.2f} MB)")
    return 0


@dataclass(frozen=True, kw_only=True)
class SampleOptions(DrawingOptions):
    """What `sample` takes."""

    count: int = option(64, "pictures", low=1, high=100_000)
    labels: str = option("none", "none, balanced (0, 1, 2, …), or one class, 0…9 for digits")
    out: Path = option(REQUIRED, "FILE.npz (images uint8, labels int64, −1 for none) or FILE.png (a grid)")


def run_sample(options: SampleOptions) -> int:
    """Run `sample`: draw pictures and write them to a file."""
    sampler = sampler_of(options)
    if options.out.suffix not in (".npz", ".png"):
        raise InvalidValueError("--out", options.out, "the endings .npz and .png")
    check_file("--out", options.out, make_folder=True)
    network, dataset, names = load_network(options.checkpoint)
    labels = labels_for(network, options.labels, options.count)
    with progress_bar(options.count * options.steps) as bar:
        pipeline = pipeline_of(options, guided_by_flags(options, network, dataset, names))
        images = generate(pipeline, labels, sampler, options.seed, bar.update).numpy()
    content = io.BytesIO()
    if options.out.suffix == ".npz":
        known = torch.where(labels == network.config.num_classes, -1, labels).numpy()
        np.savez_compressed(content, images=images[:, 0] if images.shape[1] == 1 else images, labels=known)
    else:
        Image.fromarray(grid(images)).save(content, "PNG")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(options.out, content.getvalue())
    print(f"wrote {options.out}")
    return 0


def grid(images: np.ndarray) -> np.ndarray:
    """Return one large picture of pictures side by side, in ten columns or fewer.

    Args:
        images: (N, C, H, W) uint8, of one channel or three.

    Returns:
        (rows·H, columns·W) uint8 for one channel, (rows·H, columns·W, 3) for three.
    """
    count, channels, height, width = images.shape
    columns = min(10, count)
    rows = -(-count // columns)
    cells = np.zeros((rows * columns, channels, height, width), np.uint8)
    cells[:count] = images
    cells = cells.reshape(rows, columns, channels, height, width).transpose(0, 3, 1, 4, 2)
    canvas = cells.reshape(rows * height, columns * width, channels)
    return canvas[..., 0] if channels == 1 else canvas


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return the exit status: 0, 1 on failure, 2 for a bad flag, 130 if interrupted."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a file name that the terminal cannot show is no failure
            stream.reconfigure(errors="backslashreplace")
    args = parser().parse_args(argv)
    try:
        status: int = args.run(args)
        return status
    except InvalidValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except DiffusionToyError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:  # a full disk, a file where a folder should be, no permission
        print(f"error: {error.filename or 'file'}: {error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return INTERRUPTED
