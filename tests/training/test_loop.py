"""The loop learns, and continues exactly where it was stopped."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from diffusion_toy.errors import CheckpointError, InvalidValueError
from tests.models import TINY
from tests.tools import SAMPLE
from training.config import TrainConfig
from training.data import ImageSet, load_dataset
from training.loop import Trainer, learning_rate_factor, read_checkpoint

CPU = torch.device("cpu")


def config(**changes: object) -> TrainConfig:
    values = {
        "epochs": 2,
        "batch_size": 64,
        "warmup_steps": 4,
        "learning_rate": 5e-3,
        "model": TINY,
        **changes,
    }
    return TrainConfig(**values)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def data() -> ImageSet:
    return load_dataset("mnist", SAMPLE)


def test_a_tiny_network_learns_on_real_digits(data: ImageSet) -> None:
    losses = [report.loss for report in Trainer(config(epochs=8), data, CPU).run()]
    assert len(losses) == 64
    assert sum(losses[-8:]) < 0.75 * sum(losses[:8])


def test_a_resumed_run_is_the_uninterrupted_run(data: ImageSet, tmp_path: Path) -> None:
    whole = Trainer(config(), data, CPU)
    list(whole.run())
    first = Trainer(config(), data, CPU)
    for report in first.run():
        if report.step == 5:  # within an epoch
            break
    first.save(tmp_path / "c.pt")
    second = Trainer(config(), data, CPU)
    second.load(tmp_path / "c.pt")
    list(second.run())
    assert second.smoothed_loss == whole.smoothed_loss
    for ours, theirs in zip(
        second.averaged_weights().values(), whole.averaged_weights().values(), strict=True
    ):
        assert torch.equal(ours, theirs)


def test_another_configuration_does_not_resume(data: ImageSet, tmp_path: Path) -> None:
    Trainer(config(), data, CPU).save(tmp_path / "c.pt")
    with pytest.raises(CheckpointError, match="another configuration"):
        Trainer(config(seed=1), data, CPU).load(tmp_path / "c.pt")


@pytest.mark.parametrize("content", [b"", b"nonsense" * 100])
def test_a_damaged_checkpoint_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "c.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match="damaged"):
        read_checkpoint(tmp_path / "c.pt")


def test_learning_rate_warms_up_and_ends_at_zero() -> None:
    factors = [learning_rate_factor(step, 10, 100) for step in range(101)]
    assert factors[0] == pytest.approx(0.1)
    assert max(factors) == factors[9] == pytest.approx(1.0)
    assert factors[100] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0),
        ("batch_size", 0),
        ("map_share", 1.5),
        ("learning_rate", 0.0),
        ("seed", -1),
        ("precision", "int8"),
    ],
)
def test_a_setting_out_of_range_is_named(field: str, value: object) -> None:
    with pytest.raises(InvalidValueError, match=field):
        config(**{field: value})


def test_a_batch_larger_than_the_data_is_refused(data: ImageSet) -> None:
    with pytest.raises(InvalidValueError, match="1…512"):
        Trainer(config(batch_size=513), data, CPU)
