"""What beginning, leaving and watching a session does in the engines' thread.

Every method of `Attaching` runs there, between two ticks, so that a stream misses no frame of its session.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from functools import partial

from diffusion_toy.contract import messages as m
from inference_server.engine.engine import Engine
from inference_server.engine.errors import NotHereError
from inference_server.engine.loop import EngineLoop
from inference_server.engine.pending import PendingCommands
from inference_server.engine.roster import Roster
from inference_server.engine.session import Session, SessionSnapshot
from inference_server.ops.monitoring import Metrics
from inference_server.streams.delivery import Connection, Delivery
from inference_server.streams.intake import Intake


@dataclass(frozen=True)
class Opened:
    """A session that a stream has begun, resumed or watches.

    The engines' thread copies `seed` and `settings`, which only it may read in the session.
    `before` is the connection that drove the session until now, `pending` where commands go; `restored` says
    that it was not here, but in its token.
    """

    engine: Engine
    session: Session
    seed: int
    settings: m.Settings
    applied: int
    resumed: bool
    pending: PendingCommands
    before: Connection | None = None
    restored: bool = False

    @classmethod
    def of(cls, engine: Engine, session: Session, *, resumed: bool, before: Connection | None) -> Opened:
        """Describe a session; call it in the engines' thread."""
        applied = engine.applied_of(session)
        return cls(engine, session, session.seed, session.settings, applied, resumed, session.pending, before)


class Attaching:
    """Joins connections to the sessions of a server's engines, and parts them.

    Args:
        roster: the engines whose sessions these are.
        loop: ticks the engines.
        delivery: knows which connection drives or watches which session.
        intake: gives each session its queue of commands.
        metrics: what is counted.
        grace_s: how long a session waits for a client that it has lost, seconds.
    """

    def __init__(
        self,
        roster: Roster,
        loop: EngineLoop,
        delivery: Delivery,
        intake: Intake,
        metrics: Metrics,
        grace_s: float,
    ) -> None:
        self._roster, self._loop, self._delivery, self._intake = roster, loop, delivery, intake
        self._metrics, self._grace_s = metrics, grace_s

    # Which engine it is, is only looked up here: until then another may have taken over its model.

    def join(self, start: m.Start, sequence: int, connection: Connection, peer: str) -> Opened:
        """Begin a session.

        Raises:
            NotHereError: there is no such model.
        """
        engine = self._roster.serving_model(start.model)
        session = engine.join(start, sequence, peer)
        self._connect(session, start, connection)
        return replace(Opened.of(engine, session, resumed=False, before=None), applied=sequence)

    def reattach(
        self, snapshot: SessionSnapshot, start: m.Start, connection: Connection, peer: str
    ) -> Opened:
        """Go on with a session that still waits, or restore it.

        Raises:
            NotHereError: there is no such model, or its file is another one.
        """
        engine = self._roster.resuming(snapshot)
        session = engine.find(snapshot.session_id) if start.seed is None else None
        restored = session is None
        if session is None:
            session = engine.restore(snapshot, start.seed, peer)
        else:
            engine.reattach(session, peer)
        before = self._connect(session, start, connection)
        return replace(Opened.of(engine, session, resumed=True, before=before), restored=restored)

    def _connect(self, session: Session, start: m.Start, connection: Connection) -> Connection | None:
        """Let a connection drive a session; return the one that did so before."""
        session.name = start.name
        session.pending = self._intake.queue()
        return self._delivery.connect(session, connection)

    def freeze(self) -> list[tuple[Session, SessionSnapshot]]:
        """Stop all sessions where they are."""
        frozen: list[tuple[Session, SessionSnapshot]] = []
        for engine in self._roster.all:
            sessions = list(engine.sessions.values())
            frozen += zip(sessions, engine.snapshots(sessions), strict=True)
            for session in sessions:
                engine.detach(session)
        return frozen

    # Between the event loop's posting of the next two and their turn, another stream may have reattached.

    def leave(self, engine: Engine, session: Session, how: str) -> None:
        """End a session unless another stream drives it by now."""
        if self._delivery.driver(session) is None:
            self._metrics.session_ended(how)
            engine.leave(session)

    def begin_grace(self, engine: Engine, session: Session, loop: asyncio.AbstractEventLoop) -> None:
        """Pause a session that no stream drives, and end it after its grace."""
        if self._delivery.driver(session) is None and engine.detach(session):
            expire = partial(self._loop.post, partial(self.expire, engine, session, session.detachments))
            loop.call_soon_threadsafe(loop.call_later, self._grace_s, expire)

    def expire(self, engine: Engine, session: Session, count: int) -> None:
        """End a session that still waits, unless it was resumed since."""
        if not session.detached or session.detachments != count:
            return  # one that gives way to another while a stream drives it is counted by that stream
        if session.displaced:
            self._metrics.session_ended("displaced")
        elif engine.find(session.id) is session:
            self._metrics.session_ended("expired")
            engine.leave(session)

    def add_watcher(self, session_id: str, connection: Connection) -> Opened:
        """Let a connection see a session.

        Raises:
            NotHereError: no engine has the session.
        """
        if (found := self._roster.find(session_id)) is None:
            raise NotHereError("there is no such session; ask the one who runs it for its name")
        engine, session = found
        self._delivery.watch(session, connection)
        engine.add_watchers(session, 1)
        return Opened.of(engine, session, resumed=False, before=None)
