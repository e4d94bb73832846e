"""Steps per second for some numbers of viewers, and mouse-to-frame latency: `make bench`.

A real server process and real clients, in one process of their own, on loopback. All share this
machine's cores, so the figures are what the whole machine does, load generator included.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import grpc

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from diffusion_toy import messages as m
from diffusion_toy import wire
from diffusion_toy.v1 import denoise_pb2 as pb
from diffusion_toy.v1 import denoise_pb2_grpc as pb_grpc
from tests.tools import ROOT, running_server

WARM_UP_S = 2.0
STROKE_PERIOD_S = 0.05
SETTINGS = m.SettingsChange(num_time_steps=1000)


@dataclass
class Figures:
    """What one viewer saw after the warm-up."""

    arrivals: list[float] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    landing_ms: list[float] = field(default_factory=list)

    @property
    def steps_per_second(self) -> float:
        return (self.steps[-1] - self.steps[0]) / (self.arrivals[-1] - self.arrivals[0])

    @property
    def intervals_ms(self) -> list[float]:
        return [(b - a) * 1000 for a, b in zip(self.arrivals, self.arrivals[1:], strict=False)]


async def view(address: str, seconds: float, strokes: bool) -> Figures:
    """One viewer that keeps its picture noisy, so that it never rests."""
    figures, sent = Figures(), {}
    async with grpc.aio.insecure_channel(address) as channel:
        call = pb_grpc.DenoiseServiceStub(channel).Denoise()
        await call.write(wire.request_to_proto(m.Request(m.Start(settings=SETTINGS, window=8), 1)))
        began, sequence, next_stroke = time.perf_counter(), 1, WARM_UP_S
        while (elapsed := time.perf_counter() - began) < WARM_UP_S + seconds:
            response = await call.read()
            now = time.perf_counter()
            if not isinstance(response, pb.DenoiseResponse) or response.WhichOneof("response") != "frame":
                continue
            frame = response.frame
            await call.write(pb.DenoiseRequest(acknowledge=pb.Acknowledge(frame_number=frame.number)))
            for landed in [s for s in sent if s <= frame.landed_sequence]:
                figures.landing_ms.append((now - sent.pop(landed)) * 1000)
            if elapsed > WARM_UP_S:
                figures.arrivals.append(now)
                figures.steps.append(frame.step)
            due = strokes and elapsed >= next_stroke
            if due or frame.time_step.max < 200:
                sequence += 1
                next_stroke = elapsed + STROKE_PERIOD_S
                amount = 10.0 if frame.time_step.max >= 200 else 700.0
                if due:
                    sent[sequence] = time.perf_counter()
                inject = m.Request(m.Inject(m.Disc(0.5, 0.5, 0.25) if due else None, amount), sequence)
                await call.write(wire.request_to_proto(inject))
        await call.done_writing()
    return figures


async def view_all(address: str, viewers: int, seconds: float, strokes: bool) -> list[Figures]:
    return list(await asyncio.gather(*(view(address, seconds, strokes) for _ in range(viewers))))


def quantile(values: list[float], q: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(q * len(ordered)), len(ordered) - 1)]


def hardware() -> str:
    """The processor and its cores, in words."""
    name = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            name = line.partition(":")[2].strip()
            break
    return f"{name}, {os.cpu_count()} cores"


def main() -> None:
    """Measure and print one table."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument("--viewers", type=int, nargs="+", default=[1, 8, 32], help="numbers of viewers")
    p.add_argument("--seconds", type=float, default=6.0, help="length of each measurement, seconds")
    args = p.parse_args()
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    import torch

    print(f"{hardware()}; torch {torch.__version__}; commit {commit}")
    print("command: make bench\n")
    with running_server("--max-sessions", str(max(args.viewers))) as server:
        asyncio.run(view_all(server.address, 1, 1.0, False))  # warm up
        print("| viewers | steps/s each (least) | steps/s in all | frame interval p50 / p99, ms |")
        print("| --- | --- | --- | --- |")
        for viewers in args.viewers:
            figures = asyncio.run(view_all(server.address, viewers, args.seconds, False))
            rates = [f.steps_per_second for f in figures]
            intervals = [v for f in figures for v in f.intervals_ms]
            print(
                f"| {viewers} | {statistics.mean(rates):.1f} ({min(rates):.1f}) | {sum(rates):.0f} "
                f"| {quantile(intervals, 0.5):.1f} / {quantile(intervals, 0.99):.1f} |"
            )
        landing = asyncio.run(view_all(server.address, 1, args.seconds, True))[0].landing_ms
    print(
        f"\nmouse to frame, one viewer: p50 {quantile(landing, 0.5):.1f} ms, "
        f"p99 {quantile(landing, 0.99):.1f} ms ({len(landing)} strokes)"
    )


if __name__ == "__main__":
    main()
