"""What a server needs of a transport: one way in for clients."""

from __future__ import annotations

from typing import Protocol

from inference_server.streams.sessions import Sessions


class Transport(Protocol):
    """One way in for clients, on a port of its own."""

    @property
    def name(self) -> str:
        """Return what the log calls it."""
        ...

    def check(self) -> list[str]:
        """See that it can be started, so that an error comes before the models are loaded.

        Returns:
            Warnings for the log.

        Raises:
            DiffusionToyError: its port is taken, or it would be open to strangers.
        """
        ...

    async def start(self, sessions: Sessions) -> int:
        """Listen, and serve these sessions; return the TCP port in use.

        Raises:
            DiffusionToyError: it cannot listen.
        """
        ...

    async def set_serving(self, serving: bool) -> None:
        """Tell those who ask for the server's health."""
        ...

    async def stop(self, drain_s: float) -> None:
        """Accept nothing more, give the open streams this time to end, and end them."""
        ...

    def announcement(self, *, terminal: bool) -> list[str]:
        """Return what the user is told once the server is ready.

        Args:
            terminal: a person reads it and no log keeps it, so that it may have the bearer token.
        """
        ...
