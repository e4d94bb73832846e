"""`python -m training train`."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import FrameType
from typing import Any, ClassVar

import torch
from tqdm import tqdm

from diffusion_toy.errors import CheckpointError, InvalidValueError
from diffusion_toy.files import check_new_folder
from diffusion_toy.model.checkpoint import LoadedModel, load_model
from diffusion_toy.model.config import SHAPES
from diffusion_toy.model.unet import UNetConfig, pruned_weights
from diffusion_toy.options import option
from diffusion_toy.predictors.eager import pick_device
from training.data.images import ImageSet, Splits
from training.drawing.commandline import DEVICES, AddParser, DataOptions, DatasetOptions, add_command
from training.objectives.config import LearningSettings, TrainConfig
from training.objectives.recipes import RECIPES
from training.runs.batches import Batches
from training.runs.export import export
from training.runs.loop import Trainer
from training.runs.ranks import Ranks, joined, local_device
from training.runs.run_log import SCALARS_EVERY, RunLog

CHECKPOINT_NAME, MODEL_NAME, REPORT_NAME = "checkpoint.pt", "model.safetensors", "pictures.txt"
INTERRUPTED = 130
THREADS_MAX = 1024
RUN = "the run"  # a heading of the help

MakeBatches = Callable[[TrainConfig, ImageSet, torch.device, Ranks], Batches]


@dataclass(frozen=True, kw_only=True)
class RunOptions(LearningSettings, DataOptions):
    """What every run takes, whatever it learns.

    Attributes:
        usual_shape: of the network, where neither `--shape` nor `--warm-start` says another.
    """

    usual_shape: ClassVar[str] = "classic"

    out: Path = option(Path("runs/mnist"), f"folder for {CHECKPOINT_NAME} and {MODEL_NAME}", group=RUN)
    resume: bool = option(False, "continue the run in --out exactly where it was", group=RUN)
    warm_start: Path | None = option(
        None,
        "model file whose weights to begin with, and whose shape unless --shape is given: then those of its "
        "weights that fit",
        metavar="FILE",
        told="random weights",
        group=RUN,
    )
    shape: str | None = option(
        None,
        "of the network",
        choices=SHAPES,
        told="that of --warm-start, else classic to train and fast to distill",
        group=RUN,
    )
    device: str = option("auto", "where to train", choices=DEVICES, group=RUN)
    threads: int = option(0, "CPU threads; 0: one for each core", low=0, high=THREADS_MAX, group=RUN)


@dataclass(frozen=True, kw_only=True)
class TrainOptions(RunOptions, DatasetOptions):
    """What `train` takes."""

    recipe: str = option(
        TrainConfig.recipe,
        "level-maps: what this project trains; toy: a common tutorial's, to compare with",
        choices=RECIPES,
    )


def add_train(add_parser: AddParser) -> None:
    """Add the command `train` and its options."""
    add_command(add_parser, "train", "train a network on a data set", TrainOptions, run_train)


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


def run_train(options: TrainOptions) -> int:
    """Train, saving after every epoch and when interrupted; export at the end."""
    ema_decay_max = TrainConfig.ema_decay_max if options.recipe == "level-maps" else 0.0
    config = TrainConfig(dataset=options.dataset, recipe=options.recipe, ema_decay_max=ema_decay_max)
    return run(options, config, options.load, lambda config, data, *_: Batches(config, data))


def run(options: RunOptions, base: TrainConfig, load: Callable[[], Splits], make_batches: MakeBatches) -> int:
    """Do a run; return the exit status.

    Args:
        options: of the run.
        base: the settings that the options leave as they are.
        load: reads the data set.
        make_batches: makes what is learnt of the final configuration and the training images, for a device
            and the process's rank.
    """
    begin = None if options.warm_start is None else load_model(options.warm_start)
    chosen = {one.name: getattr(options, one.name) for one in fields(LearningSettings)}
    config = replace(base, **chosen, warm_start="" if begin is None else begin.fingerprint)
    device = local_device(pick_device(options.device))
    if options.threads:
        torch.set_num_threads(options.threads)
    with interruptible(), joined(device) as ranks:
        return train_in_ranks(options, config, begin, device, ranks, load, make_batches)


def train_in_ranks(
    options: RunOptions,
    config: TrainConfig,
    begin: LoadedModel | None,
    device: torch.device,
    ranks: Ranks,
    load: Callable[[], Splits],
    make_batches: MakeBatches,
) -> int:
    """Do the run in this process; the first of several does all reporting and writing."""
    checkpoint = options.out / CHECKPOINT_NAME
    check_new_folder("--out", options.out)
    if checkpoint.exists() and not options.resume:
        raise CheckpointError(
            f"{checkpoint} exists already; add --resume to continue it, or choose another --out"
        )
    if options.resume and not checkpoint.exists():
        raise CheckpointError(f"{checkpoint} does not exist; leave out --resume to start a new run there")
    if not ranks.first:
        ranks.wait()  # until the first has downloaded what is missing
    data = load()
    if ranks.first:
        ranks.wait()
        if data.report:
            print(data.report, flush=True)
    shape = options.shape or (None if begin else options.usual_shape)
    config = replace(config, model=network_for(data, begin, shape))
    stop = StopRequest()
    trainer = Trainer(
        config, data.training, device,
        None if begin is None else pruned_weights(begin.network, config.model),
        ranks, lambda: stop.asked, data.label_names,
        make_batches(config, data.training, device, ranks),
    )  # fmt: skip
    if options.resume:
        trainer.load(checkpoint)
        if ranks.first:
            print(f"continuing at step {trainer.step} of {trainer.total_steps}", flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    if ranks.first and data.details:
        (options.out / REPORT_NAME).write_text(data.details + "\n", "utf-8")
        if data.details != data.report:
            print(f"every file that was skipped or needs a look: {options.out / REPORT_NAME}", flush=True)
    with stop:
        if ranks.first:
            with RunLog(options.out, trainer.step) as run_log:
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
    file = options.out / MODEL_NAME
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
