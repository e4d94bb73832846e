"""The engines' thread: time, and the way in and out.

Calls come in through a queue and are made between two ticks; results go out through a callback.
The thread is not a daemon (a torch thread that is still one at exit aborts the interpreter), so
whoever starts it must `stop` it.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TypeVar

from inference_server.engine import Engine, TickResult

log = logging.getLogger(__name__)
R = TypeVar("R")


class EngineThread:
    """Ticks some engines in turn, `tick_rate_hz` times a second.

    Args:
        engines: all with the same tick rate.
        publish: called in this thread with each tick's result; must not block.
        failed: called in this thread, at most once, if a tick raises; the thread then ends.
    """

    def __init__(
        self,
        engines: Sequence[Engine],
        publish: Callable[[TickResult], None],
        failed: Callable[[BaseException], object],
    ) -> None:
        self._engines = list(engines)
        self._publish, self._failed = publish, failed
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="engine")

    def start(self) -> None:
        """Begin to tick."""
        self._thread.start()

    def stop(self) -> None:
        """End after the present tick, and wait for it."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def call(self, function: Callable[[], R]) -> Future[R]:
        """Run `function` between two ticks; its result or exception is the future's."""
        future: Future[R] = Future()

        def run() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(function())
                except Exception as error:
                    future.set_exception(error)

        self.post(run)
        return future

    def post(self, function: Callable[[], None]) -> None:
        """Run `function` between two ticks, without an answer; it must not raise."""
        self._calls.put(function)
        self._wake.set()

    def _run(self) -> None:
        period = 1 / self._engines[0].tick_rate_hz
        deadline = time.perf_counter()
        try:
            while not self._stopping.is_set():
                self._wake.clear()
                self._make_calls()
                if all(engine.idle for engine in self._engines):
                    self._wake.wait()
                    deadline = time.perf_counter()
                    continue
                for engine in self._engines:
                    began = time.perf_counter()
                    result = engine.tick()
                    if result.frames is not None:
                        result.frames.server_ms[0] = (time.perf_counter() - began) * 1000
                    if result.frames is not None or result.events:
                        self._publish(result)
                # An overrun slows everybody equally; ticks that were missed are not made up for.
                deadline = max(deadline + period, time.perf_counter())
                time.sleep(max(0.0, deadline - time.perf_counter()))
        except BaseException as error:
            log.exception("the engine failed")
            self._failed(error)

    def _make_calls(self) -> None:
        while True:
            try:
                function = self._calls.get_nowait()
            except queue.Empty:
                return
            function()
