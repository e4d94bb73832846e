"""Those who follow a session: told of each command that is sent and of each response that comes in."""

from __future__ import annotations

from typing import Protocol

from diffusion_toy.contract import messages as m


class Observer(Protocol):
    """Follows one session."""

    def sent(self, command: m.Command, sequence: int, now: float, *, ahead: bool) -> None:
        """Take note of a command that has been sent with this number.

        Args:
            now: seconds of a monotonic clock.
            ahead: a replay has sent it, far ahead of its turn.
        """

    def received(self, response: m.Response) -> None:
        """Take note of a response."""
