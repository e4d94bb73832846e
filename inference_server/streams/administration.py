"""What an operator does with the sessions of a server: look, end one, move some to other servers.

The methods are for the event loop's thread; what they read and stop of an engine, they do between two ticks.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from enum import Enum
from functools import partial

from diffusion_toy.contract import messages as m
from diffusion_toy.errors import InvalidValueError
from inference_server.engine.admission import Admission, Seat
from inference_server.engine.engine import Engine
from inference_server.engine.errors import NotHereError
from inference_server.engine.loop import EngineLoop
from inference_server.engine.roster import Roster
from inference_server.engine.session import Session, SessionSnapshot
from inference_server.streams.delivery import Delivery
from inference_server.streams.snapshots import seal
from inference_server.streams.status import Status, StreamError
from inference_server.streams.tokens import Sealer

log = logging.getLogger(__name__)

MOVED = "an operator moves this session to another server"
ENDED = "an operator has ended this session; a new one can begin"


class Order(Enum):
    """Which sessions are moved first."""

    YOUNGEST = "youngest"
    LONGEST_AT_REST = "longest at rest"


@dataclass(frozen=True)
class SessionRow:
    """One session as its server sees it.

    Attributes:
        session_id: its name.
        model: the model's name.
        fingerprint: of the model's file.
        peer: the address that its stream comes from.
        attached: a stream drives it; otherwise it waits for its client.
        rest_s: for how long it has had no frame, seconds.
        rows_per_second: what it counts for in the server's load, network rows a second.
    """

    session_id: str
    model: str
    fingerprint: str
    peer: str
    attached: bool
    rest_s: float
    rows_per_second: float

    @classmethod
    def of(cls, seat: Seat, engine: Engine) -> SessionRow:
        """Describe a session by its seat and its engine; call it in the engines' thread."""
        one, model = seat.session, engine.info
        return cls(one.id, model.name, model.fingerprint, one.peer, not one.detached, seat.rest_s, seat.rows)


class Administration:
    """An operator's hand on the sessions of a server; answers UNAVAILABLE until it is opened.

    Args:
        admission: knows all sessions, the oldest first.
        delivery: knows who drives them.
        sealer: makes resume tokens.
    """

    _roster: Roster
    _loop: EngineLoop | None = None

    def __init__(self, admission: Admission, delivery: Delivery, sealer: Sealer) -> None:
        self._admission, self._delivery, self._sealer = admission, delivery, sealer

    def open(self, roster: Roster, engine_loop: EngineLoop) -> None:
        """Begin to answer.

        Args:
            roster: the engines.
            engine_loop: ticks them.
        """
        self._roster, self._loop = roster, engine_loop

    @property
    def _opened(self) -> EngineLoop:
        if self._loop is None:
            raise StreamError(Status.UNAVAILABLE, "the server is loading its model; try again in a moment")
        return self._loop

    async def sessions(self) -> list[SessionRow]:
        """Return all sessions, the oldest first.

        Raises:
            StreamError: the server has not loaded its models yet.
        """
        rows: Future[list[SessionRow]] = self._opened.call(
            lambda: [SessionRow.of(seat, self._engine(seat)) for seat in self._admission.seats]
        )
        return await asyncio.wrap_future(rows)

    def _engine(self, seat: Seat) -> Engine:
        """Return whose session it is; runs in the engines' thread."""
        return next(engine for engine in self._roster.all if engine.share is seat.share)

    async def end(self, session_id: str) -> None:
        """End a session; the client that drives it is told FAILED_PRECONDITION.

        Raises:
            NotHereError: there is no such session.
            StreamError: the server has not loaded its models yet.
        """
        session = await asyncio.wrap_future(self._opened.call(partial(self._end, session_id)))
        log.info("an operator ends the session", extra={"session": session_id})
        if (driver := self._delivery.driver(session)) is not None:
            driver.finish(StreamError(Status.FAILED_PRECONDITION, ENDED))

    def _end(self, session_id: str) -> Session:
        """Free a session's seat where no stream does; runs in the engines' thread."""
        if (found := self._roster.find(session_id)) is None:
            raise NotHereError(
                f"there is no session {session_id!r} on this server; list them for their names"
            )
        engine, session = found
        if self._delivery.driver(session) is None:
            engine.leave(session)
        return session

    async def move(self, count: int, order: Order) -> list[str]:
        """Send the clients of some sessions to other servers, with their newest resume tokens.

        A session stops where it is, so its token is not older than its last step.

        Args:
            count: how many at most.
            order: which go first.

        Returns:
            The names of those that were told.

        Raises:
            InvalidValueError: `count` is 0.
            StreamError: the server has not loaded its models yet.
        """
        if count < 1:
            raise InvalidValueError("count", count, "1 or more")
        engine_loop = self._opened
        frozen = await asyncio.wrap_future(engine_loop.call(partial(self._freeze, count, order)))
        told = []
        for seat, snapshot in frozen:
            driver = self._delivery.driver(seat.session)
            if driver is None:  # its stream broke meanwhile; its client goes on from the token it has
                engine_loop.post(partial(self._leave, seat))
                continue
            driver.offer(m.Moving(seal(snapshot, self._sealer), MOVED))
            driver.finish(StreamError(Status.UNAVAILABLE, MOVED))
            told.append(seat.session.id)
        log.info("an operator moves %d sessions, the %s first", len(told), order.value)
        return told

    def _freeze(self, count: int, order: Order) -> Sequence[tuple[Seat, SessionSnapshot]]:
        """Stop some sessions where they are; runs in the engines' thread."""
        # Sessions of a file that was replaced stay: no other server may have it.
        serving = {engine.share: engine for engine in self._roster.serving}
        seats = [seat for seat in self._admission.seats if self._delivery.driver(seat.session) is not None]
        seats = [seat for seat in reversed(seats) if seat.share in serving]
        if order is Order.LONGEST_AT_REST:
            seats.sort(key=lambda seat: seat.rest_s, reverse=True)
        frozen = []
        for seat in seats[:count]:
            engine = serving[seat.share]
            frozen.append((seat, engine.snapshots([seat.session])[0]))
            engine.detach(seat.session)
        return frozen

    def _leave(self, seat: Seat) -> None:
        """End a session unless its client has come back; runs in the engines' thread."""
        if self._delivery.driver(seat.session) is None:
            self._engine(seat).leave(seat.session)
