"""Bad days: what a server says when it cannot start, and that it can be stopped while it compiles."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.models import write_model
from tests.tools import ROOT, ServerProcess

HANGS_S = 120.0  # what ends at all ends long before
SERVE = """
import sys
from inference_server.__main__ import main
sys.exit(main(sys.argv[1:]))
"""
COMPILES_SLOWLY = """
import os, signal, time
from diffusion_toy.predictors.openvino import OpenVinoPredictor
compile_it, programs = OpenVinoPredictor.warm_up_size, []
def slowly(self, size):
    programs.append(size)
    if len(programs) == {number}:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(1)
    compile_it(self, size)
OpenVinoPredictor.warm_up_size = slowly
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")


def serve(model: Path, preparation: str, *flags: str) -> subprocess.CompletedProcess[str]:
    """Run the server as it is after some lines of Python, until it ends by itself."""
    command = [sys.executable, "-c", preparation + SERVE, "--port", "0", "--model", str(model), "--no-cache"]
    return subprocess.run([*command, *flags], cwd=ROOT, capture_output=True, text=True, timeout=HANGS_S)


CANNOT_BUILD = """
from diffusion_toy.predictors.openvino import Graph
def fail(self, rows):
    raise RuntimeError("no such layer")
Graph.model = fail
"""
CASES: dict[str, tuple[str, Sequence[str], str]] = {
    "OpenVINO is missing": (
        "import sys; sys.modules['openvino'] = None",
        ["--device", "cpu"],
        'error: openvino is not installed; run: pip install "diffusion-toy[server]"',
    ),
    "torch is missing": (
        "import sys; sys.modules['torch'] = None",
        ["--device", "cuda"],
        'error: torch is not installed; run: pip install "diffusion-toy[gpu]"',
    ),
    "there is no GPU": (
        "import torch; torch.cuda.is_available = lambda: False",
        ["--device", "cuda"],
        "error: --device cuda is outside what this machine has; use --device cpu or auto",
    ),
    "the graph cannot be built": (
        CANNOT_BUILD,
        ["--device", "cpu"],
        "error: OpenVINO cannot run this network here (no such layer); use --predictor eager, which needs "
        "torch",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_missing_is_said_in_one_sentence(model: Path, case: str) -> None:
    preparation, flags, said = CASES[case]
    done = serve(model, preparation, *flags)
    assert done.returncode in (1, 2)
    assert [line for line in done.stderr.splitlines() if line.startswith("error:")] == [said]
    assert "Traceback" not in done.stderr
    assert "serving" not in done.stdout


def test_an_unknown_predictor_is_refused_with_those_that_there_are(model: Path) -> None:
    done = serve(model, "", "--predictor", "tensorflow")
    assert done.returncode == 2
    assert "tensorflow" in done.stderr
    assert "openvino" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [1, 3], ids=["before it serves", "while it serves"])
def test_a_server_that_compiles_can_be_stopped(model: Path, tmp_path: Path, number: int) -> None:
    flags = ["--device", "cpu", "--threads", "1", "--model", str(write_model(tmp_path / "other.safetensors"))]
    done = serve(model, COMPILES_SLOWLY.format(number=number), *flags)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_a_second_model_that_cannot_be_run_ends_the_server_with_its_reason(
    model: Path, tmp_path: Path
) -> None:
    other = write_model(tmp_path / "other.safetensors")
    preparation = """
from diffusion_toy.predictors import openvino
from diffusion_toy.predictors.base import PredictorError
compiling, makers = openvino.OpenVinoPredictor.warm_up_first, []
def first(self):
    makers.append(self)
    if len(makers) > 1:
        raise PredictorError("no such layer")
    compiling(self)
openvino.OpenVinoPredictor.warm_up_first = first
"""
    done = serve(model, preparation, "--device", "cpu", "--threads", "1", "--model", str(other))
    assert done.returncode == 1
    assert "error: no such layer" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_that_cannot_be_written_costs_the_cache_and_no_more(model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    flags = ["--device", "cpu", "--threads", "1", "--cache-dir", str(tmp_path / "file" / "cache")]
    server = ServerProcess("--model", str(model), *flags)
    assert server.stop() == 0
    assert server.says("--cache-dir")
