"""What a viewer notices of neighbours who read slowly, flood, say nothing, or step while they are paused.

Its frame interval and its steps a second alone and beside some of each, in turns on one server with a tiny
model.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from diffusion_toy.contract import messages as m
from tests.benchmarks.environment import describe
from tests.client import Client
from tests.inference_server.faults import BAD_NEIGHBOURS, ENDLESS, Looker, Neighbour
from tests.models import write_model
from tests.tools import ServerProcess, running_server

FLAGS = ("--threads", "1", "--capacity", "1000000", "--log-level", "warning")
NEIGHBOURS = 3
STEPPERS = 20
STEP_PERIOD_S = 1 / 60
SETTLE_S = 0.3
PAUSED = m.Start(
    motion=m.Motion.PAUSED, settings=m.SettingsChange(num_time_steps=1000, steps_per_second=0.001)
)


def stepping(client: Client, over: threading.Event) -> None:
    """Is paused, at a speed that asks for nothing, and sends `Step` and empty `Configure`s all the time."""
    client.start(PAUSED)
    while not over.wait(2 * STEP_PERIOD_S):
        client.send(m.Step())
        client.send(m.Configure(m.SettingsChange()))


class Fared(NamedTuple):
    """How a viewer has fared: the median time between two frames, and its steps a second."""

    interval_ms: float
    steps_hz: float


def fared(server: ServerProcess, neighbour: Neighbour | None, seconds: float) -> Fared:
    """Measure a viewer at 40 frames a second."""
    with contextlib.ExitStack() as stack:
        viewer = stack.enter_context(contextlib.closing(Looker(server.address, ENDLESS)))
        over, threads = threading.Event(), list[threading.Thread]()
        for _ in range(number(neighbour)):
            client = stack.enter_context(Client(server.address))
            threads.append(threading.Thread(target=neighbour, args=(client, over)))
        for thread in threads:
            thread.start()
        time.sleep(SETTLE_S)
        began = time.monotonic()
        time.sleep(seconds)
        ended = time.monotonic()
        found = Fared(viewer.interval_ms(began), viewer.steps_between(began, ended) / (ended - began))
        over.set()
        for thread in threads:
            thread.join(20)
    return found


def number(neighbour: Neighbour | None) -> int:
    """Return how many there are of a kind."""
    if neighbour is None:
        return 0
    return STEPPERS if neighbour is stepping else NEIGHBOURS


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=1.5, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=5, help="turns; the median counts")
    args = parser.parse_args(argv)
    print(f"{describe()}; median of {args.rounds} turns\n")
    kinds: list[Neighbour | None] = [None, *BAD_NEIGHBOURS, stepping]
    found: dict[Neighbour | None, list[Fared]] = {kind: [] for kind in kinds}
    with (
        tempfile.TemporaryDirectory() as folder,
        running_server("--model", str(write_model(Path(folder) / "tiny.safetensors")), *FLAGS) as server,
    ):
        for _ in range(args.rounds):
            for kind in kinds:
                found[kind].append(fared(server, kind, args.seconds))
    medians = {kind: Fared(*map(statistics.median, zip(*runs, strict=True))) for kind, runs in found.items()}
    alone = medians[None]
    print("| neighbours | frame interval, ms | ÷ alone | steps/s | ÷ alone |")
    print("| --- | --- | --- | --- | --- |")
    for kind, (interval, steps) in medians.items():
        name = f"{number(kind)} {kind.__name__}" if kind else "none"
        relative = f"{interval / alone.interval_ms:.2f} | {steps:.1f} | {steps / alone.steps_hz:.2f}"
        print(f"| {name} | {interval:.1f} | {relative} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
