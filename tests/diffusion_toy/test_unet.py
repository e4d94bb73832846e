"""The network: its cost, its shapes, and that it heeds what it is told."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from diffusion_toy.checkpoint import load_model
from diffusion_toy.errors import InvalidValueError
from diffusion_toy.unet import UNet, UNetConfig
from tests.models import random_network
from tests.tools import SHIPPED_MODEL

Inputs = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def inputs(count: int) -> Inputs:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(count, 1, 28, 28, generator=generator)
    return x, torch.rand(count, 28, 28, generator=generator), torch.arange(count) % 11


def test_the_default_network_is_small_enough_for_two_cores() -> None:
    network = UNet(UNetConfig())
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(*inputs(1))
    assert counter.get_total_flops() <= 0.25e9
    assert sum(p.numel() * p.element_size() for p in network.parameters()) <= 8_000_000


def test_a_fresh_network_predicts_zero_velocity() -> None:
    assert not UNet(UNetConfig())(*inputs(2)).any()


@torch.no_grad()
def test_rows_do_not_mix() -> None:
    network = random_network().eval()
    together = network(*inputs(6))
    for row in range(6):
        alone = network(*(v[row : row + 1] for v in inputs(6)))
        torch.testing.assert_close(alone[0], together[row], atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_the_shipped_network_heeds_level_and_label() -> None:
    network = load_model(SHIPPED_MODEL).network
    x, u, labels = inputs(4)
    v = network(x, u, labels)
    assert (network(x, u * 0.5, labels) - v).abs().max() > 1e-2
    assert (network(x, u, (labels + 1) % 11) - v).abs().max() > 1e-2


@pytest.mark.parametrize(("field", "value"), [("height", 30), ("width", 0), ("base_width", 12)])
def test_a_size_that_does_not_fit_is_refused(field: str, value: int) -> None:
    with pytest.raises(InvalidValueError, match=field):
        UNetConfig(**{field: value})
