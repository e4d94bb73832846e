"""A connection to a session as the viewer's logic sees it. No PyGame, no gRPC."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from diffusion_toy.contract import messages as m
from viewer_client.link.status import Statistics, Status


class SessionLink(Protocol):
    """What is needed here of a `connection.Connection`, which says what each does."""

    full: bool
    statistics: Statistics

    @property
    def status(self) -> Status: ...

    @property
    def recent(self) -> list[m.Frame]: ...

    @property
    def resume_token(self) -> m.ResumeToken | None: ...

    def take(self) -> list[m.Response]: ...

    def send(self, command: m.Command, at_step: int | None = None, *, ahead: bool = False) -> int | None: ...

    def try_again(self) -> None: ...

    def drawn(self, frame: m.Frame) -> None: ...

    def take_over(self, token: m.ResumeToken) -> None: ...

    def close(self, *, keep_session: bool = False) -> None: ...


OpenLink = Callable[[m.Start], SessionLink]  # opens one more session on the server of the window's own
