"""The film: what the viewer remembers of a run, to be looked at again and gone back to. No PyGame."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffusion_toy.contract import messages as m

STILLS_MAX = 120
PASSES = 2  # over all time steps that the film is to hold
TIMES_KEPT = 1024  # steps whose time step is remembered without a picture


@dataclass(frozen=True, eq=False)
class Still:
    """x̂0 at one step.

    Attributes:
        step: of the session, as in `Frame.step`.
        time_step: the largest t of the picture then.
        x0_hat: (C, H, W), 0 black … 255 white.
    """

    step: int
    time_step: float
    x0_hat: NDArray[np.uint8]


class Film:
    """Stills of x̂0 at even spacing in steps, the newest always the last.

    It holds about the last two passes over all time steps. A session that goes back to an earlier
    step takes its later stills with it; one that begins anew takes all.
    """

    def __init__(self) -> None:
        self.stills: list[Still] = []
        self._times: deque[tuple[int, float]] = deque(maxlen=TIMES_KEPT)
        self._seed = 0

    def clear(self) -> None:
        """Forget everything."""
        self.stills.clear()
        self._times.clear()

    def add(self, frame: m.Frame) -> None:
        """Remember this frame, in the place of the newest still where that is too near to the one before."""
        if self.stills and frame.step < self.stills[-1].step:
            # Only a session that rests has gone back; one that runs has begun anew.
            self._forget_from(frame.step if frame.motion is m.Motion.PAUSED else 0)
        if frame.seed != self._seed:
            self.clear()
        self._seed = frame.seed
        self._forget_from(frame.step)  # the same step again: it was touched while it rested
        spacing = _spacing(frame.settings)
        if len(self.stills) > 1 and self.stills[-1].step // spacing == self.stills[-2].step // spacing:
            self.stills.pop()
        pixels = np.clip((frame.x0_hat + 1) * 127.5 + 0.5, 0, 255).astype(np.uint8)
        self.stills.append(Still(frame.step, frame.time_step.max, pixels))
        del self.stills[:-STILLS_MAX]
        self._times.append((frame.step, frame.time_step.max))

    def _forget_from(self, step: int) -> None:
        while self.stills and self.stills[-1].step >= step:
            self.stills.pop()
        while self._times and self._times[-1][0] >= step:
            self._times.pop()

    def shown(self, count: int) -> list[Still]:
        """At most `count` stills at even spacing, the newest last; the same ones for as long as they fit."""
        if len(self.stills) <= count:
            return list(self.stills)
        *earlier, newest = self.stills
        if count == 1:
            return [newest]
        span = newest.step - self.stills[0].step
        spacing = _next_spacing(span // (2 * count))  # a finer one gives too many anyway
        while len(chosen := _first_of_each(earlier, spacing)) >= count:
            spacing = _next_spacing(spacing)
        return [*chosen, newest]

    def time_steps_since(self, step: int) -> list[float]:
        """The time steps that the session had at this step and later, as far as they were seen."""
        return [t for at, t in self._times if at >= step]


def _spacing(settings: m.Settings) -> int:
    """Steps from still to still with which the film holds `PASSES` passes."""
    return max(round(PASSES * settings.num_time_steps / (settings.stride * STILLS_MAX)), 1)


def _next_spacing(spacing: int) -> int:
    """The least of 1, 2, 3, 4, 6, 8, 12, 16, 24 … above this one."""
    power = 1 << spacing.bit_length()
    return power * 3 // 4 if power > 2 and spacing < power * 3 // 4 else power


def _first_of_each(stills: Sequence[Still], spacing: int) -> list[Still]:
    """The first still of each stretch of so many steps."""
    chosen: list[Still] = []
    for still in stills:
        if not chosen or still.step // spacing != chosen[-1].step // spacing:
            chosen.append(still)
    return chosen
