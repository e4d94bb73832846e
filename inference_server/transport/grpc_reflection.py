"""gRPC's reflection with bounds: where there is no token, anybody may ask."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

from grpc_reflection.v1alpha import reflection, reflection_pb2

from inference_server.transport.grpc_bounds import Bounds, Context
from inference_server.transport.proxies import NO_PROXIES, TrustedProxies


class BoundedReflection(reflection.aio.ReflectionServicer):  # type: ignore[misc]
    """Describes the server's services, to each address at a rate, over so many streams at most.

    Args:
        names: of the services.
        proxies: whose word on a client's address is believed.
    """

    def __init__(self, names: Iterable[str], proxies: TrustedProxies = NO_PROXIES) -> None:
        super().__init__(names)
        self.bounds = Bounds(
            proxies, "requests for descriptions", "ask for descriptions", "close one that is not needed"
        )

    async def ServerReflectionInfo(
        self, requests: AsyncIterator[reflection_pb2.ServerReflectionRequest], context: Context
    ) -> None:
        """Answer each request, until the client is done or has asked for too much."""
        async with self.bounds.held(context):
            async for answer in super().ServerReflectionInfo(self._counted(requests, context), context):
                await context.write(answer)

    async def _counted(
        self, requests: AsyncIterator[reflection_pb2.ServerReflectionRequest], context: Context
    ) -> AsyncIterator[reflection_pb2.ServerReflectionRequest]:
        async for request in requests:
            await self.bounds.count(context)
            yield request
