"""What travels on a stream, as plain values: the same vocabulary for server and viewer.

These mirror `proto/diffusion_toy/v1/denoise.proto`, which says what each means; `wire` converts.
Constructors check every limit that needs no knowledge of the model or the session, and name the
field by its path in the protocol. No protobuf, no torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from diffusion_toy.diffusion.schedule import T_MAX, T_MIN
from diffusion_toy.errors import InvalidValueError

NO_LABEL = -1
SEED_MAX = 2**63 - 1
SEQUENCE_MAX = 2**63 - 1
AMOUNT_MAX = 1000.0
GUIDANCE_MAX = 8.0
STRIDE_MAX = 1000
WINDOW_DEFAULT, WINDOW_MAX = 4, 32
APPLIED_MAX = 4096  # commands that a frame lists

Image = NDArray[np.float32]


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
        """Return what people are told that this kind is called."""
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
        """Return what people are told that this rule is called."""
        return self.name.lower()


class ScheduleName(IntEnum):
    """A noise schedule's family; `.key` is its name in `schedule.make_schedule`."""

    COSINE = 1
    LINEAR = 2

    @property
    def key(self) -> str:
        return self.name.lower()


class Sampler(IntEnum):
    """How a step back in time is taken."""

    DDPM = 1
    DDIM = 2
    DPMPP = 3

    @property
    def words(self) -> str:
        """Return what the literature calls this sampler."""
        return _SAMPLER_WORDS[self]


_SAMPLER_WORDS = {Sampler.DDPM: "DDPM", Sampler.DDIM: "DDIM", Sampler.DPMPP: "DPM-Solver++"}


def check_range(path: str, value: float, low: float, high: float, *, open_low: bool = False) -> None:
    """Refuse a value that is not a number, not finite, or outside low…high.

    Raises:
        InvalidValueError: naming `path`, the value and the limit.
    """
    inside = math.isfinite(value) and (low < value if open_low else low <= value) and value <= high
    if not inside:
        limit = f"{_exact(low)}…{_exact(high)}" + (f", {_exact(low)} excluded" if open_low else "")
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
    """Unit Gaussian noise, whatever the level claims."""


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


@dataclass(frozen=True)
class Disc:
    """A disc with a hard edge. Its command checks it.

    Attributes:
        x: of the middle, in fractions of the picture's width; 0 is left.
        y: of the middle, in fractions of its height; 0 is at the top.
        radius: in fractions of its shorter side.
    """

    x: float
    y: float
    radius: float

    def covers(self, height: int, width: int) -> NDArray[np.bool_]:
        """Return the pixels of a picture whose centres lie in the disc, (height, width)."""
        side = min(height, width)
        down = ((np.arange(height) + 0.5) / height - self.y) * (height / side)
        right = ((np.arange(width) + 0.5) / width - self.x) * (width / side)
        inside: NDArray[np.bool_] = down[:, None] ** 2 + right[None] ** 2 <= self.radius**2
        return inside


@dataclass(frozen=True)
class Start:
    """Begins a session, or goes on with the one of `resume_token`, or looks on at `watch`."""

    model: str = ""
    origin: Origin = Origin()
    seed: int | None = None
    settings: SettingsChange = SettingsChange()
    window: int = WINDOW_DEFAULT
    motion: Motion = Motion.REVERSE
    resume_token: bytes = field(default=b"", repr=False)
    watch: str = ""

    def __post_init__(self) -> None:
        if self.seed is not None:
            check_range("start.seed", self.seed, 0, SEED_MAX)
        check_range("start.window", self.window, 1, WINDOW_MAX)
        if self.resume_token and self.watch:
            raise InvalidValueError("start.watch", self.watch, "either it or resume_token")


@dataclass(frozen=True)
class Acknowledge:
    """A frame, and all before it, have been drawn or skipped."""

    frame_number: int


def _check_disc(path: str, disc: Disc | None) -> None:
    if disc is not None:
        check_range(path + ".x", disc.x, 0, 1)
        check_range(path + ".y", disc.y, 0, 1)
        check_range(path + ".radius", disc.radius, 0, 1, open_low=True)


@dataclass(frozen=True)
class Inject:
    """Adds noise; `disc` None means the whole image. `amount` is in time steps."""

    disc: Disc | None
    amount: float
    kind: NoiseKind = NoiseKind.GAUSSIAN
    rule: InjectionRule = InjectionRule.TRUTH

    def __post_init__(self) -> None:
        _check_disc("inject.disc", self.disc)
        if self.rule is InjectionRule.LIE:
            check_range("inject.amount", self.amount, -AMOUNT_MAX, AMOUNT_MAX)
            if self.amount == 0:
                raise InvalidValueError("inject.amount", 0, f"−{AMOUNT_MAX:g}…{AMOUNT_MAX:g} without 0")
        else:
            check_range("inject.amount", self.amount, 0, AMOUNT_MAX, open_low=True)


def _check_direction(path: str, direction: Motion) -> None:
    if direction is Motion.PAUSED:
        raise InvalidValueError(path, "PAUSED", "REVERSE or FORWARD", "send pause to pause")


@dataclass(frozen=True)
class Play:
    """Lets the session run."""

    direction: Motion = Motion.REVERSE

    def __post_init__(self) -> None:
        _check_direction("play.direction", self.direction)


@dataclass(frozen=True)
class Pause:
    """Lets the session rest."""


@dataclass(frozen=True)
class Step:
    """Takes a single step, in the disc only if there is one, and rests."""

    direction: Motion = Motion.REVERSE
    disc: Disc | None = None

    def __post_init__(self) -> None:
        _check_direction("step.direction", self.direction)
        _check_disc("step.disc", self.disc)


@dataclass(frozen=True)
class Restart:
    """Starts the image anew; None keeps the seed or the origin."""

    seed: int | None = None
    origin: Origin | None = None

    def __post_init__(self) -> None:
        if self.seed is not None:
            check_range("restart.seed", self.seed, 0, SEED_MAX)


@dataclass(frozen=True)
class Configure:
    """Changes settings from the next step on."""

    settings: SettingsChange


@dataclass(frozen=True)
class Back:
    """Returns to the state before the last step, and rests."""


@dataclass(frozen=True)
class Jump:
    """Goes to a kept state by its step, or to a time step, and rests; exactly one is given."""

    step: int | None = None
    time_step: float | None = None

    def __post_init__(self) -> None:
        if (self.step is None) == (self.time_step is None):
            raise InvalidValueError("jump.target", "(unset)", "step or time_step")
        if self.time_step is not None:
            check_range("jump.time_step", self.time_step, 0, T_MAX)


Command = Inject | Play | Pause | Step | Restart | Configure | Back | Jump


@dataclass(frozen=True)
class Request:
    """One message of a client. `sequence` is 0 for `Acknowledge`."""

    body: Start | Acknowledge | Command
    sequence: int = 0
    at_step: int | None = None


@dataclass(frozen=True)
class ModelInfo:
    """A model as the server describes it."""

    name: str
    fingerprint: str
    channels: int
    height: int
    width: int
    label_names: tuple[str, ...]
    dataset: str
    border_value: float | None
    has_examples: bool
    predictor: str = ""


@dataclass(frozen=True, eq=False)
class Schedule:
    """A noise schedule as a table: ᾱ for t = 0…T, float64."""

    name: ScheduleName
    alphas_cumprod: NDArray[np.float64]


@dataclass(frozen=True)
class Limits:
    """What the server allows."""

    tick_rate_hz: float = 60.0
    request_bytes: int = 64 * 1024
    commands_per_second: int = 500
    pending_commands: int = 1024
    window: int = WINDOW_MAX
    grace_s: float = 30.0
    idle_s: float = 1800.0
    history_states: int = 120
    injections_per_tick: int = 9


@dataclass(frozen=True, eq=False)
class Welcome:
    """The first response."""

    session_id: str
    seed: int
    model: ModelInfo
    schedule: Schedule
    limits: Limits
    settings: Settings
    window: int
    server_version: str
    applied_sequence: int = 0
    resumed: bool = False
    watching: bool = False


@dataclass(frozen=True)
class ResumeToken:
    """What a session needs to go on elsewhere; all commands up to `sequence` are in it."""

    token: bytes = field(repr=False)
    sequence: int


@dataclass(frozen=True)
class Moving:
    """The server is shutting down; the token is the newest."""

    resume_token: ResumeToken
    message: str


@dataclass(frozen=True)
class Range:
    """The least, mean and greatest value over a picture."""

    min: float
    mean: float
    max: float


@dataclass(frozen=True)
class Applied:
    """A command that has been applied, and before which step; see the protocol."""

    sequence: int
    step: int


@dataclass(frozen=True, eq=False)
class Frame:
    """One moment of a session; see the protocol for each field.

    `x_t` and `x0_hat` are (C, H, W) float32; `level_map` is (H, W) float32 or None where constant. The
    measured levels and the kurtosis are None where they would say nothing.
    """

    number: int
    step: int
    applied_sequence: int
    x_t: Image
    x0_hat: Image
    level_map: Image | None
    nominal: Range
    actual: Range
    time_step: Range
    motion: Motion
    idle: bool
    settings: Settings
    seed: int
    server_ms: float
    sessions: int
    first_kept_step: int = 0
    measured_by_residual: float | None = None
    measured_by_border: float | None = None
    excess_kurtosis: float | None = None
    watchers: int = 0
    applied: tuple[Applied, ...] = ()


@dataclass(frozen=True)
class Rejected:
    """A command that changed nothing, and why."""

    sequence: int
    field: str
    value: str
    limit: str
    message: str


Response = Welcome | Frame | Rejected | Schedule | ResumeToken | Moving
