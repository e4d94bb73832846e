"""The pictures of a run, kept small, so that a GIF can be made of them afterwards. numpy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffusion_toy.contract import messages as m

MOMENTS_MAX = 600


@dataclass(frozen=True, eq=False)
class Moment:
    """What was seen at one step.

    Attributes:
        time_step: the largest t, and T of the schedule then.
        x_t, x0_hat: (C, H, W), 0 black … 255 white.
    """

    time_step: float
    num_time_steps: int
    x_t: NDArray[np.uint8]
    x0_hat: NDArray[np.uint8]


def to_bytes(image: m.Image) -> NDArray[np.uint8]:
    """Values in [−1, 1] as 0…255; what lies outside is cut off."""
    pixels: NDArray[np.uint8] = np.clip((image + 1) * 127.5 + 0.5, 0, 255).astype(np.uint8)
    return pixels


def to_image(pixels: NDArray[np.uint8]) -> m.Image:
    """The other way."""
    image: m.Image = pixels.astype(np.float32) / 127.5 - 1
    return image


class RunRecording:
    """At most 600 moments of one run, at even spacing in frames; the newest is always among them."""

    def __init__(self) -> None:
        self._moments: list[Moment] = []
        self._every, self._frames, self._run = 1, 0, -1

    def add(self, frame: m.Frame, run: int) -> None:
        """A frame of this run (a number); a new number begins a new recording."""
        if run != self._run:
            self._moments.clear()
            self._every, self._frames, self._run = 1, 0, run
        moment = Moment(
            frame.time_step.max, frame.settings.num_time_steps, to_bytes(frame.x_t), to_bytes(frame.x0_hat)
        )
        if self._moments and (self._frames - 1) % self._every:  # the last one is not due
            self._moments.pop()
        self._moments.append(moment)
        self._frames += 1
        if len(self._moments) > MOMENTS_MAX:
            self._moments = self._moments[::2]
            self._every *= 2

    def moments(self, most: int) -> list[Moment]:
        """At most so many (at least two) at even spacing, the first and the newest among them."""
        if len(self._moments) <= most:
            return list(self._moments)
        places = np.linspace(0, len(self._moments) - 1, most).round().astype(int)
        return [self._moments[place] for place in places]
