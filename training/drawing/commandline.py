"""What the commands of `python -m training` share."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from diffusion_toy.contract.messages import GUIDANCE_MAX, SEED_MAX, Sampler, check_range
from diffusion_toy.diffusion.samplers import RULES, sampler_key, sampler_of_key
from diffusion_toy.diffusion.sampling import SamplingPlan
from diffusion_toy.diffusion.schedule import SCHEDULE_NAMES, T_MAX, T_MIN, make_schedule
from diffusion_toy.errors import InvalidValueError
from diffusion_toy.model.checkpoint import load_model
from diffusion_toy.options import REQUIRED, add_options, option, read_options
from diffusion_toy.predictors.eager import pick_device
from training.data.images import Splits
from training.data.named import DATASETS, FOLDER, load_splits
from training.drawing.generation import KINDS, DrawingNetwork, Pipeline, make_pipeline
from training.objectives.autoguidance import (
    WEIGHT_DEFAULT,
    WEIGHT_MAX,
    Autoguidance,
    AutoguidedNetwork,
    check_named,
    check_weak,
)
from training.objectives.config import PRECISIONS
from training.objectives.recipes import DiffusionNetwork

AddParser = Callable[..., argparse.ArgumentParser]
T = TypeVar("T")

DEVICES = ("auto", "cpu", "cuda")
SAMPLERS = tuple(map(sampler_key, Sampler))


def add_command(
    add_parser: AddParser, name: str, help: str, options: type[T], run: Callable[[T], int]
) -> None:
    """Add a command whose options are the fields of a dataclass; `run` takes them, and returns the status."""
    p = add_parser(name, help=help)
    add_options(options, p)
    p.set_defaults(run=lambda found: run(read_options(options, found, p)))


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """Where the images are."""

    data: Path = option(Path("data"), "folder of the data set; downloaded there if missing")


@dataclass(frozen=True, kw_only=True)
class DatasetOptions(DataOptions):
    """Which images to learn from."""

    dataset: str = option(
        "mnist",
        "what to train on; folder: your own pictures in --data, one subfolder for each class",
        choices=(*DATASETS, FOLDER),
    )
    image_size: int = option(28, "what the pictures of a folder become", low=8, high=64, unit="pixels")
    channels: int = option(1, "of the pictures of a folder: grey or colour", choices=(1, 3))

    def load(self) -> Splits:
        """Read the data set, see `load_splits`."""
        return load_splits(self.dataset, self.data, self.channels, self.image_size)


@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """Which network computes, and how."""

    checkpoint: Path = option(REQUIRED, "a .safetensors model file, or a run's checkpoint.pt")
    seed: int = option(0, "of the noise", low=0, high=SEED_MAX)
    precision: str = option("float32", "of the matrix products", choices=PRECISIONS)
    predictor: str = option(
        "eager",
        "what runs the network; openvino is fastest on a CPU, compiled takes 20 s and a C++ compiler",
        choices=KINDS,
    )
    device: str = option("auto", "where to compute", choices=DEVICES)


@dataclass(frozen=True, kw_only=True)
class DrawingOptions(NetworkOptions):
    """How pictures are drawn; `sampler_of`, `guided_by_flags` and `pipeline_of` read it.

    Raises:
        InvalidValueError: more steps than T, or an option that does nothing without another.
    """

    sampler: str = option("ddpm", "how a step is taken", choices=SAMPLERS)
    steps: int = option(300, "network steps a picture, 1…T")
    eta: float | None = option(
        None,
        "randomness of a DDIM step, 1 is DDPM; only with --sampler ddim",
        low=0,
        high=1,
        told="0",
    )
    spacing: float = option(
        1.0, "of the steps; 1: even, below 1: smaller steps where there is much noise", low=0.2, high=5
    )
    guidance: float = option(1.0, "weight of the label; 1: as trained", low=0, high=GUIDANCE_MAX)
    schedule: str | None = option(
        None,
        "which time step holds how much noise",
        choices=SCHEDULE_NAMES,
        told="what the network was made for, cosine",
    )
    weak: Path | None = option(
        None,
        "a weaker model of the same data, for instance of fewer epochs, that guides this one",
        metavar="FILE",
    )
    autoguidance: float | None = option(
        None,
        "weight w of the guidance v + w·(v − v_weak); only with --weak",
        low=0,
        high=WEIGHT_MAX,
        metavar="W",
        told="1",
    )
    time_steps: int = option(300, "T of the schedule", low=T_MIN, high=T_MAX)

    def __post_init__(self) -> None:
        check_range("--steps", self.steps, 1, self.time_steps)
        if self.eta is not None and not RULES[sampler_of_key(self.sampler)].takes_eta:
            limit = f"what --sampler {self.sampler} takes"
            raise InvalidValueError("--eta", self.eta, limit, "leave it out, or use --sampler ddim")
        check_named(self.weak, autoguidance=self.autoguidance)

    @property
    def weak_weight(self) -> float:
        """Return how much the weak model guides, where there is one."""
        return WEIGHT_DEFAULT if self.autoguidance is None else self.autoguidance


def sampler_of(options: DrawingOptions) -> SamplingPlan:
    """Return the sampler that the options ask for."""
    sampler, eta = sampler_of_key(options.sampler), options.eta or 0.0
    return SamplingPlan(sampler, options.steps, eta, options.guidance, options.spacing)


def guided_by_flags(
    options: DrawingOptions, network: DiffusionNetwork, dataset: str, label_names: tuple[str, ...]
) -> DrawingNetwork:
    """Return the network, with the weak one that guides it where the options name one.

    Args:
        options: name it.
        network, dataset, label_names: what is to be guided, what it was trained on, and its classes.

    Raises:
        CheckpointError: no such file, or a damaged one.
        InvalidValueError: the weak model is of other data or other classes.
    """
    if options.weak is None:
        return network
    weak = load_model(options.weak)
    check_weak(network.config, dataset, label_names, weak)
    return AutoguidedNetwork(network, weak.network, Autoguidance(options.weak_weight, options.weak_weight))


def pipeline_of(options: DrawingOptions, network: DrawingNetwork) -> Pipeline:
    """Return the network, ready to draw as the options ask.

    Raises:
        InvalidValueError: no such device, or none for this predictor.
        PredictorError: it cannot run so here.
    """
    schedule = make_schedule(options.schedule or network.schedule[0], options.time_steps)
    device = pick_device(options.device)
    return make_pipeline(network, device, options.precision, options.predictor, schedule)


def progress_bar(total: int, unit: str = "step") -> tqdm[None]:
    """Return a progress bar on the terminal, or a silent one where stderr goes elsewhere."""
    return tqdm(total=total, unit=unit, unit_scale=True, disable=not sys.stderr.isatty())
