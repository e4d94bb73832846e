"""Gaussian noise as a pure function of (seed, purpose, step, pixel).

Philox-4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") on 64-bit arrays, of
NumPy or torch, that hold 32-bit words, followed by Box–Muller. A counter-based generator has no state:
it is vectorised over sessions, and going back in time is a smaller number.
"""

from __future__ import annotations

import math
from enum import IntEnum

import numpy as np

from diffusion_toy.diffusion.arrays import Array, is_torch, namespace

_WORD = 0xFFFFFFFF
_M0, _M1 = 0xD2511F53, 0xCD9E8D57
_W0, _W1 = 0x9E3779B9, 0xBB67AE85
_ROUNDS = 10


class Purpose(IntEnum):
    """Say what the noise is for; streams of different purposes never overlap."""

    START = 0
    SAMPLER = 1
    FORWARD = 2
    INJECTION = 3
    CHOICE = 4  # which bundled digit is shown, for instance


def philox(counters: tuple[Array, Array, Array, Array], seeds: Array) -> tuple[Array, ...]:
    """Return four arrays of uniform 32-bit words, of the counters' type: Philox-4x32-10.

    Args:
        counters: four arrays of 32-bit words, int64 or NumPy's uint64, of shapes that broadcast together.
        seeds: of the same type, the 64-bit keys; broadcast against the counters. At least one dimension.
    """
    c0, c1, c2, c3 = counters
    k0, k1 = seeds & _WORD, (seeds >> 32) & _WORD
    signed = seeds.dtype == namespace(seeds).int64
    for number in range(_ROUNDS):
        # The product wraps modulo 2^64, which keeps both halves right.
        p, q = c0 * _M0, c2 * _M1
        high_p, high_q = p >> 32, q >> 32
        if signed:  # the shift has filled in the sign
            high_p, high_q = high_p & _WORD, high_q & _WORD
        key0, key1 = (k0 + number * _W0) & _WORD, (k1 + number * _W1) & _WORD
        if number < 2:  # while the shapes grow to what they broadcast to
            c0, c2 = high_q ^ c1 ^ key0, high_p ^ c3 ^ key1
        else:
            high_q ^= c1
            high_q ^= key0
            high_p ^= c3
            high_p ^= key1
            c0, c2 = high_q, high_p
        p &= _WORD
        q &= _WORD
        c1, c3 = q, p
    return c0, c1, c2, c3


def _uniform_blocks(seeds: Array, purpose: int | Array, steps: Array, blocks: int) -> tuple[Array, ...]:
    """Return four arrays of uniform 32-bit words, (B, blocks) each; see `uniform_words`."""
    xp = namespace(seeds)
    numbers = xp.arange(blocks, dtype=xp.int64, device=seeds.device)[None, :]
    zeros = xp.zeros_like(seeds)
    kinds = zeros + purpose
    arrays = numbers, steps[:, None], kinds[:, None], zeros[:, None], seeds[:, None]
    if is_torch(seeds):
        *counters, keys = arrays
        return philox(tuple(counters), keys)
    *counters, keys = (array.view(np.uint64) for array in arrays)  # whose shifts need no mask
    return tuple(words.view(np.int64) for words in philox(tuple(counters), keys))


def uniform_words(seeds: Array, purpose: int | Array, steps: Array, count: int) -> Array:
    """Return uniform 32-bit words, (B, count) int64 in 0…2³²−1.

    Args:
        seeds: (B,) int64, 0…2⁶³−1.
        purpose: a `Purpose`, or (B,) int64 of them.
        steps: (B,) int64, 0…2³²−1: the step, or the number of the injection.
        count: how many words a row.
    """
    words = _uniform_blocks(seeds, purpose, steps, (count + 3) // 4)
    return namespace(seeds).concat(words, axis=1)[:, :count]


def standard_normal(seeds: Array, purpose: int | Array, steps: Array, shape: tuple[int, ...]) -> Array:
    """Return independent N(0, 1) noise, (B, *shape) float32, one row for each seed and step.

    Box–Muller on pairs of words. A row does not depend on the other rows of the batch.
    """
    xp, count = namespace(seeds), math.prod(shape)
    pairs = (count + 1) // 2
    words = uniform_words(seeds, purpose, steps, 2 * pairs)
    u1 = xp.astype(words[:, :pairs] + 1, xp.float32) * 2.0**-32  # (0, 1]
    u2 = xp.astype(words[:, pairs:], xp.float32) * (2 * math.pi * 2.0**-32)
    radius = xp.sqrt(-2 * xp.log(u1))
    normal = xp.concat([radius * xp.cos(u2), radius * xp.sin(u2)], axis=1)
    return normal[:, :count].reshape(seeds.shape[0], *shape)
