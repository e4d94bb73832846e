"""Batches of frames for tests that need any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from diffusion_toy.contract import messages as m
from inference_server.engine.frames import FrameBatch
from inference_server.engine.readings import Readings
from inference_server.engine.session import Session


def any_session() -> Session:
    return Session(0, 0, m.Settings(), m.Origin())


def frame_batch(
    number: int, sessions: Sequence[Session] = (), applied: Mapping[int, tuple[m.Applied, ...]] | None = None
) -> FrameBatch:
    """A frame of this number for each session; one frame of nobody's without any."""
    rows = max(len(sessions), 1)
    column = np.full(rows, number)
    return FrameBatch(
        sessions=list(sessions),
        settings=[m.Settings()] * rows,
        seeds=column,
        numbers=column,
        steps=column,
        applied=column,
        first_kept=column,
        watchers=column,
        motion=column,
        idle=column < 0,
        pixels=np.zeros((rows, 3), np.float16),
        readings=Readings(*np.zeros((12, rows), np.float32)),
        stepping=rows,
        shape=(1, 1, 1),
        num_sessions=1,
        applied_of_rows=dict(applied or {}),
    )
