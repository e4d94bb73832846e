"""Where a server listens: every way to write an address, and never two servers on one port."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from diffusion_toy.contract import messages as m
from inference_server.ops.monitoring import Load, Metrics
from inference_server.peers import network_of
from inference_server.streams.delivery import Delivery
from inference_server.streams.sessions import Sessions
from inference_server.streams.tokens import Sealer
from inference_server.transport import addresses
from inference_server.transport.addresses import (
    ListenError,
    authority,
    plain_address,
    resolve,
    usable_addresses,
)
from inference_server.transport.bearer import BearerGuard
from inference_server.transport.grpc_transport import GrpcTransport
from inference_server.transport.page import Page
from inference_server.transport.security import ServerSecurity
from inference_server.transport.transport import Transport
from inference_server.transport.web_transport import WebConfig, WebTransport
from tests.tools import free_port
from viewer_client.link.address import parse_address

OPEN = ServerSecurity(insecure=True)


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def over_grpc(host: str, port: int) -> Transport:
    return GrpcTransport(host, port, OPEN, BearerGuard(""))


def over_web(host: str, port: int) -> Transport:
    return WebTransport(WebConfig(host, port), OPEN, BearerGuard(""), Page(Path("nowhere")))


def sessions() -> Sessions:
    delivery = Delivery(asyncio.get_running_loop())
    return Sessions(delivery, m.Limits(), Sealer(b"k" * 32, 2**20), Metrics(Load), 8)


@asynccontextmanager
async def listening(transport: Transport) -> AsyncIterator[int]:
    transport.check()
    port = await transport.start(sessions())
    try:
        yield port
    finally:
        await transport.stop(0.0)


# --- ways to write an address ---


def test_an_address_is_resolved_in_every_form() -> None:
    assert resolve("127.1") == ["127.0.0.1"]
    assert resolve("[::1]") == resolve("::1") == ["::1"]
    assert sorted(resolve("localhost")) == sorted(resolve("LocalHost")) == ["127.0.0.1", "::1"]
    with pytest.raises(ListenError, match=r"cannot listen on 256.1.1.1 .*; give --host an address or a name"):
        resolve("256.1.1.1")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1", "localhost", *(["::1", "[::1]"] if has_ipv6() else [])]
)
@pytest.mark.parametrize("made", [over_grpc, over_web])
async def test_what_is_announced_is_an_address_that_works(host: str, made: object) -> None:
    transport = made(host, 0)  # type: ignore[operator]
    async with listening(transport) as port:
        told = transport.announcement(terminal=False)[0]
        if transport.name == "web":
            _, writer = await asyncio.open_connection(host.strip("[]"), port)
            assert told == f"page: http://{authority(host, port)}/"
            writer.close()
            return
        address = told.removeprefix("serving on ")
        assert parse_address(address)  # the viewer takes it as it is
        async with grpc.aio.insecure_channel(address) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            await stub.Check(health_pb2.HealthCheckRequest(), wait_for_ready=True, timeout=30)


def test_a_name_s_address_that_this_machine_lacks_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "resolve", lambda *_: ["192.0.2.1", "127.0.0.1"])
    assert usable_addresses("box", 0) == ["127.0.0.1"]
    monkeypatch.setattr(addresses, "resolve", lambda *_: ["192.0.2.1"])
    with pytest.raises(ListenError, match=r"cannot listen on box:0 .*choose another --port"):
        usable_addresses("box", 0)


# --- one server a port ---

PAIRS = [
    ("127.0.0.1", "127.0.0.1"),
    ("localhost", "127.0.0.1"),
    ("127.0.0.1", "localhost"),
    ("0.0.0.0", "127.1"),
]
PAIRS += [("127.0.0.1", "0.0.0.0")]
SIX = [
    ("::1", "localhost"),
    ("localhost", "::1"),
    ("::1", "0.0.0.0"),
    ("0.0.0.0", "::1"),
    ("::", "127.0.0.1"),
]


@pytest.mark.parametrize(("first", "second"), PAIRS + (SIX if has_ipv6() else []))
async def test_a_second_server_on_a_port_is_refused_in_a_sentence(
    first: str, second: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = ["::1", "127.0.0.1"] if has_ipv6() else ["127.0.0.1"]  # as on most machines
    resolved = addresses.resolve
    monkeypatch.setattr(
        addresses, "resolve", lambda host, *_: both if host == "localhost" else resolved(host)
    )
    async with listening(over_grpc(first, 0)) as port:
        with pytest.raises(ListenError, match=rf"cannot listen on .*{port} \(Address already in use\)"):
            over_grpc(second, port).check()
        with pytest.raises(
            ListenError, match=rf"{port} \(Address already in use\); choose another --web-port"
        ):
            over_web(second, port).check()


@pytest.mark.parametrize("hosts", [("127.0.0.1",) * 3, ("localhost", "127.0.0.1", "localhost")])
async def test_of_servers_that_start_at_one_moment_one_serves_and_the_others_say_in_use(
    hosts: tuple[str, ...],
) -> None:
    for _ in range(5):
        port = free_port()
        transports = [over_grpc(hosts[0], port), over_web(hosts[1], port), over_grpc(hosts[2], port)]
        for transport in transports:
            transport.check()  # all of them find the port free
        async with AsyncExitStack() as stack:
            results = await asyncio.gather(
                *(transport.start(sessions()) for transport in transports), return_exceptions=True
            )
            for transport, result in zip(transports, results, strict=True):
                if not isinstance(result, BaseException):
                    stack.push_async_callback(transport.stop, 0.0)
            losers = [result for result in results if isinstance(result, BaseException)]
        assert len(losers) == len(transports) - 1
        assert all(isinstance(loser, ListenError) and "in use" in str(loser) for loser in losers)


# --- clients' addresses ---


def test_a_client_has_one_address_over_every_transport() -> None:
    assert plain_address("::ffff:192.0.2.7") == "192.0.2.7"
    assert plain_address("fe80::1%eth0") == "fe80::1"
    assert plain_address("2001:0db8::0001") == "2001:db8::1"
    assert network_of("2001:db8:1:2:3:4:5:6") == "2001:db8:1:2::/64"
    assert network_of("192.0.2.7") == "192.0.2.7"
