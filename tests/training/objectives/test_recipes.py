"""The baseline recipe: what its network is, that it trains, and that nobody serves it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from diffusion_toy.diffusion.process import alpha, q_sample, sigma, x0_of_velocity
from diffusion_toy.errors import InvalidValueError
from diffusion_toy.model.unet import UNetConfig
from tests.tools import SAMPLE
from training import __main__ as command
from training.objectives.config import TrainConfig
from training.objectives.recipes import epsilon_loss
from training.objectives.toy_recipe import ToyUNet, recipe_levels, sample_toy_levels


def test_the_baseline_has_the_size_of_the_common_toy() -> None:
    network = ToyUNet(UNetConfig()).eval()
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(3.9e6, rel=0.02)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.epsilon(torch.zeros(1, 1, 28, 28), torch.ones(1))
    assert counter.get_total_flops() == pytest.approx(0.54e9, rel=0.02)


def test_its_velocity_stands_for_its_epsilon() -> None:
    torch.manual_seed(0)
    network = ToyUNet(UNetConfig()).eval()
    x = torch.randn(2, 1, 28, 28)
    t = torch.tensor([7, 300])
    u = recipe_levels()[t][:, None, None].expand(2, 28, 28)
    assert network.index_of(u).tolist() == [7, 300]
    with torch.no_grad():
        v, eps = network(x, u, torch.zeros(2)), network.epsilon(x, t)
    a, s = alpha(u[:, None]), sigma(u[:, None])
    x0 = x0_of_velocity(x, v, u[:, None])
    torch.testing.assert_close(a * x0 + s * eps, x, atol=1e-5, rtol=1e-5)


def test_its_loss_is_the_absolute_error_of_epsilon() -> None:
    torch.manual_seed(0)
    network = ToyUNet(UNetConfig()).eval()
    x0, eps = torch.rand(4, 1, 28, 28), torch.randn(4, 1, 28, 28)
    u = sample_toy_levels(4, 28, 28, torch.Generator().manual_seed(0))
    with torch.no_grad():
        loss = epsilon_loss(network, x0, u, eps, torch.zeros(4))
        guess = network.epsilon(q_sample(x0, u[:, None], eps), network.index_of(u))
    assert loss.item() == pytest.approx((guess - eps).abs().mean().item(), rel=1e-5)


def test_the_baseline_trains_is_scored_and_is_not_served(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "toy"
    flags = ["train", "--recipe", "toy", "--flips", "--data", SAMPLE, "--out", out, "--epochs", 1]
    assert command.main([str(f) for f in [*flags, "--batch-size", 64]]) == 0
    assert "python -m training evaluate" in capsys.readouterr().out
    assert not list(out.glob("*.safetensors"))
    checkpoint = out / "checkpoint.pt"
    draw = ["--checkpoint", checkpoint, "--steps", 2, "--data", SAMPLE]
    assert command.main([str(f) for f in ["evaluate", "--count", 100, *draw]]) == 0
    said = capsys.readouterr().out
    assert "schedule linear, time_steps 300" in said
    assert "| unlabelled" in said
    assert "| labelled" not in said
    assert command.main([str(f) for f in ["evaluate", "--count", 100, *draw, "--labels", "3"]]) == 2
    assert "this network knows no labels" in capsys.readouterr().err
    flags = ["export", "--checkpoint", checkpoint, "--out", tmp_path / "m.safetensors", "--data", SAMPLE]
    assert command.main([str(f) for f in flags]) == 1
    assert "cannot be served" in capsys.readouterr().err


def test_an_unknown_recipe_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="level-maps or toy"):
        TrainConfig(recipe="secret")
