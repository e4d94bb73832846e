"""Gaussian noise as a pure function of (seed, purpose, step, pixel).

Philox-4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") on int64
tensors that hold 32-bit words, followed by Box–Muller. A counter-based generator has no state:
it is vectorised over sessions, and going back in time is a smaller number.
"""

from __future__ import annotations

from enum import IntEnum

import torch
from torch import Tensor

SEED_MAX = 2**63 - 1
_WORD = 0xFFFFFFFF
_M0, _M1 = 0xD2511F53, 0xCD9E8D57
_W0, _W1 = 0x9E3779B9, 0xBB67AE85
_ROUNDS = 10


class Purpose(IntEnum):
    """What the noise is for; streams of different purposes never overlap."""

    START = 0
    SAMPLER = 1
    FORWARD = 2
    INJECTION = 3
    CHOICE = 4  # which bundled digit is shown, for instance


def philox(counters: tuple[Tensor, Tensor, Tensor, Tensor], seeds: Tensor) -> tuple[Tensor, ...]:
    """Philox-4x32-10.

    Args:
        counters: four int64 tensors of 32-bit words, of shapes that broadcast together.
        seeds: int64, the 64-bit keys; broadcast against the counters.

    Returns:
        Four int64 tensors of uniform 32-bit words.
    """
    c0, c1, c2, c3 = torch.broadcast_tensors(*counters)  # type: ignore[no-untyped-call]
    # The two multiplications of a round are one: (c0, c2) and (c1, c3) are pairs along a new dimension 0.
    shape = (2, *[1] * max(c0.dim(), seeds.dim()))
    factors = torch.tensor([_M0, _M1], device=seeds.device).reshape(shape)
    weyl = torch.tensor([_W0, _W1], device=seeds.device).reshape(shape)
    even, odd = torch.stack([c0, c2]), torch.stack([c1, c3])
    key = torch.stack([seeds & _WORD, (seeds >> 32) & _WORD])
    for number in range(_ROUNDS):
        product = even * factors  # wraps modulo 2^64, which keeps both halves right
        high, low = (product >> 32) & _WORD, product & _WORD
        even, odd = high.flip(0) ^ odd ^ ((key + number * weyl) & _WORD), low.flip(0)
    return even[0], odd[0], even[1], odd[1]


def uniform_words(seeds: Tensor, purpose: int | Tensor, steps: Tensor, count: int) -> Tensor:
    """Uniform 32-bit words, (B, count) int64 in 0…2³²−1.

    Args:
        seeds: (B,) int64, 0…2⁶³−1.
        purpose: a `Purpose`, or (B,) int64 of them.
        steps: (B,) int64, 0…2³²−1: the step, or the number of the injection.
        count: how many words a row.
    """
    blocks = torch.arange((count + 3) // 4, device=seeds.device)[None]  # (1, K)
    kind = purpose[:, None] if isinstance(purpose, Tensor) else torch.full_like(blocks, int(purpose))
    words = philox((blocks, steps[:, None], kind, torch.zeros_like(blocks)), seeds[:, None])
    return torch.stack(words, 1).flatten(1)[:, :count]


def standard_normal(seeds: Tensor, purpose: int | Tensor, steps: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Independent N(0, 1) noise, (B, *shape) float32, one row for each seed and step.

    Box–Muller on pairs of words. A row does not depend on the other rows of the batch.
    """
    count = 1
    for size in shape:
        count *= size
    pairs = (count + 1) // 2
    words = uniform_words(seeds, purpose, steps, 2 * pairs)
    u1 = (words[:, :pairs] + 1).float() * 2.0**-32  # (0, 1]
    u2 = words[:, pairs:].float() * (2 * torch.pi * 2.0**-32)
    radius = torch.sqrt(-2 * torch.log(u1))
    normal = torch.cat([radius * torch.cos(u2), radius * torch.sin(u2)], 1)
    return normal[:, :count].reshape(len(seeds), *shape)
