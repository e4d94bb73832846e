"""The network: its cost, its shapes, and that it heeds what it is told."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from diffusion_toy.errors import InvalidValueError
from diffusion_toy.model.checkpoint import load_model
from diffusion_toy.model.unet import UNet, UNetConfig, pruned_weights
from tests.models import TINY, random_network
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
@pytest.mark.parametrize(("channels", "height", "width"), [(1, 28, 28), (3, 32, 20)])
def test_velocity_has_the_pictures_shape(channels: int, height: int, width: int) -> None:
    network = random_network(replace(TINY, channels=channels, height=height, width=width))
    x, u = torch.randn(2, channels, height, width), torch.rand(2, height, width)
    v = network(x, u, torch.tensor([0, 10]))
    assert v.shape == x.shape
    assert v.dtype == torch.float32


@torch.no_grad()
def test_one_pixels_level_is_heeded() -> None:
    """The map matters, not only its mean and maximum: moving a level about moves the result."""
    network = random_network().eval()
    x, labels = torch.zeros(1, 1, 28, 28), torch.tensor([3])
    u, moved = torch.zeros(2, 1, 28, 28)
    u[0, 3, 4] = moved[0, 20, 21] = 0.7
    assert (network(x, u, labels) - network(x, moved, labels)).abs().max() > 1e-3
    assert (network(x, u, labels) - network(x, u, torch.tensor([10]))).abs().max() > 1e-3


@torch.no_grad()
def test_the_shipped_network_heeds_level_and_label() -> None:
    network = load_model(SHIPPED_MODEL).network
    x, u, labels = inputs(4)
    v = network(x, u, labels)
    assert (network(x, u * 0.5, labels) - v).abs().max() > 1e-2
    assert (network(x, u, (labels + 1) % 11) - v).abs().max() > 1e-2


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("height", 30),
        ("width", 0),
        ("base_width", 12),
        ("mid_width", 0),
        ("blocks", 0),
        ("num_classes", 0),
        ("attention_heads", 5),
        ("attention_heads", 0),
    ],
)
def test_a_size_that_does_not_fit_is_refused(field: str, value: int) -> None:
    with pytest.raises(InvalidValueError, match=field):
        UNetConfig(**{field: value})


def test_a_smaller_shape_begins_with_what_fits_of_a_trained_one() -> None:
    trained = random_network(replace(TINY, blocks=3))
    config = replace(TINY, blocks=1, attention=("middle",))
    weights, before = pruned_weights(trained, config), trained.state_dict()
    UNet(config).load_state_dict(weights)
    for name, source in (
        ("conv_in", "conv_in"),
        ("down1.0.conv1", "down1.0.conv1"),
        ("up1.0.conv1", "up1.2.conv1"),
    ):
        assert torch.equal(weights[f"{name}.weight"], before[f"{source}.weight"]), name
    wider = pruned_weights(trained, replace(config, mid_width=16))
    assert wider["mid1.conv1.weight"].shape == (16, 16, 3, 3)
    assert torch.equal(wider["conv_in.weight"], before["conv_in.weight"])
