"""ε̂ and the shape of its values."""

from __future__ import annotations

import math

import numpy as np
import pytest

from diffusion_toy.contract import messages as m
from tests.viewer_client.frames import frame
from viewer_client.core.residual import BIN_WIDTH, BINS, LIMIT, density, normal_density, residual_of

RNG = np.random.default_rng(0)
CLEAN = RNG.uniform(-1, 1, (1, 28, 28)).astype(np.float32)
EPS = RNG.standard_normal((1, 28, 28)).astype(np.float32)


def noised(levels: np.ndarray | float) -> np.ndarray:
    angle = np.asarray(levels) * np.pi / 2
    return (np.cos(angle) * CLEAN + np.sin(angle) * EPS).astype(np.float32)


@pytest.mark.parametrize("t", [6.0, 150.0, 300.0])
def test_the_noise_that_was_added_is_found_again(t: float) -> None:
    residual = residual_of(frame(t, x_t=noised(t / 300), x0_hat=CLEAN))
    assert residual.known.all()
    assert residual.count == 784
    np.testing.assert_allclose(residual.eps, EPS, atol=2e-4)


def test_with_a_map_each_pixel_goes_by_its_own_level_and_clean_ones_are_not_known() -> None:
    levels = np.linspace(0, 1, 784, dtype=np.float32).reshape(28, 28)
    extent = m.Range(0.0, 0.5, 1.0)
    made = frame(level_map=levels, nominal=extent, x_t=noised(levels), x0_hat=CLEAN)
    residual = residual_of(made)
    noisy = np.sin(levels * math.pi / 2) > 0.02
    assert (residual.known == noisy).all()
    assert residual.count == noisy.sum() < 784
    np.testing.assert_allclose(residual.eps[0][noisy], EPS[0][noisy], atol=1e-3)
    assert not residual.eps[0][~noisy].any()


def test_a_clean_picture_has_none() -> None:
    residual = residual_of(frame(0.0, x_t=CLEAN, x0_hat=np.zeros_like(CLEAN)))
    assert residual.count == 0
    assert not residual.eps.any()
    assert not density(residual).any()


def test_the_histogram_of_gaussian_values_follows_the_normal_curve() -> None:
    eps = RNG.standard_normal((1, 400, 400)).astype(np.float32)
    blank = np.zeros_like(eps)
    found = density(residual_of(frame(300.0, x_t=eps, x0_hat=blank)))
    assert found.sum() * BIN_WIDTH == pytest.approx(1)
    centers = -LIMIT + (np.arange(BINS) + 0.5) * BIN_WIDTH
    np.testing.assert_allclose(found, normal_density(centers), atol=0.01)


def test_what_lies_far_out_counts_at_the_ends() -> None:
    eps = np.full((1, 10, 10), 9.0, np.float32)
    eps[0, 0] = -9.0
    found = density(residual_of(frame(300.0, x_t=eps, x0_hat=np.zeros_like(eps)))) * BIN_WIDTH
    assert found[[0, -1]].tolist() == pytest.approx([0.1, 0.9])
