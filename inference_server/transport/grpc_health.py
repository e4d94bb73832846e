"""gRPC's health service with bounds: it needs no token, so anybody may ask."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2

from inference_server.peers import network_of
from inference_server.streams.intake import PeerRate
from inference_server.streams.status import StreamError
from inference_server.transport.grpc_status import grpc_code, peer_of
from inference_server.transport.proxies import NO_PROXIES, TrustedProxies

WATCHES_MAX, WATCHES_PER_ADDRESS = 128, 16
CALLS_PER_SECOND, CALLS_AT_ONCE = 20.0, 100.0  # of one address; balancers ask once in some seconds


class BoundedHealth(health.aio.HealthServicer):  # type: ignore[misc]
    """Answers health checks, each address at a rate, and holds so many `Watch` streams at most.

    Args:
        proxies: whose word on a client's address is believed.
    """

    def __init__(self, proxies: TrustedProxies = NO_PROXIES) -> None:
        super().__init__()
        self._proxies = proxies
        self._open: Counter[str] = Counter()
        self._rate = PeerRate("health checks", CALLS_PER_SECOND, CALLS_AT_ONCE)

    async def Check(
        self, request: health_pb2.HealthCheckRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> Any:
        """Answer once."""
        await self._count(network_of(peer_of(context, self._proxies)), context)
        return await super().Check(request, context)

    async def Watch(
        self, request: health_pb2.HealthCheckRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> None:
        """Answer now and whenever the health changes, until the client leaves."""
        network = network_of(peer_of(context, self._proxies))
        await self._count(network, context)
        for open_now, limit, where in (
            (self._open[network], WATCHES_PER_ADDRESS, "from this address"),
            (self._open.total(), WATCHES_MAX, "on this server"),
        ):
            if open_now >= limit:
                text = f"{open_now} streams watch the health {where}, which is the limit; use Check instead"
                await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, text)
        self._open[network] += 1
        try:
            await super().Watch(request, context)
        finally:
            self._open[network] -= 1
            if not self._open[network]:
                del self._open[network]

    async def _count(self, network: str, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        try:
            self._rate.check(network, asyncio.get_running_loop().time())
        except StreamError as error:
            await context.abort(grpc_code(error.status), str(error))
