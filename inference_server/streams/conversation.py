"""A stream after its welcome: what the client says, and what it is told, until one of them is done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import lru_cache
from typing import Any

from diffusion_toy.contract import messages as m
from diffusion_toy.contract import wire
from diffusion_toy.errors import InvalidValueError
from diffusion_toy.rate import TokenBucket
from diffusion_toy.v1 import denoise_pb2 as pb
from inference_server.engine.pending import Pending, Skip
from inference_server.engine.session import Displaced, SessionSnapshot
from inference_server.ops.monitoring import Metrics
from inference_server.streams.delivery import Connection
from inference_server.streams.frame_message import FrameMessage
from inference_server.streams.intake import Intake, cost_of
from inference_server.streams.lesson import Lesson
from inference_server.streams.outbox import FrameRecord
from inference_server.streams.snapshots import seal
from inference_server.streams.status import GAVE_WAY, Status, StreamError
from inference_server.streams.stream import BrokenStreamError, Stream
from inference_server.streams.tokens import Sealer

BURST_SECONDS = 4.0
LAST_WORDS_S = 1.0  # how long a stream may take to end once it has to


class Conversation:
    """Reads and writes one stream.

    Args:
        stream: where it reads and writes.
        connection: what the client is to be told, and how it stands with its acknowledgements.
        limits: what it is held to.
        sealer: makes the resume tokens.
        metrics: what is counted.
        intake: what the server takes in.
    """

    def __init__(
        self,
        stream: Stream,
        connection: Connection,
        limits: m.Limits,
        sealer: Sealer,
        metrics: Metrics,
        intake: Intake,
    ) -> None:
        self._stream, self._connection = stream, connection
        self._limits, self._sealer, self._metrics = limits, sealer, metrics
        self._watched = intake.watched
        self._intake = intake.stream(asyncio.get_running_loop().time())

    async def drive(
        self,
        applied: int,
        submit: Callable[[Pending], None],
        *,
        repeats: bool,
    ) -> None:
        """Converse with the client that runs a session.

        Args:
            applied: all commands up to this sequence have been applied.
            submit: takes the others, in their order; raises `InvalidValueError` for one to be rejected.
            repeats: the client may send some again that have been applied.
        """
        await self._converse(self._read(applied, submit, repeats), self._write())

    async def watch(self) -> None:
        """Converse with a client that may only acknowledge."""
        await self._converse(self._read_watcher(), self._write(self._watched))

    async def _converse(self, reading: Coroutine[Any, Any, None], writing: Coroutine[Any, Any, None]) -> None:
        """Read and write until the stream ends."""
        connection = self._connection
        reader = asyncio.create_task(reading)
        writer = asyncio.create_task(writing)
        closed = asyncio.create_task(connection.closed.wait())
        tasks = (reader, writer, closed)
        try:
            await asyncio.wait((writer, closed), return_when=asyncio.FIRST_COMPLETED)
            # A client that does not read could keep its last words from being written for ever.
            await asyncio.wait((writer,), timeout=LAST_WORDS_S)
            if writer.done():
                await writer
            elif connection.error is not None:
                raise connection.error
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, applied: int, submit: Callable[[Pending], None], repeating: bool) -> None:
        """Take requests until the client is done; ends the connection in every case."""
        connection = self._connection
        now = asyncio.get_running_loop().time
        rate = self._limits.commands_per_second
        bucket = TokenBucket(rate, BURST_SECONDS * rate, now())
        last_sequence = applied
        try:
            while (message := await self._stream.read()) is not None:
                connection.heard = now()
                kind = message.WhichOneof("request")
                if kind == "acknowledge" and connection.acknowledge(message.acknowledge.frame_number):
                    continue
                await self._take_turns(message)
                if kind == "acknowledge":
                    continue
                sequence = message.sequence
                if repeating and sequence <= applied and kind != "start":
                    continue  # sent again, and applied already
                if not last_sequence < sequence <= m.SEQUENCE_MAX:
                    raise InvalidValueError(
                        "sequence",
                        sequence,
                        f"{last_sequence + 1}…2^63−1",
                        "it has to rise with every command",
                    )
                repeating = False
                last_sequence = sequence
                try:
                    command = self._checked_command(message, bucket.take(now()))
                    at_step = message.at_step if message.HasField("at_step") else None
                    submit(Pending(sequence, command, at_step, message.ByteSize()))
                except InvalidValueError as error:
                    self._metrics.command(kind or "unknown", "rejected")
                    connection.offer(m.Rejected(sequence, error.field, error.value, error.limit, str(error)))
                    submit(Pending(sequence, Skip()))
            connection.finish()
        except BrokenStreamError as error:
            connection.close(error)
        except Exception as error:
            connection.finish(error)

    async def _read_watcher(self) -> None:
        """Take the requests of a stream that may only acknowledge, until the client is done."""
        connection = self._connection
        now = asyncio.get_running_loop().time
        try:
            while (message := await self._stream.read()) is not None:
                connection.heard = now()
                kind = message.WhichOneof("request")
                if kind is None:
                    raise wire.WireError("the request is empty")
                if kind == "acknowledge" and connection.acknowledge(message.acknowledge.frame_number):
                    continue
                await self._take_turns(message)
                if kind == "acknowledge":
                    continue
                text = f"{kind}: you are watching; only the one who runs the session can touch it"
                connection.offer(m.Rejected(message.sequence, kind, kind, "acknowledge", text))
            connection.finish()
        except BrokenStreamError as error:
            connection.close(error)
        except Exception as error:
            connection.finish(error)

    async def _take_turns(self, message: pb.DenoiseRequest) -> None:
        """Wait as long as this request has to, and for the commands that were refused since the last.

        Raises:
            StreamError: RESOURCE_EXHAUSTED, too many were.
        """
        now = asyncio.get_running_loop().time
        for _ in range(self._connection.take_refusals()):
            await _wait(self._intake.refusal_wait_s(now(), self._connection.refused))
        await _wait(self._intake.request_wait_s(now(), cost_of(message)))

    def _checked_command(self, message: pb.DenoiseRequest, in_time: bool) -> m.Command:
        """Return the command of a message.

        Raises:
            InvalidValueError: to be rejected; the stream goes on.
            StreamError, WireError: the protocol is broken.
        """
        rate = self._limits.commands_per_second
        if not in_time:
            raise InvalidValueError(
                "commands", f"faster than {rate} a second", f"{rate} a second", "send fewer"
            )
        body = wire.request_from_proto(message).body
        if isinstance(body, m.Start):
            raise StreamError(
                Status.FAILED_PRECONDITION,
                "the session has started already; send restart, or open another stream",
            )
        assert not isinstance(body, m.Acknowledge)
        return body

    async def _write(self, pace: TokenBucket | None = None) -> None:
        """Send what the outbox allows until the connection closes.

        Args:
            pace: how fast at most; None for as fast as may be. A frame that waits is replaced by newer ones.
        """
        connection = self._connection
        outbox, frames = connection.outbox, FrameMessage()
        dropped = 0
        while (message := await connection.next()) is not None:
            match message:
                case FrameRecord():
                    response = frames.fill(message)
                    self._metrics.frames_sent()
                    if outbox.dropped > dropped:
                        self._metrics.frames_dropped(outbox.dropped - dropped)
                        dropped = outbox.dropped
                case SessionSnapshot():
                    token = wire.resume_token_to_proto(seal(message, self._sealer))
                    response = pb.DenoiseResponse(resume_token=token)
                case m.Rejected():
                    response = pb.DenoiseResponse(rejected=wire.rejected_to_proto(message))
                case m.Schedule():
                    response = schedule_response(message)
                case Lesson():
                    response = pb.DenoiseResponse(lesson=lesson_to_proto(message))
                case Displaced(snapshot):
                    moving = m.Moving(seal(snapshot, self._sealer), GAVE_WAY)
                    response = pb.DenoiseResponse(moving=wire.moving_to_proto(moving))
                case m.Moving():
                    response = pb.DenoiseResponse(moving=wire.moving_to_proto(message))
            await self._stream.write(response)
            if pace is not None:
                await _wait(pace.reserve(asyncio.get_running_loop().time()))


async def _wait(seconds: float) -> None:
    if seconds > 0:
        await asyncio.sleep(seconds)


@lru_cache(maxsize=64)
def schedule_response(schedule: m.Schedule) -> pb.DenoiseResponse:
    """Return the message that tells a schedule, one for everybody who has the same; not to be changed."""
    return pb.DenoiseResponse(schedule=wire.schedule_to_proto(schedule))


def lesson_to_proto(lesson: Lesson) -> pb.Lesson:
    """Return the message of a lesson."""
    message = pb.Lesson(spotlight=lesson.spotlight)
    if lesson.offers:
        message.offer.number = lesson.offers
        if lesson.seed is not None:
            message.offer.seed = lesson.seed
    return message
