"""`python -m inference_server`: serve a model."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from diffusion_toy import __version__
from diffusion_toy.errors import DiffusionToyError, InvalidValueError, MissingExtraError

DEVICES = ("auto", "cpu", "cuda")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog="python -m inference_server",
        description="Serve a diffusion model to many viewers: one live image for each.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    p.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 for the whole network")
    p.add_argument(
        "--port", type=int, default=50051, help="TCP port to listen on, 0…65535; 0 takes a free one"
    )
    p.add_argument(
        "--model",
        type=Path,
        action="append",
        metavar="FILE",
        help="a .safetensors model file; may be given several times, the first is the default model "
        "(without it: the MNIST model that comes with the package)",
    )
    p.add_argument("--device", choices=DEVICES, default="auto", help="where the network runs")
    p.add_argument("--max-sessions", type=int, default=32, help="people served at a time, per model, 1…4096")
    p.add_argument("--tick-rate", type=float, default=60.0, help="fastest network steps a second, 1…240")
    p.add_argument("--threads", type=int, default=0, help="CPU threads for the network; 0: one for each core")
    p.add_argument(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        default="info",
        help="how much to log, to stderr",
    )
    p.add_argument("--version", action="version", version=__version__)
    return p


def _check(args: argparse.Namespace) -> None:
    for flag, value, low, high in (
        ("--port", args.port, 0, 65535),
        ("--max-sessions", args.max_sessions, 1, 4096),
        ("--tick-rate", args.tick_rate, 1, 240),
        ("--threads", args.threads, 0, 1024),
    ):
        if not low <= value <= high:
            raise InvalidValueError(flag, value, f"{low}…{high}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the server; the exit status: 0 after SIGTERM or Ctrl-C, 1 on failure, 2 for a bad flag."""
    args = parser().parse_args(argv)
    logging.basicConfig(level=args.log_level.upper(), format="%(asctime)s %(levelname)s %(message)s")
    try:
        _check(args)
    except InvalidValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    # Threads that spin while they wait starve each other when cores are busy; read at torch's import.
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    try:
        try:
            import torch

            from inference_server.server import DEFAULT_MODEL, ServerConfig, serve
        except ModuleNotFoundError as error:
            raise MissingExtraError(error.name or "torch", "server") from error
        if args.threads:
            torch.set_num_threads(args.threads)
        config = ServerConfig(
            host=args.host,
            port=args.port,
            models=tuple(args.model or [DEFAULT_MODEL]),
            device=args.device,
            max_sessions=args.max_sessions,
            tick_rate_hz=args.tick_rate,
        )
        asyncio.run(serve(config, lambda lines: print(*lines, sep="\n", flush=True)))
    except DiffusionToyError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
