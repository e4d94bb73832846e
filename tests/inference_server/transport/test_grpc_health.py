"""Health over gRPC needs no token: what a stranger can hold of it is bounded."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from inference_server.transport import grpc_bounds
from inference_server.transport.grpc_health import BoundedHealth

HANGS_S = 60.0


async def test_one_address_holds_so_many_watches_and_a_free_one_can_be_had_again() -> None:
    server, servicer = grpc.aio.server(), BoundedHealth()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    request = health_pb2.HealthCheckRequest()
    async with asyncio.timeout(HANGS_S), grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        watches = [stub.Watch(request) for _ in range(grpc_bounds.STREAMS_PER_ADDRESS)]
        for watch in watches:
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        late = stub.Watch(request)
        with pytest.raises(grpc.aio.AioRpcError, match="16 streams watch the health from this address"):
            await late.read()
        assert (await stub.Check(request)).status == health_pb2.HealthCheckResponse.SERVING
        watches[0].cancel()
        while servicer.bounds.num_open == grpc_bounds.STREAMS_PER_ADDRESS:
            await asyncio.sleep(0.01)
        again = stub.Watch(request)
        assert (await again.read()).status == health_pb2.HealthCheckResponse.SERVING
        checks = [stub.Check(request) for _ in range(1000)]
        answers = await asyncio.gather(*checks, return_exceptions=True)
        refused = [str(answer) for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
        assert refused
        assert all("health checks a second" in text for text in refused)
    await server.stop(None)
