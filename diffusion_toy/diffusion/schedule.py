"""Noise schedules: which time step holds how much noise.

A *level* `u` in [0, 1] says how noisy a pixel is, independent of any schedule:
`alphas_cumprod = cos²(π·u/2)`, so `u = 0` is clean and `u = 1` is pure noise. A *schedule* gives
those levels numbers: time step `t` in [0, T], `t = 0` clean. The network and the session state
know levels only; schedules are chosen live.

Everything here is numpy in float64 and works on scalars and on maps alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffusion_toy.errors import InvalidValueError

FloatArray = NDArray[np.float64]

SCHEDULE_NAMES = ("cosine", "linear")
T_MIN, T_MAX = 2, 1000
LINEAR_BETA_START, LINEAR_BETA_END = 1e-4, 0.02


def alphas_cumprod_of_level(u: ArrayLike) -> FloatArray:
    """ᾱ of the level `u`: cos²(π·u/2). Any shape, float64."""
    return np.cos(np.asarray(u, np.float64) * (np.pi / 2)) ** 2


def level_of_alphas_cumprod(alphas_cumprod: ArrayLike) -> FloatArray:
    """Return the level `u` in [0, 1] at which ᾱ has this value: (2/π)·arccos √ᾱ, of any shape, float64."""
    clipped = np.clip(np.asarray(alphas_cumprod, np.float64), 0.0, 1.0)
    return np.arccos(np.sqrt(clipped)) * (2 / np.pi)


@dataclass(frozen=True, eq=False)
class NoiseSchedule:
    """Levels for the time steps 0…T, with piecewise linear interpolation of `u` between them.

    Attributes:
        name: `cosine` or `linear`.
        levels: (T+1,) float64, strictly increasing, `levels[0] == 0`.
    """

    name: str
    levels: FloatArray

    @property
    def T(self) -> int:
        """The number of time steps; `t = T` is the noisiest."""
        return len(self.levels) - 1

    @property
    def max_level(self) -> float:
        """`u` at t = T: exactly 1 for `cosine`, below 1 for `linear` (its noise is not pure)."""
        return float(self.levels[-1])

    @property
    def alphas_cumprod(self) -> FloatArray:
        """ᾱ at t = 0…T, (T+1,) float64; `alphas_cumprod[k]` is the usual table's entry k−1."""
        table = alphas_cumprod_of_level(self.levels)
        table[0] = 1.0
        if self.levels[-1] == 1.0:
            table[-1] = 0.0  # cos²(π/2) is 4e-33 in floating point
        return table

    def level_of_time_step(self, t: ArrayLike) -> FloatArray:
        """Return the level at time step `t`, a fraction maybe, clamped to [0, T]. It has the shape of `t`."""
        return np.asarray(np.interp(np.asarray(t, np.float64), np.arange(self.T + 1), self.levels))

    def time_step_of_level(self, u: ArrayLike) -> FloatArray:
        """Return the (fractional) time step at level `u`, of the same shape, clamped to [0, T]."""
        return np.asarray(np.interp(np.asarray(u, np.float64), self.levels, np.arange(self.T + 1)))


@lru_cache(maxsize=64)
def make_schedule(name: str = "cosine", num_time_steps: int = 300) -> NoiseSchedule:
    """Return the schedule called `name` with T = `num_time_steps`.

    `cosine` (after Nichol & Dhariwal 2021, without their offset) is `u = t/T`, so ᾱ(T) = 0
    exactly. `linear` (Ho et al. 2020) has betas from 1e-4 to 0.02: at T = 1000 nearly pure noise
    (ᾱ = 4e-5), at T = 300 visibly not (ᾱ = 0.048).

    Raises:
        InvalidValueError: an unknown name, or T outside 2…1000.
    """
    if not T_MIN <= num_time_steps <= T_MAX:
        raise InvalidValueError("T", num_time_steps, f"{T_MIN}…{T_MAX}")
    if name == "cosine":
        levels = np.arange(num_time_steps + 1) / num_time_steps
    elif name == "linear":
        betas = np.linspace(LINEAR_BETA_START, LINEAR_BETA_END, num_time_steps)
        alphas_cumprod = np.concatenate([[1.0], np.cumprod(1.0 - betas)])
        levels = level_of_alphas_cumprod(alphas_cumprod)
    else:
        raise InvalidValueError("schedule", repr(name), " or ".join(SCHEDULE_NAMES))
    levels.setflags(write=False)
    return NoiseSchedule(name, levels)
