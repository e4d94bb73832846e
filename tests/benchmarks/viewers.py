"""Viewers in a process of their own, as a load that comes from elsewhere would be."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.tools import ROOT
from viewer_client.load.report import Quantiles, Report
from viewer_client.load.scripted_input import Mouse


def viewed(address: str, viewers: int, seconds: float, mouse: Mouse = Mouse.REALISTIC) -> Report:
    """What `python -m viewer_client --headless --viewers` saw of a server.

    Raises:
        RuntimeError: some viewer got no picture.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.json"
        command = [sys.executable, "-m", "viewer_client", "--server", address, "--headless"]
        command += ["--viewers", str(viewers), "--seconds", str(seconds)]
        command += ["--mouse", mouse.value, "--json", str(path)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if done.returncode or not path.exists():
            raise RuntimeError(f"the load generator failed: {done.stderr.strip()}")
        report = report_of_json(path.read_text())
    if report.viewers_with_frames < viewers:
        raise RuntimeError(
            f"{report.viewers_with_frames} of {viewers} viewers got pictures: {report.last_failure}"
        )
    return report


def report_of_json(text: str) -> Report:
    """The reverse of `Report.to_json`."""
    known: dict[str, Any] = json.loads(text)
    for name in ("frame_interval_ms", "command_to_frame_ms"):
        if known[name] is not None:
            known[name] = Quantiles(**known[name])
    return Report(**known)


def steps_in_all(report: Report) -> float:
    """Steps a second of all viewers together, rests counted: each step is a frame, sent or dropped."""
    return (report.frames + report.dropped) / report.seconds


def p50_p99(quantiles: Quantiles | None) -> str:
    """For a cell of a table, milliseconds."""
    return "–" if quantiles is None else f"{quantiles.p50:.1f} / {quantiles.p99:.1f}"
