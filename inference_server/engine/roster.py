"""Which engines a server has: those that serve its models, and those that only finish their sessions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from inference_server.engine.engine import Engine
from inference_server.engine.errors import NotHereError
from inference_server.engine.session import Session, SessionSnapshot


@dataclass(frozen=True)
class ModelChanges:
    """The names of models that have come, that have another file now, and that have gone."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


class Roster:
    """The engines of a server, each of one model file.

    New sessions come to the *serving* engines. An engine whose file was replaced or removed is *retired*: it
    takes only those who hold a resume token of its own, and leaves with its last session. Any thread may
    read; changes are for the engines' thread, between two ticks.

    Args:
        engines: the serving ones; the first is that of the default model.
    """

    def __init__(self, engines: Iterable[Engine] = ()) -> None:
        self._serving, self._retired = tuple(engines), tuple[Engine, ...]()

    @property
    def serving(self) -> Sequence[Engine]:
        """Return the engines that take new sessions, the default model's first."""
        return self._serving

    @property
    def all(self) -> Sequence[Engine]:
        """Return all engines, the serving ones first."""
        return (*self._serving, *self._retired)

    def serving_model(self, name: str) -> Engine:
        """Return the engine for new sessions of a model; of the default model where the name is empty.

        Raises:
            NotHereError: there is no such model.
        """
        for engine in self._serving:
            if name in ("", engine.info.name):
                return engine
        known = ", ".join(engine.info.name for engine in self._serving)
        raise NotHereError(f"there is no model {name!r}; there is: {known}")

    def resuming(self, snapshot: SessionSnapshot) -> Engine:
        """Return the engine in which a snapshot can go on; it may be a retired one.

        Raises:
            NotHereError: there is no such model.
        """
        for engine in self.all:
            if (engine.info.name, engine.info.fingerprint) == (snapshot.model, snapshot.fingerprint):
                return engine
        return self.serving_model(snapshot.model)  # which says in what the two files differ

    def find(self, session_id: str) -> tuple[Engine, Session] | None:
        """Return the session of this name with its engine, None if it is not here."""
        for engine in self.all:
            if (session := engine.find(session_id)) is not None:
                return engine, session
        return None

    def reset(self, engines: Iterable[Engine]) -> None:
        """Hold these engines and no others."""
        self._serving, self._retired = tuple(engines), ()

    def switch(self, engines: Iterable[Engine]) -> ModelChanges:
        """Serve with these engines from now on, and retire those that are not among them."""
        before = {engine.info.name: engine for engine in self._serving}
        after = {engine.info.name: engine for engine in engines}
        self._retired += tuple(engine for engine in self._serving if engine not in after.values())
        self._serving = tuple(after.values())
        self.close_retired()
        return ModelChanges(
            added=tuple(name for name in after if name not in before),
            changed=tuple(name for name in after if name in before and after[name] is not before[name]),
            removed=tuple(name for name in before if name not in after),
        )

    def close_retired(self) -> None:
        """Let go of the retired engines that have no session any more, and nothing left to tell."""
        if not self._retired:
            return
        for engine in (over := [one for one in self._retired if not one.sessions and one.idle]):
            engine.share.close()
        self._retired = tuple(engine for engine in self._retired if engine not in over)
