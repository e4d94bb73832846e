"""Shapes of the network beside the first shipped one: rows a second, untrained, in the CPU's predictors.

Speed does not depend on the weights, so a shape can be judged before it is trained. All shapes take turns in
one run, so that a noisy machine hits all alike; the ratio to the first shape is the figure to read.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from diffusion_toy.model.config import SHAPES, UNetConfig
from diffusion_toy.model.unet import UNet
from diffusion_toy.predictors.base import Precision, Predictor
from diffusion_toy.predictors.eager import EagerPredictor
from diffusion_toy.predictors.openvino import OpenVinoPredictor
from tests.benchmarks.environment import describe

CANDIDATES: Mapping[str, Mapping[str, Any]] = {
    **SHAPES,
    "classic, pruned": {"blocks": 1, "mid_blocks": 2, "norm_groups": 1, "attention": ("middle",)},
    "fast, attention in the middle": {**SHAPES["fast"], "attention": ("middle",)},
    "fast, two blocks in the middle": {**SHAPES["fast"], "mid_blocks": 2},
    "fast, 160 in the middle": {**SHAPES["fast"], "mid_width": 160},
    "fast, 192 in the middle": {**SHAPES["fast"], "mid_width": 192},
    "fast, 48 above": {**SHAPES["fast"], "base_width": 48},
}  # fmt: skip


def predictor(config: UNetConfig, kind: str, precision: Precision, rows: int) -> Predictor:
    """Return an untrained network ready to run batches of so many rows."""
    network = UNet(config)
    if kind == "eager":
        return EagerPredictor(network, config, torch.device("cpu"), precision)
    weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    return OpenVinoPredictor(config, weights, precision, (rows,))


def inputs(config: UNetConfig, rows: int) -> tuple[Any, Any, Any]:
    """Return a batch of noise with a level map for each row."""
    rng = np.random.default_rng(0)
    shape = config.height, config.width
    x = rng.standard_normal((rows, config.channels, *shape), np.float32)
    return x, rng.random((rows, *shape), np.float32), np.arange(rows) % config.num_classes


def in_turns(sides: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the median seconds of a call of each side."""
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for call in sides.values():
        call()
    for _ in range(rounds):
        for name, call in sides.items():
            began = time.perf_counter()
            call()
            taken[name].append(time.perf_counter() - began)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def gflop(network: UNet) -> float:
    """Return what a row costs, in units of 10⁹ floating-point operations."""
    x, u, labels = map(torch.from_numpy, inputs(network.config, 1))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(x, u, labels)
    return float(counter.get_total_flops()) / 1e9


def main() -> None:
    """Measure and print a table for each predictor and precision."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument(
        "--shapes", nargs="+", choices=CANDIDATES, default=list(CANDIDATES), metavar="NAME", help="which"
    )
    p.add_argument("--rows", type=int, nargs="+", default=[1, 8, 16, 32], help="batch sizes")
    p.add_argument("--rounds", type=int, default=20, help="measurements of each shape")
    p.add_argument(
        "--predictors", nargs="+", choices=("openvino", "eager"), default=["openvino", "eager"], help="which"
    )
    p.add_argument(
        "--precisions", nargs="+", choices=[p.value for p in Precision], default=["bfloat16", "float32"],
        help="of the matrix products",
    )  # fmt: skip
    args = p.parse_args()
    configs = {name: replace(UNetConfig(), **CANDIDATES[name]) for name in args.shapes if name != "classic"}
    configs = {"classic": UNetConfig(), **configs}
    print(describe())
    print(f"command: python tests/benchmarks/bench_shapes.py {' '.join(sys.argv[1:])}".rstrip())
    for kind in args.predictors:
        for precision in map(Precision, args.precisions):
            measure(configs, kind, precision, args.rows, args.rounds)


def measure(
    configs: Mapping[str, UNetConfig], kind: str, precision: Precision, batches: list[int], rounds: int
) -> None:
    """Print one table."""
    rates: dict[str, list[float]] = {name: [] for name in configs}
    for rows in batches:
        sides: dict[str, Callable[[], object]] = {}
        for name, config in configs.items():
            program, batch = predictor(config, kind, precision, rows), inputs(config, rows)
            sides[name] = lambda program=program, batch=batch: program(*batch)  # type: ignore[misc]
        for name, seconds in in_turns(sides, rounds).items():
            rates[name].append(rows / seconds)
    print(f"\n{kind}, {precision.value}, rows a second and times the classic shape's\n")
    print("| shape | GFLOP | parameters | " + " | ".join(f"batch {rows}" for rows in batches) + " |")
    print("| --- | --- | --- |" + " --- |" * len(batches))
    for name, config in configs.items():
        network = UNet(config)
        cells = [f"{r:.0f} ({r / c:.2f}×)" for r, c in zip(rates[name], rates["classic"], strict=True)]
        count = sum(parameter.numel() for parameter in network.parameters()) / 1e6
        print(f"| {name} | {gflop(network):.3f} | {count:.2f} M | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
