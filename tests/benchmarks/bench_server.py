"""The whole of it: a real server process, and viewers in a process of their own, on loopback.

They share the processors, so the figures are what the whole machine does, load generator included.
Steps a second of each viewer count while its session is not idle. With `--beside`, an earlier commit is
measured in the same run, in turns with this one: its server, with the viewers of this commit.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from contextlib import ExitStack, closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.environment import describe
from tests.benchmarks.reference import busy_processes, checkout
from tests.benchmarks.search import HELD_STEPS_PER_SECOND, most_that_hold
from tests.benchmarks.viewers import p50_p99, steps_in_all, viewed
from tests.tools import ROOT, ServerProcess
from viewer_client.load.report import Report

SERVER_FLAGS = ("--capacity", "1000000", "--grace", "0", "--log-level", "warning", "--max-sessions", "64")
START_S = 900.0  # for a compiled server to start
MOST_RANGE = (1, 64)
MOST_SECONDS = 4.0
INTERVAL_P99_MS = 25.0  # a frame later than that is seen as a hitch
EASY_SHARE = 0.7  # of the most viewers, for the latency of a server that keeps up
HEAD = """
| server | viewers | steps/s each (least) | steps/s in all | frame interval p50 / p99, ms \
| command to frame p50 / p99, ms | load generator, of a core |
| --- | --- | --- | --- | --- | --- | --- |"""


class Served:
    """A server of one commit, started when it is first needed, and the name that the tables call it.

    Only one of several runs at a time: `address` stops the others.
    """

    running: Served | None = None

    def __init__(self, name: str, folder: Path, flags: list[str]) -> None:
        self.name, self._folder, self._flags = name, folder, flags
        self._server: ServerProcess | None = None

    def address(self) -> str:
        """Return the address of the server, started and warm."""
        if self._server is None:
            if Served.running is not None:
                Served.running.close()
            self._server = ServerProcess(*SERVER_FLAGS, *self._flags, folder=self._folder, start_s=START_S)
            Served.running = self
            viewed(self._server.address, 1, 0.5)
        return self._server.address

    def close(self) -> None:
        """Stop the server."""
        if self._server is not None:
            self._server.stop()
            self._server = None
            Served.running = None


def holds(report: Report) -> bool:
    """Whether every viewer has its 60 steps a second, without hitches."""
    interval = report.frame_interval_ms
    return (
        report.steps_per_second_least >= HELD_STEPS_PER_SECOND
        and interval is not None
        and interval.p99 <= INTERVAL_P99_MS
    )


def print_table(servers: list[Served], numbers: list[int], seconds: float) -> None:
    """Print a row for each number of viewers and each server, the servers in turns."""
    print(HEAD)
    for viewers in numbers:
        for served in servers:
            report = viewed(served.address(), viewers, seconds)
            print(
                f"| {served.name} | {viewers} "
                f"| {report.steps_per_second_mean:.1f} ({report.steps_per_second_least:.1f}) "
                f"| {steps_in_all(report):.0f} | {p50_p99(report.frame_interval_ms)} "
                f"| {p50_p99(report.command_to_frame_ms)} | {100 * report.cpu_share:.0f} % |",
                flush=True,
            )


def print_most(servers: list[Served], rounds: int, seconds: float) -> None:
    """Print the most viewers that each server holds, in turns, and the latency at a part of them."""
    found: dict[str, list[int]] = {served.name: [] for served in servers}
    for _ in range(rounds):
        for served in servers:
            address = served.address()
            most = most_that_hold(lambda n, a=address: holds(viewed(a, n, MOST_SECONDS)), *MOST_RANGE)  # type: ignore[misc]
            found[served.name].append(most)
    print(
        f"\nMost viewers that hold {HELD_STEPS_PER_SECOND:g} steps/s each with a p99 frame interval of "
        f"{INTERVAL_P99_MS:g} ms at most, {rounds} searches each, in turns:"
    )
    for served in servers:
        print(f"- {served.name}: {', '.join(map(str, found[served.name]))}", flush=True)
    for served in servers:
        most = sorted(found[served.name])[rounds // 2]
        if most:
            easy = max(1, int(EASY_SHARE * most))
            report = viewed(served.address(), easy, seconds)
            print(
                f"- {served.name}: command to frame with {easy} viewers ({EASY_SHARE:.0%} of {most}), "
                f"p50 / p99: {p50_p99(report.command_to_frame_ms)} ms",
                flush=True,
            )


def main() -> None:
    """Measure and print the tables."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument("--viewers", type=int, nargs="+", default=[1, 8, 16, 24, 32], help="numbers of viewers")
    p.add_argument("--seconds", type=float, default=6.0, help="length of each measurement, seconds")
    p.add_argument("--server-flags", default="", help="more flags for this commit's server, as one word")
    p.add_argument("--beside", metavar="COMMIT", help="measure the server of this commit as well, in turns")
    p.add_argument(
        "--most",
        type=int,
        default=0,
        metavar="ROUNDS",
        help=f"search so many times for the most viewers that hold {HELD_STEPS_PER_SECOND:g} steps/s each, "
        f"{MOST_RANGE[0]}…{MOST_RANGE[1]}, in measurements of {MOST_SECONDS:g} s",
    )
    p.add_argument("--busy", type=int, default=0, help="processes that compute without a pause beside it")
    args = p.parse_args()
    print(describe())
    print(f"command: python tests/benchmarks/bench_server.py {shlex.join(sys.argv[1:])}".rstrip())
    with ExitStack() as stack:
        servers = []
        if args.beside:
            folder = stack.enter_context(checkout(args.beside))
            servers.append(Served(args.beside, folder, []))
        servers.append(Served("this commit", ROOT, shlex.split(args.server_flags)))
        for served in servers:
            stack.enter_context(closing(served))
        stack.enter_context(busy_processes(args.busy))
        print_table(servers, args.viewers, args.seconds)
        if args.most:
            print_most(servers, args.most, args.seconds)


if __name__ == "__main__":
    main()
