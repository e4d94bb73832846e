"""ε̂, the noise that the network sees in a frame, and how its values are spread. No PyGame."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffusion_toy.contract.messages import Frame, Image
from diffusion_toy.diffusion.process import NOISY_SIGMA, eps_of_x0, sigma

BINS, LIMIT = 32, 4.0  # of the histogram, over −LIMIT … LIMIT
BIN_WIDTH = 2 * LIMIT / BINS


@dataclass(frozen=True, eq=False)
class Residual:
    """What x_t holds beside the network's guess, in units of the noise it is told of.

    Attributes:
        eps: ε̂ = (x_t − a·x̂0)/s with a = cos(πu/2), s = sin(πu/2): (C, H, W) float32, 0 where not known.
        known: where s > 0.02: (H, W).
    """

    eps: Image
    known: NDArray[np.bool_]

    @property
    def count(self) -> int:
        """Return how many values are known."""
        return int(self.known.sum()) * len(self.eps)


def residual_of(frame: Frame) -> Residual:
    """Return ε̂ of a frame, from the nominal level of each pixel."""
    levels = frame.level_map
    if levels is None:
        levels = np.full(frame.x_t.shape[1:], frame.nominal.mean, np.float32)
    eps: Image = eps_of_x0(frame.x_t, frame.x0_hat, levels, NOISY_SIGMA)
    return Residual(eps, sigma(levels) > NOISY_SIGMA)


def density(residual: Residual) -> NDArray[np.float64]:
    """Return the histogram of the known values as a density, (BINS,); those beyond ±LIMIT are at the ends."""
    values = residual.eps[:, residual.known]
    if not values.size:
        return np.zeros(BINS)
    places = np.clip((values.ravel() + LIMIT) / BIN_WIDTH, 0, BINS - 1).astype(np.intp)
    counts = np.bincount(places, minlength=BINS)
    return counts / (values.size * BIN_WIDTH)


def normal_density(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the standard normal curve: exp(−z²/2)/√(2π)."""
    density: NDArray[np.float64] = np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return density
