"""Does a server's memory stay where it is? Streams that come and go, then a mixed load; see `make soak`.

Exits with 1 if the memory has grown by more than the limit in either part.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from diffusion_toy.v1 import denoise_pb2 as pb
from diffusion_toy.v1 import denoise_pb2_grpc as pb_grpc
from tests.inference_server.faults import gauges, resident_mib, serious
from tests.models import write_model
from tests.tools import ServerProcess, free_port, running_server
from viewer_client.link.address import Endpoint
from viewer_client.load.generator import LoadOptions, run_load
from viewer_client.load.scripted_input import Mouse

LIMIT_MIB = 5.0
AT_ONCE = 8  # streams that come and go
SEATS = 32
VIEWERS = 8
ENDS = 6  # kinds of endings
READ_MOST = 3  # frames before one goes
ANSWER_S = 20.0
RAMP_S = 10.0  # so that every size of a batch comes up
HISTORY_S = 5.0  # a session's history has all its memory by then
SAMPLE_S = 0.5
CHURN_HZ = 5.0  # streams that come and go beside the viewers
CANCELLED = (grpc.aio.AioRpcError, asyncio.InvalidStateError, asyncio.CancelledError)


async def come_and_go(address: str, rng: random.Random) -> None:
    """One connection with one stream, which is cancelled at some point of its life."""
    async with grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        call: Any = pb_grpc.DenoiseServiceStub(channel).Denoise(timeout=ANSWER_S)
        kind = rng.randrange(ENDS)
        try:
            if kind == 0:  # nothing is said
                await channel.channel_ready()
                return
            await call.write(pb.DenoiseRequest(sequence=1, start=pb.Start(seed=rng.getrandbits(31))))
            if kind == 1:  # before the welcome
                return
            for _ in range(1 + rng.randrange(READ_MOST)):
                message = await call.read()
                if message is grpc.aio.EOF or not isinstance(message, pb.DenoiseResponse):
                    return
                if message.HasField("frame") and kind != 2:  # 2 never acknowledges
                    number = message.frame.number
                    acknowledge = pb.Acknowledge(frame_number=number)
                    await call.write(pb.DenoiseRequest(acknowledge=acknowledge))
                elif message.HasField("frame"):
                    return
            if kind == 3:
                await call.done_writing()
            if kind == 4:  # breaks the protocol
                await call.write(pb.DenoiseRequest(sequence=1, pause=pb.Pause()))
                while await call.read() is not grpc.aio.EOF:  # a status comes after all messages
                    pass
        except CANCELLED:
            pass
        finally:
            call.cancel()


async def cycles(address: str, count: int, rng: random.Random) -> None:
    """So many streams that come and go, a few at a time."""
    left = iter(range(count))

    async def one_after_another() -> None:
        for _ in left:
            await come_and_go(address, rng)

    await asyncio.gather(*(one_after_another() for _ in range(AT_ONCE)))


async def churn(address: str, rng: random.Random) -> None:
    """Streams that come and go, until cancelled."""
    while True:
        await asyncio.gather(come_and_go(address, rng), asyncio.sleep(1 / CHURN_HZ))


async def minute(address: str, seconds: float, seed: int) -> str:
    """A mixed load for a while; what its viewers saw, in a few words."""
    rng = random.Random(seed)
    visitors = asyncio.create_task(churn(address, rng))
    try:
        report = await run_load(
            LoadOptions(Endpoint(address), VIEWERS, seconds, mouse=Mouse.REALISTIC, seed=seed)
        )
    finally:
        visitors.cancel()
        await asyncio.gather(visitors, return_exceptions=True)
    return (
        f"{report.frames} frames, {report.steps_per_second_mean:.1f} steps/s, "
        f"{report.lost} lost, errors {dict(report.errors) or 'none'}"
    )


class Floor:
    """The least that something was, until `end`."""

    def __init__(self, value: Callable[[], float]) -> None:
        self._value, self._least, self._over = value, value(), threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        while not self._over.wait(SAMPLE_S):
            self._least = min(self._least, self._value())

    def end(self) -> float:
        self._over.set()
        self._thread.join()
        return self._least


def row(name: str, mib: float, grown: float, said: str = "") -> None:
    print(f"{name:<28}{mib:>9.1f}{grown:>+9.2f}  {said}", flush=True)


def soak(server: ServerProcess, metrics_port: int, args: argparse.Namespace) -> bool:
    """Both parts; whether the memory stayed within the limit."""
    rng = random.Random(args.seed)
    memory: Callable[[], float] = lambda: resident_mib(server.process.pid)  # noqa: E731
    print(f"{'':<28}{'MiB':>9}{'grown':>9}")

    # Sessions that run a while first: afterwards every seat has the memory that it ever needs.
    filling = LoadOptions(Endpoint(server.address), SEATS, HISTORY_S, ramp_s=RAMP_S, mouse=Mouse.NONE)
    asyncio.run(run_load(filling))
    asyncio.run(cycles(server.address, args.warm_up, rng))
    begin = now = memory()
    row(f"after {args.warm_up} cycles", begin, 0.0)
    began, done = time.monotonic(), 0
    while done < args.cycles:
        count = min(args.cycles - done, max(args.cycles // 10, 1))
        asyncio.run(cycles(server.address, count, rng))
        done, now = done + count, memory()
        row(f"after {done} more", now, now - begin, f"{done / (time.monotonic() - began):.0f} cycles/s")
    within = now - begin <= args.limit

    time.sleep(1.5)  # the grace period of the last
    left = gauges(metrics_port)
    for name in ("sessions", "watchers", "unacknowledged_frames"):
        if left[name]:
            print(f"{name} are left: {left[name]:g}")
            within = False

    # The allocator takes and gives back megabytes as it likes; what leaks lifts the least that is used.
    asyncio.run(minute(server.address, args.every, 0))
    begin_floor: float | None = None
    end, number = time.monotonic() + 60 * args.minutes, 0
    floor = 0.0
    while (seconds := end - time.monotonic()) > 1:
        number += 1
        watch = Floor(memory)
        said = asyncio.run(minute(server.address, max(min(args.every, seconds) - 3, 1.0), number))
        floor = watch.end()
        begin_floor = floor if begin_floor is None else begin_floor
        row(f"load until {number * args.every / 60:.1f} min", floor, floor - begin_floor, said)
    within = within and floor - (begin_floor or floor) <= args.limit
    if errors := serious(server):
        print("the server has logged errors:", *errors[:20], sep="\n")
        within = False
    return within and server.process.poll() is None


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument("--cycles", type=int, default=20_000, help="streams that come and go")
    p.add_argument("--warm-up", type=int, default=2_000, help="of them before the memory is measured")
    p.add_argument("--minutes", type=float, default=10.0, help="of mixed load")
    p.add_argument("--every", type=float, default=60.0, help="seconds of load between two measurements")
    p.add_argument("--limit", type=float, default=LIMIT_MIB, help="growth of either part, MiB")
    p.add_argument("--seed", type=int, default=0, help="of the streams")
    args = p.parse_args()
    metrics_port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        flags = ["--model", str(write_model(Path(folder) / "tiny.safetensors")), "--threads", "1"]
        flags += ["--capacity", "1000000", "--max-sessions", str(SEATS), "--grace", "1"]
        flags += ["--streams-per-peer", "1024", "--new-streams-per-second", "10000"]
        flags += ["--log-level", "warning", "--metrics-port", str(metrics_port)]
        with running_server(*flags) as server:
            within = soak(server, metrics_port, args)
    print(
        "the memory stays within its limit" if within else f"FAILED: more than {args.limit:g} MiB, or errors"
    )
    return 0 if within else 1


if __name__ == "__main__":
    sys.exit(main())
