"""The loop learns, and continues exactly where it was stopped."""

from __future__ import annotations

import itertools
import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from diffusion_toy.errors import CheckpointError, InvalidValueError
from tests.tools import SAMPLE
from tests.training.runs.small_run import config
from training.data.images import ImageSet
from training.data.named import load_dataset
from training.objectives import recipes
from training.objectives.recipes import velocity_loss
from training.runs.batches import Batches
from training.runs.loop import DivergedError, Trainer, learning_rate_factor, read_checkpoint
from training.runs.ranks import Ranks, joined

CPU = torch.device("cpu")


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
    expected = whole.averaged_network().state_dict()
    for name, tensor in second.averaged_network().state_dict().items():
        assert torch.equal(tensor, expected[name])


def test_every_step_and_every_seed_draws_levels_and_noise_of_its_own(
    data: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[torch.Tensor, torch.Tensor]] = []

    def remembering(network: recipes.Network, *rest: torch.Tensor) -> torch.Tensor:
        drawn.append((rest[1], rest[2]))
        return recipes.velocity_loss(network, *rest)

    changed = replace(recipes.RECIPES["level-maps"], loss=remembering)
    monkeypatch.setitem(recipes.RECIPES, "level-maps", changed)
    for seed in (0, 1):
        run = Trainer(config(seed=seed), data, CPU).run()
        next(run), next(run)
    for (u, eps), (other_u, other_eps) in itertools.combinations(drawn, 2):
        assert not torch.equal(u, other_u)
        assert not torch.equal(eps, other_eps)


def test_every_key_has_a_generator_of_its_own_and_the_same_one_always(data: ImageSet) -> None:
    """Seeds of more than 32 bits too: as words in a row, (2^32, 5) would be (0, 1, 5)."""
    keys = [(0,), (1,), (0, 0), (0, 1), (1, 0), (1, 5), (1, 2**32 - 1)]
    first: dict[tuple[int, ...], float] = {}
    for seed in (0, 1, 2**32, 2**32 + 1, 2**63 - 1):
        batches = Batches(config(seed=seed), data)
        for key in keys:
            value, again = (torch.rand((), generator=batches.generator(*key)).item() for _ in range(2))
            assert value == again
            first[seed, *key] = value
    assert len(set(first.values())) == len(first) == 35


def test_another_configuration_does_not_resume(data: ImageSet, tmp_path: Path) -> None:
    Trainer(config(), data, CPU).save(tmp_path / "c.pt")
    with pytest.raises(CheckpointError, match="another configuration"):
        Trainer(config(seed=1), data, CPU).load(tmp_path / "c.pt")


def test_other_images_do_not_resume(data: ImageSet, tmp_path: Path) -> None:
    Trainer(config(), data, CPU).save(tmp_path / "c.pt")
    fewer = ImageSet(data.images[:256], data.labels[:256])
    with pytest.raises(CheckpointError, match="8 steps an epoch"):
        Trainer(config(), fewer, CPU).load(tmp_path / "c.pt")


def test_as_many_other_images_or_labels_do_not_resume(data: ImageSet, tmp_path: Path) -> None:
    Trainer(config(), data, CPU).save(tmp_path / "c.pt")
    pixels, swapped = data.images.clone(), data.labels.clone()
    pixels[300, 0, 14, 14] ^= 1
    swapped[:2] = swapped[:2].flip(0)
    assert swapped[0] != swapped[1]
    for other in (ImageSet(pixels, data.labels), ImageSet(data.images, swapped)):
        with pytest.raises(CheckpointError, match="other images than --data holds now"):
            Trainer(config(), other, CPU).load(tmp_path / "c.pt")


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (("ant", "cow", "zebra"), r"the class cow in the place of bee \(label 1\)"),
        (("cow", "bee", "ant"), r"the class cow in the place of ant \(label 0\)"),
        (("ant", "bee", "cow", "dog"), "4 classes instead of 3"),
    ],
)
def test_other_class_names_do_not_resume(
    data: ImageSet, tmp_path: Path, now: tuple[str, ...], said: str
) -> None:
    Trainer(config(), data, CPU, label_names=("ant", "bee", "cow")).save(tmp_path / "c.pt")
    with pytest.raises(CheckpointError, match=said):
        Trainer(config(), data, CPU, label_names=now).load(tmp_path / "c.pt")
    Trainer(config(), data, CPU, label_names=("ant", "bee", "cow")).load(tmp_path / "c.pt")


def test_a_run_that_did_not_record_its_loss_resumes(data: ImageSet, tmp_path: Path) -> None:
    trainer = Trainer(config(), data, CPU)
    next(trainer.run())
    trainer.save(tmp_path / "c.pt")
    state = torch.load(tmp_path / "c.pt", weights_only=True)
    for name in ("loss", "steps_per_epoch", "label_names", "data"):
        del state[name]
    torch.save(state, tmp_path / "c.pt")
    resumed = Trainer(config(), data, CPU)
    resumed.load(tmp_path / "c.pt")
    report = next(resumed.run())
    assert report.step == 2
    assert report.smoothed_loss == report.loss


def test_a_loss_that_is_no_number_ends_the_run_before_it_reaches_the_weights(
    data: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    nan = torch.tensor(float("nan"), requires_grad=True)
    changed = replace(recipes.RECIPES["level-maps"], loss=lambda *_: nan)
    monkeypatch.setitem(recipes.RECIPES, "level-maps", changed)
    trainer = Trainer(config(), data, CPU)
    with pytest.raises(DivergedError, match="--learning-rate"):
        next(trainer.run())
    assert trainer.step == 0
    assert all(torch.isfinite(p).all() for p in trainer.network.parameters())


def test_a_checkpoint_that_lacks_a_part_is_refused(tmp_path: Path) -> None:
    torch.save({"version": 1}, tmp_path / "c.pt")
    with pytest.raises(CheckpointError, match="damaged"):
        read_checkpoint(tmp_path / "c.pt")


def test_pixels_without_noise_add_nothing_to_the_loss() -> None:
    x0, eps = torch.zeros(1, 1, 4, 4), torch.randn(1, 1, 4, 4)
    u = torch.zeros(1, 4, 4)
    u[0, 0, 0] = 1.0

    def zero(x: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(x)

    assert velocity_loss(zero, x0, u, eps, torch.tensor([0])) == 0
    eps = torch.ones(1, 1, 4, 4)
    u[0, 0, 0] = 0.5
    loss = velocity_loss(zero, x0, u, eps, torch.tensor([0]))
    assert loss.item() == pytest.approx(0.5)  # v = a·eps, a² = 1/2, over the one noisy pixel


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


def test_a_short_run_reaches_its_peak_rate_too() -> None:
    factors = [learning_rate_factor(step, 250, 48) for step in range(49)]
    assert max(factors) == factors[15] == 1
    assert factors[48] == 0


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


def test_parts_of_a_batch_cover_it_once() -> None:
    for count in (1, 2, 3, 5):
        parts = [Ranks(rank, count).part(64) for rank in range(count)]
        assert [i for part in parts for i in range(64)[part]] == list(range(64))


def test_fewer_images_than_processes_are_refused(data: ImageSet) -> None:
    with pytest.raises(InvalidValueError, match="--batch-size 2 is outside 3 and above"):
        Trainer(config(batch_size=2), data, CPU, ranks=Ranks(0, 3))


def two_processes(rank: int, port: int, folder: str) -> None:
    """One of two: trains its half of every batch, and is asked to stop in the eleventh step."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "RANK": str(rank)}
    torch.set_num_threads(1)
    with joined(CPU) as ranks:
        trainer = Trainer(
            config(), load_dataset("mnist", SAMPLE), CPU, ranks=ranks,
            stop_asked=lambda: rank == 1 and trainer.step == 10,
        )  # fmt: skip
        losses = []
        for report in trainer.run():
            losses.append(report.loss)
            if report.stop:
                break
        torch.save((losses, trainer.averaged_network().state_dict()), f"{folder}/{rank}.pt")


def test_two_processes_follow_the_loss_of_one_and_stop_together(data: ImageSet, tmp_path: Path) -> None:
    alone = Trainer(config(), data, CPU)
    expected = [report.loss for _, report in zip(range(11), alone.run(), strict=False)]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    torch.multiprocessing.spawn(two_processes, (port, str(tmp_path)), nprocs=2)  # type: ignore[no-untyped-call]
    (losses, weights), (other_losses, other_weights) = (
        torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)
    )
    assert losses == pytest.approx(expected, rel=1e-4)
    assert losses == other_losses
    assert all(torch.equal(value, other_weights[name]) for name, value in weights.items())
