"""How many network rows a second an engine can promise, measured by its own ticks when it starts."""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Iterator
from dataclasses import replace

from diffusion_toy.contract.messages import SettingsChange, Start
from inference_server.engine.capacity import BUSY, SHARE
from inference_server.engine.engine import Engine

log = logging.getLogger(__name__)

SIZES = (1, 8, 16, 32)  # sessions at which the engine is timed
TICKS = 6  # at each size


def measure_capacity(engine: Engine) -> None:
    """Measure what an engine can promise; see `measured_ticks`."""
    for _ in measured_ticks(engine):
        pass


def measured_ticks(engine: Engine) -> Iterator[None]:
    """Tick an engine like this one at a few numbers of sessions, then tell its capacity; yield after each.

    It has the same predictor and sessions of its own, so that the engine itself may serve meanwhile. It ends
    with the first number for which a tick takes too long. Where the operator has set the capacity, a single
    session shows that the engine works.
    """
    endless = SettingsChange(num_time_steps=1000)
    capacity = engine.share.capacity
    seconds: dict[int, float] = {}
    busy = False
    for count in SIZES if capacity.source != "given" else (1,):
        if count > engine.config.slots:
            break
        trial = Engine(engine.model, engine.predictor, replace(engine.config, slots=count, capacity=None))
        for seed in range(count):
            trial.join(Start(seed=seed, settings=endless))
        times = []
        for _ in range(TICKS):
            began = time.perf_counter()
            trial.tick()
            times.append(time.perf_counter() - began)
            yield
        seconds[count] = statistics.median(times)
        busy |= seconds[count] > BUSY * min(times)
        if seconds[count] > SHARE / engine.tick_rate_hz:
            break
    capacity.measured(seconds, time.perf_counter())
    if busy:
        log.warning("capacity was measured on a busy machine; it is corrected while the server runs")
    rate = engine.tick_rate_hz
    log.info(
        "model %s: %.0f network rows a second (%s), admits %d sessions at %g steps a second",
        engine.info.name, capacity.rows_per_second, capacity.source, capacity.sessions_at(rate), rate,
    )  # fmt: skip
