"""How a server gets ready: its first model before it serves, all else while it does.

The first model has run real steps when the server says that it serves. Its other models, those that come
while it runs, and what makes large batches faster once there are such, are compiled in a thread that gives
way to the sessions, and measured between the ticks of the engines, one tick at a time.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future

from inference_server.engine.calibration import measure_capacity, measured_ticks
from inference_server.engine.engine import Engine
from inference_server.engine.loop import EngineLoop
from inference_server.engine.roster import Roster

NICENESS = 10  # of the thread that compiles
LOOK_S = 0.5  # how often it looks for batches that have become larger
_OVER = object()
_READY: Future[None] = Future()
_READY.set_result(None)


class Preparation:
    """Compiles and measures the engines of a server.

    Args:
        roster: the server's engines.
        failed: called, from another thread, with the error if one of them cannot be run.
    """

    def __init__(self, roster: Roster, failed: Callable[[Exception], object]) -> None:
        """Do nothing yet."""
        self._roster, self._failed = roster, failed
        self._waiting: dict[Engine, Future[None]] = {engine: Future() for engine in roster.serving}
        self._further: queue.SimpleQueue[Engine] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def make_first_ready(self) -> None:
        """Compile and measure the default model, and what can only run in the present, the main thread.

        Raises:
            PredictorError: a network cannot run here.
        """
        for number, engine in enumerate(self._roster.serving):
            if number == 0 or engine.predictor.device is not None:  # which is torch's
                engine.predictor.warm_up_first()
                measure_capacity(engine)
                self._waiting.pop(engine).set_result(None)

    def start(self, engine_loop: EngineLoop) -> None:
        """Go on in the background, while the loop ticks the engines."""
        self._thread = threading.Thread(target=self._run, args=[engine_loop], name="preparation")
        self._thread.start()

    def stop(self) -> None:
        """End once the program that is being compiled is ready; nobody needs to wait any more."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        for future in self._waiting.values():
            if not future.done():
                future.set_result(None)

    def ready(self, engine: Engine) -> Future[None]:
        """Return what is done as soon as sessions of this engine can begin."""
        return self._waiting.get(engine, _READY)

    def prepare(self, engine: Engine) -> Future[None]:
        """Compile and measure a further engine; where that fails, the future has the error, and nothing ends.

        What waits when `stop` is called is done without having been prepared.
        """
        future = self._waiting[engine] = Future()
        self._further.put(engine)
        return future

    def _run(self, engine_loop: EngineLoop) -> None:
        _give_way()
        try:
            for _ in self._work(engine_loop):
                if self._stopping.is_set():
                    return
        except Exception as error:
            self._failed(error)
            for future in list(self._waiting.values()):
                if not future.done():
                    future.set_exception(error)

    def _work(self, engine_loop: EngineLoop) -> Iterator[None]:
        """Do all that is left, and then what the sessions come to need, in parts."""
        for engine in [engine for engine in self._roster.serving if engine in self._waiting]:
            engine.predictor.warm_up_first()
            yield
            yield from _measured(engine, engine_loop)
            self._waiting.pop(engine).set_result(None)
        while True:
            while not self._further.empty():
                yield from self._prepared(self._further.get(), engine_loop)
            for engine in self._roster.all:
                for size in engine.predictor.wanted_sizes:
                    engine.predictor.warm_up_size(size)
                    yield
                    yield from _measured(engine, engine_loop)
            self._stopping.wait(LOOK_S)
            yield

    def _prepared(self, engine: Engine, engine_loop: EngineLoop) -> Iterator[None]:
        try:
            if engine.predictor.device is None:
                engine.predictor.warm_up_first()
            else:  # torch computes in the engines' thread alone, so the sessions wait
                engine_loop.call(engine.predictor.warm_up_first).result()
            yield
            yield from _measured(engine, engine_loop)
        except Exception as error:
            self._waiting.pop(engine).set_exception(error)
        else:
            self._waiting.pop(engine).set_result(None)


def _measured(engine: Engine, engine_loop: EngineLoop) -> Iterator[None]:
    """Measure an engine's capacity, each tick in the engines' thread between two of theirs."""
    ticks = measured_ticks(engine)
    while engine_loop.call(lambda: next(ticks, _OVER)).result() is not _OVER:
        yield


def _give_way() -> None:
    """Let the present thread run when the others have nothing to do, where threads have priorities."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
