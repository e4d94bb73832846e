"""Runs that take seconds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from training.runs import calibration, run_log


@pytest.fixture(autouse=True)
def _few_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the end of an epoch and of a run draw and measure a few pictures: most of a tiny run's time."""
    monkeypatch.setattr(run_log, "PICTURES", 4)
    monkeypatch.setattr(run_log, "PICTURE_SAMPLER", replace(run_log.PICTURE_SAMPLER, steps=2))
    monkeypatch.setattr(calibration, "PICTURES", 8)
