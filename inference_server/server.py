"""The life of a server: load, listen, serve, recover, end cleanly."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from diffusion_toy.contract.messages import Limits
from diffusion_toy.errors import DiffusionToyError
from diffusion_toy.model.checkpoint import LoadedModel
from inference_server.engine.admission import Admission
from inference_server.engine.engine import Engine
from inference_server.engine.loop import EngineLoop
from inference_server.engine.main_thread import MainThread
from inference_server.engine.roster import ModelChanges, Roster
from inference_server.engines import load_models, make_engines, request_bytes
from inference_server.ops.monitoring import Load, Metrics, serve_metrics
from inference_server.ops.open_files import raise_open_files
from inference_server.ops.tracing import Tracing, otlp_tracing
from inference_server.options import ServerOptions
from inference_server.preparation import Preparation
from inference_server.reloading import Reloading
from inference_server.secrets import SecretError, resume_key
from inference_server.streams.administration import Administration
from inference_server.streams.board import Board
from inference_server.streams.delivery import Delivery
from inference_server.streams.sessions import Sessions
from inference_server.streams.status import Status, StreamError
from inference_server.streams.tokens import Sealer
from inference_server.transport.addresses import resolve
from inference_server.transport.admin.service import AdminServer
from inference_server.transport.make import make_transports
from inference_server.transport.transport import Transport

log = logging.getLogger(__name__)
R = TypeVar("R")

RESTARTS_MAX, RESTARTS_WITHIN_S = 3, 60.0
SWITCH_INTERVAL_S = 0.0005
SWEEP_S = 5.0  # how often silent streams are looked for


class ServeError(DiffusionToyError):
    """The server cannot start, or had to stop."""


async def build(options: ServerOptions, main_thread: MainThread) -> Server:
    """Load the models and put a server together; nothing listens and no network runs yet.

    Raises:
        DiffusionToyError: a port is taken, a file is missing or damaged, or strangers could use the server.
    """
    roster, admission = Roster(), Admission()
    metrics = Metrics(lambda: load_of(admission, roster, sessions))
    board = Board() if options.wall else None
    transports = make_transports(options, lambda: metrics.stream_failed("unauthenticated"), board)
    for warning in dict.fromkeys(warning for transport in transports for warning in transport.check()):
        log.warning(warning)
    key = resume_key(options, os.environ)
    if (few_files := raise_open_files()) is not None:
        log.warning(few_files)
    if not key:
        log.info("made up a key for resume tokens: only this process can take its sessions up again")
    tracing = otlp_tracing() if options.traces else Tracing()
    with tracing.span("load", what="files"):
        models = await asyncio.wrap_future(main_thread.submit(lambda: load_models(options.model_files)))
    largest = request_bytes(models)
    limits = Limits(
        tick_rate_hz=options.tick_rate_hz,
        request_bytes=largest,
        pending_bytes=max(Limits.pending_bytes, 2 * largest),
        commands_per_second=options.commands_per_second,
        grace_s=options.grace_s,
        idle_s=options.idle_s,
    )
    sealer = Sealer(key or secrets.token_bytes(32), limits.request_bytes - 1024)
    delivery = Delivery(asyncio.get_running_loop(), board)
    sessions = Sessions(
        delivery,
        limits,
        sealer,
        metrics,
        options.streams_per_peer,
        new_streams_per_second=options.new_streams_per_second,
        wall=board is not None,
        tracing=tracing,
    )
    administration = Administration(admission, delivery, sealer)
    return Server(
        options,
        main_thread,
        models,
        admission,
        roster,
        delivery,
        sessions,
        administration,
        metrics,
        tracing,
        transports,
    )


def load_of(admission: Admission, roster: Roster, sessions: Sessions) -> Load:
    """Return the present load, for whoever asks for the metrics; reads numbers only."""
    seats, figures = admission.seats, admission.figures(time.perf_counter())
    return Load(
        sessions=len(seats),
        detached_sessions=sum(seat.session.detached for seat in seats),
        watchers=sum(engine.num_watchers for engine in roster.all),
        demand=sum(share.demand for share in figures),
        load=sum(share.load for share in figures),
        capacities={share.model: share.capacity for share in figures if share.capacity is not None},
        unacknowledged_frames=sessions.unacknowledged,
    )


class Server:
    """A running server within an event loop.

    Use as `await server.start()`, then `await server.wait()`, then `await server.stop()`.

    Args:
        options: how.
        main_thread: where the engines run; not the event loop's.
        models: what is served.
        admission: of the device that the engines run on.
        roster: the engines of these models; filled here.
        delivery, sessions, administration, metrics, tracing: what the engines and the transports share.
        transports: the ways in.
    """

    def __init__(
        self,
        options: ServerOptions,
        main_thread: MainThread,
        models: Sequence[LoadedModel],
        admission: Admission,
        roster: Roster,
        delivery: Delivery,
        sessions: Sessions,
        administration: Administration,
        metrics: Metrics,
        tracing: Tracing,
        transports: Sequence[Transport],
    ) -> None:
        self.options, self.metrics, self.transports = options, metrics, transports
        self._tracing = tracing
        self._main_thread, self._models, self._roster = main_thread, models, roster
        self._admission, self._delivery, self._sessions = admission, delivery, sessions
        self._administration = administration
        self._admin_server: AdminServer | None = None
        self._listening: list[Transport] = []
        self._metrics_server = contextlib.ExitStack()
        self._ended = asyncio.Event()
        self._failure: BaseException | None = None
        self._restarts: deque[float] = deque()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stopping = False
        self._preparation: Preparation | None = None
        self._reloading: Reloading | None = None
        self._changing_engines = asyncio.Lock()

    async def start(self) -> None:
        """Listen, run the default network, serve; health says NOT_SERVING until a real step has run.

        Raises:
            DiffusionToyError: it cannot listen, or a model cannot be served.
        """
        try:
            for transport in self.transports:
                port = await transport.start(self._sessions)
                self._listening.append(transport)
                log.info("%s listens on port %d", transport.name, port)
            if self.options.metrics_port is not None:
                host = resolve(self.options.metrics_host, "--metrics-host")[0]
                endpoint = serve_metrics(self.metrics, host, self.options.metrics_port)
                self._metrics_server.callback(endpoint.close)
            if self.options.admin_port is not None:
                admin = AdminServer(
                    self._administration, self.reload_models, self.request_stop, self.options.admin_port
                )
                log.info("administration listens on port %d", await admin.start())
                self._admin_server = admin
            with self._tracing.span("load", what="engines"):
                await self._start_engines()
        except DiffusionToyError:
            self._metrics_server.close()
            await self._stop_listening(0.0)
            raise
        self._spawn(self._sweep())

    async def _start_engines(self) -> None:
        loop = asyncio.get_running_loop()
        self._roster.reset(await asyncio.wrap_future(self._main_thread.submit(self._make_engines)))
        if self._preparation is not None:  # of engines that have failed
            await asyncio.to_thread(self._preparation.stop)
        self._preparation = preparation = Preparation(
            self._roster, lambda error: loop.call_soon_threadsafe(self._end, error)
        )
        await asyncio.wrap_future(self._main_thread.submit(preparation.make_first_ready))
        self._engine_loop = EngineLoop(
            self._roster,
            self._delivery.publish,
            lambda error: loop.call_soon_threadsafe(self._fail, error),
            self.metrics,
        )
        self._ticking = asyncio.wrap_future(self._main_thread.submit(self._engine_loop.run))
        self._sessions.open(self._roster, self._engine_loop, preparation.ready)
        self._administration.open(self._roster, self._engine_loop)
        await self._set_serving(True)
        preparation.start(self._engine_loop)
        request_bytes = self._sessions.limits.request_bytes
        self._reloading = Reloading(
            self.options, request_bytes, self._admission, self._roster, self._engine_loop, preparation
        )

    def _make_engines(self) -> list[Engine]:
        self._admission.clear()
        return make_engines(self.options, self._models, self._admission)

    async def reload_models(self) -> ModelChanges:
        """Serve the model files as they are now; see `Reloading.reload`. It goes on when nobody waits for it.

        Raises:
            StreamError: a file cannot be served, or the server loads its models, or stops.
        """
        try:
            return await asyncio.shield(self._spawn(self._reload()))
        except asyncio.CancelledError:
            if self._stopping:
                raise StreamError(Status.UNAVAILABLE, "the server is shutting down") from None
            raise

    async def _reload(self) -> ModelChanges:
        async with self._changing_engines:
            if self._reloading is None:
                raise StreamError(
                    Status.UNAVAILABLE, "the server is loading its models; try again in a moment"
                )
            with self._tracing.span("load", what="changed files"):
                self._models, changes = await self._reloading.reload()
            return changes

    async def _set_serving(self, serving: bool) -> None:
        for transport in self._listening:
            await transport.set_serving(serving)

    async def _stop_listening(self, drain_s: float) -> None:
        ending: list[Transport | AdminServer] = [*self._listening]
        if self._admin_server is not None:
            ending.append(self._admin_server)
        await asyncio.gather(*(one.stop(drain_s) for one in ending))

    def announcement(self, *, terminal: bool) -> list[str]:
        """Return what the user is told when the server is ready; see `Transport.announcement`."""
        return [line for transport in self.transports for line in transport.announcement(terminal=terminal)]

    def _spawn(self, work: Coroutine[Any, Any, R]) -> asyncio.Task[R]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(min(SWEEP_S, self.options.idle_s / 2))
            self._sessions.end_idle(loop.time())

    async def wait(self) -> None:
        """Until `request_stop`, or until the engine has failed too often.

        Raises:
            ServeError: the engine failed.
            PredictorError: one of the models cannot be run.
        """
        await self._ended.wait()
        if isinstance(self._failure, DiffusionToyError):
            raise self._failure
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
        await self._set_serving(False)
        await self._sessions.drain("the server is shutting down; try again in a moment")
        if self._preparation is not None:
            await asyncio.to_thread(self._preparation.stop)
        await self._stop_listening(self.options.drain_s)
        self._engine_loop.stop()
        await self._ticking
        await asyncio.to_thread(self._metrics_server.close)
        await asyncio.to_thread(self._tracing.close)

    def _fail(self, error: BaseException) -> None:
        """Start the engine's thread again after it has failed, unless that has not helped before."""
        self._sessions.close("the engine failed; the server is restarting it")
        now = time.monotonic()
        self._restarts.append(now)
        while self._restarts and now - self._restarts[0] > RESTARTS_WITHIN_S:
            self._restarts.popleft()
        if self._stopping or len(self._restarts) > RESTARTS_MAX:
            self._end(error)
            return
        self.metrics.engine_restarted()
        self._spawn(self._recover(error))

    def _end(self, error: BaseException) -> None:
        """Make `wait` raise."""
        self._failure = error
        self._ended.set()

    async def _recover(self, error: BaseException) -> None:
        await self._set_serving(False)
        try:
            async with self._changing_engines:
                with self._tracing.span("load", what="engines again"):
                    await self._start_engines()
        except Exception as again:
            log.exception("the engine does not start again")
            self._end(again)
            return
        log.warning("the engine is back after: %r", error)


def serve(
    options: ServerOptions, announce: Callable[[Sequence[str]], None], *, terminal: bool = False
) -> None:
    """Serve until SIGTERM or SIGINT; to be called in the program's main thread.

    Args:
        options: how.
        announce: called once, in another thread, with lines for the user when the server is ready.
        terminal: a person reads them, and no log keeps them: they have the bearer token.

    Raises:
        DiffusionToyError: it cannot start, or its engine failed.
    """
    if options.make_token and not terminal:
        raise SecretError("--make-token prints the token to a terminal, and there is none; give --token-file")
    if options.wall and options.wall_token_file is None and not terminal:
        raise SecretError("--wall prints its link to a terminal, and there is none; give --wall-token-file")
    # Two threads share the interpreter: by default a busy one gives way after 5 ms, and a tick asks often.
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    main_thread = MainThread()
    stop = threading.Event()
    outcome: Future[None] = Future()

    async def front_end() -> None:
        stopping = asyncio.get_running_loop().run_in_executor(None, stop.wait)
        try:
            server = await build(options, main_thread)
            stopping.add_done_callback(lambda _: server.request_stop())
            await server.start()
            try:
                announce(server.announcement(terminal=terminal))
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
