"""The state of all sessions as arrays, one slot each, and the arithmetic on rows of slots.

Everything is vectorised over rows: a method takes the slot numbers it concerns, and no loop here
runs over sessions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffusion_toy.contract.messages import InjectionRule, NoiseKind
from diffusion_toy.diffusion import process as diffusion
from diffusion_toy.diffusion.arrays import Array, clip, column, flat, like, namespace, zeros
from diffusion_toy.diffusion.counter_noise import Purpose, standard_normal
from diffusion_toy.diffusion.noise_kinds import noise_of_kind
from diffusion_toy.diffusion.sampling import of_images
from diffusion_toy.diffusion.schedule import T_MAX, NoiseSchedule
from inference_server.engine.kernel import (
    EXTRA_PLANES,
    NO_LEVEL,
    Advanced,
    Rows,
    levels_of,
    split,
    time_steps,
)

HISTORY_STATES_MAX = 120
HISTORY_BYTES_MAX = 2 * 2**20  # of a session
PADDING_LEVEL = 2.0  # above every level, so that a search in a schedule's table ends before it


@dataclass(frozen=True, eq=False)
class InjectionRows:
    """A round of injections, at most one for each session. All arrays have R rows.

    `slots` int64; `seeds`, `numbers` int64 (for the noise); `center_x`, `center_y`, `radius`
    float32 in fractions of the picture (radius infinite: everywhere); `amount` float32, time
    steps; `kinds`, `rules` int64, values of `NoiseKind` and `InjectionRule`.
    """

    slots: Array
    seeds: Array
    numbers: Array
    center_x: Array
    center_y: Array
    radius: Array
    amount: Array
    kinds: Array
    rules: Array


def history_states(shape: tuple[int, int, int]) -> int:
    """Return how many states of this shape (C, H, W) a session keeps, at least 1."""
    channels, height, width = shape
    state_bytes = (channels + 3) * height * width * 4
    return max(1, min(HISTORY_STATES_MAX, HISTORY_BYTES_MAX // state_bytes))


class SlotState:
    """The arrays that sessions own.

    Attributes (S slots, P = C + 3 planes, K kept states):
        state: (S, P, H, W) float32: the noisy picture, the nominal level, the gain, the noise variance.
        x, u, g, n2: views of it: (S, C, H, W), and (S, H, W) each; levels are 0…1.
        earlier: (S, C, H, W) float32, the x̂0 of the step before, for second-order samplers.
        earlier_level: (S,) float32, the level that it was made at, `NO_LEVEL` where there is none.
        history: (S, K, P, H, W) float32, the state before step k at k modulo K.
        levels: (S, 1001) float32, each session's schedule as a table of levels, padded with 2.
        num_time_steps: (S,) float32, T of each.
    """

    def __init__(self, slots: int, shape: tuple[int, int, int], device: Any = None) -> None:
        """Allocate so many slots for pictures of a shape (C, H, W), in torch on a device, else in NumPy."""
        self.shape, self.device = shape, device
        channels, height, width = shape
        self.state = zeros((slots, channels + EXTRA_PLANES, height, width), device)
        self.x, self.u, self.g, self.n2 = split(self.state)
        self.g[:] = 1.0
        self.earlier = zeros((slots, *shape), device)
        self.earlier_level = zeros((slots,), device) + NO_LEVEL
        # NumPy's zeros take no memory until a session writes its pages; on a GPU all of it is taken at once.
        self.history = zeros((slots, history_states(shape), *self.state.shape[1:]), device)
        self.levels = zeros((slots, T_MAX + 1), device) + PADDING_LEVEL
        self.num_time_steps = zeros((slots,), device) + 1
        self._pixel_y = self.array((np.arange(height) + 0.5) / height, np.float32)[None, :, None]
        self._pixel_x = self.array((np.arange(width) + 0.5) / width, np.float32)[None, None, :]
        # fractions of each axis to fractions of the shorter side, which is what a radius is in
        self._scale_y = height / min(height, width)
        self._scale_x = width / min(height, width)

    def array(self, values: Any, dtype: Any = None) -> Array:
        """Return values as an array of the state's kind, on its device."""
        return like(values, self.state, dtype)

    # --- single sessions: starts and changes of schedule ---

    def set_schedule(self, slot: int, schedule: NoiseSchedule) -> None:
        """Give a session a schedule; its levels stay, clamped to the new range."""
        table = schedule.levels.astype(np.float32)
        self.levels[slot] = PADDING_LEVEL
        self.levels[slot, : len(table)] = self.array(table)
        self.num_time_steps[slot] = schedule.T
        self.limit_levels(slot, float(table[-1]))
        self.forget_earlier(slot)

    def limit_levels(self, slot: int, top: float) -> None:
        """Lower the levels of a session that are above `top`."""
        self.u[slot] = clip(self.u[slot], 0.0, top)

    def start_from_noise(self, slot: int, level: float, seed: int) -> None:
        """Give a session unit noise, nominally at `level`."""
        self.x[slot] = self._start_noise(seed)
        self.u[slot], self.g[slot], self.n2[slot] = level, 0.0, 1.0
        self.forget_earlier(slot)

    def start_from_picture(self, slot: int, x0: Array, level: float, seed: int) -> None:
        """Give a session a clean picture (C, H, W) in [−1, 1], noised to `level`."""
        x0, u = self.array(x0), self.array([level], np.float32)
        self.x[slot] = diffusion.q_sample(x0, u, self._start_noise(seed))
        self.u[slot] = level
        self.forget_earlier(slot)
        self.g[slot], self.n2[slot] = float(diffusion.alpha(u)[0]), float(diffusion.sigma(u)[0]) ** 2
        if level == 0:
            self.x[slot] = x0

    def _start_noise(self, seed: int) -> Array:
        seeds = self.array([seed], np.int64)
        return standard_normal(seeds, Purpose.START, seeds * 0, self.shape)[0]

    def forget_earlier(self, slots: int | Array) -> None:
        """Let the next step of these slots be of first order."""
        self.earlier_level[slots] = NO_LEVEL

    def return_to(self, slot: int, step: int) -> None:
        """Take back the state before `step`, which must still be kept."""
        self.state[slot] = self.history[slot, step % self.kept_states]
        self.forget_earlier(slot)

    def noise_up_to(self, slot: int, level: float, seed: int, number: int) -> None:
        """Noise every pixel below `level` up to it, with the noise of injection `number`."""
        slots = self.array([slot], np.int64)
        u = self.take(self.u, slots)
        u_new = clip(u, level)
        seeds, numbers = self.array([seed], np.int64), self.array([number], np.int64)
        z = standard_normal(seeds, Purpose.INJECTION, numbers, self.shape)
        self._store(slots, diffusion.forward_increment(u, u_new), u_new, z)
        self.forget_earlier(slot)

    def packed(self, slots: Array) -> Array:
        """Return all but the history, to be kept elsewhere, as (R, N) float32; `unpack` takes a row of it."""
        parts = (
            self.take(self.state, slots),
            self.take(self.earlier, slots),
            self.take(self.earlier_level, slots),
        )
        return namespace(self.state).concat([flat(part) for part in parts], axis=1)

    def unpack(self, slot: int, values: NDArray[np.float32]) -> None:
        """Give a slot the state in a row of `packed`.

        Raises:
            ValueError: the row has another size, or is not finite.
        """
        state_size, picture_size = math.prod(self.state.shape[1:]), math.prod(self.shape)
        size = state_size + picture_size + 1
        if values.shape != (size,) or not np.isfinite(values).all():
            raise ValueError(f"a state of {tuple(values.shape)} values, not {size} finite ones")
        self.state[slot] = self.array(values[:state_size]).reshape(self.state.shape[1:])
        self.limit_levels(slot, 1.0)
        self.earlier[slot] = self.array(values[state_size:-1]).reshape(self.shape)
        self.earlier_level[slot] = float(values[-1])

    # --- rows of sessions ---

    @staticmethod
    def take(values: Array, slots: Array) -> Array:
        """Return a copy of these slots' values, (R, ...)."""
        return namespace(values).take(values, slots, axis=0)

    @property
    def kept_states(self) -> int:
        """Return how many states a session keeps to return to."""
        return int(self.history.shape[1])

    def at_end(self, slots: Array) -> Array:
        """Tell whether every pixel is clean, and whether every pixel is at T: (R, 2) bool."""
        xp, u = namespace(self.state), flat(self.take(self.u, slots))
        last = xp.astype(self.take(self.num_time_steps, slots), xp.int64)
        top = self.levels[slots, last]
        return xp.stack([xp.max(u, axis=1) == 0, xp.min(u, axis=1) >= top], axis=1)

    def time_steps(self, slots: Array) -> Array:
        """Return the time step of each pixel in its session's schedule: (R, H, W) float32."""
        return time_steps(self.take(self.levels, slots), self.take(self.u, slots))

    def levels_of(self, slots: Array, t: Array) -> Array:
        """Return the levels at time steps `t` (R, H, W), each within 0…T of its session."""
        return levels_of(self.take(self.levels, slots), t)

    def keep(self, slots: Array, steps: Array, rows: Rows) -> None:
        """Keep the state of these slots before their steps (R,), to return to."""
        state = rows.state if len(slots) == len(rows.stepping) else rows.state[rows.stepping]
        self.history[slots, steps % self.kept_states] = state

    def store(self, slots: Array, rows: Rows, advanced: Advanced) -> None:
        """Write the stepping rows back; `slots` are theirs."""
        new = advanced.state, advanced.earlier, advanced.earlier_level
        if len(slots) < len(rows.stepping):
            new = new[0][rows.stepping], new[1][rows.stepping], new[2][rows.stepping]
        for mine, values in zip((self.state, self.earlier, self.earlier_level), new, strict=True):
            mine[slots] = values

    def inside(self, center_x: Array, center_y: Array, radius: Array) -> Array:
        """Tell which pixels lie in discs (R,), in fractions as in `InjectionRows`: (R, H, W) bool."""
        dx = (self._pixel_x - column(center_x, 3)) * self._scale_x
        dy = (self._pixel_y - column(center_y, 3)) * self._scale_y
        return dx * dx + dy * dy <= column(radius * radius, 3)

    def confine(self, slots: Array, before: Array, inside: Array) -> None:
        """Take back what a step has changed outside of a disc.

        Args:
            slots: (R,) int64, of distinct sessions.
            before: (R, P, H, W) float32, their state before the step.
            inside: (R, H, W) bool, the pixels for which the step counts.
        """
        self.state[slots] = namespace(before).where(inside[:, None], self.state[slots], before)
        self.forget_earlier(slots)

    def inject(self, rows: InjectionRows) -> None:
        """Apply a round of injections: noise under a disc or everywhere, by each row's rule."""
        xp, slots = namespace(self.state), rows.slots
        inside = self.inside(rows.center_x, rows.center_y, rows.radius)
        t = self.time_steps(slots)
        last = column(self.take(self.num_time_steps, slots), 3)
        t_new = xp.minimum(clip(t + xp.where(inside, column(rows.amount, 3), 0.0), 0.0), last)
        u = self.take(self.u, slots)
        u_new = xp.where(t_new == t, u, self.levels_of(slots, t_new))
        truth, naive = diffusion.forward_increment(u, u_new), diffusion.naive_injection(u, u_new)
        update = diffusion.choose(column(rows.rules == int(InjectionRule.NAIVE), 3), naive, truth)
        told_only = column(rows.rules == int(InjectionRule.LIE), 3)
        update = diffusion.Update(update.A, update.B, update.C, update.moves & ~told_only)
        z = zeros((len(slots), *self.shape), self.device)
        for kind in NoiseKind:
            chosen = xp.nonzero(rows.kinds == int(kind))[0]
            if len(chosen):
                z[chosen] = noise_of_kind(kind, rows.seeds[chosen], rows.numbers[chosen], self.shape)
        self._store(slots, update, u_new, z)
        self.forget_earlier(slots)

    def _store(self, slots: Array, update: diffusion.Update, u_new: Array, z: Array) -> None:
        """Write an update without a prediction back; rows that would not be finite stay as they are."""
        xp = namespace(self.state)
        x_new = of_images(update).apply_forward(self.take(self.x, slots), z)
        finite = xp.all(flat(xp.isfinite(x_new)), axis=1)
        if not bool(xp.all(finite)):
            keep = xp.nonzero(finite)[0]
            slots, x_new, u_new = slots[keep], x_new[keep], u_new[keep]
            update = update.map(lambda coefficient: coefficient[keep])
        self.x[slots] = x_new
        self.g[slots] = update.gain(self.take(self.g, slots))
        self.n2[slots] = update.noise_variance(self.take(self.n2, slots))
        self.u[slots] = u_new
