"""The program's main thread as the one place where torch computes.

OpenMP keeps a team of threads for each thread that ever asked for one, and where there are more of
them in all than processors, GNU's makes them sleep at once instead of waiting a moment for their next
turn. The main thread's own team is free in this reckoning. On two cores, the same tick took 34 ms in
any other thread, and 11 ms in the first.
"""

from __future__ import annotations

import queue
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

R = TypeVar("R")

# GNU's OpenMP reads this when torch is imported: how long its threads spin before they sleep. Without a
# limit they starve each other when processors are busy; with a short one they sleep within a tick.
SPIN_VARIABLE, SPIN_COUNT = "GOMP_SPINCOUNT", "20000"


def promised(function: Callable[[], R]) -> tuple[Future[R], Callable[[], None]]:
    """Return a future, and what to call so that it gets the function's result or exception."""
    future: Future[R] = Future()

    def run() -> None:
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(function())
            except BaseException as error:
                future.set_exception(error)

    return future, run


class MainThread:
    """Runs functions that other threads bring, one after another, in the thread that calls `run`."""

    def __init__(self) -> None:
        """Begin without work."""
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()

    def submit(self, function: Callable[[], R]) -> Future[R]:
        """Have `function` run, and return a future with its result or exception."""
        future, run = promised(function)
        self._work.put(run)
        return future

    def stop(self) -> None:
        """Make `run` return once it has done what came before."""
        self._work.put(None)

    def run(self) -> None:
        """Run what is brought, until `stop`."""
        while (work := self._work.get()) is not None:
            work()
