"""The history of a run: what was seen of it, for the film strip and for a GIF. No PyGame."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from diffusion_toy.contract import messages as m
from diffusion_toy.contract.pixels import Bytes, to_bytes

STILLS_MAX = 120
PASSES = 2  # over all time steps that the film is to hold
TIMES_KEPT = 1024  # steps whose time step is remembered without a picture
MOMENTS_MAX = 600  # of the recording


@dataclass(frozen=True, eq=False)
class Moment:
    """What was seen at one step.

    Attributes:
        step: step of the session, as in `Frame.step`.
        time_step: the largest t of the picture then.
        num_time_steps: T of the schedule then.
        x_t: (C, H, W), 0 black … 255 white.
        x0_hat: the network's guess, likewise.
    """

    step: int
    time_step: float
    num_time_steps: int
    x_t: Bytes
    x0_hat: Bytes


def moment_of(frame: m.Frame) -> Moment:
    """Return what is kept of a frame."""
    return Moment(
        frame.step,
        frame.time_step.max,
        frame.settings.num_time_steps,
        to_bytes(frame.x_t),
        to_bytes(frame.x0_hat),
    )


class History:
    """Follows a session and keeps its run in two views of the same moments.

    Args:
        run: returns a number that is another one for each run that has begun.

    Attributes:
        film: moments at even spacing in steps, to be looked at and gone back to.
        recording: moments at even spacing in frames, for a GIF; all of what was seen, going back included.
    """

    def __init__(self, run: Callable[[], int] = lambda: 0) -> None:
        self.film, self.recording = Film(), Recording()
        self._run_now, self._run = run, run()

    def sent(self, command: m.Command, sequence: int, now: float, *, ahead: bool) -> None:
        """Do nothing: what was sent is seen in the frames."""

    def received(self, response: m.Response) -> None:
        """Keep the moment of a frame; a new session begins a new run."""
        match response:
            case m.Welcome(resumed=False):
                self.film.clear()
            case m.Frame():
                moment = moment_of(response)
                self.film.add(response, moment)
                if (run := self._run_now()) != self._run:
                    self._run = run
                    self.recording.begin_run()
                self.recording.add(moment)

    def forget_run(self) -> None:
        """Forget the film: another run begins. The recording goes on until a frame of that run comes."""
        self.film.clear()


class Film:
    """Moments at even spacing in steps, the newest always the last.

    It holds about the last two passes over all time steps. A session that goes back to an earlier
    step takes its later moments with it; one that begins again takes all.
    """

    def __init__(self) -> None:
        self.stills: list[Moment] = []
        self._times: deque[tuple[int, float]] = deque(maxlen=TIMES_KEPT)
        self._seed = 0

    def clear(self) -> None:
        """Forget everything."""
        self.stills.clear()
        self._times.clear()

    def add(self, frame: m.Frame, moment: Moment) -> None:
        """Keep the moment of this frame; it replaces the newest one if that is too near to the one before."""
        if self.stills and frame.step < self.stills[-1].step:
            # Only a session that is paused has gone back; one that runs has begun again.
            self._forget_from(frame.step if frame.motion is m.Motion.PAUSED else 0)
        if frame.seed != self._seed:
            self.clear()
        self._seed = frame.seed
        self._forget_from(frame.step)  # the same step again: it was touched while it was paused
        spacing = _spacing(frame.settings)
        if len(self.stills) > 1 and self.stills[-1].step // spacing == self.stills[-2].step // spacing:
            self.stills.pop()
        self.stills.append(moment)
        del self.stills[:-STILLS_MAX]
        self._times.append((frame.step, frame.time_step.max))

    def _forget_from(self, step: int) -> None:
        while self.stills and self.stills[-1].step >= step:
            self.stills.pop()
        while self._times and self._times[-1][0] >= step:
            self._times.pop()

    def shown(self, count: int) -> list[Moment]:
        """Return at most `count` moments at even spacing, the newest last, the same ones while they fit."""
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
        """Return the time steps that the session had at this step and later, as far as they were seen."""
        return [t for at, t in self._times if at >= step]


class Recording:
    """At most 600 moments of one run, at even spacing in frames; the newest is always among them."""

    def __init__(self) -> None:
        self._moments: list[Moment] = []
        self._every, self._frames = 1, 0

    def begin_run(self) -> None:
        """Forget the run before."""
        self._moments.clear()
        self._every, self._frames = 1, 0

    def add(self, moment: Moment) -> None:
        """Keep a moment, in place of the newest one where that is not due."""
        if self._moments and (self._frames - 1) % self._every:
            self._moments.pop()
        self._moments.append(moment)
        self._frames += 1
        if len(self._moments) > MOMENTS_MAX:
            self._moments = self._moments[::2]
            self._every *= 2

    def moments(self, most: int) -> list[Moment]:
        """Return at most so many (at least two) at even spacing, the first and the newest among them."""
        if len(self._moments) <= most:
            return list(self._moments)
        places = np.linspace(0, len(self._moments) - 1, most).round().astype(int)
        return [self._moments[place] for place in places]


def _spacing(settings: m.Settings) -> int:
    """Return the steps from still to still with which the film holds `PASSES` passes."""
    return max(round(PASSES * settings.num_time_steps / (settings.stride * STILLS_MAX)), 1)


def _next_spacing(spacing: int) -> int:
    """Return the least of 1, 2, 3, 4, 6, 8, 12, 16, 24 … above this one."""
    power = 1 << spacing.bit_length()
    return power * 3 // 4 if power > 2 and spacing < power * 3 // 4 else power


def _first_of_each(stills: Sequence[Moment], spacing: int) -> list[Moment]:
    """Return the first still of each stretch of so many steps."""
    chosen: list[Moment] = []
    for still in stills:
        if not chosen or still.step // spacing != chosen[-1].step // spacing:
            chosen.append(still)
    return chosen
