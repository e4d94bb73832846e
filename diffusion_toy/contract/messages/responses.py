"""What a server sends: the welcome, frames, tokens and refusals, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from diffusion_toy.contract.messages.requests import WINDOW_MAX
from diffusion_toy.contract.messages.settings import Motion, ScheduleName, Settings

APPLIED_MAX = 4096  # commands that a frame lists

Image = NDArray[np.float32]


class CapacitySource(IntEnum):
    """Where a capacity is from (numbers as in the protocol)."""

    GIVEN = 1
    START = 2
    TICKS = 3


@dataclass(frozen=True)
class CapacityInfo:
    """Network rows a second that a server promises; `age_s` is None where the operator has given them."""

    rows_per_second: float
    source: CapacitySource
    age_s: float | None = None


@dataclass(frozen=True)
class ModelInfo:
    """A model as the server describes it; `capacity` only in its list of models, and where it is known."""

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
    capacity: CapacityInfo | None = None


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
    pending_bytes: int = 1024 * 1024


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
    wall: bool = False


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


@dataclass(frozen=True)
class Refusal:
    """The status that a stream ends with: gRPC's number of it, and its message."""

    code: int
    reason: str


Response = Welcome | Frame | Rejected | Schedule | ResumeToken | Moving
