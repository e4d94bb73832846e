"""What decides a session's next tick, as arrays over slots, so that no tick loops over sessions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffusion_toy.contract import messages as m


@dataclass(eq=False)
class Controls:
    """One entry for each of S slots; `kept_t` has one for each of the K states that a slot keeps."""

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
    kept_t: NDArray[np.float32]  # (S, K): largest time step of the state before step k, at k modulo K

    @staticmethod
    def for_slots(slots: int, kept: int) -> Controls:
        """All zero."""
        kinds: dict[str, Any] = {
            "active": bool, "single_step": bool, "dirty": bool, "ended": bool,
            "multistep": bool, "uniform": bool,
            "phase": np.float64, "steps_per_tick": np.float64,
            "stride": np.float32, "eta": np.float32, "guidance": np.float32, "kept_t": np.float32,
        }  # fmt: skip
        names = Controls.__dataclass_fields__
        shapes = {"kept_t": (slots, kept)}
        return Controls(
            **{name: np.zeros(shapes.get(name, (slots,)), kinds.get(name, np.int64)) for name in names}
        )

    @property
    def stepping(self) -> NDArray[np.bool_]:
        """Who steps by itself: (S,)."""
        stepping: NDArray[np.bool_] = self.active & (self.motion != m.Motion.PAUSED) & ~self.ended
        return stepping

    def play(self, slot: int, motion: m.Motion, *, single_step: bool = False) -> None:
        """Let a session step from now on, or once."""
        self.motion[slot], self.single_step[slot], self.phase[slot] = motion, single_step, 0

    def rest(self, slot: int) -> None:
        """Let a session rest; what it owed of a step stays."""
        self.motion[slot], self.single_step[slot] = m.Motion.PAUSED, False
