"""A session's settings, its origin, and the names that they use, as plain values with their limits."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace
from enum import IntEnum

from diffusion_toy.diffusion.schedule import T_MAX, T_MIN
from diffusion_toy.errors import InvalidValueError

NO_LABEL = -1
SEED_MAX = 2**63 - 1
GUIDANCE_MAX = 8.0
STRIDE_MAX = 1000


class Motion(IntEnum):
    """What a session does by itself (numbers as in the protocol, here and below)."""

    REVERSE = 1
    FORWARD = 2
    PAUSED = 3


class NoiseKind(IntEnum):
    """How injected noise is distributed; all kinds have mean 0 and second moment 1."""

    GAUSSIAN = 1
    UNIFORM = 2
    LAPLACE = 3
    SIGN = 4
    SMOOTH = 5
    CONSTANT = 6

    @property
    def words(self) -> str:
        """Return the name that is shown for this kind."""
        return _KIND_WORDS[self]


_KIND_WORDS = {
    NoiseKind.GAUSSIAN: "Gaussian",
    NoiseKind.UNIFORM: "uniform",
    NoiseKind.LAPLACE: "Laplace",
    NoiseKind.SIGN: "±1",
    NoiseKind.SMOOTH: "smooth Gaussian",
    NoiseKind.CONSTANT: "constant ±1",
}


class InjectionRule(IntEnum):
    """What an injection does to the picture and to the nominal level.

    TRUTH is consistent: the nominal level rises with the noise. NAIVE is uncorrected: noise is added as if
    the picture had none, so there is more than the nominal level says. LIE mislabels: only the level changes.
    """

    TRUTH = 1
    NAIVE = 2
    LIE = 3

    @property
    def words(self) -> str:
        """Return the name that is shown for this rule."""
        return self.name.lower()


class ScheduleName(IntEnum):
    """A noise schedule's family; `.key` is its name in `schedule.make_schedule`."""

    COSINE = 1
    LINEAR = 2

    @property
    def key(self) -> str:
        """Return the name that `schedule.make_schedule` takes."""
        return self.name.lower()


class Sampler(IntEnum):
    """How a step back in time is taken."""

    DDPM = 1
    DDIM = 2
    DPMPP = 3
    SDE_DPMPP = 4

    @property
    def words(self) -> str:
        """Return what the literature calls this sampler."""
        return _SAMPLER_WORDS[self]


_SAMPLER_WORDS = {
    Sampler.DDPM: "DDPM",
    Sampler.DDIM: "DDIM",
    Sampler.DPMPP: "DPM-Solver++",
    Sampler.SDE_DPMPP: "SDE-DPM-Solver++",
}


def check_range(
    path: str, value: float, low: float, high: float, *, open_low: bool = False, open_high: bool = False
) -> None:
    """Refuse a value that is not a number, not finite, or outside low…high.

    Args:
        path: what names the value to its user.
        value: what is checked.
        low, high: the limits; a `high` of infinity is none.
        open_low, open_high: leave that limit itself out.

    Raises:
        InvalidValueError: naming `path`, the value and the limit.
    """
    finite = isinstance(value, int) or math.isfinite(value)  # isfinite fails on an int that no float holds
    above = low < value if open_low else low <= value
    if finite and above and (value < high if open_high else value <= high):
        return
    limit = f"{_exact(low)} and above" if high == math.inf else f"{_exact(low)}…{_exact(high)}"
    if open_low and open_high:
        limit += ", both excluded"
    elif open_low or open_high:
        limit += f", {_exact(low if open_low else high)} excluded"
    raise InvalidValueError(path, _exact(value), limit)


def _exact(value: float) -> str:
    """Return a number without rounding: a limit that looks like the value it excludes helps nobody."""
    if isinstance(value, int):
        return str(value)
    short = f"{value:g}"
    return short if float(short) == value or not math.isfinite(value) else repr(value)


@dataclass(frozen=True)
class Settings:
    """The choices of a session; the defaults are the protocol's."""

    label: int = NO_LABEL
    guidance: float = 1.0
    steps_per_second: float = 60.0
    stride: int = 1
    schedule: ScheduleName = ScheduleName.COSINE
    num_time_steps: int = 300
    sampler: Sampler = Sampler.DDPM
    eta: float = 0.0


@dataclass(frozen=True)
class SettingsChange:
    """Some of the settings; None leaves a setting as it is."""

    label: int | None = None
    guidance: float | None = None
    steps_per_second: float | None = None
    stride: int | None = None
    schedule: ScheduleName | None = None
    num_time_steps: int | None = None
    sampler: Sampler | None = None
    eta: float | None = None

    def __post_init__(self) -> None:
        path = "settings."
        if self.label is not None and self.label < NO_LABEL:
            raise InvalidValueError(path + "label", self.label, "−1 (none) and the model's classes from 0")
        if self.guidance is not None:
            check_range(path + "guidance", self.guidance, 0, GUIDANCE_MAX)
        if self.steps_per_second is not None:
            check_range(path + "steps_per_second", self.steps_per_second, 0, 1000, open_low=True)
        if self.stride is not None:
            check_range(path + "stride", self.stride, 1, STRIDE_MAX)
        if self.num_time_steps is not None:
            check_range(path + "num_time_steps", self.num_time_steps, T_MIN, T_MAX)
        if self.eta is not None:
            check_range(path + "eta", self.eta, 0, 1)

    def apply_to(self, settings: Settings) -> Settings:
        """Return the settings with this change made."""
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(settings, **{name: value for name, value in given.items() if value is not None})


@dataclass(frozen=True)
class PureNoise:
    """Unit Gaussian noise, whatever the nominal level."""


@dataclass(frozen=True)
class Pixels:
    """The client's own picture: C·H·W bytes, 0 black … 255 white."""

    content: bytes = field(repr=False)


@dataclass(frozen=True)
class Example:
    """A real picture bundled with the model; of one class only if `label` is given."""

    label: int | None = None


@dataclass(frozen=True)
class Origin:
    """Where an image comes from, and at which time step it starts (None: T)."""

    source: PureNoise | Pixels | Example = PureNoise()
    time_step: float | None = None

    def __post_init__(self) -> None:
        if self.time_step is not None:
            check_range("origin.time_step", self.time_step, 0, T_MAX)

    def within(self, num_time_steps: int) -> Origin:
        """Return the same for a schedule of T steps: one chosen on a longer schedule starts at its end."""
        if self.time_step is None:
            return self
        return replace(self, time_step=min(self.time_step, float(num_time_steps)))
