"""What a program says where a package is missing, in an interpreter that has none."""

from __future__ import annotations

import subprocess
import sys

import pytest

from diffusion_toy.console import packages_of
from tests.tools import ROOT

EXTRAS = {
    "viewer_client": "viewer",
    "viewer_client.play": "viewer",
    "inference_server": "server",
    "inference_server.ops.healthcheck": "server",
    "training": "train",
}


@pytest.mark.parametrize("program", EXTRAS)
def test_a_program_without_its_packages_says_in_one_sentence_how_to_install_them(program: str) -> None:
    bare = [sys.executable, "-S", "-m", program]  # -S: nothing that was installed is found
    done = subprocess.run([*bare, "--help"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    (said,) = done.stderr.splitlines()
    assert said.endswith(f' is not installed; run: pip install "diffusion-toy[{EXTRAS[program]}]"')


def test_a_module_of_our_own_that_is_missing_is_a_fault_and_not_an_installation() -> None:
    with pytest.raises(ModuleNotFoundError), packages_of("viewer"):
        raise ModuleNotFoundError(name="viewer_client.gone")
