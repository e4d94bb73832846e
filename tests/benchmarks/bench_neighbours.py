"""What a viewer keeps of its frames a second beside each kind of neighbour, on a server with a tiny model.

Clients and server share the machine here, so a neighbour takes something of a viewer in two ways: through the
server, and by the processor that its own process uses. Each kind has its control in the same turn: as much
processor time is burnt by processes that ask nothing of the server. `playing` are as many who behave.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
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
from tests.benchmarks.reference import busy_processes, checkout
from tests.inference_server.faults import ENDLESS, Looker
from tests.models import write_model
from tests.tools import ROOT, SHIPPED_MODEL, ServerProcess

ALL_ADMITTED = ("--capacity", "1000000")
FLAGS = ("--threads", "1", "--max-sessions", "128", "--grace", "0.5", "--log-level", "error")
GRACE_S = 1.0  # until the sessions of the last neighbours are gone
SETTLE_S = 2.0  # until the neighbours' process has started and they are at it
SCRIPT = Path(__file__).with_name("neighbours.py")
CLOCK_HZ = os.sysconf("SC_CLK_TCK")


def processor_s(pid: int) -> float:
    """The processor time that a process has used so far, all its threads, seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_HZ


@contextlib.contextmanager
def beside(server: ServerProcess, kind: str | None) -> Iterator[int | None]:
    """Have neighbours of a kind, in a process of their own; yields its id."""
    if kind is None:
        yield None
        return
    command = [sys.executable, str(SCRIPT), server.address, kind, str(NUMBERS[kind])]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process.pid
    finally:
        process.terminate()
        _, said = process.communicate(timeout=20)
    if "Traceback" in said:  # a figure beside neighbours who were not there would say nothing
        raise RuntimeError(f"the neighbours {kind} failed:\n{said}")
    time.sleep(GRACE_S)


class Fared(NamedTuple):
    """How a viewer has fared: its frames and its steps a second, and what others used meanwhile, in cores."""

    frames_hz: float
    steps_hz: float
    neighbours: float
    server: float


def watched(server: ServerProcess, seconds: float, neighbours: int | None = None) -> Fared:
    """Measure a viewer at 40 frames a second; `neighbours` is a process."""

    def used() -> tuple[float, float]:
        return processor_s(neighbours) if neighbours else 0.0, processor_s(server.process.pid)

    with contextlib.closing(Looker(server.address, ENDLESS)) as viewer:
        time.sleep(SETTLE_S)
        began, before = time.monotonic(), used()
        time.sleep(seconds)
        ended, after = time.monotonic(), used()
        took = ended - began
        frames = sum(began <= when <= ended for when, _, _ in list(viewer.seen))
        cores = [(now - then) / took for now, then in zip(after, before, strict=True)]
        return Fared(frames / took, viewer.steps_between(began, ended) / took, *cores)


class Row(NamedTuple):
    """A viewer beside neighbours, and beside processes that burn as much."""

    fared: Fared
    control: Fared


def row_of(server: ServerProcess, kind: str | None, seconds: float) -> Row:
    """Measure a viewer beside neighbours of a kind, then beside their control."""
    with beside(server, kind) as process:
        fared = watched(server, seconds, process)
    if kind is None:
        return Row(fared, fared)
    number = math.ceil(fared.neighbours)
    with busy_processes(number, fared.neighbours / max(number, 1)):
        return Row(fared, watched(server, seconds))


def median(rows: Sequence[Row]) -> Row:
    """Each figure's median over the turns."""
    parts = [[Fared(*map(statistics.median, zip(*part, strict=True)))] for part in zip(*rows, strict=True)]
    return Row(parts[0][0], parts[1][0])


def table(name: str, found: dict[str | None, list[Row]]) -> None:
    """Print what was found on one server."""
    rows = {kind: median(turns) for kind, turns in found.items()}
    alone = rows[None].fared
    print(f"\n{name}: {alone.frames_hz:.1f} frames/s alone\n")
    print("| neighbours | frames/s | kept | steps kept | control | kept ÷ control | cores: they, server |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for kind, (fared, control) in rows.items():
        if kind is None:
            continue
        kept, of_control = fared.frames_hz / alone.frames_hz, control.frames_hz / alone.frames_hz
        print(
            f"| {NUMBERS[kind]} {kind} | {fared.frames_hz:.1f} | {kept:.2f} "
            f"| {fared.steps_hz / alone.steps_hz:.2f} | {of_control:.2f} "
            f"| {kept / of_control:.2f} | {fared.neighbours:.2f}, {fared.server:.2f} |",
            flush=True,
        )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, help="of neighbours; default: all")
    parser.add_argument("--rounds", type=int, default=3, help="turns; the median counts")
    parser.add_argument("--beside", metavar="COMMIT", help="measure the server of this commit too, in turns")
    parser.add_argument(
        "--shipped", action="store_true", help="the shipped model, with the capacity that the server measures"
    )
    args = parser.parse_args(argv)
    print(f"{describe()}; median of {args.rounds} turns of {args.seconds:g} s", flush=True)
    kinds: list[str | None] = [None, *(args.kinds or KINDS)]
    with contextlib.ExitStack() as stack:
        folders = {"this commit": ROOT}
        if args.beside:
            folders[args.beside] = stack.enter_context(checkout(args.beside))
        temporary = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        model = SHIPPED_MODEL if args.shipped else write_model(temporary / "tiny.safetensors")
        flags = ["--model", str(model), *FLAGS, *(() if args.shipped else ALL_ADMITTED)]
        servers = {}
        for name, folder in folders.items():
            servers[name] = ServerProcess(*flags, folder=folder)
            stack.callback(servers[name].stop)
        found: dict[str, dict[str | None, list[Row]]] = {
            name: {kind: [] for kind in kinds} for name in servers
        }
        for _ in range(args.rounds):
            for kind in kinds:
                for name, server in servers.items():
                    found[name][kind].append(row_of(server, kind, args.seconds))
    for name, rows in found.items():
        table(name, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
