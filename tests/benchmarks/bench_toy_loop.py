"""The plain toy, without a server: each viewer is a process that runs a network of its own, paced.

The network is the common toy recipe's (`training.objectives.toy_recipe`), a picture at a time. Each step
is a forward pass and the ancestral update; nothing is drawn, nothing is sent.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from inference_server.engine.main_thread import SPIN_COUNT, SPIN_VARIABLE

os.environ.setdefault(SPIN_VARIABLE, SPIN_COUNT)  # which is kind to the toy: as our server has it

import torch
from torch.utils.flop_counter import FlopCounterMode

from diffusion_toy.diffusion.schedule import make_schedule
from diffusion_toy.model.unet import UNetConfig
from tests.benchmarks.environment import describe
from tests.benchmarks.search import HELD_STEPS_PER_SECOND, most_that_hold
from training.objectives.toy_recipe import SCHEDULE, ToyUNet

RATE_HZ = 60.0
MOST_RANGE = (1, 8)
WARM_UP_S = 1.0
START_S = 120.0  # for all processes to be ready


@dataclass(frozen=True)
class Steps:
    """What the slowest of some processes did, and all of them together, in steps a second."""

    least: float
    in_all: float


class Toy:
    """A picture on its way from noise to clean, and again from noise when it is there."""

    def __init__(self, seed: int) -> None:
        self._generator = torch.Generator().manual_seed(seed)
        self._network = ToyUNet(UNetConfig()).eval()
        alphas = torch.tensor(make_schedule(*SCHEDULE).alphas_cumprod, dtype=torch.float32)
        self._cumulative = alphas
        self._alpha = alphas[1:] / alphas[:-1]
        self._steps = len(self._alpha)
        self._begin()

    def _begin(self) -> None:
        self._x, self._t = torch.randn(1, 1, 28, 28, generator=self._generator), self._steps

    def step(self) -> None:
        """One step of DDPM (Ho et al. 2020, algorithm 2)."""
        with torch.inference_mode():
            eps = self._network.epsilon(self._x, torch.tensor([self._t]))
            alpha, cumulative = self._alpha[self._t - 1], self._cumulative[self._t]
            self._x = (self._x - (1 - alpha) / (1 - cumulative).sqrt() * eps) / alpha.sqrt()
            if self._t > 1:
                z = torch.randn(self._x.shape, generator=self._generator)
                self._x = self._x + (1 - alpha).sqrt() * z
        self._t -= 1
        if self._t == 0:
            self._begin()


def view(seed: int, threads: int, seconds: float, ready: Any, rates: Any) -> None:
    """A process: step at 60 Hz, and tell how many steps a second that came to."""
    torch.set_num_threads(threads)
    toy = Toy(seed)
    toy.step()
    ready.wait(START_S)
    due = time.perf_counter()
    begins, ends = due + WARM_UP_S, due + WARM_UP_S + seconds
    steps = 0
    while (now := time.perf_counter()) < ends:
        steps += now >= begins
        toy.step()
        due = max(due + 1 / RATE_HZ, time.perf_counter())  # what was missed is not made up for
        time.sleep(max(0.0, due - time.perf_counter()))
    rates.put(steps / (time.perf_counter() - begins))


def run(processes: int, seconds: float) -> Steps:
    """So many at a time; the processors are shared out among them."""
    context = multiprocessing.get_context("spawn")
    ready, rates = context.Barrier(processes), context.Queue()
    threads = max(1, (os.cpu_count() or 1) // processes)
    workers = [
        context.Process(target=view, args=(seed, threads, seconds, ready, rates), daemon=True)
        for seed in range(processes)
    ]
    for worker in workers:
        worker.start()
    each = [float(rates.get(timeout=2 * START_S + seconds)) for _ in workers]
    for worker in workers:
        worker.join()
    return Steps(min(each), sum(each))


def gflop() -> float:
    """Of a forward pass on one picture."""
    network = ToyUNet(UNetConfig()).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.epsilon(torch.randn(1, 1, 28, 28), torch.tensor([100]))
    return float(counter.get_total_flops()) / 1e9


def main() -> None:
    """Measure and print a table."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument("--seconds", type=float, default=4.0, help="length of each measurement, seconds")
    args = p.parse_args()
    print(describe())
    print(f"command: python tests/benchmarks/bench_toy_loop.py {' '.join(sys.argv[1:])}".rstrip())
    print(f"the plain toy of {gflop():.2f} GFLOP a step, float32, {RATE_HZ:g} steps/s wanted\n")
    print("| processes | least steps/s | steps/s in all |")
    print("| --- | --- | --- |")

    def holds(processes: int) -> bool:
        steps = run(processes, args.seconds)
        print(f"| {processes} | {steps.least:.1f} | {steps.in_all:.0f} |", flush=True)
        return steps.least >= HELD_STEPS_PER_SECOND

    most = most_that_hold(holds, *MOST_RANGE)
    print(f"\nthe plain toy: most processes that hold {HELD_STEPS_PER_SECOND:g} steps/s each: {most}")


if __name__ == "__main__":
    main()
