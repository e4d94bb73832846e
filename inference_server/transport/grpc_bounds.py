"""Bounds of what anybody may ask over gRPC beside sessions: a rate of calls, and so many open streams."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import grpc

from inference_server.peers import network_of
from inference_server.streams.intake import PeerRate
from inference_server.streams.status import StreamError
from inference_server.transport.grpc_status import grpc_code, peer_of
from inference_server.transport.proxies import TrustedProxies

STREAMS_MAX, STREAMS_PER_ADDRESS = 128, 16
CALLS_PER_SECOND, CALLS_AT_ONCE = 20.0, 100.0  # of one address

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]


class Bounds:
    """Holds the calls of a service to a rate for each address, and its streams to a number.

    Args:
        proxies: whose word on a client's address is believed.
        calls: what is counted, in words.
        streams: what an open stream does, in words.
        remedy: what who may open no more can do.
    """

    def __init__(self, proxies: TrustedProxies, calls: str, streams: str, remedy: str) -> None:
        self._proxies, self._streams, self._remedy = proxies, streams, remedy
        self._rate = PeerRate(calls, CALLS_PER_SECOND, CALLS_AT_ONCE)
        self._open: Counter[str] = Counter()

    @property
    def num_open(self) -> int:
        """Return how many streams are open."""
        return self._open.total()

    async def count(self, context: Context) -> None:
        """Count a call, or abort it with RESOURCE_EXHAUSTED."""
        try:
            self._rate.check(self._network(context), asyncio.get_running_loop().time())
        except StreamError as error:
            await context.abort(grpc_code(error.status), str(error))

    @asynccontextmanager
    async def held(self, context: Context) -> AsyncIterator[None]:
        """Count a stream while it is open, or abort it with RESOURCE_EXHAUSTED."""
        await self.count(context)
        network = self._network(context)
        for open_now, limit, where in (
            (self._open[network], STREAMS_PER_ADDRESS, "from this address"),
            (self._open.total(), STREAMS_MAX, "on this server"),
        ):
            if open_now >= limit:
                text = f"{open_now} streams {self._streams} {where}, which is the limit; {self._remedy}"
                await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, text)
        self._open[network] += 1
        try:
            yield
        finally:
            self._open[network] -= 1
            if not self._open[network]:
                del self._open[network]

    def _network(self, context: Context) -> str:
        return network_of(peer_of(context, self._proxies))
