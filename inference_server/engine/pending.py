"""The commands of one session that wait for their turn, bounded in number and in bytes.

The event loop puts them in and the engines' thread takes them out; both under one short lock, so the bounds
hold at every moment, however far the engine is behind.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from diffusion_toy.contract.messages import Command
from diffusion_toy.errors import InvalidValueError

OVERHEAD_BYTES = 512  # of a command in memory, beside what its request took


@dataclass(frozen=True)
class Skip:
    """Stands for a command that was rejected before it reached the engine."""


@dataclass(frozen=True)
class Pending:
    """A command that waits for its turn, or for the step it is meant for.

    `size_bytes` is what its request took on the wire.
    """

    sequence: int
    command: Command | Skip
    at_step: int | None = None
    size_bytes: int = 0

    @property
    def held_bytes(self) -> int:
        """Return what it takes while it waits."""
        return 0 if isinstance(self.command, Skip) else self.size_bytes + OVERHEAD_BYTES


class SharedRoom:
    """Counts the bytes that sessions hold beyond what each of them is sure of.

    Args:
        limit_bytes: for all sessions of the server together.
    """

    def __init__(self, limit_bytes: int) -> None:
        """Begin with nothing taken."""
        self.limit_bytes = limit_bytes
        self.lock = threading.Lock()
        self.taken_bytes = 0


@dataclass(frozen=True)
class PendingLimits:
    """How much may wait.

    Attributes:
        commands, bytes: of one session.
        sure_bytes: of one session, whatever the others hold; what is above it is taken from the shared room.
    """

    commands: int = 1 << 30
    bytes: int = 1 << 40
    sure_bytes: int = 1 << 40


class PendingCommands:
    """A queue of commands for one stream; its successor gets another one.

    Args:
        limits: how much may wait here.
        room: what all sessions share.
    """

    def __init__(self, limits: PendingLimits | None = None, room: SharedRoom | None = None) -> None:
        """Begin empty."""
        self._limits, self._room = limits or PendingLimits(), room or SharedRoom(0)
        self._queue: deque[Pending] = deque()
        self._commands = self._bytes = 0  # without skips, which take no room
        self._closed = False

    def __len__(self) -> int:
        """Return how many commands wait."""
        return len(self._queue)

    def __iter__(self) -> Iterator[Pending]:
        """Iterate over the commands that wait now, the next one first."""
        return iter(tuple(self._queue))

    @property
    def bytes(self) -> int:
        """Return how much is held."""
        return self._bytes

    @property
    def first(self) -> Pending | None:
        """Return the command whose turn is next; None if none waits."""
        try:
            return self._queue[0]
        except IndexError:
            return None

    def put(self, pending: Pending) -> bool:
        """Add a command; say whether it is the only one, so that the engine has to be told.

        A closed queue drops it: its client sends again what has not been applied.

        Raises:
            InvalidValueError: too many wait, or too much. Never for a `Skip`: one stands for all in a row.
        """
        with self._room.lock:
            if self._closed:
                return False
            skips = isinstance(pending.command, Skip)
            if not skips:
                self._check(pending)
            elif self._queue and isinstance(self._queue[-1].command, Skip):
                self._queue[-1] = pending  # at no moment is the queue empty: `first` reads without the lock
                return False
            self._queue.append(pending)
            self._count(not skips, pending.held_bytes)
            return len(self._queue) == 1

    def take(self) -> Pending:
        """Remove the first command and return it.

        Raises:
            IndexError: none waits.
        """
        with self._room.lock:
            pending = self._queue.popleft()
            self._count(-(not isinstance(pending.command, Skip)), -pending.held_bytes)
            return pending

    def close(self) -> None:
        """Drop what waits, and whatever is put in from now on."""
        with self._room.lock:
            self._queue.clear()
            self._count(-self._commands, -self._bytes)
            self._closed = True

    def _check(self, pending: Pending) -> None:
        limits, after = self._limits, self._bytes + pending.held_bytes
        remedy = "send fewer, or wait until Frame.applied_sequence rises"
        if self._commands >= limits.commands:
            raise InvalidValueError(
                "commands", f"beyond {self._commands} waiting", f"{limits.commands}", remedy
            )
        if after > limits.bytes:
            raise InvalidValueError(
                "commands", f"of {after} bytes waiting", f"{limits.bytes} bytes for a session", remedy
            )
        if self._shared(after) > self._shared(self._bytes):
            taken = self._room.taken_bytes + self._shared(after) - self._shared(self._bytes)
            if taken > self._room.limit_bytes:
                raise InvalidValueError(
                    "commands",
                    f"of {after} bytes waiting, on a server where much waits",
                    f"{limits.sure_bytes} bytes until others have been served",
                    remedy,
                )

    def _shared(self, held_bytes: int) -> int:
        """Return what of a session's bytes is taken from the shared room."""
        return max(0, held_bytes - self._limits.sure_bytes)

    def _count(self, commands: int, held_bytes: int) -> None:
        before = self._shared(self._bytes)
        self._commands += commands
        self._bytes += held_bytes
        self._room.taken_bytes += self._shared(self._bytes) - before
