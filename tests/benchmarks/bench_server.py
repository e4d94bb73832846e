"""The whole of it: a real server process, and viewers in a process of their own, on loopback.

They share this machine's processors, so the figures are what the whole machine does, load generator
included. Steps a second of each viewer count while its session does not rest.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.environment import describe
from tests.benchmarks.search import HELD_STEPS_PER_SECOND, most_that_hold
from tests.benchmarks.viewers import p50_p99, steps_in_all, viewed
from tests.tools import SHIPPED_MODEL, ServerProcess
from viewer_client.load.report import Report

SERVER_FLAGS = ("--capacity", "1000000", "--grace", "0", "--log-level", "warning")  # nobody is refused
COMPILE_S = 300.0  # for a compiled server to start
MOST_RANGE = (1, 40)
MOST_SECONDS = 4.0
INTERVAL_P99_MS = 25.0  # a frame later than that is seen as a hitch
EASY_SHARE = 0.7  # of the most viewers, for the latency of a server that keeps up


class Servers:
    """A server for any number of viewers: eager the same one, compiled one for each number."""

    def __init__(self, compiled: bool) -> None:
        self._compiled = compiled
        self._rows = 0
        self._server: ServerProcess | None = None

    def address(self, viewers: int) -> str:
        """Of a server that is ready for so many, and warm."""
        rows = viewers if self._compiled else 0
        if self._server is None or rows != self._rows:
            self.close()
            flags = ["--max-sessions", "64", *SERVER_FLAGS]
            if self._compiled:
                flags += ["--compile", "--fixed-batch", str(rows), "--model", str(SHIPPED_MODEL)]
            self._server, self._rows = ServerProcess(*flags, start_s=COMPILE_S), rows
            viewed(self._server.address, 1, 0.5)
        return self._server.address

    def close(self) -> None:
        """Stop the present one."""
        if self._server is not None:
            self._server.stop()
            self._server = None


def holds(report: Report) -> bool:
    """Every viewer has its 60 steps a second, without hitches."""
    interval = report.frame_interval_ms
    return (
        report.steps_per_second_least >= HELD_STEPS_PER_SECOND
        and interval is not None
        and interval.p99 <= INTERVAL_P99_MS
    )


def print_table(mode: str, some: Servers, numbers: list[int], seconds: float) -> None:
    """A row for each number of viewers."""
    for viewers in numbers:
        report = viewed(some.address(viewers), viewers, seconds)
        print(
            f"| {mode} | {viewers} "
            f"| {report.steps_per_second_mean:.1f} ({report.steps_per_second_least:.1f}) "
            f"| {steps_in_all(report):.0f} | {p50_p99(report.frame_interval_ms)} "
            f"| {p50_p99(report.command_to_frame_ms)} | {100 * report.cpu_share:.0f} % |",
            flush=True,
        )


def print_most(mode: str, some: Servers, seconds: float) -> None:
    """The most viewers that hold, and the latency at a part of them."""

    def hold(viewers: int) -> bool:
        return holds(viewed(some.address(viewers), viewers, MOST_SECONDS))

    most = most_that_hold(hold, *MOST_RANGE)
    print(
        f"\n{mode}: most viewers that hold {HELD_STEPS_PER_SECOND:g} steps/s each "
        f"with a p99 frame interval of {INTERVAL_P99_MS:g} ms at most: {most}"
    )
    if most:
        easy = max(1, int(EASY_SHARE * most))
        report = viewed(some.address(easy), easy, seconds)
        print(
            f"{mode}: command to frame with {easy} viewers ({EASY_SHARE:.0%} of that), "
            f"p50 / p99: {p50_p99(report.command_to_frame_ms)} ms",
            flush=True,
        )


def main() -> None:
    """Measure and print the tables."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument("--viewers", type=int, nargs="+", default=[1, 8, 16, 24, 32], help="numbers of viewers")
    p.add_argument("--seconds", type=float, default=6.0, help="length of each measurement, seconds")
    p.add_argument(
        "--compile", action="store_true", help="compiled too; every number of viewers takes its start-up"
    )
    p.add_argument(
        "--most",
        action="store_true",
        help=f"search for the most viewers that hold {HELD_STEPS_PER_SECOND:g} steps/s each, "
        f"{MOST_RANGE[0]}…{MOST_RANGE[1]}, in measurements of {MOST_SECONDS:g} s",
    )
    args = p.parse_args()
    print(describe())
    print(f"command: python tests/benchmarks/bench_server.py {' '.join(sys.argv[1:])}".rstrip() + "\n")
    modes = ("eager", "compiled") if args.compile else ("eager",)
    print(
        "| mode | viewers | steps/s each (least) | steps/s in all, rests counted "
        "| frame interval p50 / p99, ms | command to frame p50 / p99, ms | load generator, of a core |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for mode in modes:
        with closing(Servers(mode == "compiled")) as some:
            print_table(mode, some, args.viewers, args.seconds)
    for mode in modes if args.most else ():
        with closing(Servers(mode == "compiled")) as some:
            print_most(mode, some, args.seconds)


if __name__ == "__main__":
    main()
