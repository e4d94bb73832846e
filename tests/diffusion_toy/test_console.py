"""A file name that is no text does not end a program."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

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
    ],
    ids=["any program", "the viewer"],
)
def test_any_file_name_is_printed(program: str, said: str) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8:strict", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, said), done.stderr
