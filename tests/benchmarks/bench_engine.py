"""The engine beside the bare network of the same predictor: image-steps a second, and a tick's own work.

Each ratio is taken in one run, the two sides in turn, so that a noisy machine hits both alike.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from inference_server.engine.main_thread import SPIN_COUNT, SPIN_VARIABLE

os.environ.setdefault(SPIN_VARIABLE, SPIN_COUNT)  # as the server does

import numpy as np
from numpy.typing import NDArray

from diffusion_toy.contract import messages as m
from diffusion_toy.diffusion.arrays import Array
from diffusion_toy.model.checkpoint import LoadedModel, load_model
from diffusion_toy.predictors.base import PREDICTORS, Predictor, warm_up
from diffusion_toy.predictors.make import PredictorOptions, make_predictor
from inference_server.engine.engine import Engine, EngineConfig
from tests.benchmarks.environment import describe
from tests.tools import SHIPPED_MODEL

ENDLESS = m.SettingsChange(num_time_steps=1000)


class Instant:
    """Stand for a predictor that takes no time, so that only the engine's own work is left."""

    device = None
    description = "nothing"
    further_sizes: Sequence[int] = ()
    wanted_sizes: Sequence[int] = ()

    def __call__(self, x: Array, u: Array, labels: Array) -> Array:
        """Return a velocity that keeps pictures finite."""
        return np.zeros(x.shape, np.float32)

    def warm_up_first(self) -> None:
        """Do nothing."""

    def warm_up_size(self, size: int) -> None:
        """Do nothing."""


def inputs(rows: int) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """Return a batch of any pictures."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, 1, 28, 28), np.float32)
    return x, np.broadcast_to(rng.random((rows, 1, 1), np.float32), (rows, 28, 28)), np.arange(rows) % 11


def alternately(sides: list[Callable[[], object]], rounds: int) -> list[float]:
    """Return the median seconds of a call of each side, taken in turns."""
    times: list[list[float]] = [[] for _ in sides]
    for side in sides:
        side()
    for _ in range(rounds):
        for side, taken in zip(sides, times, strict=True):
            began = time.perf_counter()
            side()
            taken.append(time.perf_counter() - began)
    return [statistics.median(taken) for taken in times]


def engine_of(model: LoadedModel, predictor: Predictor, rows: int) -> Engine:
    """Return an engine with so many sessions that never rest."""
    engine = Engine(model, predictor, EngineConfig(rows, 60.0, token_period_s=1.0))
    for seed in range(rows):
        engine.join(m.Start(seed=seed, settings=ENDLESS))
    return engine


def main() -> None:
    """Measure and print a table."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument("--model", type=Path, default=SHIPPED_MODEL, help="a model file")
    p.add_argument("--rows", type=int, nargs="+", default=[1, 8, 16, 32], help="sessions, and batch sizes")
    p.add_argument("--rounds", type=int, default=40, help="measurements of each side")
    p.add_argument("--predictors", nargs="+", choices=PREDICTORS, default=["auto"], help="how it runs")
    p.add_argument("--precision", choices=("auto", "float32", "bfloat16"), default="auto", help="of products")
    p.add_argument("--threads", type=int, default=2, help="of the network")
    args = p.parse_args()
    print(describe())
    print(f"command: python tests/benchmarks/bench_engine.py {' '.join(sys.argv[1:])}".rstrip())
    print(
        "\n| predictor | batch | bare network | engine | engine ÷ bare | a tick's own work, ms | a session |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    model = load_model(args.model)
    for kind in args.predictors:
        for rows in args.rows:
            options = PredictorOptions(
                kind, precision=args.precision, rows=max(args.rows), threads=args.threads
            )
            predictor = make_predictor(model, options)
            warm_up(predictor)
            batch, engine = inputs(rows), engine_of(model, predictor, rows)
            idle = engine_of(model, Instant(), rows)
            sides: list[Callable[[], object]] = [engine.tick, lambda p=predictor, b=batch: p(*b), idle.tick]
            tick, bare, own = alternately(sides, args.rounds)
            name = predictor.description.partition(",")[0]
            print(
                f"| {name} | {rows} | {rows / bare:.0f} | {rows / tick:.0f} "
                f"| {bare / tick:.2f} | {1000 * own:.2f} | {1000 * own / rows:.3f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
