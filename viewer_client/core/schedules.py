"""The schedule's table as the viewer reads it."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from diffusion_toy.contract import messages as m
from diffusion_toy.diffusion.schedule import FloatArray, level_of_alphas_cumprod


@lru_cache(maxsize=4)
def _levels(schedule: m.Schedule) -> FloatArray:
    """Return the levels u at t = 0…T, (T + 1,)."""
    return level_of_alphas_cumprod(schedule.alphas_cumprod)


def time_steps_of(schedule: m.Schedule, levels: m.Image) -> FloatArray:
    """Return the time steps of levels u, of any shape, by the schedule's table."""
    table = _levels(schedule)
    return np.asarray(np.interp(levels, table, np.arange(len(table))))
