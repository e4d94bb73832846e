"""What decides a session's next tick, as arrays over slots, so that no tick loops over sessions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffusion_toy.contract import messages as m


@dataclass(eq=False)
class Controls:
    """Hold one entry for each of S slots; `kept_level` has one for each of the K states that a slot keeps."""

    active: NDArray[np.bool_]
    motion: NDArray[np.int64]
    single_step: NDArray[np.bool_]  # take one step, then rest
    dirty: NDArray[np.bool_]  # changed since its last frame
    ended: NDArray[np.bool_]  # nowhere to go in the direction of its motion
    phase: NDArray[np.float64]  # steps owed; a step is due at 1
    steps_per_tick: NDArray[np.float64]
    stride: NDArray[np.float32]
    eta: NDArray[np.float32]
    multistep: NDArray[np.bool_]
    label: NDArray[np.int64]
    guidance: NDArray[np.float32]
    seed: NDArray[np.int64]
    step: NDArray[np.int64]
    frame_number: NDArray[np.int64]
    applied: NDArray[np.int64]
    first_kept: NDArray[np.int64]
    uniform: NDArray[np.bool_]  # one level for all pixels, as far as is known
    watchers: NDArray[np.int64]
    kept_level: NDArray[np.float32]  # (S, K): largest level of the state before step k, at k modulo K

    @staticmethod
    def for_slots(slots: int, kept: int) -> Controls:
        """Return controls of so many slots, all zero."""
        kinds: dict[str, Any] = {
            "active": bool, "single_step": bool, "dirty": bool, "ended": bool,
            "multistep": bool, "uniform": bool,
            "phase": np.float64, "steps_per_tick": np.float64,
            "stride": np.float32, "eta": np.float32, "guidance": np.float32, "kept_level": np.float32,
        }  # fmt: skip
        names = Controls.__dataclass_fields__
        shapes = {"kept_level": (slots, kept)}
        return Controls(
            **{name: np.zeros(shapes.get(name, (slots,)), kinds.get(name, np.int64)) for name in names}
        )

    @property
    def stepping(self) -> NDArray[np.bool_]:
        """Return who steps by itself: (S,) bool."""
        stepping: NDArray[np.bool_] = self.active & (self.motion != m.Motion.PAUSED) & ~self.ended
        return stepping

    @property
    def rows_per_turn(self) -> NDArray[np.int64]:
        """Return how many rows the network takes for a frame of each slot: (S,), 2 with guidance, else 1."""
        guided = (self.label != m.NO_LABEL) & (self.guidance != 0) & (self.guidance != 1)
        rows: NDArray[np.int64] = 1 + guided.astype(np.int64)
        return rows

    def play(self, slot: int, motion: m.Motion, *, single_step: bool = False) -> None:
        """Let a session step from now on, or once."""
        self.motion[slot], self.single_step[slot], self.phase[slot] = motion, single_step, 0

    def rest(self, slot: int) -> None:
        """Let a session rest; what it owed of a step stays."""
        self.motion[slot], self.single_step[slot] = m.Motion.PAUSED, False

    def count_steps(
        self, slots: NDArray[np.int64], at_end: NDArray[np.bool_], largest_level: NDArray[np.float32]
    ) -> None:
        """Take note that these sessions have taken a step.

        Args:
            slots: (R,) int64, whose.
            at_end: (R, 2) bool, whether every pixel is clean now, and whether every pixel is at T.
            largest_level: (R,) float32, the largest level of each before it, which outlives its schedule.
        """
        kept = self.kept_level.shape[1]
        self.kept_level[slots, self.step[slots] % kept] = largest_level
        self.step[slots] += 1
        self.first_kept[slots] = np.maximum(self.first_kept[slots], self.step[slots] - kept)
        forward = self.motion[slots] == m.Motion.FORWARD
        once = slots[self.single_step[slots]]
        self.motion[once], self.single_step[once] = m.Motion.PAUSED, False
        self.ended[slots] = np.where(forward, at_end[:, 1], at_end[:, 0])
        # A session that comes to rest shows a last frame.
        self.dirty[slots[self.ended[slots] | (self.motion[slots] == m.Motion.PAUSED)]] = True
