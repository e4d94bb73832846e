"""The network made ready to run gives what the network gives."""

from __future__ import annotations

import shutil

import pytest
import torch

from diffusion_toy.predictors.forward import Forward, Precision
from tests.models import random_network

CPU = torch.device("cpu")


def rows(count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(count)
    x = torch.randn(count, 1, 28, 28, generator=generator)
    return x, torch.rand(count, 28, 28, generator=generator), torch.arange(count) % 11


@pytest.mark.parametrize("count", [1, 2, 3, 5, 9])
def test_padding_and_cutting_do_not_show(count: int) -> None:
    network = random_network()
    forward = Forward(network, sizes=(2, 4))
    with torch.no_grad():
        expected = network(*rows(count))
    assert forward(*rows(count)).shape == expected.shape
    torch.testing.assert_close(forward(*rows(count)), expected, atol=1e-5, rtol=1e-5)


def test_bfloat16_is_close_and_comes_back_as_float32() -> None:
    network = random_network()
    v = Forward(network, Precision.BFLOAT16)(*rows(3))
    with torch.no_grad():
        expected = network(*rows(3))
    assert v.dtype == torch.float32
    assert not torch.equal(v, expected)
    assert (v - expected).square().mean().sqrt() < 0.03 * expected.square().mean().sqrt()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("c++") is None, reason="torch.compile needs a C++ compiler")
def test_the_compiled_network_gives_the_same() -> None:
    network = random_network()
    with torch.no_grad():
        expected = network(*rows(5))
    forward = Forward(network, sizes=(2,), compiled=True)
    forward.warm_up(1, 28, 28, CPU)
    torch.testing.assert_close(forward(*rows(5)), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.gpu
@pytest.mark.parametrize("precision", list(Precision))
def test_a_recorded_graph_gives_the_same(precision: Precision) -> None:
    device = torch.device("cuda")
    network = random_network().to(device)
    plain, recorded = Forward(network, precision), Forward(network, precision, sizes=(2, 4))
    recorded.warm_up(1, 28, 28, device)
    for count in (1, 3, 9):
        batch = [tensor.to(device) for tensor in rows(count)]
        torch.testing.assert_close(recorded(*batch), plain(*batch), atol=2e-2, rtol=2e-2)
