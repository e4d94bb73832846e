"""The error of v under level maps, for networks of which it is known."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from diffusion_toy.diffusion.process import alpha, sigma
from training.evaluation.map_error import map_errors

BLACK = torch.zeros(300, 1, 28, 28, dtype=torch.uint8)  # x0 = −1
LABELS = torch.zeros(300, dtype=torch.int64)


def pipeline(network: Any) -> Any:
    return SimpleNamespace(forward=network, device=torch.device("cpu"))


def test_who_knows_the_picture_makes_no_error() -> None:
    def knowing(x: Tensor, u: Tensor, labels: Tensor) -> Tensor:
        a, s = alpha(u[:, None]), sigma(u[:, None])
        return (a * x + 1) / s.clamp(min=1e-6)  # v from x = a·x0 + s·ε

    assert map_errors(pipeline(knowing), BLACK, LABELS, seed=0) == pytest.approx([0] * 4, abs=1e-4)


def test_who_says_nothing_makes_the_error_of_the_velocity_itself() -> None:
    done: list[int] = []

    def silent(x: Tensor, u: Tensor, labels: Tensor) -> Tensor:
        return torch.zeros_like(x)

    # v = a·ε + s for a black picture, and a² + s² = 1
    errors = map_errors(pipeline(silent), BLACK, LABELS, 0, done.append)
    assert errors == pytest.approx([1] * 4, abs=0.05)
    assert sum(done) == len(BLACK)
