"""What the commands of `python -m training` share."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from tqdm import tqdm

from diffusion_toy.errors import InvalidValueError
from diffusion_toy.sampling import Sampler, SamplerKind

DEVICES = ("auto", "cpu", "cuda")
SAMPLERS = tuple(kind.value for kind in SamplerKind)
CHECKPOINT_HELP = "a .safetensors model file, or a run's checkpoint.pt"


def pick_device(name: str) -> torch.device:
    """The device called `auto`, `cpu` or `cuda`.

    Raises:
        InvalidValueError: `cuda` where there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise InvalidValueError("--device", "cuda", "what this machine has", "use --device cpu or auto")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


@contextmanager
def naming_flags() -> Iterator[None]:
    """Name settings that are out of range as the flags that set them."""
    try:
        yield
    except InvalidValueError as error:
        flag = "--" + error.field.replace("_", "-")
        raise InvalidValueError(flag, error.value, error.limit) from error


def check_flags(*flags: tuple[str, float, float, float]) -> None:
    """Check (flag, value, least, greatest).

    Raises:
        InvalidValueError: a value outside its range, or not a number.
    """
    for flag, value, low, high in flags:
        if not low <= value <= high:
            raise InvalidValueError(flag, value, f"{low:g}…{high:g}" if high < 2**53 else f"{low:g}…2^63−1")


def make_sampler(kind: str, steps: int, eta: float | None, guidance: float) -> Sampler:
    """The sampler that the flags ask for.

    Raises:
        InvalidValueError: a value outside its range, or an eta for a sampler that has none.
    """
    if eta is not None and kind != "ddim":
        raise InvalidValueError(
            "--eta", eta, f"what --sampler {kind} takes", "leave it out, or use --sampler ddim"
        )
    check_flags(("--steps", steps, 1, 300), ("--guidance", guidance, 0, 8), ("--eta", eta or 0.0, 0, 1))
    return Sampler(SamplerKind(kind), steps, eta or 0.0, guidance)


def progress_bar(total: int, unit: str = "step") -> tqdm[None]:
    """A bar on the terminal; nothing where the output goes elsewhere."""
    return tqdm(total=total, unit=unit, unit_scale=True, disable=not sys.stderr.isatty())
