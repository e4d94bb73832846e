"""What a tick computes with: the rows of the sessions that are due, and back from them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from diffusion_toy.contract import messages as m
from inference_server.engine.controls import Controls
from inference_server.engine.kernel import Rows
from inference_server.engine.slots import SlotState


def rows_of(
    state: SlotState,
    controls: Controls,
    due: NDArray[np.int64],
    steps: NDArray[np.bool_],
    discs: Mapping[int, m.Disc],
) -> Rows:
    """Return the rows of a tick, copies of what the slots hold.

    Args:
        state: of all slots.
        controls: of all slots.
        due: (R,) int64, the slots of the rows.
        steps: (R,) bool, which rows take a step.
        discs: by slot, to which pixels a step is confined; such a step is of first order.
    """
    c, slots = controls, state.array(due)
    multistep = c.multistep[due]
    if discs:
        multistep &= ~np.isin(due, list(discs))
    whole = state.array(np.stack([c.seed[due], c.step[due]]))
    parts = state.array(np.stack([c.stride[due], c.eta[due]]))
    flags = state.array(np.stack([c.motion[due] == m.Motion.FORWARD, multistep, steps]))
    return Rows(
        state=state.take(state.state, slots),
        earlier=state.take(state.earlier, slots),
        earlier_level=state.take(state.earlier_level, slots),
        table=state.take(state.levels, slots),
        last=state.take(state.num_time_steps, slots),
        seeds=whole[0],
        steps=whole[1],
        stride=parts[0],
        eta=parts[1],
        noising=flags[0],
        multistep=flags[1],
        stepping=flags[2],
    )


def confine_steps(
    state: SlotState, due: NDArray[np.int64], rows: Rows, discs: Mapping[int, m.Disc]
) -> NDArray[np.int64]:
    """Take back what steps have changed outside of their discs, and return the slots that it concerns.

    Args:
        state: of all slots, after the steps.
        due: (R,) int64, the slots of the rows, rising.
        rows: of the tick, before the steps.
        discs: by slot, what was meant.
    """
    slots = np.array(list(discs))
    places = [(disc.x, disc.y, disc.radius) for disc in discs.values()]
    x, y, radius = (state.array(values, np.float32) for values in zip(*places, strict=True))
    before = rows.state[state.array(np.searchsorted(due, slots))]
    state.confine(state.array(slots), before, state.inside(x, y, radius))
    return slots
