"""The gRPC service: the protocol's rules, and nothing else. Protobuf stays within this module."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

import grpc

from diffusion_toy import __version__, wire
from diffusion_toy import messages as m
from diffusion_toy.errors import DiffusionToyError, InvalidValueError
from diffusion_toy.schedule import make_schedule
from diffusion_toy.v1 import denoise_pb2 as pb
from diffusion_toy.v1 import denoise_pb2_grpc as pb_grpc
from inference_server.delivery import Connection, Delivery
from inference_server.engine import Engine, ServerFullError
from inference_server.engine_thread import EngineThread
from inference_server.outbox import FrameRecord, StalledClientError
from inference_server.rate_limit import TokenBucket
from inference_server.session import Pending, Session, Skip

log = logging.getLogger(__name__)

BURST_SECONDS = 4.0


class ServiceError(DiffusionToyError):
    """Ends a stream with a status."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(details)
        self.code = code


def status_of(error: BaseException) -> tuple[grpc.StatusCode, str]:
    """The status and its text with which an error ends a stream."""
    match error:
        case ServiceError():
            return error.code, str(error)
        case InvalidValueError() | wire.WireError():
            return grpc.StatusCode.INVALID_ARGUMENT, str(error)
        case ServerFullError() | StalledClientError():
            return grpc.StatusCode.RESOURCE_EXHAUSTED, str(error)
        case _:
            log.error("a stream failed", exc_info=error)
            return grpc.StatusCode.INTERNAL, "the server made a mistake; see its log"


class DenoiseService(pb_grpc.DenoiseServiceServicer):
    """Streams sessions of some engines; answers UNAVAILABLE until it is opened.

    Args:
        delivery: brings what the engines publish.
        limits: what clients are told and held to.
    """

    _engines: Mapping[str, Engine]
    _thread: EngineThread

    def __init__(self, delivery: Delivery, limits: m.Limits) -> None:
        self._delivery, self._limits = delivery, limits
        self._unavailable: str | None = "the server is loading its model; try again in a moment"

    def open(self, engines: Mapping[str, Engine], engine_thread: EngineThread) -> None:
        """Accept streams for these engines (by model name, the first is the default)."""
        self._engines, self._thread = engines, engine_thread
        self._unavailable = None

    def close(self, reason: str) -> None:
        """Refuse new streams and end the present ones with UNAVAILABLE."""
        self._unavailable = reason
        self._delivery.close_all(ServiceError(grpc.StatusCode.UNAVAILABLE, reason))

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
        """One session, from `Start` to the end of the stream."""
        try:
            await self._denoise(context)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            await _abort(context, error)

    async def _denoise(self, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        if self._unavailable is not None:
            raise ServiceError(grpc.StatusCode.UNAVAILABLE, self._unavailable)
        first = await context.read()
        if first is grpc.aio.EOF:
            return
        request = wire.request_from_proto(first)
        if not isinstance(request.body, m.Start):
            kind = first.WhichOneof("request")
            raise ServiceError(
                grpc.StatusCode.FAILED_PRECONDITION, f"the first request is {kind}; it must be start"
            )
        if request.sequence > m.SEQUENCE_MAX:
            raise InvalidValueError("sequence", request.sequence, "0…2^63−1")
        start = request.body
        engine = self._engine(start.model)
        connection = Connection(start.window)
        joining = self._thread.call(lambda: self._join(engine, start, request.sequence, connection))
        session: Session | None = None
        try:
            session = await asyncio.wrap_future(joining)
            if self._unavailable is not None:  # closed while we joined
                raise ServiceError(grpc.StatusCode.UNAVAILABLE, self._unavailable)
            log.info("session %s starts (seed %d, %s)", session.id, session.seed, context.peer())
            await context.write(pb.DenoiseResponse(welcome=self._welcome(engine, session, start)))
            reader = asyncio.create_task(self._read(context, engine, session, connection, request.sequence))
            try:
                await self._write(context, connection)
            finally:
                reader.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await reader
        finally:
            if session is None:  # cancelled while joining: the engine may still take the start
                joining.add_done_callback(lambda done: self._leave_if_joined(engine, done))
            else:
                self._leave(engine, session)
                log.info("session %s ends", session.id)

    def _join(self, engine: Engine, start: m.Start, sequence: int, connection: Connection) -> Session:
        """In the engine's thread: open the session where its first frame cannot be missed."""
        session = engine.join(start, sequence)
        self._delivery.connect(session, connection)
        return session

    def _leave(self, engine: Engine, session: Session) -> None:
        self._delivery.disconnect(session)
        self._thread.post(lambda: engine.leave(session))

    def _leave_if_joined(self, engine: Engine, joining: Future[Session]) -> None:
        if not joining.cancelled() and joining.exception() is None:
            self._leave(engine, joining.result())

    def _engine(self, name: str) -> Engine:
        if not name:
            return next(iter(self._engines.values()))
        if name not in self._engines:
            known = ", ".join(self._engines)
            raise ServiceError(grpc.StatusCode.NOT_FOUND, f"there is no model {name!r}; there is: {known}")
        return self._engines[name]

    def _welcome(self, engine: Engine, session: Session, start: m.Start) -> pb.Welcome:
        settings = session.settings
        schedule = make_schedule(settings.schedule.key, settings.num_time_steps)
        return wire.welcome_to_proto(
            m.Welcome(
                session_id=session.id,
                seed=session.seed,
                model=engine.info,
                schedule=m.Schedule(settings.schedule, schedule.alphas_cumprod),
                limits=self._limits,
                settings=settings,
                window=start.window,
                server_version=__version__,
            )
        )

    # --- the two directions of a stream ---

    async def _read(
        self,
        context: grpc.aio.ServicerContext[Any, Any],
        engine: Engine,
        session: Session,
        connection: Connection,
        last_sequence: int,
    ) -> None:
        """Take requests until the client is done; ends the connection in every case."""
        now = asyncio.get_running_loop().time
        rate = self._limits.commands_per_second
        bucket = TokenBucket(rate, BURST_SECONDS * rate, now())
        try:
            while (message := await context.read()) is not grpc.aio.EOF:
                if message.WhichOneof("request") == "acknowledge":
                    connection.acknowledge(message.acknowledge.frame_number)
                    continue
                sequence = message.sequence
                if not last_sequence < sequence <= m.SEQUENCE_MAX:
                    raise InvalidValueError(
                        "sequence",
                        sequence,
                        f"{last_sequence + 1}…2^63−1",
                        "it has to rise with every command",
                    )
                last_sequence = sequence
                command: m.Command | Skip
                try:
                    if not bucket.take(now()):
                        raise InvalidValueError(
                            "commands", f"faster than {rate} a second", f"{rate} a second", "send fewer"
                        )
                    if len(session.pending) >= self._limits.pending_commands:
                        raise InvalidValueError(
                            "commands", f"beyond {len(session.pending)} waiting", "the queue", "send fewer"
                        )
                    body = wire.request_from_proto(message).body
                    if isinstance(body, m.Start):
                        raise ServiceError(
                            grpc.StatusCode.FAILED_PRECONDITION,
                            "the session has started already; send restart, or open another stream",
                        )
                    assert not isinstance(body, m.Acknowledge)
                    command = body
                except InvalidValueError as error:
                    connection.offer(m.Rejected(sequence, error.field, error.value, error.limit, str(error)))
                    command = Skip()
                at_step = message.at_step if message.HasField("at_step") else None
                if isinstance(command, Skip):
                    at_step = None
                pending = Pending(sequence, command, at_step)
                self._thread.post(lambda pending=pending: engine.submit(session, pending))  # type: ignore[misc]
            connection.close()
        except asyncio.CancelledError:
            raise
        except Exception as error:
            connection.close(error)

    async def _write(self, context: grpc.aio.ServicerContext[Any, Any], connection: Connection) -> None:
        """Send what the outbox allows until the connection closes."""
        while (message := await connection.next()) is not None:
            match message:
                case FrameRecord():
                    response = pb.DenoiseResponse(frame=frame_to_proto(message))
                case m.Rejected():
                    response = pb.DenoiseResponse(rejected=wire.rejected_to_proto(message))
                case m.Schedule():
                    response = pb.DenoiseResponse(schedule=wire.schedule_to_proto(message))
            await context.write(response)


def frame_to_proto(record: FrameRecord) -> pb.Frame:
    """One row of a tick's batch as a message; the reverse of `wire.frame_from_proto`."""
    batch, row = record.batch, record.row
    channels, height, width = batch.shape
    image, plane = 2 * channels * height * width, 2 * height * width  # bytes
    begin = row * (2 * image + plane)
    content = batch.content
    readings = batch.readings[row].tolist()
    ranges = [pb.Range(min=a, mean=b, max=c) for a, b, c in zip(*[iter(readings)] * 3, strict=True)]
    constant = readings[0] == readings[2]
    return pb.Frame(
        number=int(batch.numbers[row]),
        step=int(batch.steps[row]),
        landed_sequence=int(batch.landed[row]),
        x_t=content[begin : begin + image],
        x0_hat=content[begin + image : begin + 2 * image],
        level_map=b"" if constant else content[begin + 2 * image : begin + 2 * image + plane],
        claimed=ranges[0],
        bookkept=ranges[1],
        time_step=ranges[2],
        motion=int(batch.motion[row]),  # type: ignore[arg-type]
        resting=bool(batch.resting[row]),
        settings=wire.settings_to_proto(batch.settings[row]),
        seed=int(batch.seeds[row]),
        server_ms=batch.server_ms[0],
        sessions=batch.people,
    )


async def _abort(context: grpc.aio.ServicerContext[Any, Any], error: Exception) -> None:
    code, details = status_of(error)
    await context.abort(code, details)
