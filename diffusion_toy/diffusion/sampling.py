"""Whole reverse processes: from noise to a picture, and a picture healed where it is noisy."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from diffusion_toy.diffusion.counter_noise import Purpose, standard_normal
from diffusion_toy.diffusion.process import ddim_update, guided_velocity, x0_of_velocity
from diffusion_toy.diffusion.schedule import NoiseSchedule
from diffusion_toy.errors import InvalidValueError

Noise = Callable[[int], Tensor]  # from the step's number, from 0, to its (B, C, H, W) unit noise
_SPREAD = 0x9E3779B97F4A7C15  # odd, so that no two of 2⁶³ seeds agree


class SamplerKind(Enum):
    """How a step is taken; the value is what a command line calls it."""

    DDPM = "ddpm"  # Ho et al. 2020
    DDIM = "ddim"  # Song et al. 2021
    DPMPP = "dpmpp"  # DPM-Solver++(2M), Lu et al. 2022


@dataclass(frozen=True)
class Sampler:
    """A sampler and its settings.

    Attributes:
        kind: the update rule.
        steps: network steps from T to 0, 1…T.
        spacing: the steps begin at t = T·s^spacing for evenly spaced s from 1 to 0: with 1 they are
            even, below 1 they are small where there is much noise.
        eta: randomness of a DDIM step, 0…1; the other kinds take none.
        guidance: 0 ignores the labels, 1 follows them; other weights take two forward passes a step.
    """

    kind: SamplerKind = SamplerKind.DDPM
    steps: int = 300
    eta: float = 0.0
    guidance: float = 1.0
    spacing: float = 1.0

    @property
    def step_eta(self) -> float:
        """η of the update: DDPM is DDIM with η = 1, DPM-Solver++ builds on η = 0."""
        return {SamplerKind.DDPM: 1.0, SamplerKind.DDIM: self.eta, SamplerKind.DPMPP: 0.0}[self.kind]


def image_seeds(seed: int, first: int, count: int) -> Tensor:
    """Seeds for the pictures `first`…`first + count − 1` of a run: (count,) int64.

    A picture's noise so depends on the run's seed and its own number alone, not on the batch.
    """
    return torch.tensor([(seed + _SPREAD * (first + i)) % 2**63 for i in range(count)], dtype=torch.int64)


def step_noise(seeds: Tensor, shape: tuple[int, ...], purpose: Purpose = Purpose.SAMPLER) -> Noise:
    """Noise for pictures of this shape (C, H, W), a function of each one's seed and the step."""

    def noise(step: int) -> Tensor:
        return standard_normal(seeds, purpose, torch.full_like(seeds, step), shape)

    return noise


@dataclass(frozen=True, eq=False)
class Moment:
    """The picture at time step `t`, and what the network makes of it.

    `x_t` and `x0_hat` are (B, C, H, W) float32; `x0_hat` is within [−1, 1]. At t = 0 both are the
    result.
    """

    t: float
    x_t: Tensor
    x0_hat: Tensor


def time_steps(schedule: NoiseSchedule, steps: int, spacing: float = 1.0) -> list[float]:
    """`steps` + 1 time steps from T to 0, spaced as `Sampler.spacing` says.

    Raises:
        InvalidValueError: steps outside 1…T.
    """
    if not 1 <= steps <= schedule.T:
        raise InvalidValueError("steps", steps, f"1…{schedule.T}")
    even = np.linspace(schedule.T, 0, steps + 1)
    return [float(t) for t in (even if spacing == 1 else schedule.T * (even / schedule.T) ** spacing)]


def predict_x0(
    network: nn.Module, x: Tensor, level_map: Tensor, labels: Tensor, null_label: int, guidance: float
) -> Tensor:
    """x̂0 of (B, C, H, W) pictures with (B, H, W) levels, clamped to [−1, 1]."""
    null_labels = torch.full_like(labels, null_label)
    v = network(x, level_map, labels if guidance else null_labels)
    if guidance not in (0, 1):
        v = guided_velocity(network(x, level_map, null_labels), v, guidance)
    return x0_of_velocity(x, v, level_map[:, None]).clamp(-1, 1)


def log_snr(u: float) -> float:
    """λ = log(a/s) of a level; infinite at its ends."""
    if u <= 0 or u >= 1:
        return math.inf if u <= 0 else -math.inf
    return -math.log(math.tan(u * math.pi / 2))


def extrapolated(x0_hat: Tensor, earlier: Tensor, u_earlier: float, u: float, u_prev: float) -> Tensor:
    """What DPM-Solver++(2M) takes for x̂0 on its way from `u` to `u_prev` (Lu et al. 2022, eq. 16).

    Args:
        x0_hat: the prediction at `u`.
        earlier: the one before it, at `u_earlier > u`.
        u_prev: the level stepped to, above 0.
    """
    before, now, after = log_snr(u_earlier), log_snr(u), log_snr(u_prev)
    weight = 0.5 * (after - now) / (now - before)  # 1/(2r); 0 where the earlier level was pure noise
    return x0_hat + weight * (x0_hat - earlier)


@torch.inference_mode()
def sample(
    network: nn.Module,
    x_T: Tensor,
    labels: Tensor,
    null_label: int,
    schedule: NoiseSchedule,
    sampler: Sampler,
    noise: Noise,
) -> Iterator[Moment]:
    """Denoise from t = T to 0, yielding each moment.

    Args:
        network: predicts v from (x, u, labels), see `unet.UNet`.
        x_T: (B, C, H, W) float32, unit noise.
        labels: (B,) int64; `null_label` stands for no label.
        null_label: the network's label for "any".
        schedule: what numbers the levels.
        sampler: how to step.
        noise: of each step; asked only where the sampler takes some.
    """
    ts = time_steps(schedule, sampler.steps, sampler.spacing)
    levels = [float(schedule.level_of_time_step(t)) for t in ts]
    x, earlier, eta = x_T, None, sampler.step_eta
    for i, (u, u_prev) in enumerate(pairwise(levels)):
        level_map = torch.full((len(x), *x.shape[2:]), u, device=x.device)
        x0_hat = predict_x0(network, x, level_map, labels, null_label, sampler.guidance)
        yield Moment(ts[i], x, x0_hat)
        target = x0_hat
        if sampler.kind is SamplerKind.DPMPP and earlier is not None and u_prev > 0:
            target = extrapolated(x0_hat, earlier, levels[i - 1], u, u_prev)
        earlier = x0_hat
        z = noise(i) if eta else torch.zeros_like(x)
        u_now, u_next = (torch.tensor(v, device=x.device) for v in (u, u_prev))
        x = ddim_update(u_now, u_next, eta).apply(x, target, z)
    yield Moment(0.0, x, x.clamp(-1, 1))


@torch.inference_mode()
def heal(
    network: nn.Module,
    x: Tensor,
    level_map: Tensor,
    labels: Tensor,
    null_label: int,
    schedule: NoiseSchedule,
    stride: float,
    guidance: float,
    noise: Noise,
) -> Tensor:
    """Denoise a picture by DDPM, each pixel from its own level; clean pixels stay, bit for bit.

    Args:
        x: (B, C, H, W) float32, noisy as `level_map` says.
        level_map: (B, H, W) float32 in [0, 1].
        labels, null_label, schedule, guidance, noise: as for `sample`.
        stride: time steps a network step, above 0.

    Returns:
        (B, C, H, W) float32, with every level at 0.
    """
    t = schedule.time_step_of_level(level_map.cpu().numpy())
    step = 0
    while t.any():
        u = torch.from_numpy(schedule.level_of_time_step(t)).float().to(x.device)
        t = np.maximum(t - stride, 0)
        u_prev = torch.from_numpy(schedule.level_of_time_step(t)).float().to(x.device)
        x0_hat = predict_x0(network, x, u, labels, null_label, guidance)
        x = ddim_update(u[:, None], u_prev[:, None], 1.0).apply(x, x0_hat, noise(step))
        step += 1
    return x
