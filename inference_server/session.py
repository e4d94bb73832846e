"""One person's image as the engine sees it on the host: settings and waiting commands.

The picture itself lives in a slot of `slots.SlotState`, the numbers that every tick needs in a row
of `engine.Controls`.
"""

from __future__ import annotations

import secrets
from collections import deque
from dataclasses import dataclass, field

from diffusion_toy.messages import Command, Origin, Rejected, Schedule, Settings


@dataclass(frozen=True)
class Skip:
    """Stands for a command that was rejected before it reached the engine."""


@dataclass(frozen=True)
class Pending:
    """A command that waits for its turn, or for the step it is meant for."""

    sequence: int
    command: Command | Skip
    at_step: int | None = None


@dataclass(eq=False)
class Session:
    """A session's host side. Only the engine's thread touches it after the join."""

    slot: int
    seed: int
    settings: Settings
    origin: Origin
    id: str = field(default_factory=lambda: secrets.token_hex(4))
    pending: deque[Pending] = field(default_factory=deque)
    injections: int = 0


@dataclass(frozen=True, eq=False)
class Event:
    """Something other than a frame that a session's client must be told."""

    session: Session
    message: Rejected | Schedule
