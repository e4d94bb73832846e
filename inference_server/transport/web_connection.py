"""Connections of the page's port: whose each is, and how many of one address are not ready yet."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request

from inference_server.peers import network_of
from inference_server.transport.addresses import plain_address
from inference_server.transport.proxies import FORWARDED_FOR, TrustedProxies


class Handshakes:
    """Counts connections whose handshake or request is not over, by address, up to a limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: Counter[str] = Counter()

    def begin(self, peer: str) -> bool:
        """Count a new connection; False if there are too many."""
        network = network_of(peer)
        self._open[network] += 1
        return self._open[network] <= self._limit

    def end(self, peer: str) -> None:
        """Count it no more."""
        network = network_of(peer)
        self._open[network] -= 1
        if not self._open[network]:
            del self._open[network]


class Connection(ServerConnection):
    """A connection that knows its client's address, and is counted by it until its handshake is over.

    Args:
        handshakes: count it.
        proxies: whose word on a client's address is believed.
        args, kwargs: of `ServerConnection`.

    Attributes:
        client: the client's address; a proxy's until the request is read.
    """

    def __init__(self, handshakes: Handshakes, proxies: TrustedProxies, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._handshakes, self._proxies = handshakes, proxies
        self._counted = self.client = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, or hang up on an address that has begun too many; a proxy is not held to that."""
        super().connection_made(transport)
        self.client = plain_address(str((transport.get_extra_info("peername") or ("",))[0]))
        if self.client not in self._proxies and not self._count():
            self.transport.abort()

    def identify(self, request: Request) -> bool:
        """Learn from its request whose the connection is; return False if that address has begun too many."""
        if self.client not in self._proxies:
            return True
        self.client = self._proxies.client(self.client, request.headers.get_all(FORWARDED_FOR))
        return self._count()

    def _count(self) -> bool:
        self._counted = self.client
        return self._handshakes.begin(self._counted)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self.handshake_over()
        super().connection_lost(exc)

    def handshake_over(self) -> None:
        """Count it no more."""
        if self._counted:
            self._handshakes.end(self._counted)
            self._counted = ""
