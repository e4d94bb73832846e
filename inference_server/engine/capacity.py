"""How many network rows a second a server can promise: measured at start, corrected while it runs.

What is admitted is served: the figure is not the best rate of any batch size, but that of the most
sessions for whom a tick still ends within its period.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Mapping
from itertools import pairwise

from diffusion_toy.contract.messages import CapacityInfo, CapacitySource
from diffusion_toy.predictors.processor import available_cores

SHARE = 0.85  # of a tick's period that a promise may take; the rest is for what comes between
# That a session's frame takes from a tick: a millisecond of all cores, to be sent, and to be received where
# viewers share the computer. With two cores, ticks with eight viewers took so much longer than without any.
FRAME_S = 0.001 / available_cores()
TICKS = 300  # after so many the measured times are compared with the promised ones
TOLERANCE = 0.15  # by which they may differ before the promise changes, so that it does not wander
BUSY = 1.5  # a median so many times the least says that others were at work


def rows_within(budget_s: float, seconds: Mapping[int, float], most: int) -> float:
    """Return with how many rows a tick ends within its budget; below 1 where not even one does.

    Args:
        budget_s: seconds that a tick may take.
        seconds: that a tick takes, by its rows.
        most: rows that there can be.
    """
    points = sorted(seconds.items())
    first, first_seconds = points[0]
    if first_seconds > budget_s:
        return budget_s * first / first_seconds
    last, last_seconds = points[-1]
    for (few, fast), (many, slow) in pairwise(points):
        if slow > budget_s:
            return min(few + (many - few) * (budget_s - fast) / (slow - fast), most)
    # The cost of a row does not rise beyond the largest batch.
    return min(last * max(1.0, budget_s / last_seconds), most) if last < most else most


class Capacity:
    """Say how many rows a second are promised, and where the figure is from.

    Args:
        given: rows a second that the operator has set; None to measure.
        tick_rate_hz: ticks a second.
        most: sessions that there are seats for.

    Attributes:
        rows_per_second: the promise; None before anything was measured: everybody is admitted.
        rows_per_tick: that fit into a whole period, for a tick that has more to do; None likewise.
        source: `given`, `start` (measured then) or `ticks` (corrected by what they have taken since).
        measured_at: by the clock of whoever measured; None where nothing was.
    """

    def __init__(self, given: float | None, tick_rate_hz: float, most: int) -> None:
        """Begin with what the operator has given, if anything."""
        self.rows_per_second = given
        self.rows_per_tick = None if given is None else given / tick_rate_hz
        self.source = "given" if given is not None else "start"
        self.measured_at: float | None = None
        self.tick_rate_hz, self._most = tick_rate_hz, most
        self._curve: list[tuple[int, float]] = []
        self._slowdown = 1.0  # of the promise, against the curve
        self._observed: deque[float] = deque(maxlen=TICKS)

    def measured(self, seconds: Mapping[int, float], now: float) -> None:
        """Take over the seconds that ticks took by the number of sessions, while nobody was sent anything."""
        self._curve = sorted((sessions, took + sessions * FRAME_S) for sessions, took in seconds.items())
        self._slowdown = 1.0
        self._observed.clear()
        if self.source != "given":
            self.source = "start"
            self.measured_at = now
            self._promise()

    def ticked(self, rows: int, seconds: float, now: float) -> bool:
        """Learn from a tick; return whether the promise has changed.

        Args:
            rows: that went through the network, above 0.
            seconds: that the tick took.
            now: the time.
        """
        if self.source == "given" or not self._curve:
            return False
        self._observed.append(seconds / self._expected(rows))
        if len(self._observed) < TICKS:
            return False
        slowdown = statistics.median(self._observed)
        self._observed.clear()
        if abs(slowdown / self._slowdown - 1) <= TOLERANCE:
            return False
        self._slowdown, self.source, self.measured_at = slowdown, "ticks", now
        self._promise()
        return True

    def sessions_at(self, rows_per_second: float) -> int:
        """Return how many sessions that each ask for so many rows a second are admitted, at least 1."""
        if self.rows_per_second is None:
            return self._most
        return min(self._most, max(1, int(self.rows_per_second / rows_per_second + 1e-9)))

    def info(self, now: float) -> CapacityInfo | None:
        """Return the promise for people and programs to read; None before anything was measured.

        Args:
            now: by the clock of `measured_at`.
        """
        if self.rows_per_second is None:
            return None
        age_s = None if self.measured_at is None else now - self.measured_at
        return CapacityInfo(self.rows_per_second, CapacitySource[self.source.upper()], age_s)

    def _promise(self) -> None:
        seconds = {rows: took * self._slowdown for rows, took in self._curve}
        rows = rows_within(SHARE / self.tick_rate_hz, seconds, 2 * self._most)  # with guidance, two a session
        self.rows_per_second = rows * self.tick_rate_hz
        self.rows_per_tick = rows_within(1 / self.tick_rate_hz, seconds, 2 * self._most)

    def _expected(self, rows: int) -> float:
        """Return the seconds that a tick of so many rows takes by what was measured at the start."""
        first, last = self._curve[0], self._curve[-1]
        if rows <= first[0]:
            return first[1]
        if rows >= last[0]:
            return last[1] * rows / last[0]
        few, many = next(pair for pair in pairwise(self._curve) if rows <= pair[1][0])
        return few[1] + (many[1] - few[1]) * (rows - few[0]) / (many[0] - few[0])
