"""What a viewer notices of neighbours who read slowly, flood, or say nothing.

Its frame interval alone and beside three of each, in turns on one server with a tiny model.
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

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.environment import describe
from tests.client import Client
from tests.inference_server.faults import BAD_NEIGHBOURS, ENDLESS, Looker, Neighbour
from tests.models import write_model
from tests.tools import ServerProcess, running_server

FLAGS = ("--threads", "1", "--capacity", "1000000", "--log-level", "warning")
NEIGHBOURS = 3
SETTLE_S = 0.3


def interval_ms(server: ServerProcess, neighbour: Neighbour | None, seconds: float) -> float:
    """The median time between two frames of one viewer, at 40 frames a second."""
    with contextlib.ExitStack() as stack:
        viewer = stack.enter_context(contextlib.closing(Looker(server.address, ENDLESS)))
        over, threads = threading.Event(), list[threading.Thread]()
        for _ in range(NEIGHBOURS if neighbour else 0):
            client = stack.enter_context(Client(server.address))
            threads.append(threading.Thread(target=neighbour, args=(client, over)))
        for thread in threads:
            thread.start()
        time.sleep(SETTLE_S)
        began = time.monotonic()
        time.sleep(seconds)
        interval = viewer.interval_ms(began)
        over.set()
        for thread in threads:
            thread.join(20)
    return interval


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=1.5, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=5, help="turns; the median counts")
    args = parser.parse_args(argv)
    print(f"{describe()}; {NEIGHBOURS} neighbours, median of {args.rounds} turns\n")
    kinds: list[Neighbour | None] = [None, *BAD_NEIGHBOURS]
    found: dict[Neighbour | None, list[float]] = {kind: [] for kind in kinds}
    with (
        tempfile.TemporaryDirectory() as folder,
        running_server("--model", str(write_model(Path(folder) / "tiny.safetensors")), *FLAGS) as server,
    ):
        for _ in range(args.rounds):
            for kind in kinds:
                found[kind].append(interval_ms(server, kind, args.seconds))
    alone = statistics.median(found[None])
    print("| neighbours | frame interval, ms | ÷ alone |")
    print("| --- | --- | --- |")
    for kind in kinds:
        interval = statistics.median(found[kind])
        print(f"| {kind.__name__ if kind else 'none'} | {interval:.1f} | {interval / alone:.2f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
