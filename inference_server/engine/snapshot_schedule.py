"""Whose snapshot is to be told in which tick, as arrays over slots; no loop runs over sessions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

TOKENS_AT_REST_HZ = 4.0  # of a session that is brought to rest again and again, at most

Flags = NDArray[np.bool_]


class SnapshotSchedule:
    """Tells whose snapshot is due: at once after a command has brought it to rest, else once a period.

    Args:
        slots: how many there are.
        tick_rate_hz: ticks a second.
        period_s: between two snapshots of a session that goes on; 0: none is ever told.
    """

    def __init__(self, slots: int, tick_rate_hz: float, period_s: float) -> None:
        """Begin without sessions."""
        self._period = max(1, round(period_s * tick_rate_hz))  # ticks, here and below
        self._pause = min(self._period, max(1, round(tick_rate_hz / TOKENS_AT_REST_HZ)))
        self._never = period_s == 0
        self._now = 0
        self._told = np.full(slots, -1, np.int64)  # the frame before a slot's newest snapshot
        self._next = np.zeros(slots, np.int64)  # from when a session that goes on is told again
        self._next_at_rest = np.zeros(slots, np.int64)  # the same for one that was brought to rest
        self._brought_to_rest = np.zeros(slots, np.bool_)  # and this state was not told yet

    def advance(self, ticks: int) -> None:
        """Let so many ticks pass."""
        self._now += ticks

    def begin(self, slot: int) -> None:
        """Take note that a session has taken this slot."""
        self._next[slot] = self._next_at_rest[slot] = 0
        self._brought_to_rest[slot] = False
        self.again(slot)

    def again(self, slot: int) -> None:
        """Tell the snapshot of this slot's session again, whoever has been told of it before."""
        self._told[slot] = -1

    def bring_to_rest(self, slot: int) -> None:
        """Take note that a command lets this slot's session rest, now or after the step it is to take."""
        self._brought_to_rest[slot] = True

    def untold(self, active: Flags, frames: NDArray[np.int64]) -> Flags:
        """Return of which slots something is still to be told, (S,); `frames` are their newest numbers."""
        if self._never:
            return np.zeros_like(active)
        untold: Flags = active & ((self._told != frames) | self._brought_to_rest)
        return untold

    def take(self, active: Flags, idle: Flags, frames: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the slots whose snapshots are due now; they count as told.

        Args:
            active: (S,) bool, whose client is here.
            idle: (S,) bool, who is paused and has shown its last frame.
            frames: (S,) int64, the number of each one's newest frame.
        """
        untold = self.untold(active, frames)
        at_once = self._brought_to_rest & idle & (self._now >= self._next_at_rest)
        chosen: NDArray[np.int64] = np.flatnonzero(untold & (at_once | (self._now >= self._next)))
        if len(chosen):
            self._next_at_rest[chosen[at_once[chosen]]] = self._now + self._pause
            self._next[chosen] = self._now + self._period
            self._told[chosen] = frames[chosen]
            self._brought_to_rest[chosen] = False
        return chosen
