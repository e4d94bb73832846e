"""`python -m training`: train a model, export it, sample from it, score it."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType

import numpy as np
import torch

from diffusion_toy import __version__
from diffusion_toy.checkpoint import LoadedModel, load_model
from diffusion_toy.errors import CheckpointError, DiffusionToyError, InvalidValueError, MissingExtraError
from diffusion_toy.unet import UNetConfig

try:
    from PIL import Image
    from tqdm import tqdm

    from training.commandline import (
        CHECKPOINT_HELP,
        DEVICES,
        SAMPLERS,
        check_flags,
        make_sampler,
        naming_flags,
        pick_device,
        progress_bar,
    )
    from training.config import PRECISIONS, TrainConfig
    from training.data import DATASETS, FOLDER, Splits, load_splits
    from training.evaluate import add_classifier, add_evaluate
    from training.export import export, load_network
    from training.generation import generate, labels_of
    from training.loop import Trainer
    from training.ranks import Ranks, joined, local_device
except ModuleNotFoundError as error:
    raise MissingExtraError(error.name or "torchvision", "train") from error

CHECKPOINT_NAME, MODEL_NAME = "checkpoint.pt", "model.safetensors"
INTERRUPTED = 130
THREADS_MAX = 1024


def parser() -> argparse.ArgumentParser:
    """The command line."""
    defaults = TrainConfig()
    formatter, required = argparse.ArgumentDefaultsHelpFormatter, argparse.SUPPRESS
    p = argparse.ArgumentParser(prog="python -m training", description="Train a model for Diffusion Toy.")
    p.add_argument("--version", action="version", version=__version__)
    commands = p.add_subparsers(dest="command", required=True)

    train = commands.add_parser("train", help="train a network on a data set", formatter_class=formatter)
    train.add_argument(
        "--dataset",
        choices=[*DATASETS, FOLDER],
        default=defaults.dataset,
        help="what to train on; folder: your own pictures in --data, one subfolder for each class",
    )
    train.add_argument(
        "--data", type=Path, default=Path("data"), help="folder of the data set; downloaded there if missing"
    )
    train.add_argument(
        "--image-size", type=int, default=28, help="what the pictures of a folder become, pixels, 8…64"
    )
    train.add_argument(
        "--channels", type=int, choices=(1, 3), default=1, help="of the pictures of a folder: grey or colour"
    )
    train.add_argument(
        "--out", type=Path, default=Path("runs/mnist"), help=f"folder for {CHECKPOINT_NAME} and {MODEL_NAME}"
    )
    train.add_argument("--resume", action="store_true", help="continue the run in --out exactly where it was")
    train.add_argument(
        "--warm-start", type=Path, default=argparse.SUPPRESS, metavar="FILE",
        help="model file whose weights and network to begin with (default: random weights)",
    )  # fmt: skip
    train.add_argument(
        "--epochs", type=int, default=defaults.epochs, help="passes over the images, 1 and above"
    )
    train.add_argument(
        "--batch-size", type=int, default=defaults.batch_size, help="images a step, 1 up to all of them"
    )
    train.add_argument(
        "--learning-rate",
        type=float,
        default=defaults.learning_rate,
        help="peak rate of AdamW, between 0 and 1",
    )
    train.add_argument(
        "--unlabelled-share", type=float, default=defaults.unlabelled_share, help="images without label, 0…1"
    )
    train.add_argument(
        "--map-share", type=float, default=defaults.map_share, help="images with a varying level, 0…1"
    )
    train.add_argument(
        "--precision", choices=PRECISIONS, default=defaults.precision, help="of the matrix products"
    )
    train.add_argument("--seed", type=int, default=defaults.seed, help="of everything random, 0…2^63−1")
    train.add_argument("--device", choices=DEVICES, default="auto", help="where to train")
    train.add_argument(
        "--threads", type=int, default=0, help=f"CPU threads, 0…{THREADS_MAX}; 0: one for each core"
    )

    train.set_defaults(run=run_train)
    ex = commands.add_parser("export", help="turn a checkpoint into a model file", formatter_class=formatter)
    ex.add_argument(
        "--checkpoint", type=Path, required=True, default=required, help="the run's checkpoint.pt"
    )
    ex.add_argument(
        "--out", type=Path, required=True, default=required, help="the .safetensors file to write"
    )
    ex.add_argument(
        "--data", type=Path, default=Path("data"), help="folder of the data set, for real examples"
    )

    ex.set_defaults(run=run_export)
    sa = commands.add_parser("sample", help="draw pictures from a model", formatter_class=formatter)
    sa.add_argument("--checkpoint", type=Path, required=True, default=required, help=CHECKPOINT_HELP)
    sa.add_argument("--count", type=int, default=64, help="pictures, 1…100000")
    sa.add_argument("--steps", type=int, default=300, help="network steps a picture, 1…300")
    sa.add_argument("--sampler", choices=SAMPLERS, default="ddpm", help="how a step is taken")
    sa.add_argument(
        "--eta", type=float, default=argparse.SUPPRESS,
        help="randomness of a DDIM step, 0…1 (1 is DDPM); only with --sampler ddim (default: 0)",
    )  # fmt: skip
    sa.add_argument(
        "--labels", default="none", help="none, balanced (0, 1, 2, …), or one class, 0…9 for digits"
    )
    sa.add_argument("--guidance", type=float, default=1.0, help="weight of the label, 0…8; 1: as trained")
    sa.add_argument("--seed", type=int, default=0, help="of the noise, 0…2^63−1")
    sa.add_argument(
        "--out", type=Path, required=True, default=required,
        help="FILE.npz (images uint8, labels int64, −1 for none) or FILE.png (a grid)",
    )  # fmt: skip
    sa.add_argument("--device", choices=DEVICES, default="auto", help="where to compute")
    sa.set_defaults(run=run_sample)
    add_parser = partial(commands.add_parser, formatter_class=formatter)
    add_evaluate(add_parser)
    add_classifier(add_parser)
    return p


class StopRequest:
    """The first Ctrl-C or SIGTERM asks to stop after the current step, the second ends at once.

    Stopping anywhere within a step would save weights that the step has half changed.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def __enter__(self) -> StopRequest:
        for number in self._before:
            signal.signal(number, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, _frame: FrameType | None) -> None:
        self.asked = True
        signal.signal(number, self._before[signal.Signals(number)])


def network_for(data: Splits, begin: LoadedModel | None) -> UNetConfig:
    """The network that these data take: that of the model to begin with, if there is one.

    Raises:
        InvalidValueError: that one has another number of classes.
    """
    classes = len(data.label_names)
    if begin is None:
        _, channels, height, width = data.training.images.shape
        return UNetConfig(channels, height, width, classes)
    if begin.network.config.num_classes != classes:
        limit = f"the data's {classes} classes"
        raise InvalidValueError("--warm-start", f"a model of {begin.network.config.num_classes}", limit)
    return begin.network.config


def run_train(args: argparse.Namespace) -> int:
    """Train, saving after every epoch and when interrupted; export at the end."""
    begin = load_model(args.warm_start) if "warm_start" in args else None
    with naming_flags():
        config = TrainConfig(
            dataset=args.dataset,
            epochs=args.epochs,
            batch_size=args.batch_size,
            learning_rate=args.learning_rate,
            unlabelled_share=args.unlabelled_share,
            map_share=args.map_share,
            precision=args.precision,
            warm_start="" if begin is None else begin.fingerprint,
            seed=args.seed,
        )
    check_flags(("--threads", args.threads, 0, THREADS_MAX), ("--image-size", args.image_size, 8, 64))
    device = local_device(pick_device(args.device))
    if args.threads:
        torch.set_num_threads(args.threads)
    with joined(device) as ranks, StopRequest() as stop:
        return train_in_ranks(args, config, begin, device, ranks, stop)


def train_in_ranks(
    args: argparse.Namespace,
    config: TrainConfig,
    begin: LoadedModel | None,
    device: torch.device,
    ranks: Ranks,
    stop: StopRequest,
) -> int:
    """The run itself, in this process; the first of several does all reporting and writing."""
    checkpoint: Path = args.out / CHECKPOINT_NAME
    if checkpoint.exists() and not args.resume:
        raise CheckpointError(
            f"{checkpoint} exists already; add --resume to continue it, or choose another --out"
        )
    if args.resume and not checkpoint.exists():
        raise CheckpointError(f"{checkpoint} does not exist; leave out --resume to start a new run there")
    if not ranks.first:
        ranks.wait()  # until the first has downloaded what is missing
    data = load_splits(config.dataset, args.data, args.channels, args.image_size)
    if ranks.first:
        ranks.wait()
        if data.report:
            print(data.report, flush=True)
    config = replace(config, model=network_for(data, begin))
    with naming_flags():
        weights = None if begin is None else begin.network.state_dict()
        trainer = Trainer(config, data.training, device, weights, ranks, lambda: stop.asked)
    if args.resume:
        trainer.load(checkpoint)
        if ranks.first:
            print(f"continuing at step {trainer.step} of {trainer.total_steps}", flush=True)
    args.out.mkdir(parents=True, exist_ok=True)
    began, first, size = time.perf_counter(), trainer.step, config.batch_size
    with tqdm(
        total=trainer.total_steps * size, initial=trainer.step * size, unit="img", unit_scale=True,
        disable=not (ranks.first and sys.stderr.isatty()),
    ) as bar:  # fmt: skip
        for report in trainer.run():
            bar.update(size)
            if report.step % 20 == 0:
                bar.set_postfix(loss=f"{report.smoothed_loss:.4f}")
            if ranks.first and report.step % trainer.steps_per_epoch == 0:
                trainer.save(checkpoint)
                rate = (report.step - first) * size / (time.perf_counter() - began)
                epoch = report.step // trainer.steps_per_epoch
                bar.write(
                    f"epoch {epoch}/{config.epochs}: loss {report.smoothed_loss:.4f}, {rate:.0f} images/s"
                )
                sys.stdout.flush()
            if report.stop:
                break
    if not ranks.first:
        return 0 if trainer.step == trainer.total_steps else INTERRUPTED
    if trainer.step < trainer.total_steps:
        trainer.save(checkpoint)
        print(f"stopped and saved at step {trainer.step}; continue with the same flags and --resume")
        return INTERRUPTED
    file = args.out / MODEL_NAME
    export(checkpoint, file, data)
    print(f"wrote {file}; serve it with: python -m inference_server --model {file}")
    return 0


def run_export(args: argparse.Namespace) -> int:
    """Write a model file."""
    from training.loop import config_of, read_checkpoint

    config = config_of(read_checkpoint(args.checkpoint))
    data = load_splits(config.dataset, args.data, config.model.channels, config.model.height)
    export(args.checkpoint, args.out, data)
    print(f"wrote {args.out} ({args.out.stat().st_size / 1e6:.2f} MB)")
    return 0


def run_sample(args: argparse.Namespace) -> int:
    """Draw pictures and write them."""
    sampler = make_sampler(args.sampler, args.steps, getattr(args, "eta", None), args.guidance)
    if args.out.suffix not in (".npz", ".png"):
        raise InvalidValueError("--out", args.out, "the endings .npz and .png")
    check_flags(("--count", args.count, 1, 100_000), ("--seed", args.seed, 0, 2**63 - 1))
    device = pick_device(args.device)
    network, _dataset = load_network(args.checkpoint)
    labels = labels_of(args.labels, args.count, network.config.num_classes)
    with progress_bar(args.count * args.steps) as bar:
        images = generate(network.to(device), labels, sampler, args.seed, device, progress=bar.update).numpy()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    if args.out.suffix == ".npz":
        known = torch.where(labels == network.config.num_classes, -1, labels).numpy()
        np.savez_compressed(args.out, images=images[:, 0] if images.shape[1] == 1 else images, labels=known)
    else:
        Image.fromarray(grid(images[:, 0])).save(args.out)
    print(f"wrote {args.out}")
    return 0


def grid(images: np.ndarray) -> np.ndarray:
    """Pictures (N, H, W) side by side in ten columns, or fewer: one large picture."""
    count, height, width = images.shape
    columns = min(10, count)
    rows = -(-count // columns)
    canvas = np.zeros((rows * columns, height, width), np.uint8)
    canvas[:count] = images
    return canvas.reshape(rows, columns, height, width).swapaxes(1, 2).reshape(rows * height, columns * width)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit status: 0, 1 on failure, 2 for a bad flag, 130 if interrupted."""
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


if __name__ == "__main__":
    sys.exit(main())
