"""The kinds of noise that can be injected: Gaussian, as in training, and others to compare it with."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from diffusion_toy.contract.messages import NoiseKind
from diffusion_toy.diffusion.counter_noise import Purpose, standard_normal, uniform_words

BLUR_SIGMA_PX = 1.5
BLUR_RADIUS_PX = 4


def blur_kernel(device: torch.device) -> Tensor:
    """A Gaussian kernel whose squares sum to 1, so that blurred unit noise keeps variance 1."""
    offsets = torch.arange(-BLUR_RADIUS_PX, BLUR_RADIUS_PX + 1, device=device)
    line = torch.exp(-0.5 * (offsets / BLUR_SIGMA_PX) ** 2)
    kernel = line[:, None] * line[None, :]
    return kernel / kernel.square().sum().sqrt()


def noise_of_kind(kind: NoiseKind, seeds: Tensor, numbers: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Noise of mean 0 and second moment 1, (R, C, H, W) float32, a function of seed and number.

    Args:
        kind: all but `SMOOTH` and `CONSTANT` are independent from pixel to pixel.
        seeds, numbers: (R,) int64; the number is that of the injection.
        shape: C, H, W of a picture.
    """
    rows, count = len(seeds), math.prod(shape)
    if kind in (NoiseKind.GAUSSIAN, NoiseKind.SMOOTH):
        z = standard_normal(seeds, Purpose.INJECTION, numbers, shape)
        if kind is NoiseKind.SMOOTH:  # round the edges, so that every pixel has the same variance
            kernel = blur_kernel(seeds.device).expand(shape[0], 1, -1, -1)
            padded = F.pad(z, (BLUR_RADIUS_PX,) * 4, mode="circular")
            z = F.conv2d(padded, kernel, groups=shape[0])
        return z
    if kind is NoiseKind.CONSTANT:
        word = uniform_words(seeds, Purpose.INJECTION, numbers, 1)
        return ((word & 1) * 2 - 1).float()[:, :, None, None].expand(rows, *shape)
    words = uniform_words(seeds, Purpose.INJECTION, numbers, count).reshape(rows, *shape)
    if kind is NoiseKind.SIGN:
        return ((words & 1) * 2 - 1).float()
    centred = (words.double() + 0.5) * 2.0**-31 - 1  # (−1, 1), never ±1
    if kind is NoiseKind.UNIFORM:
        return (centred * 3**0.5).float()
    magnitude = -torch.log1p(-centred.abs()) / 2**0.5  # Laplace of variance 1, by inversion
    return (magnitude * centred.sign()).float()
