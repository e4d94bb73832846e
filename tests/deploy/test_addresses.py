"""Viewers and browsers behind HAProxy are counted by their own addresses, and nobody can claim another."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import grpc
import pytest

from diffusion_toy.contract import messages as m
from tests.client import Client, WebClient
from tests.deploy.balancer import Balancer, running_balancer
from tests.models import tiny_flags
from tests.tools import HANGS_S, ServerProcess, free_port, running_server, wait_for

FORGED = "203.0.113.9"
Open = Callable[..., Client]
TRIES = 10


@contextmanager
def passed_on(target: str, source: str) -> Iterator[str]:
    """Pass connections on to HOST:PORT from another address of this machine; yields where to connect to."""
    host, _, port = target.rpartition(":")
    listening = socket.create_server(("127.0.0.1", 0))
    opened: list[socket.socket] = [listening]

    def copy(reading: socket.socket, writing: socket.socket) -> None:
        with suppress(OSError):
            while content := reading.recv(65536):
                writing.sendall(content)
        with suppress(OSError):
            writing.shutdown(socket.SHUT_WR)

    def accept() -> None:
        with suppress(OSError):
            while True:
                near, _ = listening.accept()
                far = socket.create_connection((host, int(port)), HANGS_S, (source, 0))
                opened.extend((near, far))
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=copy, args=ends, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"127.0.0.1:{listening.getsockname()[1]}"
    finally:
        for one in opened:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


@pytest.fixture(scope="module")
def open_stream() -> Iterator[Open]:
    """What opens a stream from an address to HOST:PORT, with a forged header where it is asked for."""
    with ExitStack() as stack:

        def opened(kind: str, target: str, source: str, *, forged: bool = False) -> Client:
            address = stack.enter_context(passed_on(target, source))
            if kind == "gRPC":
                metadata = (("x-forwarded-for", FORGED),) if forged else None
                return Client(address, metadata=metadata)
            headers = {"X-Forwarded-For": FORGED} if forged else {}
            return WebClient(f"http://{address}", additional_headers=headers)

        yield opened


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServerProcess, Balancer]]:
    """A server with one stream for each address, and a balancer before it that it believes."""
    folder = tmp_path_factory.mktemp("addresses")
    port, page = free_port(), free_port()
    flags = [
        *tiny_flags(folder),
    ]
    flags += ["--web-port", str(page), "--streams-per-peer", "1", "--trusted-proxies", "127.0.0.1"]
    with running_balancer(folder, [port], [page]) as balancer, running_server(*flags, port=port) as server:
        wait_for(lambda: balancer.log().count("is UP") == 2, "the server to be known")
        yield server, balancer


def refused(open_it: Callable[[], Client]) -> bool:
    """Whether a stream is refused because its address has one already.

    HAProxy may end a stream before the refusal has left; a viewer tries again then, and so does this.
    """
    for _ in range(TRIES):
        with open_it() as client:
            client.send(m.Start(seed=1))
            code, text = client.status()
        if client.refusal is not None or code is not grpc.StatusCode.CANCELLED:
            break
    told = client.refusal.reason if client.refusal else text
    assert client.refusal is not None or code is grpc.StatusCode.RESOURCE_EXHAUSTED
    return "streams are open from this address" in told


@pytest.mark.parametrize("kind", ["gRPC", "WebSocket"])
def test_each_client_behind_the_balancer_has_its_own_limit(
    place: tuple[ServerProcess, Balancer], open_stream: Open, kind: str
) -> None:
    server, balancer = place
    front = balancer.address if kind == "gRPC" else balancer.page.removeprefix("http://")
    with open_stream(kind, front, "127.0.0.2") as first:
        name = first.start().session_id
        wait_for(lambda: any(name in line and "peer=127.0.0.2" in line for line in server.log), "its address")
        assert refused(partial(open_stream, kind, front, "127.0.0.2"))
        assert refused(partial(open_stream, kind, front, "127.0.0.2", forged=True))
        with open_stream(kind, front, "127.0.0.3") as second:
            second.start()


@pytest.mark.parametrize("kind", ["gRPC", "WebSocket"])
def test_a_header_that_a_client_forges_at_the_server_itself_counts_for_nothing(
    place: tuple[ServerProcess, Balancer], open_stream: Open, kind: str
) -> None:
    server, _ = place
    direct = server.address if kind == "gRPC" else server.page.removeprefix("http://")
    with open_stream(kind, direct, "127.0.0.4", forged=True) as first:
        name = first.start().session_id
        wait_for(lambda: any(name in line and "peer=127.0.0.4" in line for line in server.log), "its address")
        assert refused(partial(open_stream, kind, direct, "127.0.0.4"))
    assert not server.says(FORGED)


def test_by_default_no_header_is_believed(tmp_path: Path) -> None:
    flags = [
        *tiny_flags(tmp_path),
    ]
    with running_server(*flags, "--streams-per-peer", "1") as server, Client(server.address) as first:
        first.start()
        assert refused(partial(Client, server.address, metadata=(("x-forwarded-for", FORGED),)))
