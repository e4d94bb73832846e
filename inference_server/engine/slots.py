"""The state of all sessions as tensors, one slot each, and the arithmetic on rows of slots.

Everything is vectorised over rows: a method takes the slot numbers it concerns, and no loop here
runs over sessions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from diffusion_toy.contract.messages import InjectionRule, NoiseKind
from diffusion_toy.diffusion import process as diffusion
from diffusion_toy.diffusion.counter_noise import Purpose, standard_normal
from diffusion_toy.diffusion.noise_kinds import noise_of_kind
from diffusion_toy.diffusion.schedule import T_MAX, NoiseSchedule
from inference_server.engine.kernel import NO_LEVEL, Advanced, Rows, levels_of, time_steps

HISTORY_STATES_MAX = 120
HISTORY_BYTES_MAX = 2 * 2**20  # of a session
PADDING_LEVEL = 2.0  # above every level, so that a search in a schedule's table ends before it


@dataclass(frozen=True, eq=False)
class InjectionRows:
    """A round of injections, at most one for each session. All tensors have R rows.

    `slots` int64; `seeds`, `numbers` int64 (for the noise); `center_x`, `center_y`, `radius`
    float32 in fractions of the picture (radius infinite: everywhere); `amount` float32, time
    steps; `kinds`, `rules` int64, values of `NoiseKind` and `InjectionRule`.
    """

    slots: Tensor
    seeds: Tensor
    numbers: Tensor
    center_x: Tensor
    center_y: Tensor
    radius: Tensor
    amount: Tensor
    kinds: Tensor
    rules: Tensor


def history_states(shape: tuple[int, int, int]) -> int:
    """How many states of this shape (C, H, W) a session keeps, at least 1."""
    channels, height, width = shape
    state_bytes = (channels + 3) * height * width * 4
    return max(1, min(HISTORY_STATES_MAX, HISTORY_BYTES_MAX // state_bytes))


class SlotState:
    """The tensors that sessions own.

    Attributes (S slots, P = C + 3 planes, K kept states):
        state: (S, P, H, W) float32: the noisy picture, the nominal level, the gain, the noise variance.
        x, u, g, n2: views of it: (S, C, H, W), and (S, H, W) each; levels are 0…1.
        earlier: (S, C, H, W) float32, the x̂0 of the step before, for DPM-Solver++.
        earlier_level: (S,) float32, the level that it was made at, `NO_LEVEL` where there is none.
        history: (S, K, P, H, W) float32, the state before step k at k modulo K.
        levels: (S, 1001) float32, each session's schedule as a table of levels, padded with 2.
        num_time_steps: (S,) float32, T of each.
    """

    def __init__(self, slots: int, shape: tuple[int, int, int], device: torch.device) -> None:
        self.shape, self.device = shape, device
        channels, height, width = shape
        self.state = torch.zeros(slots, channels + 3, height, width, device=device)
        self.x = self.state[:, :channels]
        self.u, self.g, self.n2 = (self.state[:, channels + i] for i in range(3))
        self.g.fill_(1.0)
        self.earlier = torch.zeros(slots, *shape, device=device)
        self.earlier_level = torch.full((slots,), NO_LEVEL, device=device)
        # Pages that no session has written take no memory on the CPU.
        self.history = torch.zeros(slots, history_states(shape), *self.state.shape[1:], device=device)
        self.levels = torch.full((slots, T_MAX + 1), PADDING_LEVEL, device=device)
        self.num_time_steps = torch.ones(slots, device=device)
        self._pixel_y = ((torch.arange(height, device=device) + 0.5) / height)[None, :, None]
        self._pixel_x = ((torch.arange(width, device=device) + 0.5) / width)[None, None, :]
        # fractions of each axis to fractions of the shorter side, which is what a radius is in
        self._scale_y = height / min(height, width)
        self._scale_x = width / min(height, width)

    # --- single sessions: starts and changes of schedule ---

    def set_schedule(self, slot: int, schedule: NoiseSchedule) -> None:
        """Give a session a schedule; its levels stay, clamped to the new range."""
        table = torch.from_numpy(schedule.levels.astype(np.float32))
        self.levels[slot] = PADDING_LEVEL
        self.levels[slot, : len(table)] = table.to(self.device)
        self.num_time_steps[slot] = schedule.T
        self.u[slot].clamp_(max=float(table[-1]))
        self.forget_earlier(slot)

    def start_from_noise(self, slot: int, level: float, seed: int) -> None:
        """Unit noise, nominal to be at `level`."""
        self.x[slot] = self._start_noise(seed)
        self.u[slot], self.g[slot], self.n2[slot] = level, 0.0, 1.0
        self.forget_earlier(slot)

    def start_from_picture(self, slot: int, x0: Tensor, level: float, seed: int) -> None:
        """A clean picture (C, H, W) in [−1, 1], noised to `level`."""
        u = torch.tensor(level, device=self.device)
        self.x[slot] = diffusion.q_sample(x0.to(self.device), u, self._start_noise(seed))
        self.u[slot] = level
        self.forget_earlier(slot)
        self.g[slot], self.n2[slot] = diffusion.alpha(u), diffusion.sigma(u) ** 2
        if level == 0:
            self.x[slot] = x0

    def _start_noise(self, seed: int) -> Tensor:
        seeds = torch.tensor([seed], device=self.device)
        noise: Tensor = standard_normal(seeds, Purpose.START, torch.zeros_like(seeds), self.shape)[0]
        return noise

    def forget_earlier(self, slots: int | Tensor) -> None:
        """The next DPM-Solver++ step of these is of first order."""
        self.earlier_level[slots] = NO_LEVEL

    def return_to(self, slot: int, step: int) -> None:
        """Take back the state before `step`, which must still be kept."""
        self.state[slot] = self.history[slot, step % self.kept_states]
        self.forget_earlier(slot)

    def noise_up_to(self, slot: int, level: float, seed: int, number: int) -> None:
        """The forward process for every pixel below `level`, with the noise of injection `number`."""
        u = self.u[slot]
        u_new = u.clamp(min=level)
        one = torch.tensor([seed], device=self.device)
        z = standard_normal(one, Purpose.INJECTION, torch.full_like(one, number), self.shape)
        update = diffusion.forward_increment(u[None], u_new[None])
        self._store(torch.tensor([slot], device=self.device), update, u_new[None], z)
        self.forget_earlier(slot)

    def packed(self, slots: Tensor) -> Tensor:
        """Everything but the history, to be kept elsewhere: (R, N) float32, see `unpack`."""
        whole = [self.state[slots].flatten(1), self.earlier[slots].flatten(1)]
        return torch.cat([*whole, self.earlier_level[slots][:, None]], 1)

    def unpack(self, slot: int, values: Tensor) -> None:
        """Take over a row of `packed`.

        Raises:
            ValueError: of another size, or not finite.
        """
        sizes = [self.state[slot].numel(), self.earlier[slot].numel(), 1]
        if values.shape != (sum(sizes),) or not torch.isfinite(values).all():
            raise ValueError(f"a state of {tuple(values.shape)} values, not {sum(sizes)} finite ones")
        state, earlier, level = torch.split(values.to(self.device), sizes)
        self.state[slot] = state.reshape(self.state[slot].shape)
        self.u[slot].clamp_(0, 1)
        self.earlier[slot] = earlier.reshape(self.shape)
        self.earlier_level[slot] = level[0]

    # --- rows of sessions ---

    @property
    def kept_states(self) -> int:
        """How many states a session keeps to return to."""
        return self.history.shape[1]

    def at_end(self, slots: Tensor) -> Tensor:
        """Whether every pixel is clean, and whether every pixel is at T: (R, 2) bool."""
        u = self.u[slots].flatten(1)
        top = self.levels[slots, self.num_time_steps[slots].long()]
        return torch.stack([u.amax(1) == 0, u.amin(1) >= top], 1)

    def time_steps(self, slots: Tensor) -> Tensor:
        """The time step of each pixel in its session's schedule: (R, H, W) float32."""
        return time_steps(self.levels[slots], self.u[slots])

    def levels_of(self, slots: Tensor, t: Tensor) -> Tensor:
        """The levels at time steps `t` (R, H, W), each within 0…T of its session."""
        return levels_of(self.levels[slots], t)

    def keep(self, slots: Tensor, steps: Tensor, rows: Rows) -> None:
        """Keep the state of these slots before their steps (R,), to return to."""
        kept = self.kept_states
        state = rows.state if len(slots) == len(rows.stepping) else rows.state[rows.stepping]
        self.history.view(-1, *self.history.shape[2:]).index_copy_(0, slots * kept + steps % kept, state)

    def store(self, slots: Tensor, rows: Rows, advanced: Advanced) -> None:
        """Write the stepping rows back; `slots` are theirs."""
        new = advanced.state, advanced.earlier, advanced.earlier_level
        if len(slots) < len(rows.stepping):
            new = new[0][rows.stepping], new[1][rows.stepping], new[2][rows.stepping]
        for mine, values in zip((self.state, self.earlier, self.earlier_level), new, strict=True):
            mine.index_copy_(0, slots, values)

    def inside(self, center_x: Tensor, center_y: Tensor, radius: Tensor) -> Tensor:
        """Which pixels lie in discs (R,), in fractions as in `InjectionRows`: (R, H, W) bool."""
        dx = (self._pixel_x - center_x[:, None, None]) * self._scale_x
        dy = (self._pixel_y - center_y[:, None, None]) * self._scale_y
        return dx.square() + dy.square() <= radius[:, None, None].square()

    def confine(self, slots: Tensor, before: Tensor, inside: Tensor) -> None:
        """Take back what a step has changed outside of a disc.

        Args:
            slots: (R,) int64, of distinct sessions.
            before: (R, P, H, W) float32, their state before the step.
            inside: (R, H, W) bool, the pixels for which the step counts.
        """
        self.state[slots] = torch.where(inside[:, None], self.state[slots], before)
        self.forget_earlier(slots)

    def inject(self, rows: InjectionRows) -> None:
        """Apply a round of injections: noise under a disc or everywhere, by each row's rule."""
        slots = rows.slots
        column = (slice(None), None, None)
        inside = self.inside(rows.center_x, rows.center_y, rows.radius)
        t = self.time_steps(slots)
        t_new = self._clamped(slots, t + torch.where(inside, rows.amount[column], 0.0))
        u = self.u[slots]
        u_new = torch.where(t_new == t, u, self.levels_of(slots, t_new))
        truth = diffusion.forward_increment(u, u_new)
        naive = diffusion.naive_injection(u, u_new)
        is_naive = (rows.rules == InjectionRule.NAIVE)[column]
        is_lie = (rows.rules == InjectionRule.LIE)[column]
        update = diffusion.Update(
            A=torch.zeros_like(u),
            B=torch.where(is_naive, naive.B, truth.B),
            C=torch.where(is_naive, naive.C, truth.C),
            moves=truth.moves & ~is_lie,
        )
        z = torch.empty(len(slots), *self.shape, device=self.device)
        for kind in sorted(set(rows.kinds.tolist())):
            chosen = (rows.kinds == kind).nonzero()[:, 0]
            z[chosen] = noise_of_kind(NoiseKind(kind), rows.seeds[chosen], rows.numbers[chosen], self.shape)
        self._store(slots, update, u_new, z)
        self.forget_earlier(slots)

    def _clamped(self, slots: Tensor, t: Tensor) -> Tensor:
        return torch.minimum(t.clamp(min=0), self.num_time_steps[slots][:, None, None])

    def _store(self, slots: Tensor, update: diffusion.Update, u_new: Tensor, z: Tensor) -> None:
        """Write an update without a prediction back; rows that would not be finite stay as they are."""
        image = diffusion.Update(*(c[:, None] for c in (update.A, update.B, update.C, update.moves)))
        x_new = image.apply_forward(self.x[slots], z)
        finite = torch.isfinite(x_new).flatten(1).all(1)
        if not finite.all():
            keep = finite.nonzero()[:, 0]
            slots, x_new, u_new = slots[keep], x_new[keep], u_new[keep]
            update = diffusion.Update(*(c[keep] for c in (update.A, update.B, update.C, update.moves)))
        self.x[slots] = x_new
        self.g[slots] = update.gain(self.g[slots])
        self.n2[slots] = update.noise_variance(self.n2[slots])
        self.u[slots] = u_new
