"""`python -m training train`."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from tqdm import tqdm

from diffusion_toy.errors import CheckpointError, InvalidValueError
from diffusion_toy.files import check_new_folder
from diffusion_toy.model.checkpoint import LoadedModel, load_model
from diffusion_toy.model.config import SHAPES
from diffusion_toy.model.unet import UNetConfig, pruned_weights
from diffusion_toy.predictors.eager import pick_device
from training.data.images import Splits
from training.data.named import DATASETS, FOLDER, load_splits
from training.drawing.commandline import DEVICES, AddParser, check_flags, naming_flags
from training.objectives.config import PRECISIONS, TrainConfig
from training.objectives.recipes import RECIPES
from training.runs.export import export
from training.runs.loop import Trainer
from training.runs.ranks import Ranks, joined, local_device
from training.runs.run_log import SCALARS_EVERY, RunLog

CHECKPOINT_NAME, MODEL_NAME, REPORT_NAME = "checkpoint.pt", "model.safetensors", "pictures.txt"
INTERRUPTED = 130
THREADS_MAX = 1024


def add_train(add_parser: AddParser) -> None:
    """Add the command `train` and its flags."""
    defaults = TrainConfig()
    train = add_parser("train", help="train a network on a data set")
    train.add_argument(
        "--dataset",
        choices=[*DATASETS, FOLDER],
        default=defaults.dataset,
        help="what to train on; folder: your own pictures in --data, one subfolder for each class",
    )
    train.add_argument(
        "--image-size", type=int, default=28, help="what the pictures of a folder become, pixels, 8…64"
    )
    train.add_argument(
        "--channels", type=int, choices=(1, 3), default=1, help="of the pictures of a folder: grey or colour"
    )
    train.add_argument(
        "--recipe", choices=RECIPES, default=defaults.recipe,
        help="level-maps: what this project trains; toy: a common tutorial's, to compare with",
    )  # fmt: skip
    add_run_flags(train, Path("runs/mnist"), defaults.batch_size, "classic")
    train.set_defaults(run=run_train)


def add_run_flags(p: argparse.ArgumentParser, out: Path, batch_size: int, shape: str) -> None:
    """Add the flags that every run takes, whatever it learns."""
    defaults = TrainConfig()
    p.add_argument(
        "--data", type=Path, default=Path("data"), help="folder of the data set; downloaded there if missing"
    )
    p.add_argument("--out", type=Path, default=out, help=f"folder for {CHECKPOINT_NAME} and {MODEL_NAME}")
    p.add_argument("--resume", action="store_true", help="continue the run in --out exactly where it was")
    p.add_argument(
        "--warm-start", type=Path, default=argparse.SUPPRESS, metavar="FILE",
        help="model file whose weights to begin with, and whose shape unless --shape is given: then those "
        "of its weights that fit (default: random weights)",
    )  # fmt: skip
    p.add_argument(
        "--shape", choices=SHAPES, default=argparse.SUPPRESS,
        help=f"of the network (default: that of --warm-start, else {shape})",
    )  # fmt: skip
    p.add_argument("--epochs", type=int, default=defaults.epochs, help="passes over the images, 1 and above")
    p.add_argument("--batch-size", type=int, default=batch_size, help="images a step, 1 up to all of them")
    p.add_argument(
        "--learning-rate",
        type=float,
        default=defaults.learning_rate,
        help="peak rate of AdamW, between 0 and 1",
    )
    p.add_argument(
        "--flips", action="store_true", help="mirror every other picture (mirrored digits are not digits)"
    )
    p.add_argument(
        "--unlabelled-share", type=float, default=defaults.unlabelled_share, help="images without label, 0…1"
    )
    p.add_argument(
        "--map-share", type=float, default=defaults.map_share, help="images with a varying level, 0…1"
    )
    p.add_argument(
        "--precision", choices=PRECISIONS, default=defaults.precision, help="of the matrix products"
    )
    p.add_argument(
        "--compile", action="store_true",
        help="compile the network first, a minute or two; needs a C++ compiler, pays off in long runs",
    )  # fmt: skip
    p.add_argument("--seed", type=int, default=defaults.seed, help="of everything random, 0…2^63−1")
    p.add_argument("--device", choices=DEVICES, default="auto", help="where to train")
    p.add_argument(
        "--threads", type=int, default=0, help=f"CPU threads, 0…{THREADS_MAX}; 0: one for each core"
    )
    p.set_defaults(default_shape=shape)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM raise KeyboardInterrupt, also where a shell's background job ignores Ctrl-C."""
    before = {
        number: signal.signal(number, signal.default_int_handler)
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class StopRequest:
    """A `with` in which a first Ctrl-C or SIGTERM asks to stop after the step, and a second ends at once.

    Stopping anywhere within a step would save weights that the step has half changed.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopRequest:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, _frame: FrameType | None) -> None:
        self.asked = True
        signal.signal(number, self._before[signal.Signals(number)])


def network_for(data: Splits, begin: LoadedModel | None, shape: str | None = "classic") -> UNetConfig:
    """Return the network that these data take: of this shape, or of the model to begin with if it is None.

    Raises:
        InvalidValueError: that model has another number of classes.
    """
    classes = len(data.label_names)
    _, channels, height, width = data.training.images.shape
    if begin is None:
        return replace(UNetConfig(channels, height, width, classes), **SHAPES[shape or "classic"])
    if begin.network.config.num_classes != classes:
        limit = f"the data's {classes} classes"
        raise InvalidValueError("--warm-start", f"a model of {begin.network.config.num_classes}", limit)
    if shape is not None:
        return replace(UNetConfig(channels, height, width, classes), **SHAPES[shape])
    return begin.network.config


def run_train(args: argparse.Namespace) -> int:
    """Train, saving after every epoch and when interrupted; export at the end."""
    check_flags(("--image-size", args.image_size, 8, 64))
    ema_decay_max = TrainConfig.ema_decay_max if args.recipe == "level-maps" else 0.0
    config = TrainConfig(dataset=args.dataset, recipe=args.recipe, ema_decay_max=ema_decay_max)
    return run(args, config, Trainer)


def run(args: argparse.Namespace, base: TrainConfig, make_trainer: Callable[..., Trainer]) -> int:
    """Do a run with the flags of `add_run_flags`; return the exit status.

    Args:
        args: the flags, and `channels` and `image_size` of a folder's pictures.
        base: the settings that the flags leave as they are.
        make_trainer: called as `Trainer` is.
    """
    begin = load_model(args.warm_start) if "warm_start" in args else None
    with naming_flags():
        config = replace(
            base,
            epochs=args.epochs,
            batch_size=args.batch_size,
            learning_rate=args.learning_rate,
            flips=args.flips,
            unlabelled_share=args.unlabelled_share,
            map_share=args.map_share,
            precision=args.precision,
            compiled=args.compile,
            warm_start="" if begin is None else begin.fingerprint,
            seed=args.seed,
        )
    check_flags(("--threads", args.threads, 0, THREADS_MAX))
    device = local_device(pick_device(args.device))
    if args.threads:
        torch.set_num_threads(args.threads)
    with interruptible(), joined(device) as ranks:
        return train_in_ranks(args, config, begin, device, ranks, make_trainer)


def train_in_ranks(
    args: argparse.Namespace,
    config: TrainConfig,
    begin: LoadedModel | None,
    device: torch.device,
    ranks: Ranks,
    make_trainer: Callable[..., Trainer],
) -> int:
    """Do the run in this process; the first of several does all reporting and writing."""
    checkpoint: Path = args.out / CHECKPOINT_NAME
    check_new_folder("--out", args.out)
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
    config = replace(
        config, model=network_for(data, begin, getattr(args, "shape", None if begin else args.default_shape))
    )
    with naming_flags():
        stop = StopRequest()
        weights = None if begin is None else pruned_weights(begin.network, config.model)
        trainer = make_trainer(
            config, data.training, device, weights, ranks, lambda: stop.asked, data.label_names
        )
    if args.resume:
        trainer.load(checkpoint)
        if ranks.first:
            print(f"continuing at step {trainer.step} of {trainer.total_steps}", flush=True)
    args.out.mkdir(parents=True, exist_ok=True)
    if ranks.first and data.details:
        (args.out / REPORT_NAME).write_text(data.details + "\n", "utf-8")
        if data.details != data.report:
            print(f"every file that was skipped or needs a look: {args.out / REPORT_NAME}", flush=True)
    with stop:
        if ranks.first:
            with RunLog(args.out, trainer.step) as run_log:
                train_and_tell(trainer, run_log, checkpoint)
        else:
            for report in trainer.run():
                if report.stop:
                    break
    if not ranks.first:
        return 0 if trainer.step == trainer.total_steps else INTERRUPTED
    if trainer.step < trainer.total_steps:
        print(f"stopped and saved at step {trainer.step}; continue with the same flags and --resume")
        return INTERRUPTED
    if not trainer.recipe.can_be_served:
        print(f"done; score it with: python -m training evaluate --checkpoint {checkpoint}")
        return 0
    file = args.out / MODEL_NAME
    export(checkpoint, file, data)
    print(f"wrote {file}; serve it with: python -m inference_server --model {file}")
    return 0


def train_and_tell(trainer: Trainer, run_log: RunLog, checkpoint: Path) -> None:
    """Train to the end or until asked to stop, with a progress bar; save after every epoch."""
    size, epochs = trainer.config.batch_size, trainer.config.epochs
    began, first = time.perf_counter(), trainer.step
    with tqdm(
        total=trainer.total_steps * size, initial=first * size, unit="img", unit_scale=True,
        disable=not sys.stderr.isatty(),
    ) as bar:  # fmt: skip
        for report in trainer.run():
            bar.update(size)
            rate = (report.step - first) * size / (time.perf_counter() - began)
            if report.step % SCALARS_EVERY == 0:
                bar.set_postfix(loss=f"{report.smoothed_loss:.4f}")
                run_log.scalars(
                    report.step, loss=report.loss, smoothed_loss=report.smoothed_loss,
                    learning_rate=report.learning_rate, images_per_second=rate,
                )  # fmt: skip
            if report.step % trainer.steps_per_epoch == 0:
                trainer.save(checkpoint)
                epoch = report.step // trainer.steps_per_epoch
                bar.write(f"epoch {epoch}/{epochs}: loss {report.smoothed_loss:.4f}, {rate:.0f} images/s")
                sys.stdout.flush()
                run_log.pictures(
                    report.step, trainer.averaged_network(), trainer.device, trainer.config.precision
                )
            if report.stop:
                break
    if trainer.step < trainer.total_steps:
        trainer.save(checkpoint)
