"""The kinds of noise that can be injected: Gaussian, as in training, and others to compare it with.

Every kind has mean 0 and second moment 1. A new one is an enum value with its words in
`contract.messages` and the protocol, and an entry of `KINDS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from diffusion_toy.contract.messages import NoiseKind
from diffusion_toy.diffusion.arrays import Array, namespace
from diffusion_toy.diffusion.counter_noise import Purpose, standard_normal, uniform_words

BLUR_SIGMA_PX = 1.5
BLUR_RADIUS_PX = 4

Shape = tuple[int, int, int]
Draw = Callable[[Array, Array, Shape], Array]


@dataclass(frozen=True)
class Kind:
    """Describe how noise is distributed.

    Attributes:
        draw: (seeds (R,), numbers (R,), (C, H, W)) to noise (R, C, H, W) float32.
        excess_kurtosis: of a pixel; 0 for Gaussian noise.
        correlated: whether neighbouring pixels go together.
    """

    draw: Draw
    excess_kurtosis: float
    correlated: bool = False


def blur_weights() -> list[float]:
    """Return a Gaussian filter whose squares sum to 1, so that blurred unit noise keeps variance 1."""
    offsets = range(-BLUR_RADIUS_PX, BLUR_RADIUS_PX + 1)
    line = [math.exp(-0.5 * (offset / BLUR_SIGMA_PX) ** 2) for offset in offsets]
    norm = math.sqrt(sum(weight**2 for weight in line))
    return [weight / norm for weight in line]


def _gaussian(seeds: Array, numbers: Array, shape: Shape) -> Array:
    return standard_normal(seeds, Purpose.INJECTION, numbers, shape)


def _smooth(seeds: Array, numbers: Array, shape: Shape) -> Array:
    """Blur Gaussian noise, round the edges, so that every pixel has the same variance."""
    z = _gaussian(seeds, numbers, shape)
    roll = namespace(z).roll
    for axis in (-2, -1):
        z = sum(
            weight * roll(z, shift, axis=axis)
            for shift, weight in zip(range(-BLUR_RADIUS_PX, BLUR_RADIUS_PX + 1), blur_weights(), strict=True)
        )
    return z


def _constant(seeds: Array, numbers: Array, shape: Shape) -> Array:
    xp = namespace(seeds)
    signs = (uniform_words(seeds, Purpose.INJECTION, numbers, 1) & 1) * 2 - 1
    return xp.broadcast_to(xp.astype(signs, xp.float32)[:, :, None, None], (seeds.shape[0], *shape))


def _words(seeds: Array, numbers: Array, shape: Shape) -> Array:
    words = uniform_words(seeds, Purpose.INJECTION, numbers, math.prod(shape))
    return words.reshape(seeds.shape[0], *shape)


def _sign(seeds: Array, numbers: Array, shape: Shape) -> Array:
    xp = namespace(seeds)
    return xp.astype((_words(seeds, numbers, shape) & 1) * 2 - 1, xp.float32)


def _centred(seeds: Array, numbers: Array, shape: Shape) -> Array:
    """Draw evenly from (−1, 1), never ±1: float64."""
    xp = namespace(seeds)
    return (xp.astype(_words(seeds, numbers, shape), xp.float64) + 0.5) * 2.0**-31 - 1


def _uniform(seeds: Array, numbers: Array, shape: Shape) -> Array:
    xp = namespace(seeds)
    return xp.astype(_centred(seeds, numbers, shape) * math.sqrt(3), xp.float32)


def _laplace(seeds: Array, numbers: Array, shape: Shape) -> Array:
    """Draw by inversion."""
    xp, centred = namespace(seeds), _centred(seeds, numbers, shape)
    magnitude = -xp.log1p(-xp.abs(centred)) / math.sqrt(2)
    return xp.astype(magnitude * xp.sign(centred), xp.float32)


KINDS: dict[NoiseKind, Kind] = {
    NoiseKind.GAUSSIAN: Kind(_gaussian, 0.0),
    NoiseKind.UNIFORM: Kind(_uniform, -1.2),
    NoiseKind.LAPLACE: Kind(_laplace, 3.0),
    NoiseKind.SIGN: Kind(_sign, -2.0),
    NoiseKind.SMOOTH: Kind(_smooth, 0.0, correlated=True),
    NoiseKind.CONSTANT: Kind(_constant, -2.0, correlated=True),
}


def noise_of_kind(kind: NoiseKind, seeds: Array, numbers: Array, shape: Shape) -> Array:
    """Return noise of mean 0 and second moment 1, (R, C, H, W) float32, a function of seed and number.

    Args:
        kind: one of `KINDS`; a `KeyError` else.
        seeds, numbers: (R,) int64; the number is that of the injection.
        shape: C, H, W of a picture.
    """
    return KINDS[kind].draw(seeds, numbers, shape)
