"""The reverse process: one guided prediction, one row-wise step, one loop that yields.

Training, the experiments and the server's engine all step by `reverse_step`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffusion_toy.contract.messages import Sampler
from diffusion_toy.diffusion.arrays import Array, clip, column, flat, like, namespace, on_host
from diffusion_toy.diffusion.counter_noise import Purpose, standard_normal
from diffusion_toy.diffusion.process import Update, ddim_update, guided_velocity, log_snr, x0_of_velocity
from diffusion_toy.diffusion.samplers import RULES
from diffusion_toy.diffusion.schedule import NoiseSchedule
from diffusion_toy.errors import InvalidValueError

Noise = Callable[[int], Array]  # from the step's number, from 0, to its (B, C, H, W) unit noise
Predict = Callable[[Array, Array, Array], Array]  # (x, u, labels) to v: a network, or any predictor
_SPREAD = 0x9E3779B97F4A7C15  # odd, so that no two of 2⁶³ seeds agree


@dataclass(frozen=True)
class SamplingPlan:
    """Say how a picture is drawn from pure noise.

    Attributes:
        sampler: the update rule.
        steps: network steps from T to 0, 1…T.
        eta: randomness of a DDIM step, 0…1; the other samplers take none.
        guidance: 0 ignores the labels, 1 follows them; other weights take two forward passes a step.
        spacing: the steps begin at t = T·s^spacing for evenly spaced s from 1 to 0: with 1 they are
            even, below 1 they are small where there is much noise.
    """

    sampler: Sampler = Sampler.DDPM
    steps: int = 300
    eta: float = 0.0
    guidance: float = 1.0
    spacing: float = 1.0


def image_seeds(seed: int, first: int, count: int) -> NDArray[np.int64]:
    """Return seeds for the pictures `first`…`first + count − 1` of a run: (count,) int64.

    A picture's noise so depends on the run's seed and its own number alone, not on the batch.
    """
    return np.array([(seed + _SPREAD * (first + i)) % 2**63 for i in range(count)], np.int64)


def step_noise(seeds: Array, shape: tuple[int, ...], purpose: Purpose = Purpose.SAMPLER) -> Noise:
    """Return noise for pictures of this shape (C, H, W), a function of each one's seed and the step."""

    def noise(step: int) -> Array:
        return standard_normal(seeds, purpose, namespace(seeds).full_like(seeds, step), shape)

    return noise


@dataclass(frozen=True, eq=False)
class Moment:
    """Hold the picture at time step `t`, and what the network makes of it.

    `x_t` and `x0_hat` are (B, C, H, W) float32; `x0_hat` is within [−1, 1]. `t` is the greatest time
    step of the picture; at 0 both are the result.
    """

    t: float
    x_t: Array
    x0_hat: Array


def time_steps(schedule: NoiseSchedule, steps: int, spacing: float = 1.0) -> list[float]:
    """Return `steps` + 1 time steps from T to 0, spaced as `SamplingPlan.spacing` says.

    Raises:
        InvalidValueError: steps outside 1…T.
    """
    if not 1 <= steps <= schedule.T:
        raise InvalidValueError("steps", steps, f"1…{schedule.T}")
    even = np.linspace(schedule.T, 0, steps + 1)
    return [float(t) for t in (even if spacing == 1 else schedule.T * (even / schedule.T) ** spacing)]


# --- one prediction, one step ---


def predict_v(predict: Predict, x: Array, u: Array, labels: Array, null_label: int, guidance: Array) -> Array:
    """Return the velocity of each row, guided by its own weight: (R, C, H, W).

    Rows whose weight is neither 0 nor 1 take a second row of the same batch; see `network_rows`.

    Args:
        predict: the network, called once.
        x, u: (R, C, H, W) and (R, H, W) float32.
        labels: (R,) int64; `null_label` stands for no label.
        guidance: (R,) float32 weights, on the host.
    """
    xp = namespace(x)
    weights, told = np.asarray(guidance), on_host(labels)
    unlabelled = (weights == 0) | (told == null_label)
    told = np.where(unlabelled, null_label, told)
    guided = np.flatnonzero(~unlabelled & (weights != 1))
    if not len(guided):
        return predict(x, u, like(told, x, np.int64))
    index = like(guided, x)
    doubled = np.concatenate([told, np.full(len(guided), null_label)])
    x, u = xp.concat([x, xp.take(x, index, axis=0)]), xp.concat([u, xp.take(u, index, axis=0)])
    v = predict(x, u, like(doubled, x, np.int64))
    v_label, v_null = v[: len(told)], v[len(told) :]
    result = xp.asarray(v_label, copy=True)
    weight = column(like(weights[guided], x, np.float32))
    result[index] = guided_velocity(v_null, xp.take(v_label, index, axis=0), weight)
    return result


def network_rows(labels: NDArray[np.int64], null_label: int, guidance: NDArray[np.float32]) -> int:
    """Return how many rows of a batch `predict_v` takes for these."""
    return len(labels) + int(((labels != null_label) & (guidance != 0) & (guidance != 1)).sum())


def predict_x0(
    predict: Predict, x: Array, u: Array, labels: Array, null_label: int, guidance: float
) -> Array:
    """Return x̂0 of (B, C, H, W) pictures with (B, H, W) levels, clamped to [−1, 1]."""
    if guidance in (0, 1):
        v = predict(x, u, labels if guidance else namespace(x).full_like(labels, null_label))
    else:
        v = predict_v(predict, x, u, labels, null_label, np.full(x.shape[0], guidance, np.float32))
    return clip(x0_of_velocity(x, v, u[:, None]), -1.0, 1.0)


def second_order(x0_hat: Array, earlier: Array, u_earlier: Array, u: Array, u_prev: Array) -> Array:
    """Return what a second-order step takes for x̂0 (Lu et al. 2022, algorithm 2): (R, C, H, W).

    Plain x̂0 in the first and the last step.

    Args:
        x0_hat: (R, C, H, W), the prediction at the levels `u`.
        earlier: the one before it, at `u_earlier`; any that is not above `u` means that there is none.
        u_earlier, u, u_prev: (R,), one level for a whole picture.
    """
    xp = namespace(x0_hat)
    usable = (u_earlier > u) & (u_prev > 0) & (u_prev < u)
    before, now, after = (log_snr(xp.where(usable, level, 0.5)) for level in (u_earlier, u, u_prev))
    span = xp.where(usable, now - before, 1.0)
    weight = xp.where(usable, 0.5 * (after - now) / span, 0.0)  # 1/(2r); 0 where the earlier was pure noise
    return x0_hat + column(weight) * (x0_hat - earlier)


@dataclass(frozen=True, eq=False)
class Memory:
    """Hold the prediction of the step before: `x0_hat` (R, C, H, W), made at the levels `u` (R,)."""

    x0_hat: Array
    u: Array


def reverse_step(
    u: Array,
    u_prev: Array,
    eta: Array,
    x0_hat: Array,
    memory: Memory | None = None,
    second: Array | None = None,
) -> tuple[Update, Array]:
    """Return the update of a step back in time for R rows, and the x̂0 that it is to be applied to.

    Args:
        u, u_prev: (R, H, W), or (R, 1, 1) where a row has one level; levels from and to.
        eta: (R,), see `samplers.SamplerRule.eta`.
        x0_hat: (R, C, H, W), clamped.
        memory: the prediction of the step before; None where no row has a sampler that remembers.
        second: (R,) bool, which rows are to take a second-order step; all if None.

    Returns:
        The update's coefficients of the levels' shape; x̂0 or its second-order extrapolation.
    """
    target = x0_hat
    if memory is not None:
        xp, levels = namespace(u), flat(u)
        top = xp.max(levels, axis=1)
        level = xp.where(xp.min(levels, axis=1) == top, top, 0.0)  # no second order on maps
        target = second_order(x0_hat, memory.x0_hat, memory.u, level, xp.max(flat(u_prev), axis=1))
        if second is not None:
            target = xp.where(column(second), target, x0_hat)
    return ddim_update(u, u_prev, column(eta, 3)), target


def of_images(update: Update) -> Update:
    """Return an update of maps (R, H, W) as one of pictures (R, C, H, W)."""
    return update.map(lambda coefficient: coefficient[:, None])


# --- whole walks ---


def denoise(
    predict: Predict,
    x: Array,
    walk: Iterator[NDArray[np.float64]],
    labels: Array,
    null_label: int,
    schedule: NoiseSchedule,
    eta: Array,
    noise: Noise,
    guidance: float = 1.0,
    order: int = 1,
) -> Iterator[Moment]:
    """Denoise along a walk of time steps, yielding each moment; the last one is the result.

    Args:
        predict: v from (x, u, labels), see `unet.UNet`.
        x: (B, C, H, W) float32.
        walk: time steps that broadcast to (B, H, W), falling to 0 everywhere.
        labels: (B,) int64; `null_label` stands for no label.
        null_label: the network's label for "any".
        schedule: what gives levels to the time steps.
        eta: (B,) float32, the randomness of each picture's steps.
        noise: of each step; asked only where some picture takes any.
        guidance: weight of the labels.
        order: 2 for a sampler that remembers, see `samplers.SamplerRule.order`.
    """
    xp, maps = namespace(x), (x.shape[0], *x.shape[2:])
    noisy = bool(xp.any(eta > 0))

    def levels(t: NDArray[np.float64]) -> Array:
        return like(np.broadcast_to(schedule.level_of_time_step(t), maps), x, np.float32)

    memory: Memory | None = None
    t = next(walk)
    for step, t_prev in enumerate(walk):
        u, u_prev = levels(t), levels(t_prev)
        x0_hat = predict_x0(predict, x, u, labels, null_label, guidance)
        yield Moment(float(t.max()), x, x0_hat)
        update, target = reverse_step(u, u_prev, eta, x0_hat, memory)
        if order > 1:
            memory = Memory(x0_hat, xp.max(flat(u), axis=1))
        x = of_images(update).apply(x, target, noise(step) if noisy else xp.zeros_like(x))
        t = t_prev
    yield Moment(0.0, x, clip(x, -1.0, 1.0))


def sample(
    predict: Predict,
    x_T: Array,
    labels: Array,
    null_label: int,
    schedule: NoiseSchedule,
    plan: SamplingPlan,
    noise: Noise,
) -> Iterator[Moment]:
    """Denoise unit noise `x_T` (B, C, H, W) from t = T to 0, yielding each moment; see `denoise`.

    Raises:
        InvalidValueError: more steps than the schedule has.
    """
    rule = RULES[plan.sampler]
    walk = (np.array(t) for t in time_steps(schedule, plan.steps, plan.spacing))
    eta = like(np.full(x_T.shape[0], rule.eta(plan.eta)), x_T, np.float32)
    yield from denoise(
        predict, x_T, walk, labels, null_label, schedule, eta, noise, plan.guidance, rule.order
    )


def strides(t: NDArray[np.float64], stride: float = 1.0) -> Iterator[NDArray[np.float64]]:
    """Yield time steps from `t`, each `stride` lower, until all are 0."""
    yield t
    while t.any():
        t = np.maximum(t - stride, 0)
        yield t


def heal(
    predict: Predict,
    x: Array,
    level_map: Array,
    labels: Array,
    null_label: int,
    schedule: NoiseSchedule,
    stride: float,
    guidance: float,
    noise: Noise,
) -> Array:
    """Denoise a picture by DDPM, each pixel from its own level; clean pixels stay, bit for bit.

    Args:
        x: (B, C, H, W) float32, noisy as `level_map` says.
        level_map: (B, H, W) float32 in [0, 1].
        stride: time steps a network step, above 0.
        predict, labels, null_label, schedule, guidance, noise: as for `denoise`.

    Returns:
        (B, C, H, W) float32, with every level at 0.
    """
    walk = strides(schedule.time_step_of_level(on_host(level_map)), stride)
    eta = namespace(x).ones_like(level_map[:, 0, 0])
    for moment in denoise(predict, x, walk, labels, null_label, schedule, eta, noise, guidance):
        last = moment.x_t
    return last
