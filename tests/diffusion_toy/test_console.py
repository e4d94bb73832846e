"""What a program prints: any file name, and where a package is missing, how to install it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from diffusion_toy.console import packages_of
from tests.tools import ROOT

NAME = r"'caf\udce9.gif'"


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (
            "from diffusion_toy.console import escape_what_cannot_be_shown as escape\n"
            f"escape(); print('saved', {NAME})",
            r"saved caf\udce9.gif",
        ),
        (
            "import viewer_client.cli as cli\n"
            f"cli.run = lambda flags: print('recorded', {NAME})\n"
            "raise SystemExit(cli.main(['--list-models']))",
            r"recorded caf\udce9.gif",
        ),
        (
            "import inference_server.server as server\n"
            "from inference_server.__main__ import main\n"
            f"server.serve = lambda options, announce, terminal: announce(['serving', {NAME}])\n"
            "raise SystemExit(main([]))",
            "serving\ncaf\\udce9.gif",
        ),
    ],
    ids=["any program", "the viewer", "the server"],
)
def test_any_file_name_is_printed(program: str, said: str) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8:strict", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, said), done.stderr


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


PACKAGES = ("torch", "torchvision", "PIL", "tqdm", "tensorboard", "safetensors")
# One process for all: PyTorch takes seconds to load. What is this project's is loaded anew each time.
WITHOUT_PACKAGES = f"""
import sys
from training.__main__ import main
for package in {PACKAGES}:
    tops = {{name: name.partition(".")[0] for name in sys.modules}}
    hidden = {{name: sys.modules.pop(name) for name, top in tops.items() if top == package}}
    for name, top in tops.items():
        if top in ("diffusion_toy", "training"):
            del sys.modules[name]
    sys.modules[package] = None
    try:
        main(["sample", "--help"])
    except SystemExit as ended:
        print(ended.code)
    del sys.modules[package]
    sys.modules.update(hidden)
"""


def test_any_missing_package_of_training_is_one_sentence() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_PACKAGES], cwd=ROOT, capture_output=True, text=True)
    install = 'is not installed; run: pip install "diffusion-toy[train]"'
    assert done.stderr.splitlines() == [f"error: {package} {install}" for package in PACKAGES]
    assert done.stdout.split() == ["1"] * len(PACKAGES)
