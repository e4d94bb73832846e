"""`python -m training`, as a user runs it."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from diffusion_toy.model.checkpoint import load_model
from diffusion_toy.predictors.processor import cpu_flags
from tests.models import TINY, write_model
from tests.tools import ROOT, SAMPLE, wait_for
from training import __main__ as command
from training.commands import grid
from training.runs import train

COMMAND = [sys.executable, "-m", "training"]
NO_MODEL = ["--checkpoint", "x.safetensors", "--out", "a.png"]
SAMPLE_FLAGS = ["--data", str(SAMPLE), "--out", "never-made"]


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train a network of no use instead of the real one, for tests that run in this process."""
    monkeypatch.setattr(train, "network_for", lambda *_: TINY)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")


def train_flags(out: Path, *more: object) -> list[str]:
    fixed = ("train", "--data", SAMPLE, "--out", out, "--epochs", 2, "--batch-size", 64)
    return [str(v) for v in (*fixed, *more)]


@pytest.mark.slow
def test_train_then_stop_resume_and_sample(tmp_path: Path) -> None:
    """The real network in real processes: Ctrl-C in the second epoch, the rest, a picture."""
    out = tmp_path / "run"
    fast = {"avx512_bf16", "amx_bf16"} & cpu_flags()  # elsewhere bfloat16 is far slower than float32
    flags = train_flags(out, "--precision", "bfloat16" if fast else "float32")
    with subprocess.Popen([*COMMAND, *flags], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        wait_for((out / "checkpoint.pt").exists, "the first epoch")
        process.send_signal(signal.SIGINT)
        text, _ = process.communicate(timeout=60)
    assert process.returncode == 130, text
    assert "epoch 1/2: loss" in text
    assert "--resume" in text

    picture = tmp_path / "s.png"
    for more in (
        [*flags, "--resume"],
        [
            "sample",
            "--checkpoint",
            out / "model.safetensors",
            "--steps",
            "1",
            "--count",
            "1",
            "--out",
            picture,
        ],
    ):
        done = subprocess.run([*COMMAND, *more], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert not done.stderr  # the progress bar is for terminals
    with Image.open(picture) as image:
        assert image.size == (28, 28)


@pytest.mark.usefixtures("tiny")
def test_training_ends_with_a_model_file_that_says_what_made_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(train_flags(tmp_path / "run", "--seed", 7)) == 0
    said = capsys.readouterr().out
    assert "epoch 1/2: loss" in said
    assert "python -m inference_server --model" in said
    model = load_model(tmp_path / "run" / "model.safetensors")
    training = model.metadata.training
    assert (training["seed"], training["batch_size"], training["epochs"]) == (7, 64, 2)
    assert training["progress"]["steps"] == 16
    assert training["progress"]["epochs"] == 2
    assert training["progress"]["images"] == 1024
    assert training["progress"]["loss"] > 0
    assert training["progress"]["torch"] == torch.__version__
    assert model.metadata.border_value == -1
    assert model.examples is not None
    assert np.bincount(model.examples.labels).tolist() == [5] * 10

    again = tmp_path / "again.safetensors"
    checkpoint = tmp_path / "run" / "checkpoint.pt"
    flags = ["export", "--checkpoint", checkpoint, "--out", again, "--data", SAMPLE]
    assert command.main([str(f) for f in flags]) == 0
    assert again.read_bytes() == (tmp_path / "run" / "model.safetensors").read_bytes()

    assert command.main([*map(str, flags), "--float16"]) == 0
    half = load_model(again)
    assert half.metadata == model.metadata
    for name, weights in model.network.state_dict().items():
        assert half.network.state_dict()[name].dtype == torch.float32
        torch.testing.assert_close(half.network.state_dict()[name], weights, rtol=2**-11, atol=1e-7)
    weights_bytes = 4 * sum(weights.numel() for weights in model.network.state_dict().values())
    saved = (tmp_path / "run" / "model.safetensors").stat().st_size - again.stat().st_size
    assert saved == pytest.approx(weights_bytes / 2, abs=1000)


@pytest.mark.usefixtures("tiny")
def test_a_warm_start_begins_with_the_files_weights_and_says_so(tmp_path: Path, model: Path) -> None:
    flags = [*train_flags(tmp_path / "run", "--epochs", 1), "--warm-start", str(model)]
    assert command.main([*flags, "--learning-rate", "1e-9"]) == 0
    before, after = load_model(model), load_model(tmp_path / "run" / "model.safetensors")
    for name, weights in before.network.state_dict().items():
        torch.testing.assert_close(after.network.state_dict()[name], weights, atol=1e-4, rtol=0)
    assert after.metadata.training["warm_start"] == before.fingerprint


def test_a_warm_start_from_a_missing_file_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = [*train_flags(tmp_path / "run"), "--warm-start", str(tmp_path / "none.safetensors")]
    assert command.main(flags) == 1
    assert "none.safetensors does not exist" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("tiny")
def test_an_interrupted_run_resumes_to_the_same_weights_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(train_flags(tmp_path / "whole")) == 0
    update = torch.optim.AdamW.step
    steps = 0

    def interrupted(self: torch.optim.AdamW) -> None:
        """Ctrl-C in the middle of the fifth step, when only some of the state is changed."""
        nonlocal steps
        update(self)
        steps += 1
        if steps == 5:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", interrupted)
        assert command.main(train_flags(tmp_path / "run")) == 130
    assert "saved at step 5" in capsys.readouterr().out
    assert command.main(train_flags(tmp_path / "run", "--resume")) == 0
    whole, run = (
        torch.load(tmp_path / name / "checkpoint.pt", weights_only=True) for name in ("whole", "run")
    )
    for name, tensor in whole["average"].items():
        assert torch.equal(run["average"][name], tensor)
    assert run["loss"] == whole["loss"]


@pytest.mark.usefixtures("tiny")
def test_a_run_is_neither_overwritten_nor_resumed_by_accident(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert command.main(train_flags(out, "--resume")) == 1
    assert "leave out --resume" in capsys.readouterr().err
    assert not out.exists()
    assert command.main(train_flags(out)) == 0
    capsys.readouterr()
    before = (out / "checkpoint.pt").read_bytes()
    assert command.main(train_flags(out)) == 1
    assert "add --resume" in capsys.readouterr().err
    assert command.main(train_flags(out, "--resume", "--seed", 9)) == 1
    assert "another configuration" in capsys.readouterr().err
    assert (out / "checkpoint.pt").read_bytes() == before


@pytest.mark.parametrize("sampler", [["ddpm"], ["ddim"], ["ddim", "--eta", "0.5"]])
def test_sample_writes_pictures_and_labels(tmp_path: Path, model: Path, sampler: list[str]) -> None:
    flags = ["sample", "--checkpoint", str(model), "--steps", "4", "--count", "12", "--sampler", *sampler]
    assert command.main([*flags, "--labels", "balanced", "--out", str(tmp_path / "s.npz")]) == 0
    with np.load(tmp_path / "s.npz") as content:
        assert content["images"].shape == (12, 28, 28)
        assert content["images"].dtype == np.uint8
        assert content["labels"].tolist() == [*range(10), 0, 1]
        assert content["labels"].dtype == np.int64


def test_labels_may_be_one_class_or_none(tmp_path: Path, model: Path) -> None:
    for choice, expected in (("7", [7, 7, 7]), ("none", [-1, -1, -1])):
        flags = ["sample", "--checkpoint", str(model), "--steps", "1", "--count", "3", "--labels", choice]
        assert command.main([*flags, "--out", str(tmp_path / "s.npz")]) == 0
        with np.load(tmp_path / "s.npz") as content:
            assert content["labels"].tolist() == expected


def test_the_seed_decides_the_pictures(tmp_path: Path, model: Path) -> None:
    def pictures(seed: int) -> bytes:
        out = tmp_path / "s.png"
        flags = ["--checkpoint", model, "--steps", 3, "--count", 12, "--seed", seed, "--out", out]
        assert command.main(["sample", *map(str, flags)]) == 0
        with Image.open(out) as image:
            assert image.size == (280, 56)
            return image.tobytes()

    assert pictures(1) == pictures(1)
    assert pictures(1) != pictures(2)


def test_colour_pictures_keep_their_channels(tmp_path: Path) -> None:
    colour = write_model(tmp_path / "c.safetensors", config=replace(TINY, channels=3))
    flags = ["sample", "--checkpoint", colour, "--steps", 1, "--count", 2, "--out", tmp_path / "s.npz"]
    assert command.main([str(f) for f in flags]) == 0
    with np.load(tmp_path / "s.npz") as content:
        images = content["images"]
        assert images.shape == (2, 3, 28, 28)
    flags[-1] = tmp_path / "s.png"
    assert command.main([str(f) for f in flags]) == 0
    with Image.open(tmp_path / "s.png") as picture:
        assert picture.mode == "RGB"
        assert np.array_equal(picture, np.concatenate(list(images.transpose(0, 2, 3, 1)), axis=1))
    assert len(np.unique(images.transpose(0, 2, 3, 1).reshape(-1, 3).std(1))) > 1  # no grey in three channels


def test_a_grid_has_ten_columns_and_black_where_nothing_is() -> None:
    images = np.arange(1, 13, dtype=np.uint8)[:, None, None, None].repeat(2, 2).repeat(2, 3)
    picture = grid(images)
    assert picture.shape == (4, 20)
    assert picture[0, ::2].tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    assert picture[2, ::2].tolist() == [11, 12] + [0] * 8


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["train", "--epochs", "0"], "--epochs 0 is outside 1 and above"),
        (["train", "--learning-rate", "nan"], "--learning-rate nan is outside"),
        (["train", "--unlabelled-share", "1.5"], "--unlabelled-share 1.5 is outside 0…1"),
        (["train", "--seed", "-1"], "--seed -1 is outside"),
        (["train", "--threads", "-1"], "--threads -1 is outside 0…1024"),
        (["train", *SAMPLE_FLAGS, "--batch-size", "600"], "--batch-size 600 is outside 1…512"),
        (["sample", "--checkpoint", "x.safetensors", "--out", "a.gif"], ".npz and .png"),
        (["sample", *NO_MODEL, "--steps", "301"], "--steps 301 is outside 1…300"),
        (["sample", *NO_MODEL, "--count", "0"], "--count 0 is outside 1…100000"),
        (["sample", *NO_MODEL, "--guidance", "nan"], "--guidance nan is outside 0…8"),
        (["sample", *NO_MODEL, "--sampler", "ddim", "--eta", "2"], "--eta 2 is outside 0…1"),
        (["sample", *NO_MODEL, "--eta", "0.5"], "use --sampler ddim"),
    ],
)  # fmt: skip
def test_values_out_of_range_end_with_status_2_and_one_sentence(
    flags: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(flags) == 2
    captured = capsys.readouterr().err
    assert said in captured
    assert captured.count("\n") == 1


@pytest.mark.parametrize("label", ["10", "-1", "all", "1.0", "²", ""])
def test_a_label_that_is_none_is_refused(
    model: Path, label: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a.png"
    assert command.main(["sample", "--checkpoint", str(model), f"--labels={label}", "--out", str(out)]) == 2
    assert "none, balanced, 0…9" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["sample", *NO_MODEL], "x.safetensors does not exist"),
        (["export", "--checkpoint", "none.pt", "--out", "a.safetensors"], "none.pt does not exist"),
    ],
)
def test_missing_files_end_with_status_1(
    flags: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(flags) == 1
    assert said in capsys.readouterr().err


@pytest.mark.usefixtures("tiny")
def test_a_file_in_the_place_of_a_folder_is_named(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    sample = ["sample", "--checkpoint", str(model), "--steps", "1", "--count", "1"]
    for flags in (
        train_flags(tmp_path / "file" / "run"),
        [*sample, "--out", str(tmp_path / "file" / "s.png")],
    ):
        assert command.main(flags) == 2
        assert str(tmp_path / "file") in capsys.readouterr().err


@pytest.mark.parametrize(
    "flags",
    [
        ["train", "--data", SAMPLE, "--out"],
        ["sample", "--checkpoint", "x.safetensors", "--out"],
        ["export", "--checkpoint", "x.pt", "--out"],
        ["average", "x.safetensors", "y.safetensors", "--out"],
        ["classifier", "--data", SAMPLE, "--out"],
        ["evaluate", "--checkpoint", "x.safetensors", "--json"],
        ["experiments", "--checkpoint", "x.safetensors", "--json"],
    ],
    ids=lambda flags: flags[0],
)
def test_a_place_that_cannot_be_written_to_is_refused_before_any_work(
    flags: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_args: object, **_more: object) -> None:  # as root the tests may write everywhere
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    target = tmp_path / "none" / "deep" / "a.png"
    assert command.main([*map(str, flags), str(target)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {flags[-1]} {tmp_path}")
    assert "cannot be written (Permission denied)" in said
    assert not any(tmp_path.iterdir())


def test_ctrl_c_while_the_packages_load_leaves_no_traceback() -> None:
    program = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background jobs ignore it
        "class Interrupted:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'torch': os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupted())\n"
        "from training.__main__ import main; sys.exit(main(['sample', '--help']))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "stopped\n")


def test_bad_flags_leave_no_traceback() -> None:
    done = subprocess.run([*COMMAND, "train", "--epochs", "0"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "error: --epochs 0 is outside 1 and above\n"


@pytest.mark.parametrize(
    "name", ["train", "distill", "export", "average", "sample", "evaluate", "classifier", "experiments"]
)
def test_every_flag_is_explained(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main([name, "--help"])
    assert ended.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "None" not in text
    assert "SUPPRESS" not in text


@pytest.mark.usefixtures("tiny")
def test_a_run_writes_a_log_for_tensorboard(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert command.main(train_flags(tmp_path / "run", "--epochs", 5)) == 0  # 40 steps
    events = EventAccumulator(str(tmp_path / "run"))
    events.Reload()
    assert {"loss", "smoothed_loss", "learning_rate", "images_per_second"} <= set(events.Tags()["scalars"])
    assert [event.step for event in events.Scalars("loss")] == [20, 40]
    assert set(events.Tags()["images"]) == {"unlabelled", "labelled"}
    assert [event.step for event in events.Images("labelled")][-1] == 40
