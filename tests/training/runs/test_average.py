"""The mean of several models, by `python -m training average`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from diffusion_toy.model.checkpoint import load_model, save_model
from diffusion_toy.model.unet import UNetConfig
from tests.models import TINY, random_network, write_model
from tests.tools import SAMPLE
from training import __main__ as command
from training.data.named import load_splits
from training.runs.calibration import rounded_calibration


def model_file(path: Path, seed: int, config: UNetConfig = TINY, dataset: str = "mnist") -> Path:
    """A model of random weights that says it was trained on `dataset`."""
    like = load_model(write_model(path, config=config))
    metadata = replace(like.metadata, dataset=dataset, training={"seed": seed})
    save_model(path, random_network(config, seed).state_dict(), metadata, like.examples)
    return path


def average(*files: Path, out: Path, more: tuple[str, ...] = ()) -> int:
    return command.main(["average", *map(str, files), "--out", str(out), "--data", str(SAMPLE), *more])


def test_each_weight_is_the_mean_of_its_sources_which_the_file_names(tmp_path: Path) -> None:
    files = [model_file(tmp_path / f"{seed}.safetensors", seed) for seed in (1, 2, 3)]
    assert average(*files, out=tmp_path / "new" / "mean.safetensors") == 0
    mean, sources = load_model(tmp_path / "new" / "mean.safetensors"), [load_model(f) for f in files]
    for name, weights in mean.network.state_dict().items():
        expected = sum(s.network.state_dict()[name].double() for s in sources) / 3
        torch.testing.assert_close(weights.double(), expected, rtol=1e-6, atol=1e-7)
    assert mean.metadata.training["average_of"] == {
        source.fingerprint: {"seed": seed} for seed, source in zip((1, 2, 3), sources, strict=True)
    }
    assert mean.metadata.scores == {}  # those of a source would not be its own
    assert mean.examples is not None
    pictures = load_splits("mnist", SAMPLE).test.images
    calibration = rounded_calibration(mean.network, pictures, TINY.num_classes)
    assert mean.metadata.residual_calibration == calibration


def test_half_precision_takes_half_the_room(tmp_path: Path) -> None:
    files = [model_file(tmp_path / f"{seed}.safetensors", seed) for seed in (1, 2)]
    for name, more in (("full", ()), ("half", ("--float16",))):
        assert average(*files, out=tmp_path / name, more=more) == 0
    full, half = load_model(tmp_path / "full"), load_model(tmp_path / "half")
    for name, weights in full.network.state_dict().items():
        torch.testing.assert_close(half.network.state_dict()[name], weights, rtol=2**-11, atol=1e-7)
    saved = (tmp_path / "full").stat().st_size - (tmp_path / "half").stat().st_size
    count = sum(weights.numel() for weights in full.network.state_dict().values())
    assert saved == pytest.approx(2 * count, abs=1000)  # of four bytes each


def test_what_has_no_mean_is_refused_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = model_file(tmp_path / "one.safetensors", 1)
    wider = model_file(tmp_path / "wider.safetensors", 2, replace(TINY, mid_width=16))
    other = model_file(tmp_path / "other.safetensors", 3, dataset="kmnist")
    out = tmp_path / "mean.safetensors"
    for files, status, words in (
        ([one], 2, "is outside two and more files, each another model"),
        ([one, one], 2, "is outside two and more files, each another model"),
        ([one, wider], 2, f"{wider} is outside models of the network, data set and classes of {one}"),
        ([one, other], 2, f"{other} is outside models of the network, data set and classes of {one}"),
        ([one, tmp_path / "none.safetensors"], 1, "none.safetensors does not exist"),
    ):
        assert average(*files, out=out) == status
        assert words in capsys.readouterr().err
        assert not out.exists()
