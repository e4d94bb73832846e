"""From the engine's thread to the streams in the event loop, without a queue that can grow.

The engine leaves its newest frame for each session and wakes the loop once; whatever the loop has
not picked up is replaced, so a loop that is behind costs one frame a session.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque

from diffusion_toy.messages import Rejected, Schedule
from inference_server.engine import TickResult
from inference_server.outbox import FrameRecord, Outbox, StalledClientError
from inference_server.session import Event, Session


class Connection:
    """One client's stream, as the event loop sees it."""

    def __init__(self, window: int) -> None:
        self.outbox = Outbox(window)
        self.error: BaseException | None = None  # why the stream has to end
        self.closed = False
        self._changed = asyncio.Event()

    def close(self, error: BaseException | None = None) -> None:
        """End the stream, with an error or (None) normally. The first call counts."""
        if not self.closed:
            self.closed, self.error = True, error
            self._changed.set()

    def offer(self, message: FrameRecord | Rejected | Schedule) -> None:
        """Put a message into the outbox, or end a stream whose client does not read."""
        try:
            if isinstance(message, FrameRecord):
                self.outbox.offer_frame(message)
            else:
                self.outbox.offer(message)
        except StalledClientError as error:
            self.close(error)
        self._changed.set()

    def acknowledge(self, frame_number: int) -> None:
        """See `Outbox.acknowledge`."""
        self.outbox.acknowledge(frame_number)
        self._changed.set()

    async def next(self) -> FrameRecord | Rejected | Schedule | None:
        """Wait for the next message that may be sent; None when the stream is to end.

        Raises:
            BaseException: the error that `close` was given.
        """
        while True:
            if self.closed:
                if self.error is not None:
                    raise self.error
                return None
            message = self.outbox.take()
            if message is not None:
                return message
            self._changed.clear()
            await self._changed.wait()


class Delivery:
    """Hands each tick's result to the connections. `publish` is for the engine's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self._connections: dict[Session, Connection] = {}
        self._frames: dict[Session, FrameRecord] = {}
        self._events: deque[Event] = deque()
        self._scheduled = False

    def connect(self, session: Session, connection: Connection) -> None:
        """Deliver this session's messages there; called where it is made, so that none is missed."""
        with self._lock:
            self._connections[session] = connection

    def disconnect(self, session: Session) -> None:
        """Deliver nothing more."""
        with self._lock:
            self._connections.pop(session, None)
            self._frames.pop(session, None)

    def close_all(self, error: BaseException | None) -> None:
        """End every stream; for the event loop's thread."""
        with self._lock:
            connections = list(self._connections.values())
        for connection in connections:
            connection.close(error)

    def publish(self, result: TickResult) -> None:
        """Take over a tick's result; never blocks for long."""
        with self._lock:
            if result.frames is not None:
                for row, session in enumerate(result.frames.sessions):
                    if session in self._connections:
                        self._frames[session] = FrameRecord(result.frames, row)
            self._events.extend(event for event in result.events if event.session in self._connections)
            if self._scheduled:
                return
            self._scheduled = True
        self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        with self._lock:
            frames, self._frames = self._frames, {}
            events, self._events = self._events, deque()
            self._scheduled = False
            connections = dict(self._connections)
        messages = [(event.session, event.message) for event in events]
        for session, message in [*messages, *frames.items()]:
            if (connection := connections.get(session)) is not None:
                connection.offer(message)
