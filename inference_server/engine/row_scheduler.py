"""Which sessions get their network rows in a tick: each within its own rate, all within the capacity.

A frame costs a session a *turn*: one row of the network's batch, two with guidance. It makes no difference
what asks for it, a step that is due or a command that changes the picture. A session has as many turns a
second as it plays steps, and at least `LEAST_TURNS_HZ`; those that it does not use are saved for a second,
so that a short stroke is shown at full speed. What goes beyond waits: steps and changes are shown a little
later, and no command is lost.

Where all together want more rows than the engine may take, the turns are shared by start-time fair queueing
(Goyal, Vin, Cheng 1996) with each session's rate as its weight: everybody is slowed down by the same factor,
however many commands somebody sends, and turns that were saved give no precedence.

Time is counted in ticks. No clock and no loop over sessions is in here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LEAST_TURNS_HZ = 20.0  # of a session that plays slower or is paused: enough to see a stroke while drawing it
SAVED_S = 1.0  # turns of so long are saved
ROUNDING = 1e-6  # of a turn, by which sums of fractions may fall short of it

Flags = NDArray[np.bool_]


def turns_hz(steps_per_second: float, tick_rate_hz: float) -> float:
    """Return the turns a second of a session that plays at this rate."""
    return min(max(steps_per_second, LEAST_TURNS_HZ), tick_rate_hz)


class RowScheduler:
    """Gives turns to sessions by their slots.

    Args:
        slots: how many there are.
        tick_rate_hz: ticks a second.
    """

    def __init__(self, slots: int, tick_rate_hz: float) -> None:
        """Begin without sessions."""
        self._tick_rate_hz = tick_rate_hz
        self._now = 0  # ticks
        self._rate = np.ones(slots)  # turns a tick
        self._saved = np.zeros(slots)  # turns
        self._last_turn = np.zeros(slots, np.int64)  # the tick of it
        self._tags = np.zeros(slots)  # when each one's next turn starts, in ticks of virtual time
        self._virtual_time = 0.0  # the earliest start of those who want a turn
        self._wanted = np.zeros(slots, np.bool_)  # who wanted one in the tick before
        self._budget = 0.0  # rows of a tick, 0 for no limit
        self._rows_left = 0.0  # of the tick; below 0, by one budget at most, where turns took more

    def begin(self, slot: int) -> None:
        """Let a new session take this slot, with as many turns as can be saved."""
        self._saved[slot] = np.inf
        self._last_turn[slot] = self._now
        self._tags[slot], self._wanted[slot] = self._virtual_time, False

    def advance(self, ticks: int, steps_per_tick: NDArray[np.float64]) -> None:
        """Let time pass, for which every session gets its turns.

        Args:
            ticks: how many.
            steps_per_tick: (S,) float64, how fast each session plays.
        """
        self._now += ticks
        least = min(LEAST_TURNS_HZ / self._tick_rate_hz, 1.0)
        self._rate = np.clip(steps_per_tick, least, 1.0)
        most = np.maximum(self._rate * self._tick_rate_hz * SAVED_S, 1.0)
        self._saved = np.minimum(self._saved + self._rate * ticks, most)

    def choose(self, wanting: Flags, rows: NDArray[np.int64], budget: float | None) -> Flags:
        """Return who may have a turn in this tick: (S,) bool; at least one of those who have turns left.

        Args:
            wanting: (S,) bool, who would use it.
            rows: (S,) int64, how many network rows a turn of each takes.
            budget: rows that all together may take in a tick; None for no limit.
        """
        wanting = wanting & (self._saved >= 1 - ROUNDING)
        slots = np.flatnonzero(wanting)
        if len(slots):
            new = slots[~self._wanted[slots]]
            self._tags[new] = np.maximum(self._tags[new], self._virtual_time)
            self._virtual_time = float(self._tags[slots].min())
        self._wanted = wanting
        self._budget = budget or 0.0
        if budget is None:
            return wanting
        self._rows_left = min(self._rows_left, 0.0) + budget  # what the tick before left over has passed
        if rows[slots].sum() <= self._rows_left:
            return wanting
        slots = slots[np.lexsort((self._last_turn[slots], self._tags[slots]))]
        before = (np.cumsum(rows[slots]) - rows[slots]).astype(np.float64)
        before[:1] = -np.inf  # somebody is always served, however slow the machine is
        chosen = np.zeros_like(wanting)
        chosen[slots[before < self._rows_left - ROUNDING]] = True
        return chosen

    def charge(self, slots: NDArray[np.int64], rows: int) -> None:
        """Take note of the turns that have been used in this tick.

        Args:
            slots: (R,) int64, whose.
            rows: that the network took for all of them.
        """
        self._saved[slots] -= 1
        self._last_turn[slots] = self._now
        self._tags[slots] += 1 / self._rate[slots]
        self._rows_left = max(self._rows_left - rows, -self._budget)

    def ticks_since_turn(self, slot: int) -> int:
        """Return how many ticks ago the session of this slot had its last turn, or began."""
        return int(self._now - self._last_turn[slot])
