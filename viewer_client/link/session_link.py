"""A connection to a session as the viewer's logic sees it. No PyGame, no gRPC."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from diffusion_toy.contract import messages as m
from viewer_client.link.status import Statistics, Status


class SessionLink(Protocol):
    """What the viewer's logic needs of a `connection.Connection`."""

    full: bool
    statistics: Statistics

    @property
    def status(self) -> Status:
        """Return where the connection is now."""

    @property
    def recent(self) -> list[m.Frame]:
        """Return the newest frames of this stream, oldest first."""

    @property
    def resume_token(self) -> m.ResumeToken | None:
        """Return the newest token, None before the first."""

    def take(self) -> list[m.Response]:
        """Return what has come in since the last call: at most one frame, the newest, at the end."""

    def send(self, command: m.Command, at_step: int | None = None, *, ahead: bool = False) -> int | None:
        """Send a command and return its sequence, None without a session."""

    def try_again(self) -> None:
        """Try at once, also after a refusal."""

    def drawn(self, frame: m.Frame) -> None:
        """Acknowledge a frame: it is on the screen."""

    def take_over(self, token: m.ResumeToken) -> None:
        """End the present session, and go on with the one of this token."""

    def close(self, *, keep_session: bool = False) -> None:
        """End the connection, and the session unless somebody is to go on with it."""


OpenLink = Callable[[m.Start], SessionLink]  # opens one more session on the server of the window's own
