"""Autoguidance: whom it guides, at which levels, and which weak models are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from diffusion_toy.errors import InvalidValueError
from diffusion_toy.model.checkpoint import load_model
from tests.models import TINY, random_network, write_model
from training.objectives.autoguidance import Autoguidance, AutoguidedNetwork, check_weak


def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(2, 1, 28, 28, generator=generator)
    return x, torch.rand(2, 28, 28, generator=generator), torch.tensor([3, 10])


def test_weights_depend_on_label_and_level() -> None:
    u = torch.tensor([0.0, 0.2, 0.5, 0.8, 1.0]).expand(2, 1, 5)
    weights = Autoguidance(1.0, 0.25, low=0.2, high=0.8).weights(u, torch.tensor([True, False]))
    assert weights.shape == (2, 1, 1, 5)
    assert weights[0].flatten().tolist() == [0, 1, 1, 1, 0]
    assert weights[1].flatten().tolist() == [0, 0.25, 0.25, 0.25, 0]


@torch.no_grad()
def test_the_guided_velocity_steps_away_from_the_weak_one() -> None:
    network, weak = random_network().eval(), random_network(seed=1).eval()
    v, v_weak = network(*inputs()), weak(*inputs())
    guided = AutoguidedNetwork(network, weak, Autoguidance(2.0, 0.0))(*inputs())
    torch.testing.assert_close(guided[0], v[0])  # it has a label
    torch.testing.assert_close(guided[1], v[1] + 2 * (v[1] - v_weak[1]))
    assert (v[1] - v_weak[1]).abs().max() > 1e-2


@pytest.mark.parametrize(
    ("change", "dataset", "named"),
    [
        ({"width": 32}, "noise", "pictures"),
        ({"num_classes": 7}, "noise", "classes 7"),
        ({}, "other", "data set noise"),
    ],
)
def test_a_weak_model_of_other_data_is_refused(
    tmp_path: Path, change: dict[str, int], dataset: str, named: str
) -> None:
    weak = load_model(write_model(tmp_path / "w.safetensors", False, replace(TINY, **change)))  # type: ignore[arg-type]
    with pytest.raises(InvalidValueError, match=named) as caught:
        check_weak(TINY, dataset, weak.metadata.label_names, weak)
    assert caught.value.field == "--weak"


def test_a_weak_model_whose_classes_changed_places_is_refused(tmp_path: Path) -> None:
    weak = load_model(write_model(tmp_path / "w.safetensors"))
    names = weak.metadata.label_names
    check_weak(TINY, "noise", names, weak)
    check_weak(TINY, "noise", (), weak)
    swapped = (names[1], names[0], *names[2:])
    with pytest.raises(InvalidValueError, match="the class 0 in the place of 1"):
        check_weak(TINY, "noise", swapped, weak)
