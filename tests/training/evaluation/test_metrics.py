"""The measures of quality, on sets whose score is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from training.evaluation import metrics


def normal(count: int, shift: float = 0.0, scale: float = 1.0, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 8, generator=generator) * scale + shift


def test_frechet_of_gaussians_is_the_closed_form() -> None:
    """For N(0, 1) and N(m, c²) in 8 dimensions it is 8·(m² + (1 − c)²)."""
    found = metrics.frechet_distance(normal(200_000), normal(200_000, 0.5, 2.0, seed=1))
    assert found == pytest.approx(8 * (0.25 + 1.0), rel=0.01)


def test_frechet_agrees_with_the_literal_formula_for_correlated_features() -> None:
    a, b = normal(500) @ torch.randn(8, 8), normal(400, seed=2) @ torch.randn(8, 8) + 1
    cov_a, cov_b = np.cov(a.T.double().numpy()), np.cov(b.T.double().numpy())
    root = np.sqrt(np.linalg.eigvals(cov_a @ cov_b).astype(complex)).real.sum()
    mean = (a.double().mean(0) - b.double().mean(0)).square().sum().item()
    expected = mean + np.trace(cov_a) + np.trace(cov_b) - 2 * root
    assert metrics.frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)


def test_frechet_of_a_set_with_itself_is_nothing_and_of_one_row_an_error() -> None:
    assert metrics.frechet_distance(normal(100), normal(100)) == pytest.approx(0, abs=1e-9)
    with pytest.raises(ValueError, match="two rows"):
        metrics.frechet_distance(normal(1), normal(100))


def test_precision_falls_for_what_is_not_there_and_recall_for_what_is_missing() -> None:
    reference = torch.cat([normal(300), normal(300, shift=20, seed=1)])
    one_mode = normal(600, seed=2)
    precision, recall = metrics.precision_recall(one_mode, reference)
    assert precision > 0.7
    assert recall == pytest.approx(0.4, abs=0.1)  # half of it, but for its outermost points
    precision, recall = metrics.precision_recall(torch.cat([reference, normal(600, shift=-20)]), reference)
    assert precision == pytest.approx(0.5, abs=0.05)
    assert recall > 0.95


def test_a_radius_is_the_distance_to_the_third_other_row() -> None:
    line = torch.tensor([[0.0], [1.0], [3.0], [7.0], [20.0]])
    assert metrics.neighbour_radii(line).tolist() == [7.0, 6.0, 4.0, 7.0, 19.0]


def test_class_shares_and_their_distance() -> None:
    shares = metrics.class_shares(torch.tensor([0, 0, 1, 3]), 4)
    assert shares.tolist() == [0.5, 0.25, 0.0, 0.25]
    assert metrics.total_variation(shares, torch.full((4,), 0.25).double()) == pytest.approx(0.25)
    assert metrics.total_variation(shares, shares) == 0


def test_the_nearest_image_is_found_in_grey_values() -> None:
    reference = torch.zeros(3, 1, 4, 4, dtype=torch.uint8)
    reference[1] += 100
    images = torch.full((2, 1, 4, 4), 90, dtype=torch.uint8)
    images[1] = 0
    assert metrics.nearest_distances(images, reference).tolist() == pytest.approx([10.0, 0.0])
