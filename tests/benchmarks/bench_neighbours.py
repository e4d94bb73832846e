"""What a viewer notices of neighbours: its frame interval and its steps a second, alone and beside each kind.

In turns on one server with a tiny model. Two kinds are controls: `playing` are as many who
behave, and `burning` only takes a core of the machine, which the others' own process does, too.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.environment import describe
from tests.benchmarks.neighbours import KINDS, NUMBERS
from tests.inference_server.faults import ENDLESS, Looker
from tests.models import write_model
from tests.tools import ServerProcess, running_server

FLAGS = (
    "--threads",
    "1",
    "--capacity",
    "1000000",
    "--max-sessions",
    "128",
    "--grace",
    "0.5",
    "--log-level",
    "error",
)
GRACE_S = 1.5  # until the sessions of the last neighbours are gone
SETTLE_S = 2.0  # until the neighbours' process has started and they are at it
SCRIPT = Path(__file__).with_name("neighbours.py")


@contextlib.contextmanager
def beside(server: ServerProcess, kind: str | None) -> Iterator[None]:
    """Have neighbours of a kind, in a process of their own."""
    if kind is None:
        yield
        return
    command = [sys.executable, str(SCRIPT), server.address, kind, str(NUMBERS[kind])]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield
    finally:
        process.terminate()
        _, said = process.communicate(timeout=20)
    if "Traceback" in said:  # a figure beside neighbours who were not there would say nothing
        raise RuntimeError(f"the neighbours {kind} failed:\n{said}")
    time.sleep(GRACE_S)


class Fared(NamedTuple):
    """How a viewer has fared: the median time between two frames, and its steps a second."""

    interval_ms: float
    steps_hz: float


def fared(server: ServerProcess, kind: str | None, seconds: float) -> Fared:
    """Measure a viewer at 40 frames a second."""
    with beside(server, kind), contextlib.closing(Looker(server.address, ENDLESS)) as viewer:
        time.sleep(SETTLE_S)
        began = time.monotonic()
        time.sleep(seconds)
        ended = time.monotonic()
        return Fared(viewer.interval_ms(began), viewer.steps_between(began, ended) / (ended - began))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=1.5, help="of each measurement")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, help="of neighbours; default: all")
    parser.add_argument("--rounds", type=int, default=5, help="turns; the median counts")
    args = parser.parse_args(argv)
    print(f"{describe()}; median of {args.rounds} turns\n")
    kinds: list[str | None] = [None, *(args.kinds or KINDS)]
    found: dict[str | None, list[Fared]] = {kind: [] for kind in kinds}
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
        name = f"{NUMBERS[kind]} {kind}" if kind else "none"
        relative = f"{interval / alone.interval_ms:.2f} | {steps:.1f} | {steps / alone.steps_hz:.2f}"
        print(f"| {name} | {interval:.1f} | {relative} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
