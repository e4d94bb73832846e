"""One session as the engine sees it on the host: its settings and the commands that wait.

The picture itself lives in a slot of `slots.SlotState`, the numbers that every tick needs in a row
of `controls.Controls`.
"""

from __future__ import annotations

import secrets
from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from diffusion_toy.contract.messages import Applied, Motion, Origin, Rejected, Schedule, Settings
from inference_server.engine.pending import PendingCommands

APPLIED_KEPT = 1024  # commands that a session remembers, for a client that has missed frames


def new_session_id() -> str:
    """Return a new session's name, which cannot be guessed: whoever knows it can watch."""
    return secrets.token_urlsafe(9)


@dataclass(eq=False)
class Session:
    """Hold a session's host side. Only the engine's thread touches it, but for `id` and `displaced`.

    `pending` is of the stream that drives it; the next stream gets another one. `applied` are the newest
    commands that have been applied, in their order.
    """

    slot: int
    seed: int
    settings: Settings
    origin: Origin
    id: str = field(default_factory=new_session_id)
    pending: PendingCommands = field(default_factory=PendingCommands)
    applied: deque[Applied] = field(default_factory=lambda: deque(maxlen=APPLIED_KEPT))
    injections: int = 0
    name: str = ""  # by which the class wall shows it
    peer: str = ""  # the client's address, by which seats are shared out
    detached: bool = False  # its client has gone, and may come back
    detachments: int = 0  # so many times so far
    displaced: bool = False  # it has given way to another


@dataclass(frozen=True, eq=False)
class SessionSnapshot:
    """Everything that a session owns but its history.

    `applied`: all commands up to it are in the state. `state` is a row of `SlotState.packed`.
    """

    session_id: str
    model: str
    fingerprint: str
    seed: int
    step: int
    injections: int
    applied: int
    motion: Motion
    phase: float
    settings: Settings
    origin: Origin
    state: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Displaced:
    """Tell a client that its session has given way to another; the snapshot is where it goes on later."""

    snapshot: SessionSnapshot


@dataclass(frozen=True, eq=False)
class Event:
    """Something other than a frame that a session's client must be told."""

    session: Session
    message: Rejected | Schedule | SessionSnapshot | Displaced
