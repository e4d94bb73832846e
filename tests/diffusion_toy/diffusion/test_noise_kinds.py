"""The kinds of noise that can be injected: of the strength of unit noise, and each of its own shape."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from diffusion_toy.contract.messages import NoiseKind
from diffusion_toy.diffusion.noise_kinds import noise_of_kind

SHAPE = (1, 28, 28)
KURTOSIS = {
    NoiseKind.GAUSSIAN: 0.0, NoiseKind.UNIFORM: -1.2, NoiseKind.LAPLACE: 3.0, NoiseKind.SIGN: -2.0,
    NoiseKind.SMOOTH: 0.0, NoiseKind.CONSTANT: -2.0,
}  # fmt: skip


def drawn(kind: NoiseKind, rows: int = 600) -> Tensor:
    return noise_of_kind(kind, torch.arange(rows), torch.zeros(rows, dtype=torch.long), SHAPE)


@pytest.mark.parametrize("kind", list(NoiseKind))
def test_every_kind_has_mean_0_second_moment_1_and_its_own_shape(kind: NoiseKind) -> None:
    z = drawn(kind).double()
    assert z.shape == (600, *SHAPE)
    assert z.mean().abs() < 0.1
    assert float(z.square().mean()) == pytest.approx(1, abs=0.03)
    assert (z.square().mean(0) - 1).abs().max() < 0.6  # at every pixel, edges included
    excess = float((z**4).mean() / z.square().mean() ** 2 - 3)
    assert excess == pytest.approx(KURTOSIS[kind], abs=0.2)


def test_only_smooth_and_constant_noise_goes_together_from_pixel_to_pixel() -> None:
    for kind in NoiseKind:
        z = drawn(kind)
        together = float((z[..., 1:] * z[..., :-1]).mean())
        if kind in (NoiseKind.SMOOTH, NoiseKind.CONSTANT):
            assert together > 0.8
        else:
            assert abs(together) < 0.02
