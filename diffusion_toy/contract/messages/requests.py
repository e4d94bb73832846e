"""What a client sends: a start, commands and acknowledgements, as plain values with their limits."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from diffusion_toy.contract.messages.settings import (
    SEED_MAX,
    InjectionRule,
    Motion,
    NoiseKind,
    Origin,
    SettingsChange,
    check_range,
)
from diffusion_toy.diffusion.schedule import T_MAX
from diffusion_toy.errors import InvalidValueError

SEQUENCE_MAX = 2**63 - 1
AMOUNT_MAX = 1000.0
WINDOW_DEFAULT, WINDOW_MAX = 4, 32
NAME_MAX = 24  # characters
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp", "Zs"})  # Unicode's categories


def _printable(text: str) -> bool:
    """Say whether each character has a shape, or may have: browsers know newer ones than this Python."""
    return all(c == " " or unicodedata.category(c) not in _UNPRINTABLE for c in text)


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
    """Begin a session, or resume the one of `resume_token`, or watch the one called `watch`."""

    model: str = ""
    origin: Origin = field(default_factory=Origin)
    seed: int | None = None
    settings: SettingsChange = field(default_factory=SettingsChange)
    window: int = WINDOW_DEFAULT
    motion: Motion = Motion.REVERSE
    resume_token: bytes = field(default=b"", repr=False)
    watch: str = ""
    name: str = ""

    def __post_init__(self) -> None:
        if self.seed is not None:
            check_range("start.seed", self.seed, 0, SEED_MAX)
        check_range("start.window", self.window, 1, WINDOW_MAX)
        if self.resume_token and self.watch:
            raise InvalidValueError("start.watch", self.watch, "either it or resume_token")
        if len(self.name) > NAME_MAX or not _printable(self.name):
            shown = self.name if len(self.name) <= 2 * NAME_MAX else f"{self.name[: 2 * NAME_MAX]}…"
            limit = f"at most {NAME_MAX} printable characters"
            raise InvalidValueError("start.name", repr(shown), limit, "shorten it, or leave it out")


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
    """Add noise; `disc` None means the whole image. `amount` is in time steps."""

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
    """Let the session run."""

    direction: Motion = Motion.REVERSE

    def __post_init__(self) -> None:
        _check_direction("play.direction", self.direction)


@dataclass(frozen=True)
class Pause:
    """Pause the session."""


@dataclass(frozen=True)
class Step:
    """Take a single step, in the disc only if there is one, and pause."""

    direction: Motion = Motion.REVERSE
    disc: Disc | None = None

    def __post_init__(self) -> None:
        _check_direction("step.direction", self.direction)
        _check_disc("step.disc", self.disc)


@dataclass(frozen=True)
class Restart:
    """Start the image again; None keeps the seed or the origin."""

    seed: int | None = None
    origin: Origin | None = None

    def __post_init__(self) -> None:
        if self.seed is not None:
            check_range("restart.seed", self.seed, 0, SEED_MAX)


@dataclass(frozen=True)
class Configure:
    """Change settings from the next step on."""

    settings: SettingsChange


@dataclass(frozen=True)
class Back:
    """Return to the state before the last step, and pause."""


@dataclass(frozen=True)
class Jump:
    """Go to a kept state by its step, or to a time step, and pause; exactly one is given."""

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
