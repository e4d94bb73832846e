"""From the engine's thread to the streams in the event loop, without a queue that can grow.

The engine leaves its newest frame for each session and wakes the loop once; whatever the loop has
not picked up is replaced, so a loop that is behind costs one frame a session.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from diffusion_toy.contract.messages import Moving, Rejected, Schedule
from inference_server.engine.frames import TickResult
from inference_server.engine.session import Displaced, Event, Session, SessionSnapshot
from inference_server.streams.board import Board
from inference_server.streams.lesson import Lesson
from inference_server.streams.outbox import FrameRecord, Message, Outbox, StalledClientError
from inference_server.streams.status import GAVE_WAY, Status, StreamError


class Connection:
    """One client's stream, as the event loop sees it.

    Attributes:
        finished: the client said that it is done, or broke the protocol: its session is to end.
        heard: when something last came from the client, seconds of the loop's clock.
        refused: why the last command was refused that was.
    """

    def __init__(self, window: int, now: float = 0.0) -> None:
        self.outbox = Outbox(window)
        self.error: BaseException | None = None  # why the stream has to end
        self.closed = asyncio.Event()
        self.finished = False
        self.heard = now
        self.refused = ""
        self._refusals = 0
        self._changed = asyncio.Event()

    def close(self, error: BaseException | None = None) -> None:
        """End the stream, with an error or (None) normally. The first call counts."""
        if not self.closed.is_set():
            self.error = error
            self.closed.set()
            self._changed.set()

    def finish(self, error: BaseException | None = None) -> None:
        """End the stream because of what the client did, and the session with it."""
        self.finished = self.finished or not self.closed.is_set()
        self.close(error)

    def offer(self, message: Message) -> None:
        """Put a message into the outbox, or end a stream whose client does not read."""
        try:
            match message:
                case FrameRecord():
                    self.outbox.offer_frame(message)
                case SessionSnapshot():
                    self.outbox.offer_snapshot(message)
                case Rejected():
                    self._refusals += 1
                    self.refused = message.message
                    self.outbox.offer(message)
                case Schedule() | Moving() | Displaced() | Lesson():
                    self.outbox.offer(message)
        except StalledClientError as error:
            self.finish(error)
        self._changed.set()

    def acknowledge(self, frame_number: int) -> bool:
        """See `Outbox.acknowledge`."""
        news = self.outbox.acknowledge(frame_number)
        if self.outbox.waiting:
            self._changed.set()
        return news

    def take_refusals(self) -> int:
        """Return how many commands have been refused since this was asked."""
        refusals, self._refusals = self._refusals, 0
        return refusals

    async def next(self) -> Message | None:
        """Wait for the next message that may be sent; None when the stream is to end.

        Raises:
            BaseException: the error that `close` was given, after what was still to be said.
        """
        while True:
            if self.closed.is_set():
                if (last := self.outbox.take_control()) is not None:
                    return last
                if self.error is not None:
                    raise self.error
                return None
            message = self.outbox.take()
            if message is not None:
                return message
            self._changed.clear()
            await self._changed.wait()


@dataclass(eq=False)
class Audience:
    """Who sees a session: the client that drives it, and those who watch."""

    driver: Connection | None = None
    watchers: list[Connection] = field(default_factory=list)

    def __iter__(self) -> Iterator[Connection]:
        if self.driver is not None:
            yield self.driver
        yield from self.watchers


class Delivery:
    """Hands each tick's result to the connections. `publish` is for the engine's thread.

    Args:
        loop: where the connections are served.
        board: what a class wall shows; None without one.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, board: Board | None = None) -> None:
        self._loop, self._board = loop, board
        self._lock = threading.Lock()
        self._audiences: dict[Session, Audience] = {}
        self._frames: dict[Session, FrameRecord] = {}
        self._events: deque[Event] = deque()
        self._ended: list[Session] = []
        self._scheduled = False

    def connect(self, session: Session, connection: Connection) -> Connection | None:
        """Let this connection drive; called where the session is made, so that nothing is missed.

        Returns:
            The connection that did so before, if there is one; it gets nothing more.
        """
        with self._lock:
            audience = self._audiences.setdefault(session, Audience())
            before, audience.driver = audience.driver, connection
            self._frames.pop(session, None)  # numbered for the one before
            return before

    def watch(self, session: Session, connection: Connection) -> None:
        """Let this connection watch the session."""
        with self._lock:
            self._audiences.setdefault(session, Audience()).watchers.append(connection)

    def disconnect(self, session: Session, connection: Connection) -> bool:
        """Deliver nothing more there; whether it was the one that drove."""
        with self._lock:
            audience = self._audiences.get(session)
            if audience is None:
                return False
            drove = audience.driver is connection
            if drove:
                audience.driver = None
            elif connection in audience.watchers:
                audience.watchers.remove(connection)
            if drove and self._board is not None:
                self._board.remove(session)
            if audience.driver is None and not audience.watchers:
                del self._audiences[session]
                self._frames.pop(session, None)
            return drove

    def connections(self) -> list[tuple[Session, Connection]]:
        """Everybody who is connected, with the session that they see."""
        with self._lock:
            return [(session, one) for session, audience in self._audiences.items() for one in audience]

    def driver(self, session: Session) -> Connection | None:
        """Who drives a session."""
        with self._lock:
            audience = self._audiences.get(session)
            return audience.driver if audience is not None else None

    def tell_drivers(self, message: Message) -> None:
        """Send a message to everybody who drives a session; for the event loop's thread."""
        with self._lock:
            drivers = [audience.driver for audience in self._audiences.values()]
        for driver in drivers:
            if driver is not None:
                driver.offer(message)

    def close_all(self, error: BaseException | None) -> None:
        """End every stream; for the event loop's thread."""
        for _, connection in self.connections():
            connection.close(error)

    def publish(self, result: TickResult) -> None:
        """Take over a tick's result; never blocks for long."""
        with self._lock:
            if result.frames is not None:
                for row, session in enumerate(result.frames.sessions):
                    if session in self._audiences:
                        replaced = self._frames.get(session)
                        self._frames[session] = FrameRecord.of(result.frames, row, replaced)
                        if self._board is not None and self._audiences[session].driver is not None:
                            self._board.put(session, result.frames, row)
            self._events.extend(event for event in result.events if event.session in self._audiences)
            self._ended.extend(session for session in result.ended if session in self._audiences)
            if self._scheduled:
                return
            self._scheduled = True
        self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        with self._lock:
            frames, self._frames = self._frames, {}
            events, self._events = self._events, deque()
            ended, self._ended = self._ended, []
            self._scheduled = False
            offers: list[tuple[Message, list[Connection]]] = [
                (event.message, self._to_be_told(event)) for event in events
            ]
            offers += [(frame, list(self._audiences.get(session, ()))) for session, frame in frames.items()]
            over = [
                (connection, _why(session, connection is audience.driver))
                for session in ended
                if (audience := self._audiences.get(session)) is not None
                for connection in audience
            ]
        for message, connections in offers:
            for connection in connections:
                connection.offer(message)
        for connection, error in over:
            connection.close(error)

    def _to_be_told(self, event: Event) -> list[Connection]:
        """Return who is told of an event: of a new schedule all who see the session, else who drives it."""
        audience = self._audiences.get(event.session)
        if audience is None:
            return []
        if isinstance(event.message, Schedule):
            return list(audience)
        return [audience.driver] if audience.driver is not None else []


def _why(session: Session, drives: bool) -> StreamError | None:
    """Return with what error a stream ends whose session has ended; None for none."""
    return StreamError(Status.RESOURCE_EXHAUSTED, GAVE_WAY) if session.displaced and drives else None
