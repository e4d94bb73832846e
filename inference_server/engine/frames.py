"""The frames of one tick, kept as one batch until somebody sends them.

A frame that is replaced before it is sent never costs more than a reference to its batch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from diffusion_toy.contract.messages import Applied, Settings
from inference_server.engine.controls import Controls
from inference_server.engine.readings import Readings
from inference_server.engine.session import Event, Session


@dataclass(frozen=True, eq=False)
class FrameBatch:
    """R frames.

    Attributes:
        sessions, settings: whose they are, and the settings that were in force.
        seeds, numbers, steps, applied, first_kept, watchers, motion: (R,) int64, as in the `Frame` message.
        idle: (R,) bool.
        pixels: (R, 2·C·H·W + H·W) float16: x_t, x̂0 and the level map of each, one after the other; no maps
            where every row has one level.
        readings: of each, in NumPy.
        stepping: how many of the sessions take a step.
        shape: C, H, W.
        num_sessions: sessions on this server.
        applied_of_rows: the commands that have been applied since each row's frame before, in their order;
            rows without any are left out.
        server_ms: duration of the tick that made them; 0 while it runs.
    """

    sessions: list[Session]
    settings: list[Settings]
    seeds: NDArray[np.int64]
    numbers: NDArray[np.int64]
    steps: NDArray[np.int64]
    applied: NDArray[np.int64]
    first_kept: NDArray[np.int64]
    watchers: NDArray[np.int64]
    motion: NDArray[np.int64]
    idle: NDArray[np.bool_]
    pixels: NDArray[np.float16]
    readings: Readings
    stepping: int
    shape: tuple[int, int, int]
    num_sessions: int
    applied_of_rows: dict[int, tuple[Applied, ...]] = field(default_factory=dict)
    server_ms: float = 0.0

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.sessions)

    @cached_property
    def content(self) -> bytes:
        """All pixels as bytes; rows are slices of it (protobuf refuses a memoryview)."""
        return self.pixels.astype("<f2", copy=False).tobytes()

    @cached_property
    def numbers_of_rows(self) -> list[tuple[int, int, int, int, bool, int, int, int]]:
        """Each row's number, step, applied, motion, idle, seed, first_kept and watchers, as Python's."""
        columns = (
            *(self.numbers, self.steps, self.applied, self.motion, self.idle),
            *(self.seeds, self.first_kept, self.watchers),
        )
        return list(zip(*(column.tolist() for column in columns), strict=True))

    @cached_property
    def _readings_of_rows(self) -> list[Readings]:
        return [Readings(*row) for row in zip(*(column.tolist() for column in self.readings), strict=True)]

    def readings_of(self, row: int) -> Readings:
        """Return a row's readings as Python's numbers."""
        return self._readings_of_rows[row]

    def _part(self, row: int, first: int, values: int) -> bytes:
        begin = 2 * (row * self.pixels.shape[1] + first)  # bytes: two for each value
        return self.content[begin : begin + 2 * values]

    def x_t(self, row: int) -> bytes:
        """Return a row's picture, C·H·W float16, little-endian."""
        return self._part(row, 0, math.prod(self.shape))

    def x0_hat(self, row: int) -> bytes:
        """Return a row's prediction, likewise."""
        return self._part(row, math.prod(self.shape), math.prod(self.shape))

    def levels(self, row: int) -> bytes:
        """Return a row's level map, H·W float16, little-endian; empty where it has one level."""
        readings = self.readings_of(row)
        if readings.nominal_min == readings.nominal_max:
            return b""
        return self._part(row, 2 * math.prod(self.shape), math.prod(self.shape[1:]))


def frames_of(
    sessions: list[Session],
    controls: Controls,
    due: NDArray[np.int64],
    steps: NDArray[np.bool_],
    pixels: NDArray[np.float16],
    readings: Readings,
    applied: Mapping[int, Sequence[Applied]],
    shape: tuple[int, int, int],
    num_sessions: int,
) -> FrameBatch:
    """Return the frames of the sessions that are due, copied from their controls.

    Args:
        sessions: those that are due.
        controls: of all slots, before the step.
        due: (R,) slots of the sessions.
        steps: (R,) who takes a step.
        pixels, readings, shape, num_sessions: as of `FrameBatch`.
        applied: by slot, the commands that were applied since the frame before.
    """
    c = controls
    return FrameBatch(
        sessions=sessions,
        settings=[session.settings for session in sessions],
        seeds=c.seed[due],
        numbers=c.frame_number[due],
        steps=c.step[due],
        applied=c.applied[due],
        first_kept=np.minimum(c.first_kept[due], c.step[due]),
        watchers=c.watchers[due],
        motion=c.motion[due],
        idle=~steps & ~c.stepping[due],
        pixels=pixels,
        readings=readings,
        stepping=int(steps.sum()),
        shape=shape,
        num_sessions=num_sessions,
        applied_of_rows={int(np.searchsorted(due, slot)): tuple(one) for slot, one in applied.items()},
    )


@dataclass(frozen=True)
class TickResult:
    """What a tick has to tell.

    Attributes:
        frames: of the sessions that were due; None without any.
        events: what else clients are to be told.
        rows: how many went through the network.
        forward_s: how long the network took for them, seconds.
        applied: the kinds of the commands that were applied.
        broken: how many rows had a next state that was not finite and was not taken over.
        ended: the sessions that have gone since the tick before.
        rejected: the kinds of the commands that were not applied.
    """

    frames: FrameBatch | None
    events: list[Event] = field(default_factory=list)
    rows: int = 0
    forward_s: float = 0.0
    applied: Sequence[type] = ()
    broken: int = 0
    ended: Sequence[Session] = ()
    rejected: Sequence[type] = ()
