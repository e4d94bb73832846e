"""What is admitted is what the ticks can carry, on a machine whose times are known: no clock is read."""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from diffusion_toy.contract import messages as m
from diffusion_toy.model.checkpoint import LoadedModel, ModelMetadata
from diffusion_toy.model.config import UNetConfig
from inference_server.engine import calibration, capacity
from inference_server.engine.capacity import FRAME_S, SHARE
from inference_server.engine.engine import Engine, EngineConfig
from inference_server.engine.errors import ServerFullError
from tests.in_process import GaussianPredictor

SHAPE = (1, 8, 8)
SLOTS = 64
PERIOD_S = 1 / 60

Seconds = Callable[[int], float]


class TimedPredictor(GaussianPredictor):
    """A predictor whose batches take as long as it is told, on a clock of its own."""

    def __init__(self, seconds: Seconds) -> None:
        super().__init__(SHAPE, 10)
        self._seconds = seconds
        self.now = 0.0

    def __call__(
        self, x: NDArray[np.float32], u: NDArray[np.float32], labels: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        self.now += self._seconds(len(x))
        return super().__call__(x, u, labels)


def measured(seconds: Seconds, monkeypatch: pytest.MonkeyPatch) -> tuple[Engine, TimedPredictor]:
    """Return an engine that has measured itself on such a machine."""
    config = UNetConfig(channels=1, height=8, width=8)
    metadata = ModelMetadata(config, "gaussian", tuple("0123456789"))
    predictor = TimedPredictor(seconds)
    engine = Engine(LoadedModel({}, metadata, None, "timed", "0" * 16), predictor, EngineConfig(SLOTS))
    monkeypatch.setattr(calibration, "time", SimpleNamespace(perf_counter=lambda: predictor.now))
    calibration.measure_capacity(engine)
    return engine, predictor


def admitted(engine: Engine, settings: m.SettingsChange) -> int:
    """Let sessions in until no more fit; return how many did."""
    for count in range(SLOTS + 1):
        try:
            engine.join(m.Start(seed=count, settings=settings))
        except ServerFullError:
            return count
    raise AssertionError("more sessions than slots")


MACHINES: dict[str, Seconds] = {
    "fast": lambda rows: 0.001 + 0.0001 * rows,
    "of a class": lambda rows: 0.002 + 0.0006 * rows,
    "of a table": lambda rows: 0.004 + 0.0014 * rows,
    "best at 32, too slow for it": lambda rows: 0.008 if rows < 8 else 0.020 if rows < 32 else 0.025,
    "slow": lambda rows: 0.030 * rows,
}


@pytest.mark.parametrize("guidance", [1.0, 3.0])
@pytest.mark.parametrize("machine", MACHINES)
def test_who_is_admitted_is_served_at_the_full_rate(
    machine: str, guidance: float, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    seconds = MACHINES[machine]
    with caplog.at_level(logging.INFO):
        engine, predictor = measured(seconds, monkeypatch)
    endless = m.SettingsChange(num_time_steps=1000, label=1, guidance=guidance)
    count = admitted(engine, endless)
    rows = 1 if guidance == 1 else 2
    began, ticks = predictor.now, 20
    for _ in range(ticks):
        assert engine.tick().rows == rows * count
    taken_s = (predictor.now - began) / ticks
    assert count == 1 or taken_s <= SHARE * PERIOD_S + 1e-6
    if guidance == 1:
        assert f"admits {count} sessions" in caplog.text


@pytest.mark.parametrize("machine", ["of a class", "of a table"])
def test_the_promise_is_not_timid_either(machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = MACHINES[machine]
    engine, _ = measured(seconds, monkeypatch)
    count = admitted(engine, m.SettingsChange(num_time_steps=1000))
    assert seconds(count + 1) + (count + 1) * FRAME_S > SHARE * PERIOD_S


def test_a_machine_that_could_do_more_admits_as_many_as_there_are_seats(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(capacity, "FRAME_S", 0.0)  # there are cores enough for the streams
    with caplog.at_level(logging.INFO):
        engine, _ = measured(lambda rows: 1e-6 * rows, monkeypatch)
    assert f"admits {SLOTS} sessions" in caplog.text
    assert admitted(engine, m.SettingsChange()) == SLOTS
