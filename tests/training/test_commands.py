"""`python -m training`, as a user runs it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffusion_toy.checkpoint import load_model
from tests.tools import ROOT, SAMPLE, SHIPPED_MODEL, wait_for

COMMAND = [sys.executable, "-m", "training"]


def run(*flags: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *map(str, flags)], cwd=ROOT, capture_output=True, text=True)


@pytest.mark.slow
def test_train_then_stop_resume_and_sample(tmp_path: Path) -> None:
    out = tmp_path / "run"
    flags = ["train", "--data", SAMPLE, "--out", out, "--epochs", 2, "--batch-size", 64]
    process = subprocess.Popen([*COMMAND, *map(str, flags)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    wait_for((out / "checkpoint.pt").exists, 120, "the first epoch")
    process.send_signal(signal.SIGINT)
    text, _ = process.communicate(timeout=60)
    assert process.returncode == 130, text
    assert "--resume" in text

    refused = run(*flags)
    assert refused.returncode == 1
    assert "--resume" in refused.stderr
    resumed = run(*flags, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert "continuing at step" in resumed.stdout
    model = load_model(out / "model.safetensors")
    assert model.metadata.training["progress"]["epochs"] == 2
    assert model.examples is not None
    assert len(model.examples.labels) == 50


def test_sample_writes_pictures_and_labels(tmp_path: Path) -> None:
    flags = ["sample", "--model", SHIPPED_MODEL, "--steps", 4, "--sampler", "ddim", "--count", 12]
    assert run(*flags, "--labels", "balanced", "--out", tmp_path / "s.npz").returncode == 0
    with np.load(tmp_path / "s.npz") as content:
        assert content["images"].shape == (12, 28, 28)
        assert content["images"].dtype == np.uint8
        assert content["labels"].tolist() == [*range(10), 0, 1]
    assert run(*flags, "--out", tmp_path / "s.png").returncode == 0
    with Image.open(tmp_path / "s.png") as image:
        assert image.size == (280, 56)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["train", "--epochs", "0"], "epochs 0 is outside 1"),
        (["train", "--learning-rate", "nan"], "learning_rate nan"),
        (["sample", "--model", "x.safetensors", "--out", "a.gif"], ".npz and .png"),
        (
            ["sample", "--model", "x.safetensors", "--out", "a.png", "--steps", "301"],
            "--steps 301 is outside 1…300",
        ),
        (["sample", "--model", "x.safetensors", "--out", "a.png"], "does not exist"),
        (["export", "--checkpoint", "none.pt", "--out", "a.safetensors"], "none.pt does not exist"),
    ],
)
def test_bad_flags_end_with_one_sentence(flags: list[str], said: str) -> None:
    done = run(*flags)
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
