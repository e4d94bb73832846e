"""The life of a server: load, listen, serve, recover, end cleanly."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import socket
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from diffusion_toy.contract.messages import Limits, SettingsChange, Start
from diffusion_toy.errors import DiffusionToyError, InvalidValueError
from diffusion_toy.model.checkpoint import LoadedModel, load_model
from diffusion_toy.predictors.make import PredictorOptions, make_predictor
from diffusion_toy.v1 import denoise_pb2, denoise_pb2_grpc
from inference_server.engine.capacity import BUSY
from inference_server.engine.engine import Engine, EngineConfig
from inference_server.engine.loop import EngineLoop
from inference_server.engine.main_thread import MainThread
from inference_server.ops.monitoring import Load, Metrics, serve_metrics
from inference_server.streams.delivery import Delivery
from inference_server.streams.sessions import Sessions
from inference_server.streams.tokens import Sealer
from inference_server.transport.grpc_service import DenoiseService
from inference_server.transport.security import (
    BearerInterceptor,
    ServerSecurity,
    check_binding,
    is_loopback,
    server_credentials,
)

log = logging.getLogger(__name__)
R = TypeVar("R")

SERVICE_NAME = denoise_pb2.DESCRIPTOR.services_by_name["DenoiseService"].full_name
MODELS = Path(__file__).parent / "models"
DEFAULT_MODELS = (MODELS / "mnist.safetensors", MODELS / "fashion-mnist.safetensors")
KEEPALIVE_MIN_MS = 5_000  # clients may ping this often without being sent away
REQUEST_BYTES_LEAST = 64 * 1024
TOKEN_OVERHEAD_BYTES = 8 * 1024  # of a resume token beyond its state
CAPACITY_SIZES = (1, 8, 16, 32)  # sessions at which the engine is timed
CAPACITY_TICKS = 6
RESTARTS_MAX, RESTARTS_WITHIN_S = 3, 60.0
SWEEP_S = 5.0  # how often silent streams are looked for


class ServeError(DiffusionToyError):
    """The server cannot start, or had to stop."""


@dataclass(frozen=True)
class ServerConfig:
    """How to serve; see `python -m inference_server --help` for each."""

    host: str = "127.0.0.1"
    port: int = 50051
    models: tuple[Path, ...] = DEFAULT_MODELS
    device: str = "auto"
    precision: str = "auto"
    predictor: str = "auto"
    threads: int = 0  # 0: as many as there are cores
    cache: Path | None = None  # for compiled programs
    fixed_batch: int = 0
    max_sessions: int = 64
    capacity: float = 0.0  # rows a second; 0: measured
    tick_rate_hz: float = 60.0
    grace_s: float = 30.0
    idle_s: float = 1800.0
    drain_s: float = 2.0
    streams_per_peer: int = 256
    commands_per_second: int = 500
    token_period_s: float = 1.0
    resume_key: bytes = b""  # empty: one is made up
    security: ServerSecurity = field(default_factory=ServerSecurity)
    metrics_host: str = "127.0.0.1"
    metrics_port: int | None = None


def engine_config(config: ServerConfig) -> EngineConfig:
    """Return what the flags mean for an engine."""
    return EngineConfig(
        slots=config.max_sessions,
        tick_rate_hz=config.tick_rate_hz,
        token_period_s=config.token_period_s,
        capacity=config.capacity or None,
    )


def predictor_options(config: ServerConfig) -> PredictorOptions:
    """Return what the flags mean for the network."""
    return PredictorOptions(
        kind=config.predictor,
        device=config.device,
        precision=config.precision,
        fixed_batch=config.fixed_batch,
        rows=2 * config.max_sessions,  # with guidance, a session takes two
        threads=config.threads or available_cores(),
        cache=config.cache,
    )


def available_cores() -> int:
    """Return how many cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def measure_capacity(engine: Engine) -> None:
    """Time the engine's ticks at a few numbers of sessions; leaves no session behind.

    Where the operator has set the capacity, a single session shows that the engine works.
    """
    endless = SettingsChange(num_time_steps=1000)
    seconds: dict[int, float] = {}
    busy = False
    for count in CAPACITY_SIZES if engine.capacity.source != "given" else (1,):
        if count > engine.config.slots:
            break
        sessions = [engine.join(Start(seed=seed, settings=endless)) for seed in range(count)]
        times = []
        for _ in range(CAPACITY_TICKS):
            began = time.perf_counter()
            engine.tick()
            times.append(time.perf_counter() - began)
        seconds[count] = statistics.median(times)
        busy |= seconds[count] > BUSY * min(times)
        for session in sessions:
            engine.leave(session)
    engine.tick()
    engine.capacity.measured(seconds, time.perf_counter())
    if busy:
        log.warning("capacity was measured on a busy machine; it is corrected while the server runs")


def load_models(paths: Sequence[Path]) -> list[LoadedModel]:
    """The models of these files.

    Raises:
        CheckpointError: a file that is missing or damaged.
        InvalidValueError: two files of one name.
    """
    models: dict[str, LoadedModel] = {}
    for path in paths:
        model = load_model(path)
        if model.name in models:
            raise InvalidValueError("--model", path, "files of different names", "rename one of them")
        models[model.name] = model
    return list(models.values())


def make_engines(config: ServerConfig, models: Sequence[LoadedModel]) -> dict[str, Engine]:
    """An engine for each model, by its name, each having run real steps.

    Raises:
        InvalidValueError: no such device.
        PredictorError: the network cannot run here.
    """
    options = predictor_options(config)
    engines: dict[str, Engine] = {}
    for model in models:
        predictor = make_predictor(model, options)
        predictor.warm_up()
        engine = Engine(model, predictor, engine_config(config))
        engines[model.name] = engine
        log.info(
            "model %s on %s", model.name, predictor.description, extra={"fingerprint": model.fingerprint}
        )
    for engine in engines.values():
        engine.neighbours = [other for other in engines.values() if other is not engine]
        measure_capacity(engine)
        promised = engine.capacity.rows_per_second or 0.0
        log.info(
            "model %s: %.0f network rows a second (%s), admits %.0f sessions at %g steps a second",
            engine.model.name, promised, engine.capacity.source,
            max(1, promised // config.tick_rate_hz), config.tick_rate_hz,
        )  # fmt: skip
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

    Args:
        config: how.
        main_thread: where the engines run; not the event loop's.
    """

    def __init__(self, config: ServerConfig, main_thread: MainThread) -> None:
        self.config, self._main_thread = config, main_thread
        self.port = 0
        self._ended = asyncio.Event()
        self._failure: BaseException | None = None
        self._restarts: deque[float] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._engines: dict[str, Engine] = {}
        self._stopping = False

    async def start(self) -> None:
        """Listen, load the models, serve. Health says NOT_SERVING until a real step has run.

        Raises:
            ServeError: nothing can listen there.
            DiffusionToyError: a model cannot be served.
        """
        config, loop = self.config, asyncio.get_running_loop()
        if (warning := check_binding(config.host, config.security)) is not None:
            log.warning(warning)
        check_address(config.host, config.port)
        if not config.resume_key:
            log.info("made up a key for resume tokens: only this process can take its sessions up again")
        self.metrics = Metrics(self._load)
        self._health = health.aio.HealthServicer()
        await self._set_health(serving=False)
        self._models = await self._compute(lambda: load_models(config.models))
        limits = Limits(
            tick_rate_hz=config.tick_rate_hz,
            request_bytes=request_bytes(self._models),
            commands_per_second=config.commands_per_second,
            grace_s=config.grace_s,
            idle_s=config.idle_s,
        )
        sealer = Sealer(config.resume_key or secrets.token_bytes(32), limits.request_bytes - 1024)
        bearer = config.security.bearer_token
        self._grpc = grpc.aio.server(
            interceptors=[BearerInterceptor(bearer, self._refused)] if bearer else [],
            options=[
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", limits.request_bytes),
                ("grpc.http2.min_ping_interval_without_data_ms", KEEPALIVE_MIN_MS),
                ("grpc.keepalive_time_ms", 30_000),
                ("grpc.keepalive_timeout_ms", 10_000),
            ],
        )
        self._delivery = Delivery(loop)
        self._sessions = Sessions(self._delivery, limits, sealer, self.metrics, config.streams_per_peer)
        denoise_pb2_grpc.add_DenoiseServiceServicer_to_server(DenoiseService(self._sessions), self._grpc)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._grpc)
        reflection.enable_server_reflection(
            (SERVICE_NAME, health.SERVICE_NAME, reflection.SERVICE_NAME), self._grpc
        )
        address = f"[{config.host}]" if ":" in config.host else config.host
        credentials = server_credentials(config.security)
        where = f"{address}:{config.port}"
        if credentials is None:
            self.port = self._grpc.add_insecure_port(where)
        else:
            self.port = self._grpc.add_secure_port(where, credentials)
        await self._grpc.start()
        self._metrics_server = contextlib.ExitStack()
        try:
            if config.metrics_port is not None:
                endpoint = serve_metrics(self.metrics, config.metrics_host, config.metrics_port)
                self._metrics_server.callback(endpoint.close)
            await self._start_engines()
        except DiffusionToyError:
            self._metrics_server.close()
            await self._grpc.stop(None)
            raise
        self._spawn(self._sweep())

    async def _start_engines(self) -> None:
        loop = asyncio.get_running_loop()
        self._engines = await self._compute(lambda: make_engines(self.config, self._models))
        self._engine_loop = EngineLoop(
            list(self._engines.values()),
            self._delivery.publish,
            lambda error: loop.call_soon_threadsafe(self._fail, error),
            self.metrics,
        )
        self._ticking = asyncio.wrap_future(self._main_thread.submit(self._engine_loop.run))
        self._sessions.open(self._engines, self._engine_loop)
        await self._set_health(serving=True)

    async def _compute(self, function: Callable[[], R]) -> R:
        """Return the result of a function that computes."""
        return await asyncio.wrap_future(self._main_thread.submit(function))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(min(SWEEP_S, self.config.idle_s / 2))
            self._sessions.end_idle(loop.time())

    def _refused(self) -> None:
        self.metrics.stream_failed("unauthenticated")

    def _load(self) -> Load:
        """For whoever asks for the metrics; reads numbers only."""
        engines, now = list(self._engines.values()), time.perf_counter()
        sessions = [session for engine in engines for session in list(engine.sessions.values())]
        return Load(
            sessions=len(sessions),
            detached_sessions=sum(session.detached for session in sessions),
            watchers=int(sum(engine.controls.watchers.sum() for engine in engines)),
            demand=sum(engine.demand for engine in engines),
            load=sum(engine.load for engine in engines),
            capacities={engine.model.name: info for engine in engines if (info := engine.capacity.info(now))},
            unacknowledged_frames=self._sessions.unacknowledged,
        )

    async def wait(self) -> None:
        """Until `request_stop`, or until the engine has failed too often.

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
        """Refuse newcomers, hand out the newest tokens, end the streams with UNAVAILABLE, stop."""
        self._stopping = True
        for task in list(self._tasks):
            task.cancel()
        await self._set_health(serving=False)
        await self._sessions.drain("the server is shutting down; try again in a moment")
        await self._grpc.stop(self.config.drain_s)
        self._engine_loop.stop()
        await self._ticking
        await asyncio.to_thread(self._metrics_server.close)

    def _fail(self, error: BaseException) -> None:
        """The engine's thread has ended: start it anew, unless that has not helped before."""
        self._sessions.close("the engine failed; the server is restarting it")
        now = time.monotonic()
        self._restarts.append(now)
        while self._restarts and now - self._restarts[0] > RESTARTS_WITHIN_S:
            self._restarts.popleft()
        if self._stopping or len(self._restarts) > RESTARTS_MAX:
            self._failure = error
            self._ended.set()
            return
        self.metrics.engine_restarted()
        self._spawn(self._recover(error))

    async def _recover(self, error: BaseException) -> None:
        await self._set_health(serving=False)
        try:
            await self._start_engines()
        except Exception as again:
            log.exception("the engine does not start again")
            self._failure = again
            self._ended.set()
            return
        log.warning("the engine is back after: %r", error)

    async def _set_health(self, *, serving: bool) -> None:
        states = health_pb2.HealthCheckResponse
        state = states.SERVING if serving else states.NOT_SERVING
        for name in ("", SERVICE_NAME):
            await self._health.set(name, state)


def request_bytes(models: Sequence[LoadedModel]) -> int:
    """How large a request may be: room for a resume token, or a picture, of any of these models."""
    largest = 0
    for model in models:
        config = model.config
        pixels = config.height * config.width
        largest = max(largest, (2 * config.channels + 3) * 4 * pixels + config.channels * pixels)
    return max(REQUEST_BYTES_LEAST, largest + TOKEN_OVERHEAD_BYTES)


def announcement(config: ServerConfig, port: int) -> list[str]:
    """What the user is told when the server is ready."""
    lines = [f"serving on {config.host}:{port}"]
    if not is_loopback(config.host):
        flags = " --tls" if config.security.tls_cert else ""
        flags += " --token TOKEN" if config.security.bearer_token else ""
        lines.append(f"join with: python -m viewer_client --server THIS-MACHINE:{port}{flags}")
    return lines


def serve(config: ServerConfig, announce: Callable[[Sequence[str]], None]) -> None:
    """Serve until SIGTERM or SIGINT; to be called in the program's main thread.

    Args:
        config: how.
        announce: called once, in another thread, with lines for the user when the server is ready.

    Raises:
        DiffusionToyError: it cannot start, or its engine failed.
    """
    main_thread = MainThread()
    stop = threading.Event()
    outcome: Future[None] = Future()

    async def front_end() -> None:
        server, loop = Server(config, main_thread), asyncio.get_running_loop()
        stopping = loop.run_in_executor(None, stop.wait)
        stopping.add_done_callback(lambda _: server.request_stop())
        try:
            await server.start()
            try:
                announce(announcement(config, server.port))
                await server.wait()
            finally:
                await server.stop()
        finally:
            stop.set()

    def run() -> None:
        try:
            asyncio.run(front_end())
        except BaseException as error:
            outcome.set_exception(error)
        else:
            outcome.set_result(None)
        finally:
            main_thread.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    thread = threading.Thread(target=run, name="front end")
    thread.start()
    main_thread.run()
    thread.join()
    outcome.result()
