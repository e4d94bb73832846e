"""What a class wall costs the server beside what three more viewers cost it.

    python tests/benchmarks/bench_wall.py [--sessions 30] [--rates 10 20 60] [--rounds 5]

All viewers come over the WebSocket, as pages do. Each round measures the server's CPU with the sessions
alone, with one wall open, and with three more viewers, so that whatever else the machine does meets all of
them. The network is a tiny one, which flatters viewers; it runs in the main thread, so the CPU of the other
threads is what streams and walls cost without any network.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from diffusion_toy.contract import messages as m
from diffusion_toy.contract import wire
from diffusion_toy.v1 import denoise_pb2 as pb
from tests.benchmarks.bench_frontend import cpu_seconds
from tests.benchmarks.environment import describe
from tests.models import write_model
from tests.tools import ServerProcess, running_server

TOKEN = "the-token-of-the-wall"
MORE_VIEWERS = 3
WARM_UP_S = 1.0
ARRIVAL_S = 60.0
CASES = ("sessions alone", "with a wall", f"with {MORE_VIEWERS} more viewers")
Counts = Counter[str]
Shares = tuple[float, float]  # of a core: all threads of the server, and those but the main one


def socket(page: str, path: str, subprotocol: str) -> connect:
    """Return what opens a WebSocket as the page does."""
    address = page.replace("http", "ws", 1) + path
    return connect(address, subprotocols=[Subprotocol(subprotocol)], compression=None, proxy=None)


async def view(page: str, rate: float, counts: Counts) -> None:
    """Draw every frame of a session that never comes to rest."""
    async with socket(page, "/api/denoise", "diffusion-toy.v1") as stream:

        async def send(body: m.Command | m.Start | m.Acknowledge, sequence: int) -> None:
            await stream.send(wire.request_to_proto(m.Request(body, sequence)).SerializeToString())

        await send(m.Start(settings=m.Settings(steps_per_second=rate)), 1)
        async for content in stream:
            assert isinstance(content, bytes)
            response = pb.DenoiseResponse.FromString(content)
            if response.WhichOneof("response") != "frame":
                continue
            counts["frames"] += 1
            await send(m.Acknowledge(response.frame.number), 0)
            if response.frame.idle:
                await send(m.Restart(), response.frame.applied_sequence + 1)


async def look(page: str, counts: Counts) -> None:
    """Keep a wall open."""
    async with socket(page, "/api/wall", "diffusion-toy.wall.v1") as stream:
        await stream.send(pb.WallRequest(token=TOKEN).SerializeToString())
        async for content in stream:
            assert isinstance(content, bytes)
            counts["pictures"] += len(pb.WallUpdate.FromString(content).pictures)


@asynccontextmanager
async def running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do something for the length of a block.

    Raises:
        Exception: what it has failed with.
    """
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        failed = task.done()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        if failed:
            raise RuntimeError("a viewer or the wall was closed while it was measured")


async def measure(server: ServerProcess, counts: Counts, seconds: float) -> tuple[Shares, Counts]:
    """Return the shares of a core that the server takes, and what it sends a second."""

    def cpu() -> Shares:
        return cpu_seconds(server.process.pid, first=True), cpu_seconds(server.process.pid, first=False)

    await asyncio.sleep(WARM_UP_S)
    counts.clear()
    before, began = cpu(), time.perf_counter()
    await asyncio.sleep(seconds)
    after, passed = cpu(), time.perf_counter() - began
    shares = (after[0] - before[0]) / passed, (after[1] - before[1]) / passed
    return shares, Counter({name: round(count / passed) for name, count in counts.items()})


async def compare(
    server: ServerProcess, sessions: int, rate: float, rounds: int, seconds: float
) -> tuple[list[list[Shares]], list[Counts]]:
    """Return the shares of all rounds for each case, and what was sent a second in the last round."""
    counts: Counts = Counter()
    extras: list[Callable[[], list[Coroutine[Any, Any, None]]]] = [
        lambda: [],
        lambda: [look(server.page, counts)],
        lambda: [view(server.page, rate, counts) for _ in range(MORE_VIEWERS)],
    ]
    shares: list[list[Shares]] = [[] for _ in CASES]
    sent: list[Counts] = [Counter() for _ in CASES]
    async with AsyncExitStack() as stack:
        for _ in range(sessions):
            await stack.enter_async_context(running(view(server.page, rate, counts)))
        async with asyncio.timeout(ARRIVAL_S):
            while counts["frames"] < 2 * sessions * rate:
                await asyncio.sleep(0.1)
        for _ in range(rounds):
            for case, extra in enumerate(extras):
                async with AsyncExitStack() as more:
                    for work in extra():
                        await more.enter_async_context(running(work))
                    share, sent[case] = await measure(server, counts, seconds)
                shares[case].append(share)
    return shares, sent


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sessions", type=int, default=30, help="how many are on the wall (default: 30)")
    parser.add_argument(
        "--rates", type=float, nargs="+", default=[10.0, 20.0, 60.0],
        help="steps a second of each session (default: 10 20 60)",
    )  # fmt: skip
    parser.add_argument("--rounds", type=int, default=5, help="how often each case is measured (default: 5)")
    parser.add_argument("--seconds", type=float, default=4.0, help="how long each time (default: 4)")
    options = parser.parse_args()
    print(describe())
    print()
    print(
        "| steps/s | case | frames/s | pictures/s on the wall | CPU, % of a core "
        "| more than alone | CPU without the main thread | more than alone |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        token = Path(folder) / "token"
        token.write_text(TOKEN)
        model = write_model(Path(folder) / "tiny.safetensors")
        flags = ["--model", str(model), "--threads", "1", "--capacity", "100000", "--precision", "float32"]
        flags += ["--web-port", "0", "--wall", "--wall-token-file", str(token), "--log-level", "warning"]
        for rate in options.rates:
            with running_server(*flags) as server:
                comparing = compare(server, options.sessions, rate, options.rounds, options.seconds)
                shares, sent = asyncio.run(comparing)
            for case, name in enumerate(CASES):
                cells = [f"{rate:g}", f"{options.sessions} {name}"]
                cells += [str(sent[case][what]) for what in ("frames", "pictures")]
                for threads in (0, 1):
                    here = [share[threads] for share in shares[case]]
                    more = [one - alone[threads] for one, alone in zip(here, shares[0], strict=True)]
                    cells += [f"{100 * statistics.median(here):.1f}", f"{100 * statistics.median(more):+.1f}"]
                print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
