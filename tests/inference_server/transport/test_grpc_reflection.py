"""Reflection over gRPC: what one address can hold of it, or ask, is bounded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import grpc
import pytest
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from diffusion_toy.contract import messages as m
from inference_server.streams.sessions import Sessions
from inference_server.transport import grpc_bounds
from inference_server.transport.bearer import BearerGuard
from inference_server.transport.grpc_transport import SERVICE_NAME, GrpcTransport
from inference_server.transport.security import ServerSecurity

HANGS_S = 60.0
REQUEST = reflection_pb2.ServerReflectionRequest(list_services="")


@asynccontextmanager
async def served() -> AsyncIterator[Any]:
    """What opens a stream of a server without sessions."""
    transport = GrpcTransport("127.0.0.1", 0, ServerSecurity(), BearerGuard(""))
    port = await transport.start(cast(Sessions, SimpleNamespace(limits=m.Limits())))
    try:
        async with asyncio.timeout(HANGS_S), grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo
    finally:
        await transport.stop(0)


async def let_in(opened: Any) -> Any:
    """Open streams until one is answered, and return that."""
    while True:
        stream = opened()
        try:
            await stream.write(REQUEST)
            await stream.read()
            return stream
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            await asyncio.sleep(0.01)


async def test_one_address_holds_so_many_streams_and_a_free_one_can_be_had_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(grpc_bounds, "CALLS_AT_ONCE", 1e6)
    async with served() as opened:
        streams = [opened() for _ in range(grpc_bounds.STREAMS_PER_ADDRESS)]
        for stream in streams:
            await stream.write(REQUEST)
            answer = await stream.read()
            assert SERVICE_NAME in {one.name for one in answer.list_services_response.service}
        full = "16 streams ask for descriptions from this address"
        with pytest.raises(grpc.aio.AioRpcError, match=full):
            await opened().read()
        streams[0].cancel()
        streams.append(await let_in(opened))
        with pytest.raises(grpc.aio.AioRpcError, match=full):
            await opened().read()
        await streams[1].done_writing()
        streams.append(await let_in(opened))


async def test_an_address_asks_at_a_rate_over_all_its_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grpc_bounds, "CALLS_PER_SECOND", 1e-6)
    monkeypatch.setattr(grpc_bounds, "CALLS_AT_ONCE", 10.0)
    async with served() as opened:
        streams = [opened(), opened()]  # which count too
        for stream in 4 * streams:
            await stream.write(REQUEST)
            assert (await stream.read()).HasField("list_services_response")
        await streams[0].write(REQUEST)
        with pytest.raises(grpc.aio.AioRpcError, match="requests for descriptions a second"):
            await streams[0].read()
