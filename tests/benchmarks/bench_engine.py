"""The engine beside the bare network, and the network beside OpenVINO: image-steps a second.

Each ratio is taken in one run, the two sides in turn, so that a noisy machine hits both alike.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from inference_server.engine.main_thread import SPIN_COUNT, SPIN_VARIABLE

os.environ.setdefault(SPIN_VARIABLE, SPIN_COUNT)  # as the server does

import torch

from diffusion_toy.contract import messages as m
from diffusion_toy.model.checkpoint import load_model
from diffusion_toy.predictors.forward import Forward, Precision
from inference_server.engine.engine import Engine, EngineConfig
from tests.benchmarks.environment import describe
from tests.tools import SHIPPED_MODEL

ENDLESS = m.SettingsChange(num_time_steps=1000)
CPU = torch.device("cpu")


def inputs(rows: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(rows, 1, 28, 28, generator=generator)
    return x, torch.rand(rows, 28, 28, generator=generator), torch.arange(rows) % 11


def alternately(sides: list[Callable[[], object]], rounds: int) -> list[float]:
    """Median seconds of a call of each side, taken in turns."""
    times: list[list[float]] = [[] for _ in sides]
    for side in sides:
        side()
    for _ in range(rounds):
        for side, taken in zip(sides, times, strict=True):
            began = time.perf_counter()
            side()
            taken.append(time.perf_counter() - began)
    return [statistics.median(taken) for taken in times]


def engine_of(rows: int, precision: Precision, compiled: bool) -> Engine:
    """An engine with so many sessions that never rest."""
    sizes = (rows,) if compiled else ()
    engine = Engine(
        load_model(SHIPPED_MODEL),
        CPU,
        EngineConfig(rows, 60.0, precision, compiled, sizes, token_period_s=1.0),
    )
    for seed in range(rows):
        engine.join(m.Start(seed=seed, settings=ENDLESS))
    return engine


def openvino_of(network: torch.nn.Module, rows: int) -> Callable[[], object]:
    """The same network in OpenVINO, bfloat16, two threads, a fixed batch."""
    import openvino  # type: ignore[import-untyped]

    with warnings.catch_warnings(action="ignore", category=FutureWarning):  # it traces, as of old
        model = openvino.convert_model(network, example_input=inputs(rows))
    shapes = {port: list(t.shape) for port, t in zip(model.inputs, inputs(rows), strict=True)}
    model.reshape({port: openvino.PartialShape(shape) for port, shape in shapes.items()})
    settings = {"INFERENCE_PRECISION_HINT": "bf16", "INFERENCE_NUM_THREADS": 2, "PERFORMANCE_HINT": "LATENCY"}
    compiled = openvino.Core().compile_model(model, "CPU", settings)
    arrays = [tensor.numpy() for tensor in inputs(rows)]
    request = compiled.create_infer_request()
    return lambda: request.infer(arrays, share_inputs=True)


def main() -> None:
    """Measure and print a table."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument("--rows", type=int, nargs="+", default=[1, 8, 32, 64], help="sessions, and batch sizes")
    p.add_argument("--rounds", type=int, default=40, help="measurements of each side")
    p.add_argument("--modes", nargs="+", default=["float32", "bfloat16", "compiled"], help="of the network")
    p.add_argument(
        "--openvino", action="store_true", help="compare with it too, where it is installed (extra: bench)"
    )
    args = p.parse_args()
    torch.set_num_threads(2)
    print(describe())
    print(f"command: python tests/benchmarks/bench_engine.py {' '.join(sys.argv[1:])}".rstrip())
    if args.openvino and importlib.util.find_spec("openvino") is None:
        print("OpenVINO is left out: it is not installed (pip install 'diffusion-toy[bench]')")
        args.openvino = False
    print(
        "\n| mode | batch | bare network | engine | engine ÷ bare |"
        + (" bare ÷ OpenVINO |" if args.openvino else "")
    )
    print("| --- | --- | --- | --- | --- |" + (" --- |" if args.openvino else ""))
    openvinos: dict[int, Callable[[], object]] = {}
    for mode in args.modes:
        compiled = mode == "compiled"
        precision = Precision.FLOAT32 if mode == "float32" else Precision.BFLOAT16
        for rows in args.rows:
            engine = engine_of(rows, precision, compiled)
            batch = inputs(rows)
            bare = Forward(
                load_model(SHIPPED_MODEL).network, precision, (rows,) if compiled else (), compiled
            )

            def forward(bare: Forward = bare, batch: tuple[torch.Tensor, ...] = batch) -> object:
                with torch.inference_mode():
                    return bare(*batch)

            sides: list[Callable[[], object]] = [engine.tick, forward]
            if args.openvino:
                if rows not in openvinos:
                    openvinos[rows] = openvino_of(load_model(SHIPPED_MODEL).network, rows)
                sides.append(openvinos[rows])
            seconds = alternately(sides, args.rounds)
            rates = [rows / s for s in seconds]
            line = f"| {mode} | {rows} | {rates[1]:.0f} | {rates[0]:.0f} | {rates[0] / rates[1]:.2f} |"
            print(line + (f" {rates[1] / rates[2]:.2f} |" if args.openvino else ""), flush=True)


if __name__ == "__main__":
    main()
