"""Whole reverse processes: the sampler yields every step, everything else consumes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from diffusion_toy.diffusion import ddim_update, guided_velocity, x0_of_velocity
from diffusion_toy.errors import InvalidValueError
from diffusion_toy.schedule import NoiseSchedule


@dataclass(frozen=True, eq=False)
class Moment:
    """The picture at time step `t`, and what the network makes of it.

    `x_t` and `x0_hat` are (B, C, H, W) float32; `x0_hat` is within [−1, 1]. At t = 0 both are the
    result.
    """

    t: float
    x_t: Tensor
    x0_hat: Tensor


def time_steps(schedule: NoiseSchedule, steps: int) -> list[float]:
    """`steps` + 1 time steps, evenly spaced from T to 0.

    Raises:
        InvalidValueError: steps outside 1…T.
    """
    if not 1 <= steps <= schedule.T:
        raise InvalidValueError("steps", steps, f"1…{schedule.T}")
    return [float(t) for t in np.linspace(schedule.T, 0, steps + 1)]


@torch.inference_mode()
def sample(
    network: nn.Module,
    x_T: Tensor,
    labels: Tensor,
    null_label: int,
    schedule: NoiseSchedule,
    steps: int,
    eta: float,
    guidance: float,
    generator: torch.Generator,
) -> Iterator[Moment]:
    """Denoise from t = T to 0, yielding each moment (Song et al. 2021; η = 1 is DDPM).

    Args:
        network: predicts v from (x, u, labels), see `unet.UNet`.
        x_T: (B, C, H, W) float32, unit noise.
        labels: (B,) int64; `null_label` stands for no label.
        null_label: the network's label for "any".
        schedule: what numbers the levels.
        steps: network steps, evenly spaced in t, 1…T.
        eta: randomness of the steps, 0…1.
        guidance: 0 ignores the labels, 1 follows them; other weights take two forward passes a step.
        generator: of the sampler's noise, on the CPU.
    """
    ts = time_steps(schedule, steps)
    x, null_labels = x_T, torch.full_like(labels, null_label)
    for t, t_prev in pairwise(ts):
        u, u_prev = (
            torch.tensor(float(schedule.level_of_time_step(v)), device=x.device) for v in (t, t_prev)
        )
        level_map = u.expand(len(x), *x.shape[2:])
        v = network(x, level_map, labels if guidance else null_labels)
        if guidance not in (0, 1):
            v = guided_velocity(network(x, level_map, null_labels), v, guidance)
        x0_hat = x0_of_velocity(x, v, u).clamp(-1, 1)
        yield Moment(t, x, x0_hat)
        z = torch.randn(x.shape, generator=generator).to(x.device)
        x = ddim_update(u, u_prev, eta).apply(x, x0_hat, z)
    yield Moment(0.0, x, x.clamp(-1, 1))
