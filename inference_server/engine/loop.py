"""The engines' loop: time, and the way in and out.

Calls come in through a queue and are made between two ticks; results go out through a callback. It
belongs into the program's main thread: see `main_thread`.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import TypeVar

from inference_server.engine.engine import Engine
from inference_server.engine.frames import TickResult
from inference_server.engine.main_thread import promised
from inference_server.engine.roster import Roster
from inference_server.ops.monitoring import Metrics

log = logging.getLogger(__name__)
R = TypeVar("R")


class EngineLoop:
    """Ticks a server's engines in turn, `tick_rate_hz` times a second.

    Args:
        roster: the engines, all with the same tick rate; it may change between two ticks.
        publish: called with each tick's result; must not block.
        failed: called, at most once, if a tick raises; the loop then ends.
        metrics: told of every tick.
    """

    def __init__(
        self,
        roster: Roster,
        publish: Callable[[TickResult], None],
        failed: Callable[[BaseException], object],
        metrics: Metrics,
    ) -> None:
        """Begin without a tick; `run` makes them."""
        self._roster = roster
        self._publish, self._failed, self._metrics = publish, failed, metrics
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._over = False

    def stop(self) -> None:
        """Make `run` return after the present tick."""
        self._stopping.set()
        self._wake.set()

    def call(self, function: Callable[[], R]) -> Future[R]:
        """Run `function` between two ticks, and return a future with its result or exception."""
        future, run = promised(function)
        self.post(run)
        return future

    def post(self, function: Callable[[], None]) -> None:
        """Run `function` between two ticks, without an answer; it must not raise."""
        self._calls.put(function)
        self._wake.set()
        if self._over:
            self._make_calls()

    def run(self) -> None:
        """Tick until `stop`, or until a tick raises."""
        period = 1 / self._roster.serving[0].tick_rate_hz
        deadline = time.perf_counter()
        try:
            while not self._stopping.is_set():
                self._wake.clear()
                if not self.run_once():
                    began = time.perf_counter()
                    self._wake.wait()
                    deadline = time.perf_counter()
                    for engine in self._roster.all:
                        engine.skip_ticks(int((deadline - began) / period))
                    continue
                # An overrun slows everybody equally; ticks that were missed are not made up for.
                deadline = max(deadline + period, time.perf_counter())
                time.sleep(max(0.0, deadline - time.perf_counter()))
        except BaseException as error:
            log.exception("the engine failed")
            self._failed(error)
        finally:
            self._over = True
            self._make_calls()  # nobody waits for a loop that has ended

    def run_once(self) -> bool:
        """Make the calls that wait, and tick every engine; return False, without a tick, if all are idle."""
        self._make_calls()
        engines = self._roster.all
        if all(engine.idle for engine in engines):
            return False
        for engine in engines:
            self._tick(engine)
        self._roster.close_retired()
        return True

    def _tick(self, engine: Engine) -> None:
        began = time.perf_counter()
        result = engine.tick()
        duration = time.perf_counter() - began
        if (frames := result.frames) is not None:
            result = replace(result, frames=replace(frames, server_ms=duration * 1000))
            if engine.share.capacity.ticked(result.rows, duration, began):
                log.info(
                    "model %s: %.0f network rows a second are promised now, by what ticks have taken",
                    engine.info.name, engine.share.capacity.rows_per_second,
                )  # fmt: skip
            self._metrics.tick(duration, result.forward_s, result.rows, frames.stepping)
        if result.broken:
            log.error("%d states were not finite and were not taken over", result.broken)
        for kind in result.applied:
            self._metrics.command(kind.__name__.lower(), "applied")
        for kind in result.rejected:
            self._metrics.command(kind.__name__.lower(), "rejected")
        if frames is not None or result.events or result.ended:
            self._publish(result)

    def _make_calls(self) -> None:
        while True:
            try:
                function = self._calls.get_nowait()
            except queue.Empty:
                return
            function()
