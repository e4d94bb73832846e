"""How many network rows a second an engine can promise, measured by its own ticks when it starts."""

from __future__ import annotations

import logging
import statistics
import time

from diffusion_toy.contract.messages import SettingsChange, Start
from inference_server.engine.capacity import BUSY
from inference_server.engine.engine import Engine

log = logging.getLogger(__name__)

SIZES = (1, 8, 16, 32)  # sessions at which the engine is timed
TICKS = 6  # at each size


def measure_capacity(engine: Engine) -> None:
    """Time the engine's ticks at a few numbers of sessions; no session is left behind.

    Where the operator has set the capacity, a single session shows that the engine works.
    """
    endless = SettingsChange(num_time_steps=1000)
    capacity = engine.share.capacity
    seconds: dict[int, float] = {}
    busy = False
    for count in SIZES if capacity.source != "given" else (1,):
        if count > engine.config.slots:
            break
        sessions = [engine.join(Start(seed=seed, settings=endless)) for seed in range(count)]
        times = []
        for _ in range(TICKS):
            began = time.perf_counter()
            engine.tick()
            times.append(time.perf_counter() - began)
        seconds[count] = statistics.median(times)
        busy |= seconds[count] > BUSY * min(times)
        for session in sessions:
            engine.leave(session)
    engine.tick()
    capacity.measured(seconds, time.perf_counter())
    if busy:
        log.warning("capacity was measured on a busy machine; it is corrected while the server runs")
    rate = engine.tick_rate_hz
    log.info(
        "model %s: %.0f network rows a second (%s), admits %d sessions at %g steps a second",
        engine.info.name, capacity.rows_per_second, capacity.source, capacity.sessions_at(rate), rate,
    )  # fmt: skip
