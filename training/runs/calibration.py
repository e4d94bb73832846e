"""What a model leaves over of real pictures, by which a server tells how noisy a picture really is."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from diffusion_toy.diffusion.counter_noise import Purpose
from diffusion_toy.diffusion.process import eps_of_x0, q_sample, x0_of_velocity
from diffusion_toy.diffusion.sampling import step_noise
from training.data.images import to_unit_range
from training.drawing.generation import picture_seeds

LEVELS = 33
PICTURES = 200


@torch.inference_mode()
def residual_calibration(network: nn.Module, images: Tensor, null_label: int) -> tuple[float, ...]:
    """Measure the RMS of (x − √ᾱ·x̂0)/√(1−ᾱ) at the levels 0…1 in 32 even steps, without a label.

    Below 1 where the network takes some of the noise for picture. The value at level 0, where
    nothing can be measured, is that of the level next to it.

    Args:
        network: predicts v from (x, u, labels), see `unet.UNet`.
        images: (N, C, H, W) uint8, real pictures that it was not trained on; the first 200 count.
        null_label: the network's label for "any".
    """
    x0 = to_unit_range(images[:PICTURES])
    eps = step_noise(picture_seeds(0, 0, len(x0)), tuple(x0.shape[1:]), Purpose.START)(0)
    labels = torch.full((len(x0),), null_label)
    measured = []
    for level in torch.linspace(0, 1, LEVELS)[1:]:
        u = level.expand(len(x0), *x0.shape[2:])
        x = q_sample(x0, level, eps)
        x0_hat = x0_of_velocity(x, network(x, u, labels), level).clamp(-1, 1)
        residual = eps_of_x0(x, x0_hat, level)
        measured.append(residual.square().mean().sqrt().item())
    return (measured[0], *measured)


def rounded_calibration(network: nn.Module, images: Tensor, null_label: int) -> tuple[float, ...]:
    """Return `residual_calibration` to four decimals, as model files hold it."""
    return tuple(round(value, 4) for value in residual_calibration(network, images, null_label))
