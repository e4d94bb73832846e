"""`python -m inference_server`: serve a model."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from diffusion_toy import __version__
from diffusion_toy.errors import DiffusionToyError, InvalidValueError, MissingExtraError
from diffusion_toy.predictors.base import PREDICTORS
from inference_server.engine.main_thread import SPIN_COUNT, SPIN_VARIABLE
from inference_server.ops.environment import add_environment
from inference_server.ops.logs import configure_logging

if TYPE_CHECKING:
    from inference_server.server import ServerConfig

DEVICES = ("auto", "cpu", "cuda")
RESUME_KEY_BYTES = 16
RESUME_KEY_VARIABLE = "DIFFUSION_TOY_RESUME_KEY"
TOKEN_VARIABLE = "DIFFUSION_TOY_TOKEN"  # the viewer reads the same one


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
        "(without it: those that come with the package, mnist and fashion-mnist)",
    )
    p.add_argument(
        "--models-dir",
        type=Path,
        metavar="DIR",
        help="a folder: all .safetensors model files in it are served as well, in the order of their names",
    )
    p.add_argument("--device", choices=DEVICES, default="auto", help="where the network runs")
    p.add_argument(
        "--predictor",
        choices=PREDICTORS,
        default="auto",
        help="what runs the network; auto: OpenVINO on a CPU, PyTorch with CUDA graphs on a GPU; "
        "eager and compiled are PyTorch's; compiled takes minutes at the start and a C++ compiler",
    )
    p.add_argument(
        "--cache-dir",
        type=Path,
        metavar="DIR",
        help="folder that keeps what OpenVINO compiled, so that the next start is faster (without it: none)",
    )
    p.add_argument(
        "--precision",
        choices=("auto", "float32", "bfloat16"),
        default="auto",
        help="of the network's matrix products; auto: bfloat16 where the hardware multiplies it",
    )
    p.add_argument(
        "--fixed-batch",
        type=int,
        default=0,
        help="always run batches of this size, 1…1024, so that a session's pictures do not depend, bit for "
        "bit, on who else is there; 0: of any size",
    )
    p.add_argument(
        "--max-sessions", type=int, default=64, help="sessions served at a time, per model, 1…4096"
    )
    p.add_argument(
        "--capacity",
        type=float,
        default=0.0,
        help="network rows a second that are promised before newcomers are refused, 1…1000000; a session "
        "takes its steps a second, twice that with guidance; 0: what the machine is measured to manage",
    )
    p.add_argument("--tick-rate", type=float, default=60.0, help="fastest network steps a second, 1…240")
    p.add_argument(
        "--grace", type=float, default=30.0, help="how long a lost viewer's session waits for it, s, 0…3600"
    )
    p.add_argument("--idle", type=float, default=1800.0, help="how long a stream may be silent, s, 1…86400")
    p.add_argument("--drain", type=float, default=2.0, help="how long ending streams may take, s, 0…60")
    p.add_argument(
        "--streams-per-peer", type=int, default=256, help="streams from one address at most, 1…65536"
    )
    p.add_argument(
        "--commands-per-second", type=int, default=500, help="of one viewer in the long run, 60…100000"
    )
    p.add_argument(
        "--resume-key-file",
        type=Path,
        default=None,
        metavar="FILE",
        help="secret of 16 bytes or more by which servers know their resume tokens; servers that are to take "
        "over each other's sessions share it (without it: made up, for this process alone)",
    )
    p.add_argument(
        "--one-of-several",
        action="store_true",
        help="this is one of several servers behind a balancer: refuse to start without a shared resume key",
    )
    p.add_argument("--tls-cert", type=Path, default=None, metavar="FILE", help="certificate chain, PEM")
    p.add_argument("--tls-key", type=Path, default=None, metavar="FILE", help="its private key, PEM")
    p.add_argument(
        "--token-file", type=Path, default=None, metavar="FILE",
        help=f"bearer token that viewers must send (without it: the variable {TOKEN_VARIABLE}, else none)",
    )  # fmt: skip
    p.add_argument(
        "--insecure",
        action="store_true",
        help="listen on a public address without TLS and token: everybody who can reach it can use it",
    )
    p.add_argument(
        "--metrics-port",
        type=int,
        default=None,
        help="port of the Prometheus metrics, 0…65535; 0 takes a free one (without it: none)",
    )
    p.add_argument("--metrics-host", default="127.0.0.1", help="address of the Prometheus metrics")
    p.add_argument(
        "--web-port",
        type=int,
        default=None,
        help="port of the page for browsers, 0…65535; 0 takes a free one (without it: no page)",
    )
    p.add_argument(
        "--web-origin",
        action="append",
        default=None,
        metavar="ORIGIN",
        help="another site whose pages may use it, as in https://example.org; may be given several times",
    )
    p.add_argument(
        "--web-host-name",
        action="append",
        default=None,
        metavar="NAME",
        help="a further name under which browsers know this server; may be given several times",
    )
    p.add_argument("--threads", type=int, default=0, help="CPU threads for the network; 0: one for each core")
    p.add_argument(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        default="info",
        help="how much to log, to stderr",
    )
    p.add_argument("--log-format", choices=("text", "json"), default="text", help="how log lines look")
    p.add_argument("--version", action="version", version=__version__)
    add_environment(p)
    return p


def _check(args: argparse.Namespace) -> None:
    for flag, value, low, high in (
        ("--port", args.port, 0, 65535),
        ("--max-sessions", args.max_sessions, 1, 4096),
        ("--fixed-batch", args.fixed_batch, 0, 1024),
        ("--capacity", args.capacity, 0, 1_000_000),
        ("--tick-rate", args.tick_rate, 1, 240),
        ("--grace", args.grace, 0, 3600),
        ("--idle", args.idle, 1, 86400),
        ("--drain", args.drain, 0, 60),
        ("--streams-per-peer", args.streams_per_peer, 1, 65536),
        ("--commands-per-second", args.commands_per_second, 60, 100_000),
        ("--metrics-port", args.metrics_port or 0, 0, 65535),
        ("--web-port", args.web_port or 0, 0, 65535),
        ("--threads", args.threads, 0, 1024),
    ):
        if not low <= value <= high:
            raise InvalidValueError(flag, value, f"{low}…{high}")


def config_of(args: argparse.Namespace) -> ServerConfig:
    """What the flags ask for.

    Raises:
        DiffusionToyError: a secret that cannot be read, or one that is missing.
    """
    from inference_server.server import DEFAULT_MODELS, ServeError, ServerConfig
    from inference_server.transport.make import WebConfig
    from inference_server.transport.security import ServerSecurity, read_secret, read_token

    key = b""
    if args.resume_key_file is not None:
        key = read_secret(args.resume_key_file, "the resume key", RESUME_KEY_BYTES)
    elif os.environ.get(RESUME_KEY_VARIABLE):
        key = os.environ[RESUME_KEY_VARIABLE].encode()
        if len(key) < RESUME_KEY_BYTES:
            raise InvalidValueError(
                RESUME_KEY_VARIABLE, f"of {len(key)} bytes", f"{RESUME_KEY_BYTES} bytes and more"
            )
    elif args.one_of_several:
        raise ServeError(
            "one of several servers needs the key that the others have, or viewers lose their sessions when "
            f"they change servers; give --resume-key-file FILE, or set {RESUME_KEY_VARIABLE}"
        )
    token = os.environ.get(TOKEN_VARIABLE) or None
    if args.token_file is not None:
        token = read_token(args.token_file)
    return ServerConfig(
        host=args.host,
        port=args.port,
        models=(*(args.model or DEFAULT_MODELS), *_models_in(args.models_dir)),
        device=args.device,
        predictor=args.predictor,
        cache=args.cache_dir,
        precision=args.precision,
        threads=args.threads,
        fixed_batch=args.fixed_batch,
        max_sessions=args.max_sessions,
        capacity=args.capacity,
        tick_rate_hz=args.tick_rate,
        grace_s=args.grace,
        idle_s=args.idle,
        drain_s=args.drain,
        streams_per_peer=args.streams_per_peer,
        commands_per_second=args.commands_per_second,
        resume_key=key,
        security=ServerSecurity(args.tls_cert, args.tls_key, token, args.insecure),
        web=None
        if args.web_port is None
        else WebConfig(
            args.host, args.web_port, tuple(args.web_origin or ()), tuple(args.web_host_name or ())
        ),
        metrics_host=args.metrics_host,
        metrics_port=args.metrics_port,
    )


def _models_in(folder: Path | None) -> list[Path]:
    if folder is None:
        return []
    if not folder.is_dir():
        raise InvalidValueError(
            "--models-dir", folder, "a folder that exists", "make it, or leave the flag out"
        )
    return sorted(folder.glob("*.safetensors"))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the server; the exit status: 0 after SIGTERM or Ctrl-C, 1 on failure, 2 for a bad flag."""
    args = parser().parse_args(argv)
    configure_logging(args.log_level, args.log_format)
    os.environ.setdefault(SPIN_VARIABLE, SPIN_COUNT)
    try:
        _check(args)
        try:
            from inference_server.server import serve
        except ModuleNotFoundError as error:
            raise MissingExtraError(error.name or "safetensors", "server") from error
        serve(config_of(args), lambda lines: print(*lines, sep="\n", flush=True))
    except DiffusionToyError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, InvalidValueError) and error.field.startswith("--") else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
