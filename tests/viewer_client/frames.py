"""Frames and welcomes made by hand, and the view model that has received them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from diffusion_toy.contract import messages as m
from diffusion_toy.diffusion.schedule import make_schedule
from viewer_client.core.view_model import ViewModel
from viewer_client.link.status import Phase, Status

MODEL = m.ModelInfo("mnist", "0" * 16, 1, 28, 28, tuple("0123456789"), "mnist", -1.0, True)
SCHEDULE = m.Schedule(m.ScheduleName.COSINE, make_schedule().alphas_cumprod)
WELCOME = m.Welcome("id", 7, MODEL, SCHEDULE, m.Limits(), m.Settings(), 4, "0")


def frame(t: float = 150.0, **changes: object) -> m.Frame:
    """A frame with one level everywhere."""
    level = m.Range(t / 300, t / 300, t / 300)
    blank = np.zeros((1, 28, 28), np.float32)
    base = m.Frame(
        number=1, step=0, applied_sequence=0, x_t=blank, x0_hat=blank, level_map=None,
        nominal=level, actual=level, time_step=m.Range(t, t, t), motion=m.Motion.REVERSE, idle=False,
        settings=m.Settings(), seed=7, server_ms=5.0, sessions=1,
    )  # fmt: skip
    return replace(base, **changes)  # type: ignore[arg-type]


def live_model(**changes: object) -> ViewModel:
    """The view model of a live session that has received one frame; new sessions get the seed 42."""
    model = ViewModel(draw_seed=lambda: 42)
    model.pass_time(Status(Phase.LIVE), now=0.0)
    model.receive(WELCOME)
    model.receive(frame(**changes))  # type: ignore[arg-type]
    return model
