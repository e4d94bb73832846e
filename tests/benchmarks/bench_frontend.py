"""What a frame costs besides the network, over gRPC and WebSocket: ours, an empty server, a balancer.

CPU time of all threads but the first, which is the engine's, for each frame, with a tiny model; for the
empty server, of all threads. It sends the bytes of one of our frames. Both have the same viewers, which
run in this process, and take turns. The balancer is HAProxy, if it is installed, in front of ours.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import grpc.aio
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from diffusion_toy.contract import messages as m
from diffusion_toy.contract import wire
from diffusion_toy.v1 import denoise_pb2 as pb
from diffusion_toy.v1 import denoise_pb2_grpc as pb_grpc
from tests.benchmarks.environment import describe
from tests.deploy.balancer import Balancer, running_balancer
from tests.models import write_model
from tests.tools import ServerProcess, running_server
from viewer_client.link.address import Endpoint, parse_address
from viewer_client.load.generator import LoadOptions, run_load
from viewer_client.load.scripted_input import Mouse

EMPTY_SERVER = (sys.executable, str(Path(__file__).with_name("empty_server.py")))
FLAGS = (
    "--threads",
    "1",
    "--max-sessions",
    "256",
    "--capacity",
    "1000000",
    "--log-level",
    "error",
    "--web-port",
    "0",
)
ENDLESS = m.Start(settings=m.SettingsChange(num_time_steps=1000))  # rests after 17 s
WARM_UP_S = 1.5
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cost:
    """What a server's threads took in one measurement, and what they sent."""

    cpu_s: float
    frames_per_second: float
    seconds: float

    @property
    def us_per_frame(self) -> float:
        return 1e6 * self.cpu_s / (self.seconds * self.frames_per_second)


def cpu_seconds(pid: int, *, first: bool) -> float:
    """CPU time of a process's threads so far; of all but the first one unless `first`."""
    total = 0.0
    for task in Path(f"/proc/{pid}/task").iterdir():
        if first or int(task.name) != pid:
            fields = (task / "stat").read_text().rpartition(")")[2].split()
            total += (int(fields[11]) + int(fields[12])) * TICK_S  # utime, stime
    return total


async def over_grpc(address: str, viewers: int, seconds: float) -> float:
    """Let viewers look at a server; return the frames a second that all of them got."""
    endpoint = Endpoint(parse_address(address))
    options = LoadOptions(endpoint, viewers, seconds, mouse=Mouse.NONE, start=ENDLESS, warm_up_s=WARM_UP_S)
    report = await run_load(options)
    return report.frames / report.seconds


async def over_web(page: str, viewers: int, seconds: float) -> float:
    """Do the same over WebSockets."""
    frames = [0] * viewers

    async def look(viewer: int, began: float) -> None:
        address = page.replace("http", "ws", 1) + "/api/denoise"
        protocols = [Subprotocol("diffusion-toy.v1")]
        async with connect(address, subprotocols=protocols, compression=None, proxy=None) as connection:
            await connection.send(wire.request_to_proto(m.Request(ENDLESS, 1)).SerializeToString())
            while (now := time.perf_counter() - began) < WARM_UP_S + seconds:
                response = pb.DenoiseResponse.FromString(await connection.recv(decode=False))
                if response.WhichOneof("response") == "frame":
                    request = wire.request_to_proto(m.Request(m.Acknowledge(response.frame.number), 0))
                    await connection.send(request.SerializeToString())
                    frames[viewer] += now > WARM_UP_S

    began = time.perf_counter()
    await asyncio.gather(*(look(viewer, began) for viewer in range(viewers)))
    return sum(frames) / seconds


async def cost(looking: Coroutine[Any, Any, float], process_id: int, seconds: float, *, first: bool) -> Cost:
    """See what viewers that look for `seconds` and a moment more take a server's process."""
    load = asyncio.create_task(looking)
    await asyncio.sleep(WARM_UP_S + 0.1)
    before, began = cpu_seconds(process_id, first=first), time.perf_counter()
    await asyncio.sleep(seconds)
    after, ended = cpu_seconds(process_id, first=first), time.perf_counter()
    return Cost(after - before, await load, ended - began)


async def one_frame(address: str) -> bytes:
    """One of our frames, serialised."""
    async with grpc.aio.insecure_channel(address) as channel:
        call = pb_grpc.DenoiseServiceStub(channel).Denoise()
        await call.write(wire.request_to_proto(m.Request(ENDLESS, 1)))
        async for response in call:
            assert isinstance(response, pb.DenoiseResponse)
            if response.WhichOneof("response") == "frame":
                await call.done_writing()
                return response.SerializeToString()
    raise RuntimeError("the server sent no frame")


def row(name: str, viewers: int, costs: Sequence[Cost]) -> str:
    """A line of the table."""
    middle = statistics.median(one.us_per_frame for one in costs)
    rate = statistics.mean(one.frames_per_second for one in costs)
    return f"| {name} | {viewers} | {rate:.0f} | {middle:.0f} |"


def main() -> None:
    """Measure and print a table."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument("--viewers", type=int, nargs="+", default=[8, 24], help="numbers of viewers")
    p.add_argument("--seconds", type=float, default=5.0, help="length of each measurement, seconds, below 15")
    p.add_argument("--rounds", type=int, default=2, help="measurements of each server")
    args = p.parse_args()
    print(describe())
    print(f"command: python tests/benchmarks/bench_frontend.py {' '.join(sys.argv[1:])}".rstrip() + "\n")
    with tempfile.TemporaryDirectory() as folder:
        model = write_model(Path(folder) / "tiny.safetensors")
        message = Path(folder) / "frame"
        with running_server("--model", str(model), *FLAGS) as ours:
            message.write_bytes(asyncio.run(one_frame(ours.address)))
            with running_server("--message", str(message), command=EMPTY_SERVER) as empty:
                measure(ours, empty, args.viewers, args.seconds, args.rounds)
            if shutil.which("haproxy"):
                with running_balancer(Path(folder), [ours.port]) as balancer:
                    measure_balancer(balancer, max(args.viewers), args.seconds, args.rounds)
        print(f"\nA frame is {message.stat().st_size} bytes.")


def measure(
    ours: ServerProcess, empty: ServerProcess, numbers: Sequence[int], seconds: float, rounds: int
) -> None:
    """Print four rows and their ratios for each number of viewers."""
    print("| server | viewers | frames/s | CPU a frame, µs |")
    print("| --- | --- | --- | --- |")
    names = ("ours over gRPC", "empty grpc.aio", "ours over WebSocket", "empty websockets")
    ratios = []
    for viewers in numbers:
        costs: list[list[Cost]] = [[] for _ in names]
        for _ in range(rounds):
            for side, (server, web) in enumerate(((ours, 0), (empty, 0), (ours, 1), (empty, 1))):
                if web:
                    looking = over_web(server.page, viewers, seconds + 0.2)
                else:
                    looking = over_grpc(server.address, viewers, seconds + 0.2)
                one = cost(looking, server.process.pid, seconds, first=server is empty)
                costs[side].append(asyncio.run(one))
        for name, side_costs in zip(names, costs, strict=True):
            print(row(name, viewers, side_costs), flush=True)
        ours_grpc, empty_grpc, ours_web, empty_web = (
            statistics.median(one.us_per_frame for one in side) for side in costs
        )
        ratios.append(
            f"with {viewers} viewers gRPC {ours_grpc / empty_grpc:.2f}, "
            f"WebSocket {ours_web / empty_web:.2f}, WebSocket ÷ gRPC {ours_web / ours_grpc:.2f}"
        )
    print(f"\nOurs, without the engine's thread, ÷ empty: {'; '.join(ratios)}")


def measure_balancer(balancer: Balancer, viewers: int, seconds: float, rounds: int) -> None:
    """Print what a frame costs the balancer."""
    costs = [
        asyncio.run(
            cost(
                over_grpc(balancer.address, viewers, seconds + 0.2), balancer.process_id, seconds, first=True
            )
        )
        for _ in range(rounds)
    ]
    print(f"\n{row('HAProxy, before ours', viewers, costs)}")


if __name__ == "__main__":
    main()
