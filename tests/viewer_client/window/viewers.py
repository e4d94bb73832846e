"""A viewer without a window, for tests against a server: the parts of the real one, and no hands."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

from diffusion_toy.contract import messages as m
from viewer_client.core.sync import synchronize
from viewer_client.core.view_model import ViewModel
from viewer_client.link.address import Endpoint
from viewer_client.link.connection import Connection
from viewer_client.recipes.recipe import Recipe
from viewer_client.recipes.replay import Replay

WAIT_S = 60.0
POLL_S = 0.002


class Viewer:
    """One session in a `with` block, or the replay of a recipe."""

    def __init__(self, address: str, start: m.Start | None = None, recipe: Recipe | None = None) -> None:
        host, _, port = address.rpartition(":")
        self.model = ViewModel(start=start or m.Start(seed=7))
        if recipe is not None:
            self.model = ViewModel(start=recipe.start, replay=Replay(recipe))
        self.connection = Connection(Endpoint(f"{host}:{port}"), self.model.next_start)
        self.frames: list[m.Frame] = []

    def __enter__(self) -> Viewer:
        self.connection.open()
        self.until(lambda: self.model.frame is not None, "a picture")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.connection.close()

    @property
    def frame(self) -> m.Frame:
        """The newest."""
        assert self.model.frame is not None
        return self.model.frame

    def synchronize(self) -> None:
        """What a window does for each picture."""
        fresh = synchronize(self.connection, self.model)
        if fresh is not None:
            self.frames.append(fresh)
            self.connection.drawn(fresh)

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Go on until `condition` holds."""
        end = time.monotonic() + WAIT_S
        while not condition():
            status = self.connection.status
            assert time.monotonic() < end, f"waited in vain for {what}; {status}; {self.model.notice}"
            self.synchronize()
            time.sleep(POLL_S)

    def until_step(self, step: int) -> None:
        """Until the session has come so far."""
        self.until(lambda: self.frame.step >= step, f"step {step}")

    def send(self, *commands: m.Command) -> None:
        """Send commands at once, as the window sends those of keys and mouse."""
        for command in commands:
            sequence = self.connection.send(command)
            assert sequence is not None
            self.model.sent(command, sequence, time.monotonic())

    def settle(self, *commands: m.Command) -> m.Frame:
        """Send commands, wait until they are applied and the session is idle, and return that frame."""
        self.send(*commands)
        last = self.model.last_sequence
        self.until(
            lambda: self.frame.applied_sequence >= last and self.frame.idle, "the session to come to rest"
        )
        return self.frame

    def finish_replay(self) -> m.Frame:
        """Until the replay is over; the last frame."""
        self.until(lambda: self.model.replay is None, "the end of the replay")
        return self.frame
