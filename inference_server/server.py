"""The life of a server: load, listen, serve, end cleanly."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc
import torch
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from diffusion_toy.checkpoint import load_model
from diffusion_toy.errors import DiffusionToyError, InvalidValueError
from diffusion_toy.messages import Limits, Start
from diffusion_toy.v1 import denoise_pb2, denoise_pb2_grpc
from inference_server.delivery import Delivery
from inference_server.engine import Engine
from inference_server.engine_thread import EngineThread
from inference_server.service import DenoiseService

log = logging.getLogger(__name__)

SERVICE_NAME = denoise_pb2.DESCRIPTOR.services_by_name["DenoiseService"].full_name
DEFAULT_MODEL = Path(__file__).parent / "models" / "mnist.safetensors"
GRACE_S = 2.0  # how long streams may take to end after they were told to
KEEPALIVE_MIN_MS = 5_000  # clients may ping this often without being sent away


class ServeError(DiffusionToyError):
    """The server cannot start, or had to stop."""


@dataclass(frozen=True)
class ServerConfig:
    """How to serve; see `python -m inference_server --help` for each."""

    host: str = "127.0.0.1"
    port: int = 50051
    models: tuple[Path, ...] = (DEFAULT_MODEL,)
    device: str = "auto"
    max_sessions: int = 32
    tick_rate_hz: float = 60.0


def pick_device(name: str) -> torch.device:
    """The device called `auto`, `cpu` or `cuda`.

    Raises:
        InvalidValueError: `cuda` where there is none.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise InvalidValueError("--device", "cuda", "what this machine has", "use --device cpu or auto")
    return torch.device(name)


def make_engines(config: ServerConfig) -> dict[str, Engine]:
    """An engine for each model file, by model name, each having run a real step.

    Raises:
        CheckpointError: a file that is missing or damaged.
        InvalidValueError: two files of one name, or no such device.
    """
    device = pick_device(config.device)
    engines: dict[str, Engine] = {}
    for path in config.models:
        model = load_model(path)
        if model.name in engines:
            raise InvalidValueError("--model", path, "files of different names", "rename one of them")
        engine = Engine(model, device, config.max_sessions, config.tick_rate_hz)
        session = engine.join(Start())
        for _ in range(3):
            engine.tick()
        engine.leave(session)
        engines[model.name] = engine
        log.info("model %s (%s) on %s", model.name, model.fingerprint, device)
    return engines


def check_address(host: str, port: int) -> None:
    """See that one can listen there, so that the error is one clear sentence.

    Raises:
        ServeError: the port is in use, or the address is not this machine's.
    """
    try:
        info = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        with socket.socket(info[0], info[1]) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(info[4])
    except OSError as error:
        reason = error.strerror or str(error)
        raise ServeError(
            f"cannot listen on {host}:{port} ({reason}); choose another --port, or --port 0 for any free one"
        ) from error


class Server:
    """A running server within an event loop.

    Use as `await server.start()`, then `await server.wait()`, then `await server.stop()`.
    """

    def __init__(self, config: ServerConfig) -> None:
        self.config = config
        self.port = 0
        self._ended = asyncio.Event()
        self._failure: BaseException | None = None

    async def start(self) -> None:
        """Listen, load the models, serve. Health says NOT_SERVING until a real step has run.

        Raises:
            ServeError: nothing can listen there.
            DiffusionToyError: a model cannot be served.
        """
        config, loop = self.config, asyncio.get_running_loop()
        check_address(config.host, config.port)
        limits = Limits(tick_rate_hz=config.tick_rate_hz)
        self._health = health.aio.HealthServicer()
        await self._set_health(serving=False)
        self._grpc = grpc.aio.server(
            options=[
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", limits.request_bytes),
                ("grpc.http2.min_ping_interval_without_data_ms", KEEPALIVE_MIN_MS),
                ("grpc.keepalive_time_ms", 30_000),
                ("grpc.keepalive_timeout_ms", 10_000),
            ]
        )
        self._delivery = Delivery(loop)
        self._service = DenoiseService(self._delivery, limits)
        denoise_pb2_grpc.add_DenoiseServiceServicer_to_server(self._service, self._grpc)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._grpc)
        reflection.enable_server_reflection(
            (SERVICE_NAME, health.SERVICE_NAME, reflection.SERVICE_NAME), self._grpc
        )
        address = f"[{config.host}]" if ":" in config.host else config.host
        self.port = self._grpc.add_insecure_port(f"{address}:{config.port}")
        await self._grpc.start()

        try:
            engines = await asyncio.to_thread(make_engines, config)
        except DiffusionToyError:
            await self._grpc.stop(None)
            raise
        self._engine_thread = EngineThread(
            list(engines.values()),
            self._delivery.publish,
            lambda error: loop.call_soon_threadsafe(self._fail, error),
        )
        self._engine_thread.start()
        self._service.open(engines, self._engine_thread)
        await self._set_health(serving=True)

    async def wait(self) -> None:
        """Until `request_stop`, or until the engine fails.

        Raises:
            ServeError: the engine failed.
        """
        await self._ended.wait()
        if self._failure is not None:
            raise ServeError(f"the engine failed ({self._failure!r}); restart the server") from self._failure

    def request_stop(self) -> None:
        """Make `wait` return."""
        self._ended.set()

    async def stop(self) -> None:
        """Refuse newcomers, end the streams with UNAVAILABLE, stop the engine."""
        await self._set_health(serving=False)
        self._service.close("the server is shutting down; try again in a moment")
        await self._grpc.stop(GRACE_S)
        await asyncio.to_thread(self._engine_thread.stop)

    def _fail(self, error: BaseException) -> None:
        self._failure = error
        self._service.close("the engine failed; the server is restarting")
        self._ended.set()

    async def _set_health(self, *, serving: bool) -> None:
        states = health_pb2.HealthCheckResponse
        state = states.SERVING if serving else states.NOT_SERVING
        for name in ("", SERVICE_NAME):
            await self._health.set(name, state)


async def serve(config: ServerConfig, announce: Callable[[Sequence[str]], None]) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        config: how.
        announce: called once with lines for the user when the server is ready.

    Raises:
        DiffusionToyError: it cannot start, or its engine failed.
    """
    server = Server(config)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.request_stop)
    await server.start()
    announce([f"serving on {config.host}:{server.port}"])
    try:
        await server.wait()
    finally:
        await server.stop()
