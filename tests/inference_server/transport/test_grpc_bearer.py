"""The bearer token over gRPC: who gets in, and how often one may guess."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from inference_server.streams.status import StreamError
from inference_server.transport.bearer import WRONG_AT_ONCE, BearerGuard
from inference_server.transport.grpc_bearer import BearerInterceptor

TOKEN = "correct-horse-battery"


class Echo(grpc.GenericRpcHandler):
    """One method of each kind, on plain bytes."""

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        async def unary(request: bytes, _: Any) -> bytes:
            return request

        async def stream(requests: AsyncIterator[bytes], _: Any) -> AsyncIterator[bytes]:
            async for request in requests:
                yield request

        return {
            "/test.Echo/Unary": grpc.unary_unary_rpc_method_handler(unary),
            "/test.Echo/Stream": grpc.stream_stream_rpc_method_handler(stream),
        }.get(details.method)


@asynccontextmanager
async def guarded(on_refused: Callable[[], object] = lambda: None) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to a server that wants the token."""
    server = grpc.aio.server(interceptors=[BearerInterceptor(BearerGuard(TOKEN), on_refused)])
    server.add_generic_rpc_handlers([Echo()])
    health_pb2_grpc.add_HealthServicer_to_server(health.aio.HealthServicer(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    await server.stop(None)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
async def test_the_token_opens_every_kind_of_method(scheme: str) -> None:
    metadata = (("authorization", f"{scheme} {TOKEN}"),)
    async with guarded() as channel:
        assert await channel.unary_unary("/test.Echo/Unary")(b"a", metadata=metadata, timeout=10) == b"a"
        call = channel.stream_stream("/test.Echo/Stream")(iter([b"a", b"b"]), metadata=metadata, timeout=10)
        assert [answer async for answer in call] == [b"a", b"b"]


@pytest.mark.parametrize(
    "metadata",
    [
        (),
        (("authorization", ""),),
        (("authorization", "Bearer"),),
        (("authorization", "Bearer "),),
        (("authorization", TOKEN),),
        (("authorization", f"Basic {TOKEN}"),),
        (("authorization", f"Bearer {TOKEN}x"),),
        (("authorization", f"Bearer {TOKEN[:-1]}"),),
        (("authorization", f"Bearer {TOKEN.upper()}"),),
        (("authorization-bin", f"Bearer {TOKEN}".encode()),),
        (("x-authorization", f"Bearer {TOKEN}"),),
    ],
)
async def test_without_the_token_nothing_is_served(metadata: tuple[tuple[str, str], ...]) -> None:
    refused: list[int] = []
    async with guarded(lambda: refused.append(1)) as channel:
        for call in (
            channel.unary_unary("/test.Echo/Unary")(b"a", metadata=metadata, timeout=10),
            channel.stream_stream("/test.Echo/Stream")(metadata=metadata, timeout=10),  # sends nothing
            channel.unary_unary("/test.Echo/Missing")(b"a", metadata=metadata, timeout=10),
        ):
            assert await call.code() is grpc.StatusCode.UNAUTHENTICATED
            details = await call.details()
            assert "--token" in details
            assert "DIFFUSION_TOY_TOKEN" in details
            assert TOKEN not in details
    assert len(refused) == 3


async def test_one_of_several_headers_suffices() -> None:
    metadata = (("authorization", "Basic x"), ("authorization", f"Bearer {TOKEN}"))
    async with guarded() as channel:
        assert await channel.unary_unary("/test.Echo/Unary")(b"a", metadata=metadata, timeout=10) == b"a"


async def test_health_checks_need_no_token() -> None:
    async with guarded() as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        reply = await stub.Check(health_pb2.HealthCheckRequest(), timeout=10)
        assert reply.status == health_pb2.HealthCheckResponse.SERVING
        watching = stub.Watch(health_pb2.HealthCheckRequest(), timeout=10)
        assert (await watching.read()).status == health_pb2.HealthCheckResponse.SERVING
        watching.cancel()


async def test_guessing_is_slowed_down_for_every_token_of_the_address() -> None:
    async with guarded() as channel:

        async def code(token: str) -> grpc.StatusCode:
            metadata = (("authorization", f"Bearer {token}"),)
            return await channel.unary_unary("/test.Echo/Unary")(b"a", metadata=metadata, timeout=10).code()

        assert await code(TOKEN) is grpc.StatusCode.OK
        codes = [await code(f"guess {number}") for number in range(int(WRONG_AT_ONCE) + 5)]
        assert codes[0] is grpc.StatusCode.UNAUTHENTICATED
        assert codes[-1] is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert await code(TOKEN) is grpc.StatusCode.RESOURCE_EXHAUSTED  # or guessing would go on


async def test_a_forgotten_token_is_no_guess() -> None:
    guard = BearerGuard(TOKEN)
    for _ in range(10 * int(WRONG_AT_ONCE)):
        with pytest.raises(StreamError, match="has none"):
            guard.check("192.0.2.1", [b""])
    guard.check("192.0.2.1", [TOKEN.encode()])


async def test_one_address_does_not_lock_out_another_and_a_network_of_ipv6_counts_as_one() -> None:
    guard = BearerGuard(TOKEN)
    for number in range(2 * int(WRONG_AT_ONCE)):
        with pytest.raises(StreamError):
            guard.check(f"2001:db8::{number:x}", [b"wrong"])
    with pytest.raises(StreamError, match="too many"):
        guard.check("2001:db8::ffff", [TOKEN.encode()])
    for other in ("2001:db8:0:1::1", "192.0.2.1"):
        guard.check(other, [TOKEN.encode()])
