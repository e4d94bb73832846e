"""gRPC's health service with bounds: it needs no token, so anybody may ask."""

from __future__ import annotations

from typing import Any

from grpc_health.v1 import health, health_pb2

from inference_server.transport.grpc_bounds import Bounds, Context
from inference_server.transport.proxies import NO_PROXIES, TrustedProxies


class BoundedHealth(health.aio.HealthServicer):  # type: ignore[misc]
    """Answers health checks, each address at a rate, and holds so many `Watch` streams at most.

    Balancers ask once in some seconds.

    Args:
        proxies: whose word on a client's address is believed.
    """

    def __init__(self, proxies: TrustedProxies = NO_PROXIES) -> None:
        super().__init__()
        self.bounds = Bounds(proxies, "health checks", "watch the health", "use Check instead")

    async def Check(self, request: health_pb2.HealthCheckRequest, context: Context) -> Any:
        """Answer once."""
        await self.bounds.count(context)
        return await super().Check(request, context)

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: Context) -> None:
        """Answer now and whenever the health changes, until the client leaves."""
        async with self.bounds.held(context):
            await super().Watch(request, context)
