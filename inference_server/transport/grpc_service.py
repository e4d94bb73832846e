"""The gRPC service: how streams begin and end, and who may have one; `conversation` is what lies between."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import grpc

from diffusion_toy import __version__
from diffusion_toy.contract import messages as m
from diffusion_toy.contract import wire
from diffusion_toy.diffusion.schedule import make_schedule
from diffusion_toy.errors import InvalidValueError
from diffusion_toy.v1 import denoise_pb2 as pb
from diffusion_toy.v1 import denoise_pb2_grpc as pb_grpc
from inference_server.engine.commands import INJECTIONS_PER_TICK
from inference_server.engine.engine import Engine, NotHereError
from inference_server.engine.loop import EngineLoop
from inference_server.engine.session import Pending, Session, SessionSnapshot
from inference_server.ops.monitoring import Metrics
from inference_server.streams.conversation import Conversation
from inference_server.streams.delivery import Connection, Delivery
from inference_server.streams.snapshots import seal, unseal
from inference_server.streams.tokens import Sealer
from inference_server.transport.grpc_status import ServiceError, status_of

log = logging.getLogger(__name__)

WELCOME_S = 20.0  # how long a client may take to let its welcome through
DRAIN_SNAPSHOT_S = 1.0  # how long to wait for the engines' thread when shutting down


@dataclass(frozen=True)
class Opened:
    """A session that a stream has begun, or gone on with. `before` drove it until now."""

    engine: Engine
    session: Session
    applied: int
    resumed: bool
    before: Connection | None = None


class DenoiseService(pb_grpc.DenoiseServiceServicer):
    """Streams sessions of some engines; answers UNAVAILABLE until it is opened.

    Args:
        delivery: brings what the engines publish.
        limits: what clients are told and held to.
        sealer: makes and reads resume tokens.
        metrics: what is counted.
        streams_per_peer: at most, from one address.
    """

    _engines: Mapping[str, Engine]
    _loop: EngineLoop

    def __init__(
        self, delivery: Delivery, limits: m.Limits, sealer: Sealer, metrics: Metrics, streams_per_peer: int
    ) -> None:
        self._delivery, self._limits, self._sealer, self._metrics = delivery, limits, sealer, metrics
        self._streams_per_peer = streams_per_peer
        self._streams: Counter[str] = Counter()  # by the peer's host
        self._unavailable: str | None = "the server is loading its model; try again in a moment"

    def open(self, engines: Mapping[str, Engine], engine_loop: EngineLoop) -> None:
        """Accept streams for these engines (by model name, the first is the default)."""
        self._engines, self._loop = engines, engine_loop
        self._unavailable = None

    def close(self, reason: str) -> None:
        """Refuse new streams and end the present ones with UNAVAILABLE."""
        self._unavailable = reason
        self._delivery.close_all(ServiceError(grpc.StatusCode.UNAVAILABLE, reason))

    async def drain(self, reason: str) -> None:
        """Freeze every session, hand its newest token out, and close."""
        if self._unavailable is None:
            self._unavailable = reason
            freezing = self._loop.call(self._freeze)
            with contextlib.suppress(TimeoutError):
                frozen = await asyncio.wait_for(asyncio.wrap_future(freezing), DRAIN_SNAPSHOT_S)
                for session, snapshot in frozen:
                    if (driver := self._delivery.driver(session)) is not None:
                        driver.offer(m.Moving(seal(snapshot, self._sealer), reason))
        self.close(reason)

    def _freeze(self) -> list[tuple[Session, SessionSnapshot]]:
        """In the engines' thread: stop all sessions where they are."""
        frozen: list[tuple[Session, SessionSnapshot]] = []
        for engine in self._engines.values():
            sessions = list(engine.sessions.values())
            frozen += zip(sessions, engine.snapshots(sessions), strict=True)
            for session in sessions:
                engine.suspend(session)
        return frozen

    def end_idle(self, now: float) -> None:
        """End the streams that have been silent for too long; `now` is the loop's time."""
        for _, connection in self._delivery.connections():
            if now - connection.heard > self._limits.idle_s:
                text = f"nothing came from the client for {self._limits.idle_s:g} s; connect again to go on"
                connection.close(ServiceError(grpc.StatusCode.DEADLINE_EXCEEDED, text))

    @property
    def unacknowledged(self) -> int:
        """Frames on their way to all clients."""
        return sum(connection.outbox.unacknowledged for _, connection in self._delivery.connections())

    async def ListModels(
        self, request: pb.ListModelsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.ListModelsResponse:
        """The models that a `Start` can name."""
        if self._unavailable is not None:
            await context.abort(grpc.StatusCode.UNAVAILABLE, self._unavailable)
        models = [wire.model_to_proto(engine.info) for engine in self._engines.values()]
        return pb.ListModelsResponse(models=models)

    async def Denoise(  # type: ignore[override]
        self, request_iterator: Any, context: grpc.aio.ServicerContext[Any, Any]
    ) -> None:
        """One stream, from `Start` to its end."""
        try:
            with self._counted(context.peer()):
                await self._denoise(context)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            code, details = status_of(error)
            self._metrics.stream_failed(code.name.lower())
            await context.abort(code, details)

    @contextlib.contextmanager
    def _counted(self, peer: str) -> Iterator[None]:
        """Hold a peer to its number of streams."""
        host = peer.rpartition(":")[0] or peer
        if self._streams[host] >= self._streams_per_peer:
            text = f"{self._streams[host]} streams are open from this address, which is the limit"
            raise ServiceError(grpc.StatusCode.RESOURCE_EXHAUSTED, text)
        self._streams[host] += 1
        try:
            yield
        finally:
            self._streams[host] -= 1
            if not self._streams[host]:
                del self._streams[host]

    async def _denoise(self, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        if self._unavailable is not None:
            raise ServiceError(grpc.StatusCode.UNAVAILABLE, self._unavailable)
        try:
            async with asyncio.timeout(self._limits.idle_s):
                first = await context.read()
        except TimeoutError:
            raise ServiceError(grpc.StatusCode.DEADLINE_EXCEEDED, "no start came") from None
        if first is grpc.aio.EOF:
            return
        request = wire.request_from_proto(first)
        start = request.body
        if not isinstance(start, m.Start):
            kind = first.WhichOneof("request")
            raise ServiceError(
                grpc.StatusCode.FAILED_PRECONDITION, f"the first request is {kind}; it must be start"
            )
        if request.sequence > m.SEQUENCE_MAX:
            raise InvalidValueError("sequence", request.sequence, "0…2^63−1")
        connection = Connection(start.window, asyncio.get_running_loop().time())
        if start.watch:
            await self._watch(context, start, connection)
        else:
            await self._drive(context, start, request.sequence, connection)

    # --- driving a session ---

    async def _drive(
        self,
        context: grpc.aio.ServicerContext[Any, Any],
        start: m.Start,
        sequence: int,
        connection: Connection,
    ) -> None:
        opening = self._loop.call(self._opener(start, sequence, connection))
        held: Opened | None = None
        try:
            held = opened = await asyncio.wrap_future(opening)
            if opened.before is not None:
                text = "another stream has taken this session over"
                opened.before.close(ServiceError(grpc.StatusCode.ABORTED, text))
            if self._unavailable is not None:  # closed while we joined
                raise ServiceError(grpc.StatusCode.UNAVAILABLE, self._unavailable)
            session = opened.session
            how = "resumes" if opened.resumed else "starts"
            log.info(
                "session %s", how, extra={"session": session.id, "seed": session.seed, "peer": context.peer()}
            )
            (self._metrics.session_resumed if opened.resumed else self._metrics.session_started)()
            async with asyncio.timeout(WELCOME_S):
                await context.write(pb.DenoiseResponse(welcome=self._welcome(opened, start.window)))
            conversation = Conversation(context, connection, self._limits, self._sealer, self._metrics)
            submit = self._submitter(opened, connection)
            await conversation.drive(session, opened.applied, submit, repeats=opened.resumed)
        finally:
            if held is None:  # cancelled while joining: the engine may still take the start
                opening.add_done_callback(lambda done: self._let_go_if_opened(done, connection))
            else:
                self._let_go(held, connection)

    def _opener(self, start: m.Start, sequence: int, connection: Connection) -> Callable[[], Opened]:
        """What the engines' thread has to do: open the session where its first frame cannot be missed.

        Raises:
            ServiceError, TokenError, InvalidValueError: a start that cannot be.
        """
        if not start.resume_token:
            engine = self._engine(start.model)

            def join() -> Opened:
                session = engine.join(start, sequence)
                self._delivery.connect(session, connection)
                return Opened(engine, session, sequence, resumed=False)

            return join
        snapshot = unseal(start.resume_token, self._sealer)
        engine = self._engine(snapshot.model)

        def resume() -> Opened:
            session = engine.find(snapshot.session_id) if start.seed is None else None
            if session is None:
                session = engine.restore(snapshot, start.seed)
            else:
                engine.take_up(session)
            before = self._delivery.connect(session, connection)
            applied = int(engine.controls.applied[session.slot])
            return Opened(engine, session, applied, resumed=True, before=before)

        return resume

    def _submitter(self, opened: Opened, connection: Connection) -> Callable[[Pending], None]:
        """Takes the commands of this connection to the engines' thread."""

        def submit(pending: Pending) -> None:
            if self._delivery.driver(opened.session) is connection:  # nobody has taken it over meanwhile
                opened.engine.submit(opened.session, pending)

        return lambda pending: self._loop.post(lambda: submit(pending))

    def _let_go(self, opened: Opened, connection: Connection) -> None:
        """A stream has ended: the session ends too, or waits for its client."""
        engine, session = opened.engine, opened.session
        if not self._delivery.disconnect(session, connection):
            return  # somebody else drives it by now
        over = connection.finished or self._unavailable is not None or not self._limits.grace_s
        log.info("session %s", "ends" if over else "waits", extra={"session": session.id})
        if over:
            self._metrics.session_ended("finished" if connection.finished else "closed")
            self._loop.post(lambda: engine.leave(session))
            return
        loop = asyncio.get_running_loop()

        def suspend() -> None:
            if engine.suspend(session):
                count = session.suspensions
                expire = lambda: self._loop.post(lambda: self._expire(engine, session, count))  # noqa: E731
                loop.call_soon_threadsafe(loop.call_later, self._limits.grace_s, expire)

        self._loop.post(suspend)

    def _expire(self, engine: Engine, session: Session, count: int) -> None:
        """In the engines' thread: end a session that still waits, unless it was taken up since."""
        if session.suspended and session.suspensions == count and engine.find(session.id) is session:
            self._metrics.session_ended("expired")
            engine.leave(session)

    def _let_go_if_opened(self, opening: Future[Opened], connection: Connection) -> None:
        if not opening.cancelled() and opening.exception() is None:
            connection.finished = True  # nobody has learnt of it
            self._let_go(opening.result(), connection)

    def _engine(self, name: str) -> Engine:
        if not name:
            return next(iter(self._engines.values()))
        if name not in self._engines:
            known = ", ".join(self._engines)
            raise NotHereError(f"there is no model {name!r}; there is: {known}")
        return self._engines[name]

    def _welcome(self, opened: Opened, window: int, watching: bool = False) -> pb.Welcome:
        session, engine = opened.session, opened.engine
        settings = session.settings
        schedule = make_schedule(settings.schedule.key, settings.num_time_steps)
        return wire.welcome_to_proto(
            m.Welcome(
                session_id=session.id,
                seed=session.seed,
                model=engine.info,
                schedule=m.Schedule(settings.schedule, schedule.alphas_cumprod),
                limits=m.Limits(
                    **{
                        **vars(self._limits),
                        "history_states": engine.kept_states,
                        "injections_per_tick": INJECTIONS_PER_TICK,
                    }
                ),
                settings=settings,
                window=window,
                server_version=__version__,
                applied_sequence=opened.applied,
                resumed=opened.resumed,
                watching=watching,
            )
        )

    # --- watching one ---

    async def _watch(
        self, context: grpc.aio.ServicerContext[Any, Any], start: m.Start, connection: Connection
    ) -> None:
        engines = list(self._engines.values())

        def look() -> Opened:
            for engine in engines:
                if (session := engine.find(start.watch)) is not None:
                    self._delivery.watch(session, connection)
                    engine.add_watchers(session, 1)
                    return Opened(engine, session, int(engine.controls.applied[session.slot]), resumed=False)
            raise NotHereError("there is no such session; ask the one who runs it for its name")

        looking = self._loop.call(look)
        held: Opened | None = None
        try:
            held = opened = await asyncio.wrap_future(looking)
            welcome = self._welcome(opened, start.window, watching=True)
            async with asyncio.timeout(WELCOME_S):
                await context.write(pb.DenoiseResponse(welcome=welcome))
            await Conversation(context, connection, self._limits, self._sealer, self._metrics).watch()
        finally:
            if held is None:
                looking.add_done_callback(lambda done: self._look_away_if_opened(done, connection))
            else:
                self._look_away(held, connection)

    def _look_away(self, opened: Opened, connection: Connection) -> None:
        self._delivery.disconnect(opened.session, connection)
        self._loop.post(lambda: opened.engine.add_watchers(opened.session, -1))

    def _look_away_if_opened(self, looking: Future[Opened], connection: Connection) -> None:
        if not looking.cancelled() and looking.exception() is None:
            self._look_away(looking.result(), connection)
