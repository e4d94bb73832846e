"""What the commands of `python -m training` share."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from diffusion_toy.contract.messages import Sampler, check_range
from diffusion_toy.diffusion.samplers import RULES, sampler_key, sampler_of_key
from diffusion_toy.diffusion.sampling import SamplingPlan
from diffusion_toy.diffusion.schedule import SCHEDULE_NAMES, T_MAX, T_MIN, make_schedule
from diffusion_toy.errors import InvalidValueError
from diffusion_toy.model.checkpoint import load_model
from diffusion_toy.options import add_options, read_options
from diffusion_toy.predictors.eager import pick_device
from training.drawing.generation import KINDS, DrawingNetwork, Pipeline, make_pipeline
from training.objectives.autoguidance import WEIGHT_MAX, Autoguidance, AutoguidedNetwork, check_weak
from training.objectives.config import PRECISIONS
from training.objectives.recipes import DiffusionNetwork

AddParser = Callable[..., argparse.ArgumentParser]
T = TypeVar("T")

DEVICES = ("auto", "cpu", "cuda")
SAMPLERS = tuple(map(sampler_key, Sampler))
CHECKPOINT_HELP = "a .safetensors model file, or a run's checkpoint.pt"


def add_command(
    add_parser: AddParser, name: str, help: str, options: type[T], run: Callable[[T], int]
) -> None:
    """Add a command whose options are the fields of a dataclass; `run` takes them, and returns the status."""
    p = add_parser(name, help=help)
    add_options(options, p)
    p.set_defaults(run=lambda found: run(read_options(options, found, p)))


@contextmanager
def naming_flags() -> Iterator[None]:
    """Name settings that are out of range as the flags that set them."""
    try:
        yield
    except InvalidValueError as error:
        flag = "--" + error.field.replace("_", "-")
        raise InvalidValueError(flag, error.value, error.limit) from error


def check_flags(*flags: tuple[str, float, float, float]) -> None:
    """Check that flags, each (flag, value, least, greatest), are within their ranges.

    Raises:
        InvalidValueError: a value outside its range, or not a number.
    """
    for flag, value, low, high in flags:
        check_range(flag, value, low, high)


def add_network_flags(p: argparse.ArgumentParser) -> None:
    """Add the flags that say which network computes, and how."""
    p.add_argument("--checkpoint", type=Path, required=True, default=argparse.SUPPRESS, help=CHECKPOINT_HELP)
    p.add_argument("--seed", type=int, default=0, help="of the noise, 0…2^63−1")
    p.add_argument("--precision", choices=PRECISIONS, default="float32", help="of the matrix products")
    p.add_argument(
        "--predictor", choices=KINDS, default="eager",
        help="what runs the network; openvino is fastest on a CPU, compiled takes 20 s and a C++ compiler",
    )  # fmt: skip
    p.add_argument("--device", choices=DEVICES, default="auto", help="where to compute")


def add_drawing_flags(p: argparse.ArgumentParser, sampler: str, steps: int) -> None:
    """Add the flags that say how pictures are drawn; `sampler_of` and `pipeline_of` read them."""
    add_network_flags(p)
    p.add_argument("--sampler", choices=SAMPLERS, default=sampler, help="how a step is taken")
    p.add_argument("--steps", type=int, default=steps, help="network steps a picture, 1…T")
    p.add_argument(
        "--eta", type=float, default=argparse.SUPPRESS,
        help="randomness of a DDIM step, 0…1 (1 is DDPM); only with --sampler ddim (default: 0)",
    )  # fmt: skip
    p.add_argument(
        "--spacing", type=float, default=1.0,
        help="of the steps, 0.2…5; 1: even, below 1: smaller steps where there is much noise",
    )  # fmt: skip
    p.add_argument("--guidance", type=float, default=1.0, help="weight of the label, 0…8; 1: as trained")
    p.add_argument(
        "--schedule", choices=SCHEDULE_NAMES, default=argparse.SUPPRESS,
        help="which time step holds how much noise (default: what the network was made for, cosine)",
    )  # fmt: skip
    p.add_argument(
        "--weak", type=Path, default=argparse.SUPPRESS, metavar="FILE",
        help="a weaker model of the same data, for instance of fewer epochs, that guides this one",
    )  # fmt: skip
    p.add_argument(
        "--autoguidance", type=float, default=argparse.SUPPRESS, metavar="W",
        help=f"weight w of the guidance v + w·(v − v_weak), 0…{WEIGHT_MAX:g}; only with --weak (default: 1)",
    )  # fmt: skip
    p.add_argument("--time-steps", type=int, default=300, help=f"T of the schedule, {T_MIN}…{T_MAX}")


def sampler_of(args: argparse.Namespace) -> SamplingPlan:
    """Return the sampler that the flags ask for.

    Raises:
        InvalidValueError: a value outside its range, or an eta for a sampler that has none.
    """
    eta = getattr(args, "eta", None)
    if eta is not None and not RULES[sampler_of_key(args.sampler)].takes_eta:
        raise InvalidValueError(
            "--eta", eta, f"what --sampler {args.sampler} takes", "leave it out, or use --sampler ddim"
        )
    check_flags(
        ("--time-steps", args.time_steps, T_MIN, T_MAX), ("--steps", args.steps, 1, args.time_steps),
        ("--guidance", args.guidance, 0, 8), ("--eta", eta or 0.0, 0, 1),
        ("--spacing", args.spacing, 0.2, 5), ("--seed", args.seed, 0, 2**63 - 1),
    )  # fmt: skip
    return SamplingPlan(sampler_of_key(args.sampler), args.steps, eta or 0.0, args.guidance, args.spacing)


def guided_by_flags(args: argparse.Namespace, network: DiffusionNetwork, dataset: str) -> DrawingNetwork:
    """Return the network, with the weak one that guides it where the flags name one.

    Raises:
        CheckpointError: no such file, or a damaged one.
        InvalidValueError: the weak model is of other data, or there is a weight and no weak model.
    """
    weight = getattr(args, "autoguidance", 1.0)
    check_flags(("--autoguidance", weight, 0, WEIGHT_MAX))
    if "weak" not in args:
        if "autoguidance" in args:
            limit = "what is possible without a weak model"
            raise InvalidValueError("--autoguidance", weight, limit, "add --weak FILE")
        return network
    weak = load_model(args.weak)
    check_weak(network.config, dataset, weak)
    return AutoguidedNetwork(network, weak.network, Autoguidance(weight, weight))


def pipeline_of(args: argparse.Namespace, network: DrawingNetwork) -> Pipeline:
    """Return the network, ready to draw as the flags ask.

    Raises:
        InvalidValueError: no such device, or none for this predictor.
        PredictorError: it cannot run so here.
    """
    schedule = make_schedule(getattr(args, "schedule", network.schedule[0]), args.time_steps)
    return make_pipeline(network, pick_device(args.device), args.precision, args.predictor, schedule)


def progress_bar(total: int, unit: str = "step") -> tqdm[None]:
    """Return a progress bar on the terminal, or a silent one where stderr goes elsewhere."""
    return tqdm(total=total, unit=unit, unit_scale=True, disable=not sys.stderr.isatty())
