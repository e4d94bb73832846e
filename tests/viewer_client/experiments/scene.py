"""A window's session, those that are opened beside it, and a clock: the real engine within the process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from diffusion_toy.contract import messages as m
from tests.in_process import TICK_RATE_HZ, Shape, TickedServer
from tests.viewer_client.link_in_process import LinkInProcess
from viewer_client.core.sync import synchronize
from viewer_client.core.view_model import ViewModel

T = 60  # so that a picture is finished after a second
SHORT = m.SettingsChange(num_time_steps=T)


class Comparison(Protocol):
    """What is updated once for each picture: branches, or a twin."""

    def update(self, now: float) -> None: ...


class Scene:
    """Everything happens in `tick`, one sixtieth of a second.

    Attributes:
        model: of the window.
        own: the link to the window's session.
        opened: the links to those beside it.
        comparison: what is updated with each tick, None before it is opened.
        now: seconds since the beginning.

    Args:
        shape: of the pictures, (C, H, W).
        room: how many sessions the server lets in beside the window's own.
        seed: of the window's session.
        begin_at: the step that the window's session has at first.
        late: how many ticks a command takes to the window's session.
        late_beside: how many it takes to those beside it.
        tokens: whether the server gives resume tokens.
    """

    def __init__(
        self,
        *,
        shape: Shape = (1, 28, 28),
        room: int = 8,
        seed: int = 7,
        begin_at: int = 10,
        late: int = 2,
        late_beside: int = 2,
        tokens: bool = True,
    ) -> None:
        self.server = TickedServer(shape, 1 + room, tokens=tokens)
        start = m.Start(seed=seed, settings=SHORT)
        self.model, self.own = ViewModel(start=start), LinkInProcess(self.server, start, late)
        self.opened: list[LinkInProcess] = []
        self.comparison: Comparison | None = None
        self._late_beside = late_beside
        self.run(lambda: self.own.step >= begin_at)

    @property
    def now(self) -> float:
        return self.server.ticks / TICK_RATE_HZ

    def open_link(self, start: m.Start) -> LinkInProcess:
        """Open one more session."""
        self.opened.append(LinkInProcess(self.server, start, self._late_beside))
        return self.opened[-1]

    def tick(self) -> None:
        """Let a sixtieth of a second pass."""
        links = [self.own, *self.opened]
        for link in links:
            link.deliver()
        self.server.tick()
        for link in links:
            link.collect()
        fresh = synchronize(self.own, self.model, lambda: self.now)
        if fresh is not None:
            self.own.drawn(fresh)
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
