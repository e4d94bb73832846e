"""Distillation: the student learns the teacher's velocity; runs resume exactly; bad input is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from diffusion_toy.diffusion.process import q_sample
from diffusion_toy.model.checkpoint import load_model
from diffusion_toy.model.config import SHAPES
from tests.models import TINY, write_model
from tests.tools import SAMPLE
from tests.training.runs.small_run import config
from training import commands as command
from training.data.images import ImageSet
from training.objectives.autoguidance import Autoguidance
from training.objectives.config import TrainConfig
from training.runs.distill import TaughtBatches, distillation_loss
from training.runs.loop import Trainer
from training.runs.teacher import Teacher

CPU = torch.device("cpu")


class CountingTeacher(Teacher):
    """Counts the pictures it is shown; its velocity is the negative of them."""

    def __init__(self, beside: bool = False) -> None:
        self.works_beside, self.shown = beside, 0

    def __call__(self, x: torch.Tensor, *_told: torch.Tensor) -> torch.Tensor:
        self.shown += len(x)
        return -x


def distiller(settings: TrainConfig, data: ImageSet, teacher: Teacher) -> Trainer:
    return Trainer(settings, data, CPU, batches=TaughtBatches(settings, data, teacher))


def test_the_loss_counts_noisy_pixels_alone() -> None:
    x0, eps = torch.zeros(1, 1, 4, 4), torch.ones(1, 1, 4, 4)
    u = torch.zeros(1, 4, 4)
    u[0, 0, 0] = 0.5
    loss = distillation_loss(lambda x, *_: x * 0 + 2, x0, u, eps, torch.tensor([0]), torch.ones_like(x0))
    assert float(loss) == pytest.approx(1)


def test_a_student_comes_nearer_to_its_teacher(data: ImageSet) -> None:
    losses = [r.loss for r in distiller(config(epochs=4), data, CountingTeacher()).run()]
    assert sum(losses[-8:]) < 0.8 * sum(losses[:8])


@torch.no_grad()
@pytest.mark.parametrize("beside", [False, True])
def test_the_teacher_guides_rows_that_have_a_weight(
    data: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, beside: bool
) -> None:
    if beside:
        pytest.importorskip("openvino")
    else:
        monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    network, weak = digits(tmp_path / "a.safetensors"), digits(tmp_path / "b.safetensors", seed=1)
    model, weak_model = load_model(network), load_model(weak)
    teacher = Teacher(model, weak_model, Autoguidance(1.0, 0.5), CPU, "float32", label_weight=3.0)
    assert teacher.works_beside == beside
    x0, u, eps, labels = TaughtBatches(config(), data, teacher).batch(0)[:4]
    x = q_sample(x0, u[:, None], eps)
    v, v_weak = model.network(x, u, labels), weak_model.network(x, u, labels)
    v_null = model.network(x, u, torch.full_like(labels, 10))
    unlabelled = (labels == 10)[:, None, None, None]
    expected = v + torch.where(unlabelled, v - v_weak, 0.5 * (v - v_weak) + 2 * (v - v_null))
    torch.testing.assert_close(teacher(x, u, labels, labels), expected, atol=2e-3, rtol=1e-3)
    known = torch.arange(len(x)) % 10
    v_known = model.network(x, u, known)
    expected = torch.where(unlabelled, v_known + v - v_weak, expected)
    torch.testing.assert_close(
        teacher(x, u, labels, torch.where(labels == 10, known, labels)), expected, atol=2e-3, rtol=1e-3
    )
    assert (v - v_weak).abs().max() > 0.1
    assert (v - v_known).abs().max() > 0.01
    assert (v - v_null).abs().max() > 0.01


@pytest.mark.parametrize("beside", [False, True])
def test_epochs_share_what_the_teacher_said(data: ImageSet, beside: bool) -> None:
    teacher = CountingTeacher(beside)
    taught = TaughtBatches(config(epochs=5, repeats=2), data, teacher)
    per_epoch = taught.per_epoch
    batches = list(taught.of_steps(range(5 * per_epoch)))
    assert len(batches) == 5 * per_epoch
    assert teacher.shown == 3 * per_epoch * 64
    first, again, fresh = batches[0], batches[per_epoch], batches[2 * per_epoch]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[2], fresh[2])


@pytest.mark.parametrize("knows", [False, True])
def test_the_teacher_knows_labels_that_the_student_is_not_told(data: ImageSet, knows: bool) -> None:
    known = []

    class Listening(CountingTeacher):
        def __call__(self, x: torch.Tensor, *told: torch.Tensor) -> torch.Tensor:
            known.append(told[-1])
            return super().__call__(x)

    taught = TaughtBatches(config(teacher_knows_labels=knows), data, Listening())
    labels = taught.batch(0)[3]
    hidden = labels == 10
    assert hidden.any()
    assert not hidden.all()
    assert torch.equal(known[0][~hidden], labels[~hidden])
    assert bool((known[0] == 10).any()) == (not knows)


def test_a_resumed_distillation_is_the_uninterrupted_one(data: ImageSet, tmp_path: Path) -> None:
    changes = {"epochs": 3, "repeats": 2}
    whole = distiller(config(**changes), data, CountingTeacher(True))
    list(whole.run())
    first = distiller(config(**changes), data, CountingTeacher(True))
    for report in first.run():
        if report.step == first.steps_per_epoch + 3:  # within an epoch that repeats another
            break
    first.save(tmp_path / "c.pt")
    second = distiller(config(**changes), data, CountingTeacher())
    second.load(tmp_path / "c.pt")
    list(second.run())
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(tensor, second.network.state_dict()[name]), name


@pytest.fixture
def teacher_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A teacher of digits, for runs whose student is tiny."""
    monkeypatch.setitem(SHAPES, "fast", {"base_width": 8, "mid_width": 8, "blocks": 1, "embedding_width": 8})  # type: ignore[index]
    return digits(tmp_path / "teacher.safetensors")


def digits(path: Path, seed: int = 0, **changes: Any) -> Path:
    return write_model(path, config=replace(TINY, **changes), dataset="mnist", seed=seed)


def flags(teacher: Path, out: Path, *more: object) -> list[str]:
    fixed = ["--data", SAMPLE, "--epochs", 1, "--batch-size", 256, "--threads", 1, "--out", out]
    return [str(v) for v in ("distill", "--teacher", teacher, *fixed, *more)]


def test_distill_writes_a_model_that_names_its_teacher(teacher_file: Path, tmp_path: Path) -> None:
    weak = digits(tmp_path / "weak.safetensors")
    out = tmp_path / "run"
    assert (
        command.main(
            flags(
                teacher_file,
                out,
                "--weak",
                weak,
                "--autoguidance",
                2,
                "--interval",
                0.1,
                0.9,
                "--guidance",
                1.5,
            )
        )
        == 0
    )
    model = load_model(out / "model.safetensors")
    training = model.metadata.training
    assert training["teacher"] == load_model(teacher_file).fingerprint
    assert training["weak"] == load_model(weak).fingerprint
    assert (training["autoguidance"], training["interval_low"], training["interval_high"]) == (2, 0.1, 0.9)
    assert training["guidance"] == 1.5
    assert command.main(flags(teacher_file, out)) == 1  # a run is there already


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--autoguidance", "9"], "--autoguidance"),
        (
            ["--autoguidance", "1"],
            "--autoguidance 1.0 is outside what is possible without a weak model; add --weak",
        ),
        (["--labelled-autoguidance", "0"], "--labelled-autoguidance 0.0 is outside what is possible without"),
        (["--interval", "0.3", "1"], "--interval 0.3 1.0 is outside what is possible without a weak model"),
        (["--guidance", "-1"], "--guidance -1 is outside 0…8"),
        (["--interval", "0.8", "0.2"], "--interval 0.2 is outside 0.8…1"),
        (["--repeats", "0"], "--repeats 0 is outside 1 and above"),
        (["--interval", "0", "1.5"], "--interval 1.5 is outside 0…1"),
        (["--warm-start", "SMALLER"], "error: --warm-start a model with (1, 20, 28) is outside pictures"),
        (["--weak", "WIDER"], "--weak"),
        (["--weak", "missing.safetensors"], "does not exist"),
    ],
)
def test_what_cannot_be_is_refused(
    teacher_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], said: str
) -> None:
    wider = str(digits(tmp_path / "wider.safetensors", width=32))
    smaller = str(digits(tmp_path / "smaller.safetensors", height=20))
    more = [{"WIDER": wider, "SMALLER": smaller}.get(flag, flag) for flag in more]
    assert command.main(flags(teacher_file, tmp_path / "run", *more)) != 0
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_an_unknown_shape_is_refused(teacher_file: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        command.main(flags(teacher_file, tmp_path / "run", "--shape", "round"))
