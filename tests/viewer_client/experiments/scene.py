"""A window's session without a server, those that are opened beside it, and a clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from diffusion_toy.contract import messages as m
from tests.viewer_client.simulated import SimulatedSession, exchanged
from viewer_client.core.view_model import ViewModel


class Comparison(Protocol):
    """What is updated once for each picture: branches, or a twin."""

    def update(self, now: float) -> None: ...


class Scene:
    """Everything happens in `tick`, one sixtieth of a second.

    Attributes:
        own: the window's session.
        opened: those beside it.
        comparison: what is updated with each tick, None before it is opened.
        room_for: how many the server lets in beside the window's own.

    Args:
        model: of the window.
        own: its session.
        open_session: opens one more, which has room or not.
        begin_at: the step that the window's session has at first.
    """

    def __init__(
        self,
        model: ViewModel,
        own: SimulatedSession,
        open_session: Callable[[m.Start, bool], SimulatedSession],
        room_for: int,
        begin_at: int,
    ) -> None:
        self.model, self.own, self._open_session, self.room_for = model, own, open_session, room_for
        self.opened: list[SimulatedSession] = []
        self.comparison: Comparison | None = None
        self.now = 0.0
        self.run(lambda: self.own.step >= begin_at)

    def open_link(self, start: m.Start) -> SimulatedSession:
        """Open one more session, as far as there is room."""
        self.opened.append(self._open_session(start, len(self.opened) < self.room_for))
        return self.opened[-1]

    def tick(self) -> None:
        """Let a sixtieth of a second pass."""
        self.now += 1 / 60
        for session in (self.own, *self.opened):
            session.tick()
        exchanged(self.model, self.own, self.now)
        if self.comparison is not None:
            self.comparison.update(self.now)

    def run(self, until: Callable[[], bool], ticks: int = 600) -> None:
        """Let time pass until something is so.

        Raises:
            AssertionError: it is not after so many ticks.
        """
        for _ in range(ticks):
            if until():
                return
            self.tick()
        raise AssertionError(f"in vain for {ticks} ticks")
