"""A session's life: how streams begin and end, and who may have one; `conversation` is what lies between.

A session is *attached* to the stream that drives it. When that stream breaks, the session is
*detached*: it pauses and waits for its client for `Limits.grace_s`, and *reattaches* when the client
comes back with its resume token. Watchers see a session without driving it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from functools import partial

from diffusion_toy import __version__
from diffusion_toy.contract import messages as m
from diffusion_toy.contract import wire
from diffusion_toy.diffusion.schedule import make_schedule
from diffusion_toy.errors import InvalidValueError
from diffusion_toy.v1 import denoise_pb2 as pb
from inference_server.engine.commands import INJECTIONS_PER_TICK
from inference_server.engine.engine import Engine
from inference_server.engine.loop import EngineLoop
from inference_server.engine.pending import Pending, Skip
from inference_server.engine.roster import Roster
from inference_server.engine.session import SessionSnapshot
from inference_server.ops.monitoring import Metrics
from inference_server.ops.tracing import Tracing
from inference_server.peers import network_of
from inference_server.streams.attaching import Attaching, Opened
from inference_server.streams.conversation import Conversation
from inference_server.streams.delivery import Connection, Delivery
from inference_server.streams.intake import STREAMS_PER_SECOND, Intake
from inference_server.streams.lesson import NO_LESSON, Lesson
from inference_server.streams.snapshots import seal, unseal
from inference_server.streams.status import Status, StreamError, status_of
from inference_server.streams.stream import BrokenStreamError, Stream
from inference_server.streams.tokens import Sealer

log = logging.getLogger(__name__)

START_S = 10.0  # how long a stream may be open before its start comes
WELCOME_S = 20.0  # how long a client may take to let its welcome through
DRAIN_SNAPSHOT_S = 1.0  # how long to wait for the engines' thread when shutting down


class Sessions:
    """Serves streams with the sessions of a server's engines; answers UNAVAILABLE until it is opened.

    Args:
        delivery: brings what the engines publish.
        limits: what clients are told and held to.
        sealer: makes and reads resume tokens.
        metrics: what is counted.
        streams_per_peer: at most, from one address, over all transports.
        start_s: how long a stream may be open before its start comes; never longer than it may be silent.
        new_streams_per_second: from one address in the long run.
        wall: clients are told that a class wall shows their pictures.
        tracing: records how sessions begin and leave; None for no traces.
    """

    _roster: Roster
    _loop: EngineLoop
    _ready: Callable[[Engine], Future[None]] | None
    _attaching: Attaching

    def __init__(
        self,
        delivery: Delivery,
        limits: m.Limits,
        sealer: Sealer,
        metrics: Metrics,
        streams_per_peer: int,
        start_s: float = START_S,
        new_streams_per_second: float = STREAMS_PER_SECOND,
        *,
        wall: bool = False,
        tracing: Tracing | None = None,
    ) -> None:
        self._delivery, self._limits, self._sealer, self._metrics = delivery, limits, sealer, metrics
        self._streams_per_peer, self._wall = streams_per_peer, wall
        self._tracing = tracing or Tracing()
        self._lesson = NO_LESSON
        self._start_s = min(start_s, limits.idle_s)
        self._intake = Intake(limits, new_streams_per_second)
        self._streams: Counter[str] = Counter()  # by the peer's network
        self._unavailable: str | None = "the server is loading its model; try again in a moment"

    def open(
        self,
        roster: Roster,
        engine_loop: EngineLoop,
        ready: Callable[[Engine], Future[None]] | None = None,
    ) -> None:
        """Accept streams.

        Args:
            roster: the engines.
            engine_loop: ticks them.
            ready: from an engine to what is done when its sessions can begin; None if all can.
        """
        self._roster, self._loop, self._ready = roster, engine_loop, ready
        self._attaching = Attaching(
            roster, engine_loop, self._delivery, self._intake, self._metrics, self._limits.grace_s
        )
        self._unavailable = None

    def close(self, reason: str) -> None:
        """Refuse new streams and end the present ones with UNAVAILABLE."""
        self._unavailable = reason
        self._delivery.close_all(StreamError(Status.UNAVAILABLE, reason))

    async def drain(self, reason: str) -> None:
        """Freeze every session, send its newest token, and close."""
        if self._unavailable is None:
            self._unavailable = reason
            with self._tracing.span("drain") as span, contextlib.suppress(TimeoutError):
                freezing = self._loop.call(self._attaching.freeze)
                frozen = await asyncio.wait_for(asyncio.wrap_future(freezing), DRAIN_SNAPSHOT_S)
                span.note(sessions=len(frozen))
                for session, snapshot in frozen:
                    if (driver := self._delivery.driver(session)) is not None:
                        driver.offer(m.Moving(seal(snapshot, self._sealer), reason))
        self.close(reason)

    def end_idle(self, now: float) -> None:
        """End the streams that have been silent for too long; `now` is the event loop's time."""
        for _, connection in self._delivery.connections():
            if now - connection.heard > self._limits.idle_s:
                text = f"nothing came from the client for {self._limits.idle_s:g} s; connect again to go on"
                connection.close(StreamError(Status.DEADLINE_EXCEEDED, text))

    @property
    def limits(self) -> m.Limits:
        """Return what clients are held to."""
        return self._limits

    @property
    def unacknowledged(self) -> int:
        """The number of frames on their way to all clients."""
        return sum(connection.outbox.unacknowledged for _, connection in self._delivery.connections())

    @property
    def lesson(self) -> Lesson:
        """Return what the class wall shows everybody."""
        return self._lesson

    def teach(self, lesson: Lesson) -> None:
        """Tell it to everybody who drives a session, now or later."""
        self._lesson = lesson
        self._delivery.tell_drivers(lesson)

    def models(self, peer: str) -> list[m.ModelInfo]:
        """Return the models that a `Start` can name.

        Args:
            peer: the client's address.

        Raises:
            StreamError: the server has not loaded them yet, or shuts down, or the address asks too often.
        """
        self._intake.calls.check(network_of(peer), asyncio.get_running_loop().time())
        if self._unavailable is not None:
            raise StreamError(Status.UNAVAILABLE, self._unavailable)
        now = time.perf_counter()
        return [engine.info_at(now) for engine in self._roster.serving]

    async def serve(self, stream: Stream) -> tuple[Status, str] | None:
        """Serve one stream from `Start` to its end.

        Returns:
            The status and the text to end the stream with; None if it ended in good order or is broken.
        """
        try:
            with self.counted(stream.peer):
                await self._serve(stream)
        except BrokenStreamError:
            return None
        except Exception as error:
            status, details = status_of(error)
            self._metrics.stream_failed(status.name.lower())
            return status, details
        return None

    @contextlib.contextmanager
    def counted(self, peer: str) -> Iterator[None]:
        """Hold an address to its number of streams, and to how fast it may open them.

        Raises:
            StreamError: it has too many, or opens them too fast.
        """
        network = network_of(peer)
        self._intake.streams.check(network, asyncio.get_running_loop().time())
        if self._streams[network] >= self._streams_per_peer:
            text = f"{self._streams[network]} streams are open from this address, which is the limit"
            raise StreamError(Status.RESOURCE_EXHAUSTED, text)
        self._streams[network] += 1
        try:
            yield
        finally:
            self._streams[network] -= 1
            if not self._streams[network]:
                del self._streams[network]

    async def _serve(self, stream: Stream) -> None:
        if self._unavailable is not None:
            raise StreamError(Status.UNAVAILABLE, self._unavailable)
        try:
            async with asyncio.timeout(self._start_s):
                first = await stream.read()
        except TimeoutError:
            text = f"no start came within {self._start_s:g} s; send it as soon as the stream is open"
            raise StreamError(Status.DEADLINE_EXCEEDED, text) from None
        if first is None:
            return
        request = wire.request_from_proto(first)
        start = request.body
        if not isinstance(start, m.Start):
            kind = first.WhichOneof("request")
            raise StreamError(Status.FAILED_PRECONDITION, f"the first request is {kind}; it must be start")
        if request.sequence > m.SEQUENCE_MAX:
            raise InvalidValueError("sequence", request.sequence, "0…2^63−1")
        connection = Connection(start.window, asyncio.get_running_loop().time())
        if start.watch:
            with self._intake.watcher():
                await self._watch(stream, start, connection)
        else:
            await self._drive(stream, start, request.sequence, connection)

    def _conversation(self, stream: Stream, connection: Connection) -> Conversation:
        return Conversation(stream, connection, self._limits, self._sealer, self._metrics, self._intake)

    # --- driving a session ---

    async def _drive(self, stream: Stream, start: m.Start, sequence: int, connection: Connection) -> None:
        snapshot = unseal(start.resume_token, self._sealer) if start.resume_token else None
        with contextlib.ExitStack() as until_welcome:  # the stream itself has no span
            span = until_welcome.enter_context(self._tracing.span("resume" if snapshot else "start"))
            await self._until_ready(
                self._roster.serving_model(start.model)
                if snapshot is None
                else self._roster.resuming(snapshot)
            )
            opening = self._loop.call(self._opener(start, snapshot, sequence, connection, stream.peer))
            held: Opened | None = None
            try:
                held = opened = await asyncio.wrap_future(opening)
                if opened.before is not None:
                    text = "another stream has taken this session over"
                    opened.before.close(StreamError(Status.ABORTED, text))
                if self._unavailable is not None:  # closed while we joined
                    raise StreamError(Status.UNAVAILABLE, self._unavailable)
                if opened.restored:
                    span.rename("restore")
                span.note(model=opened.engine.info.name)
                how = "resumes" if opened.resumed else "starts"
                log.info(
                    "session %s", how,
                    extra={"session": opened.session.id, "seed": opened.seed, "peer": stream.peer},
                )  # fmt: skip
                (self._metrics.session_resumed if opened.resumed else self._metrics.session_started)()
                await self._welcome(stream, opened, start.window, watching=False)
                until_welcome.close()
                if self._wall:
                    connection.offer(self._lesson)
                conversation = self._conversation(stream, connection)
                submit = partial(self._submit, opened)
                await conversation.drive(opened.applied, submit, repeats=opened.resumed)
            finally:
                if held is None:  # cancelled while joining: the engine may still take the start
                    opening.add_done_callback(partial(self._detach_if_opened, connection))
                else:
                    self._detach(held, connection)

    async def _until_ready(self, engine: Engine) -> None:
        """Wait until an engine's sessions can begin, which takes a second or two after the server's start.

        Raises:
            StreamError: the server was closed meanwhile.
        """
        if self._ready is not None:
            await asyncio.shield(asyncio.wrap_future(self._ready(engine)))
        if self._unavailable is not None:
            raise StreamError(Status.UNAVAILABLE, self._unavailable)

    def _opener(
        self,
        start: m.Start,
        snapshot: SessionSnapshot | None,
        sequence: int,
        connection: Connection,
        peer: str,
    ) -> Callable[[], Opened]:
        """Return what the engines' thread has to do to open the session so that no frame is missed."""
        if snapshot is None:
            return partial(self._attaching.join, start, sequence, connection, peer)
        return partial(self._attaching.reattach, snapshot, start, connection, peer)

    def _submit(self, opened: Opened, pending: Pending) -> None:
        """Queue a command, unless another stream drives by now: then its queue is closed.

        Raises:
            InvalidValueError: no session of this model can be asked for that, or too much waits.
        """
        if not isinstance(pending.command, Skip):
            opened.engine.check(pending.command)
        if opened.pending.put(pending):
            self._loop.post(partial(opened.engine.notice, opened.session))

    def _detach(self, opened: Opened, connection: Connection) -> None:
        """End the session of a stream that has ended, or let it wait for its client."""
        engine, session = opened.engine, opened.session
        if not self._delivery.disconnect(session, connection):
            return  # another stream drives it by now
        if session.displaced:
            log.info("session gives way", extra={"session": session.id})
            self._metrics.session_ended("displaced")
            return
        over = connection.finished or self._unavailable is not None or not self._limits.grace_s
        log.info("session %s", "ends" if over else "waits", extra={"session": session.id})
        if over:
            self._loop.post(
                partial(
                    self._attaching.leave, engine, session, "finished" if connection.finished else "closed"
                )
            )
        else:
            self._loop.post(partial(self._attaching.begin_grace, engine, session, asyncio.get_running_loop()))

    def _detach_if_opened(self, connection: Connection, opening: Future[Opened]) -> None:
        if not opening.cancelled() and opening.exception() is None:
            connection.finished = True  # its client does not know of it
            self._detach(opening.result(), connection)

    async def _welcome(self, stream: Stream, opened: Opened, window: int, *, watching: bool) -> None:
        """Tell a client what its session is.

        Raises:
            StreamError: the client did not take the message in time.
        """
        settings, engine = opened.settings, opened.engine
        schedule = make_schedule(settings.schedule.key, settings.num_time_steps)
        welcome = m.Welcome(
            session_id=opened.session.id,
            seed=opened.seed,
            model=engine.info,
            schedule=m.Schedule(settings.schedule, schedule.alphas_cumprod),
            limits=replace(
                self._limits, history_states=engine.kept_states, injections_per_tick=INJECTIONS_PER_TICK
            ),
            settings=settings,
            window=window,
            server_version=__version__,
            applied_sequence=opened.applied,
            resumed=opened.resumed,
            watching=watching,
            wall=self._wall,
        )
        try:
            async with asyncio.timeout(WELCOME_S):
                await stream.write(pb.DenoiseResponse(welcome=wire.welcome_to_proto(welcome)))
        except TimeoutError:
            raise StreamError(Status.DEADLINE_EXCEEDED, "the client did not take its welcome") from None

    # --- watching one ---

    async def _watch(self, stream: Stream, start: m.Start, connection: Connection) -> None:
        looking = self._loop.call(partial(self._attaching.add_watcher, start.watch, connection))
        held: Opened | None = None
        try:
            held = opened = await asyncio.wrap_future(looking)
            await self._welcome(stream, opened, start.window, watching=True)
            await self._conversation(stream, connection).watch()
        finally:
            if held is None:
                looking.add_done_callback(partial(self._unwatch_if_opened, connection))
            else:
                self._unwatch(held, connection)

    def _unwatch(self, opened: Opened, connection: Connection) -> None:
        self._delivery.disconnect(opened.session, connection)
        self._loop.post(partial(opened.engine.add_watchers, opened.session, -1))

    def _unwatch_if_opened(self, connection: Connection, looking: Future[Opened]) -> None:
        if not looking.cancelled() and looking.exception() is None:
            self._unwatch(looking.result(), connection)
