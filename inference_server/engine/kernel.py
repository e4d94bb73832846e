"""What a tick computes for its rows once the network has spoken: readings, frames, the next state.

Pure functions of arrays, NumPy's or torch's, one row for each session that is due, so that no loop runs
over sessions. A row's state is (P, H, W) with P = C + 3 planes, see `Planes`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from diffusion_toy.diffusion import process
from diffusion_toy.diffusion.arrays import (
    Array,
    clip,
    column,
    flat,
    namespace,
    place_in_rows,
    take_in_rows,
    where,
)
from diffusion_toy.diffusion.counter_noise import Purpose, standard_normal
from diffusion_toy.diffusion.sampling import Memory, of_images, reverse_step
from inference_server.engine.readings import Gauge, Readings, read

SNAP_TIME_STEPS = 1e-3  # float32 levels read as time steps are exact to far less than this
NO_LEVEL = -1.0  # stands for "no earlier prediction"
EXTRA_PLANES = 3  # of a state, beside the picture's channels


class Planes(NamedTuple):
    """The parts of a state (..., P, H, W), as views of it.

    `x` (..., C, H, W) is the picture; `u`, `g` and `n2` (..., H, W) are each pixel's nominal level,
    actual gain and noise variance.
    """

    x: Array
    u: Array
    g: Array
    n2: Array


def split(state: Array) -> Planes:
    """Return the parts of states (..., P, H, W)."""
    channels = state.shape[-3] - EXTRA_PLANES
    planes = (state[..., channels + i, :, :] for i in range(EXTRA_PLANES))
    return Planes(state[..., :channels, :, :], *planes)


def joined(x: Array, u: Array, g: Array, n2: Array) -> Array:
    """Return the states of these parts, of R rows; `u` may be (R, 1, 1)."""
    xp = namespace(x)
    return xp.concat([x, xp.broadcast_to(u, g.shape)[:, None], g[:, None], n2[:, None]], axis=1)


def time_steps(table: Array, u: Array) -> Array:
    """Return the time step of each level (R, H, W) in its row's table (R, N): (R, H, W) float32."""
    xp, levels = namespace(u), flat(u)
    above = clip(place_in_rows(table, levels), 1, table.shape[1] - 1)
    low, high = (take_in_rows(table, place) for place in (above - 1, above))
    t = xp.astype(above - 1, xp.float32) + (levels - low) / (high - low)
    nearest = xp.round(t)
    return xp.where(xp.abs(t - nearest) < SNAP_TIME_STEPS, nearest, t).reshape(u.shape)


def levels_of(table: Array, t: Array) -> Array:
    """Return the levels at time steps `t` (R, H, W), each within 0…T of its row's table (R, N)."""
    xp, steps = namespace(t), flat(t)
    below = clip(xp.astype(xp.floor(steps), xp.int64), 0, table.shape[1] - 2)
    low, high = (take_in_rows(table, place) for place in (below, below + 1))
    fraction = steps - xp.astype(below, xp.float32)
    return xp.where(fraction > 0, low + fraction * (high - low), low).reshape(t.shape)


@dataclass(frozen=True, eq=False)
class Rows:
    """Hold what decides the rows of a tick, arrays of R rows.

    Attributes:
        state: (R, P, H, W) float32.
        earlier: (R, C, H, W) float32, the x̂0 before, for second-order samplers.
        earlier_level: (R,) float32, the level that it was made at, `NO_LEVEL` where there is none.
        table: (R, N) float32, the schedule's levels, rising, padded above.
        last: (R,) float32, T.
        seeds, steps: (R,) int64.
        stride, eta: (R,) float32.
        noising, multistep, stepping: (R,) bool: the forward process; second order; whether to step at all.
    """

    state: Array
    earlier: Array
    earlier_level: Array
    table: Array
    last: Array
    seeds: Array
    steps: Array
    stride: Array
    eta: Array
    noising: Array
    multistep: Array
    stepping: Array


@dataclass(frozen=True, eq=False)
class Advanced:
    """Hold what becomes of the rows of a tick.

    Attributes:
        pixels: (R, 2·C·H·W + H·W) float16: x_t, x̂0 and the levels, before the step; without the levels where
            every row has one.
        readings: before the step.
        state: (R, P, H, W) after it; rows that would not be finite, and those not stepping, are as before.
        earlier, earlier_level: for the next step.
        at_end: (R, 2) bool, after it: every pixel clean; every pixel at T.
        finite: (R,) bool.
    """

    pixels: Array
    readings: Readings
    state: Array
    earlier: Array
    earlier_level: Array
    at_end: Array
    finite: Array


def advance(
    rows: Rows, v: Array, gauge: Gauge, *, any_noising: bool, any_multistep: bool, uniform: bool = False
) -> Advanced:
    """Read, show and step the rows.

    Args:
        rows: what decides them.
        v: (R, C, H, W) float32, the network's prediction.
        gauge: see `readings.read`.
        any_noising: whether any row goes the forward process; False saves work.
        any_multistep: whether any row has a second-order sampler; False saves work.
        uniform: whether every row has one level for all its pixels; True saves work.
    """
    xp, (x, levels, g, n2) = namespace(v), split(rows.state)
    u = levels[:, :1, :1] if uniform else levels
    x0_hat = clip(process.x0_of_velocity(x, v, u[:, None]), -1.0, 1.0)
    t = time_steps(rows.table, u)
    readings = read(x, x0_hat, u, g, n2, t, gauge)
    shown = [flat(x), flat(x0_hat)] if uniform else [flat(x), flat(x0_hat), flat(levels)]
    pixels = xp.concat([xp.astype(values, xp.float16) for values in shown], axis=1)

    stride = column(rows.stride, 3)
    u_new = u_prev = levels_of(rows.table, clip(t - stride, 0.0))
    memory = Memory(rows.earlier, rows.earlier_level) if any_multistep else None
    update, target = reverse_step(u, u_prev, rows.eta, x0_hat, memory, rows.multistep)
    purpose: int | Array = int(Purpose.SAMPLER)
    if any_noising:
        noising = column(rows.noising, 3)
        t_next = xp.minimum(t + stride, column(rows.last, 3))
        u_next = xp.where(t_next == t, u, levels_of(rows.table, t_next))
        update = process.choose(noising, process.forward_increment(u, u_next), update)
        u_new = xp.where(noising, u_next, u_prev)
        purpose = xp.astype(rows.noising, xp.int64) * (Purpose.FORWARD - Purpose.SAMPLER) + int(
            Purpose.SAMPLER
        )
    z = standard_normal(rows.seeds, purpose, rows.steps, tuple(x.shape[1:]))
    x_new = of_images(update).apply(x, target, z)
    new = joined(x_new, u_new, update.gain(g), update.noise_variance(n2))
    finite = xp.all(flat(xp.isfinite(x_new)), axis=1)
    moves = finite & rows.stepping
    new = where(column(moves), new, rows.state)
    after = flat(split(new).u)
    top = take_in_rows(rows.table, xp.astype(rows.last, xp.int64)[:, None])[:, 0]
    at_end = xp.stack([xp.max(after, axis=1) == 0, xp.min(after, axis=1) >= top], axis=1)
    earlier_level = xp.where(moves & readings.even, readings.nominal_max, NO_LEVEL)
    return Advanced(pixels, readings, new, x0_hat, earlier_level, at_end, finite)
