"""Many viewers without windows, in one process: what a server is like when it is full.

Each viewer has a connection of its own, keeps to the protocol as the window does, and goes on with its
session when the stream breaks. Pictures are received but not decoded.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import sys
import time
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import grpc
import grpc.aio

from diffusion_toy.contract import messages as m
from diffusion_toy.contract import wire
from diffusion_toy.v1 import denoise_pb2 as pb
from diffusion_toy.v1 import denoise_pb2_grpc as pb_grpc
from viewer_client.link.address import Endpoint
from viewer_client.link.backlog import ResumableSession
from viewer_client.link.failures import explain, may_need_tls, needs_tls
from viewer_client.link.status import FRAME_RATE_HZ, Retries, window_for
from viewer_client.link.transport import (
    ANSWER_TIMEOUT_S,
    channel_credentials,
    open_async_channel,
    speaks_tls,
    status_of,
)
from viewer_client.load.report import Report, Samples, Tally, report_of
from viewer_client.load.scripted_input import VIEWERS_MAX, Mouse, moves, new_seed

WARM_UP_S = 2.0
IDLE_S = 0.5  # then an idle session is restarted
LEAVE_S = 5.0  # for all sessions to end
STATUS_S = 2.0  # for a server's status, when a write has failed before it came
FILES_SPARE = 256  # besides one for each viewer

ENDED = (grpc.aio.AioRpcError, asyncio.InvalidStateError)  # what a write to a broken stream raises

FAILED_WRITE = "Internal error from Core"  # the details that gRPC gives a stream whose write failed

clock = time.perf_counter


@dataclass(frozen=True)
class LoadOptions:
    """What to do to a server.

    Attributes:
        seconds: how long to measure, after the ramp and `warm_up_s`.
        ramp_s: viewers come evenly spread over this time.
        seed: seed of the mouse and of the sessions.
        start: what the sessions begin with, but for seed and window.
    """

    endpoint: Endpoint
    viewers: int = 1
    seconds: float = 10.0
    ramp_s: float = 0.0
    mouse: Mouse = Mouse.REALISTIC
    seed: int = 0
    start: m.Start = field(default_factory=m.Start)
    warm_up_s: float = WARM_UP_S

    def __post_init__(self) -> None:
        m.check_range("--viewers", self.viewers, 1, VIEWERS_MAX)
        m.check_range("--seconds", self.seconds, 0, 86_400, open_low=True)
        m.check_range("--ramp", self.ramp_s, 0, 3_600)


class Viewer:
    """One viewer: a session that it keeps, as a window would."""

    def __init__(self, options: LoadOptions, index: int, window: int, tally: Tally) -> None:
        self._options, self._window, self._tally = options, window, tally
        self._delay_s = options.ramp_s * index / options.viewers
        self._rng = random.Random(f"{options.seed} {index}")
        self._start = replace(options.start, seed=new_seed(self._rng))
        self._resumable = ResumableSession()
        self._call: Any = None
        self._writing = asyncio.Lock()  # gRPC takes one message at a time
        self._live = self._was_live = False
        self._over = asyncio.Event()
        self._restart_timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.last_failure = ""

    async def run(self) -> None:
        """Look and touch until `leave`, or until the server refuses for good."""
        await self._pause(self._delay_s)
        retries, credentials = Retries(), channel_credentials(self._options.endpoint)
        try:
            while not self._over.is_set():
                began = clock()
                code, details = await self._stream(credentials)
                if self._over.is_set():
                    return
                self._tally.broke(clock())
                self._tally.samples.errors[code.name] += 1
                failure = explain(
                    code,
                    details,
                    self._options.endpoint,
                    was_live=self._live,
                    resuming=self._resumable.resuming,
                )
                if may_need_tls(failure, self._options.endpoint) and await asyncio.to_thread(
                    speaks_tls, self._options.endpoint
                ):
                    failure = needs_tls(self._options.endpoint)
                self.last_failure = failure.sentence
                if failure.new_session:
                    self._resumable.backlog.clear()
                if not failure.again:  # nobody is here to press a key
                    return
                if self._live:
                    retries.lasted(clock() - began)
                await self._pause(retries.next_s())
        finally:
            for task in self._tasks:
                task.cancel()

    async def leave(self) -> None:
        """End the session."""
        self._over.set()
        async with self._writing:
            if self._call is not None:
                await self._call.done_writing()

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._over.wait(), seconds)

    # --- the stream ---

    async def _stream(self, credentials: grpc.ChannelCredentials | None) -> tuple[grpc.StatusCode, str]:
        """Run one stream from start to end; return how it ended."""
        self._live = False
        async with open_async_channel(self._options.endpoint, credentials) as channel:
            stub = pb_grpc.DenoiseServiceStub(channel)
            call: Any = stub.Denoise(metadata=self._options.endpoint.metadata)
            ending = Ending(call)
            try:
                first = self._resumable.begin(self._start, self._window)
                await call.write(wire.request_to_proto(first))
                self._call = call
                if self._over.is_set():  # `leave` came before there was a call
                    await call.done_writing()
                if (refusal := await self._receive(call)) is not None:
                    return status_of(refusal)
            except ENDED:
                return await ending.status()
            finally:
                self._call = None
                self._cancel_restart()
        return grpc.StatusCode.OK, ""

    async def _receive(self, call: Any) -> m.Refusal | None:
        """Take in what comes until the stream ends; return its refusal if there is one."""
        tally = self._tally
        acknowledge = pb.DenoiseRequest()
        async for message in call:
            now = clock()
            kind = message.WhichOneof("response")
            if kind == "frame":
                if self._over.is_set():
                    continue
                frame = message.frame
                number, idle = frame.number, frame.idle
                tally.frame(now, number, frame.step, frame.applied_sequence, idle)
                acknowledge.acknowledge.frame_number = number
                await self._write(call, acknowledge)
                if idle or self._restart_timer is not None:
                    self._restart_if_idle(idle)
            elif kind == "resume_token":
                self._resumable.token(wire.resume_token_from_proto(message.resume_token))
            elif kind == "moving":
                self._resumable.token(wire.moving_from_proto(message.moving).resume_token)
            elif kind == "rejected":
                tally.samples.rejections[message.rejected.field] += 1
            elif kind == "welcome":
                await self._welcome(call, message.welcome)
            elif kind == "refusal":
                return wire.refusal_from_proto(message.refusal)
        return None

    async def _welcome(self, call: Any, welcome: pb.Welcome) -> None:
        resumed = self._resumable.resuming and welcome.resumed
        async with self._writing:
            for request in self._resumable.welcomed(welcome.applied_sequence, resumed=resumed):
                await call.write(wire.request_to_proto(request))
            self._tally.resumed += resumed
            self._tally.lost += self._was_live and not resumed
            self._live = True
        if not self._was_live and self._options.mouse is Mouse.REALISTIC:
            self._do(self._move(len(welcome.model.label_names)))
        self._was_live = True

    async def _write(self, call: Any, message: pb.DenoiseRequest) -> None:
        """Send a message, unless the stream is at its end, which is seen where it is read."""
        async with self._writing:
            if self._over.is_set():
                return
            with contextlib.suppress(*ENDED):
                await call.write(message)

    # --- the input ---

    async def _move(self, num_labels: int) -> None:
        due = clock()
        for pause_s, command in moves(self._rng, num_labels):
            due += pause_s
            await asyncio.sleep(due - clock())
            await self._send(command)

    async def _send(self, command: m.Command) -> None:
        """Send a command; while there is no session it is dropped."""
        now = clock()
        async with self._writing:
            if self._call is None or not self._live or self._over.is_set():
                return
            request = self._resumable.command(command)
            if isinstance(command, m.Inject):
                self._tally.latency.sent(request.sequence, now)
            with contextlib.suppress(*ENDED):  # it is sent again on the next stream
                await self._call.write(wire.request_to_proto(request))

    def _restart_if_idle(self, idle: bool) -> None:
        """Restart the session when it has been idle for a while."""
        if not idle:
            self._cancel_restart()
        elif self._restart_timer is None:
            self._restart_timer = asyncio.get_running_loop().call_later(IDLE_S, self._restart)

    def _restart(self) -> None:
        self._restart_timer = None
        self._do(self._send(m.Restart(new_seed(self._rng))))

    def _cancel_restart(self) -> None:
        if self._restart_timer is not None:
            self._restart_timer.cancel()
            self._restart_timer = None

    def _do(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class Ending:
    """How a stream ends.

    When a write fails, gRPC's aio gives the stream the status INTERNAL, be it before the server's own status
    (UNAUTHENTICATED, say, which is why it could not be written) or after it, in its place. The first is
    therefore kept, and while it is that of the write, the next one is waited for.
    """

    def __init__(self, call: Any, patience_s: float = STATUS_S) -> None:
        self._call, self._patience_s = call, patience_s
        self._first: tuple[grpc.StatusCode, str] | None = None
        call.add_done_callback(self._done)

    def _done(self, call: Any) -> None:
        self._first = at_once(call.code()), at_once(call.details()) or ""

    async def status(self) -> tuple[grpc.StatusCode, str]:
        """Return code and details, once the stream has ended."""
        until = clock() + self._patience_s
        while True:
            status = self._first or (await self._call.code(), await self._call.details() or "")
            if status != (grpc.StatusCode.INTERNAL, FAILED_WRITE) or clock() > until:
                return status
            self._first = None
            await asyncio.sleep(0.01)


def at_once(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Return the result of a coroutine that has nothing to wait for."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    coroutine.close()
    raise RuntimeError("it waits for something")


async def run_load(options: LoadOptions) -> Report:
    """Let many viewers look at a server and touch it, and return the report of what they saw.

    SIGINT (Ctrl-C) ends the measurement early; the report is then of the time that has passed.
    """
    allow_files(options.viewers + FILES_SPARE)
    window = await _window(options.endpoint)
    counts_from = clock() + options.ramp_s + options.warm_up_s
    samples = Samples(counts_from)
    tallies = [Tally(samples) for _ in range(options.viewers)]
    viewers = [Viewer(options, i, window, tally) for i, tally in enumerate(tallies)]
    tasks = [asyncio.create_task(viewer.run()) for viewer in viewers]
    leaving: list[asyncio.Task[None]] = []
    with interrupts() as interrupted:
        try:
            await _wait(tasks, interrupted, counts_from)
            began, cpu_began = clock(), time.process_time()
            await _wait(tasks, interrupted, counts_from + options.seconds)
            ended, cpu_s = clock(), time.process_time() - cpu_began
            for tally in tallies:
                tally.finish(ended)
            leaving = [asyncio.create_task(viewer.leave()) for viewer in viewers]
            await asyncio.wait([*tasks, *leaving], timeout=LEAVE_S)
        finally:
            for task in (*tasks, *leaving):
                task.cancel()
            outcomes = await asyncio.gather(*tasks, *leaving, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
    return report_of(
        samples,
        tallies,
        cpu_s,
        ended - began,
        server=options.endpoint.address,
        ramp_s=options.ramp_s,
        mouse=options.mouse.value,
        seed=options.seed,
        last_failure=next((v.last_failure for v in reversed(viewers) if v.last_failure), ""),
    )


@contextlib.contextmanager
def interrupts() -> Iterator[asyncio.Event]:
    """Yield an event that the first SIGINT sets; a second one interrupts as usual."""
    event, loop = asyncio.Event(), asyncio.get_running_loop()

    def interrupt() -> None:
        event.set()
        loop.remove_signal_handler(signal.SIGINT)

    try:
        loop.add_signal_handler(signal.SIGINT, interrupt)
    except (NotImplementedError, ValueError, RuntimeError):  # Windows, or not the main thread
        yield event
        return
    try:
        yield event
    finally:
        loop.remove_signal_handler(signal.SIGINT)


async def _wait(tasks: list[asyncio.Task[None]], interrupted: asyncio.Event, until: float) -> None:
    """Wait until this time, or until all tasks have ended, or an interrupt."""
    either = [asyncio.create_task(interrupted.wait()), asyncio.create_task(_all(tasks))]
    await asyncio.wait(either, timeout=until - clock(), return_when=asyncio.FIRST_COMPLETED)
    for task in either:
        task.cancel()


async def _all(tasks: list[asyncio.Task[None]]) -> None:
    await asyncio.wait(tasks)


async def _window(endpoint: Endpoint) -> int:
    """Measure how many frames may be on their way; return the default where that fails."""
    async with open_async_channel(endpoint, channel_credentials(endpoint)) as channel:
        list_models: Any = pb_grpc.DenoiseServiceStub(channel).ListModels
        began = clock()
        for _ in range(2):  # the first call brings the connection up
            began = clock()
            try:
                await list_models(
                    pb.ListModelsRequest(), timeout=ANSWER_TIMEOUT_S, metadata=endpoint.metadata
                )
            except grpc.aio.AioRpcError:
                return m.WINDOW_DEFAULT
        return window_for(clock() - began, FRAME_RATE_HZ, m.WINDOW_MAX)


def allow_files(count: int) -> None:
    """Let this process have so many open files, as far as the system allows it."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        most = count if hard == resource.RLIM_INFINITY else min(count, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
