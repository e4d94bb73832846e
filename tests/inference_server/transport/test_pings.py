"""Pings: a peer that hangs while its kernel still answers is found."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from diffusion_toy.contract import messages as m
from tests.client import Client, WebClient
from tests.inference_server.faults import Relay, gauges
from tests.models import tiny_flags
from tests.tools import ServerProcess, free_port, running_server, wait_for

FOUND_WITHIN_S = 55.0  # 30 s by the settings; without them TCP gives up after 60 s and more
PAUSED = m.Start(motion=m.Motion.PAUSED)  # nothing else is on the wire


@pytest.fixture(scope="module")
def metrics_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, metrics_port: int) -> Iterator[ServerProcess]:
    flags = [*tiny_flags(tmp_path_factory.mktemp("model")), "--grace", "600"]
    with running_server(*flags, "--web-port", "0", "--metrics-port", str(metrics_port)) as process:
        yield process


@pytest.mark.slow
@pytest.mark.parametrize("over", ["gRPC", "WebSocket"])
def test_a_peer_that_hangs_is_let_go_and_its_session_waits(
    server: ServerProcess, metrics_port: int, over: str
) -> None:
    before = gauges(metrics_port)["detached_sessions"]
    target = server.port if over == "gRPC" else int(server.page.rpartition(":")[2])
    with Relay(target) as relay:
        client = Client(relay.address) if over == "gRPC" else WebClient(f"http://{relay.address}")
        with client:
            client.start(PAUSED)
            client.frame()
            relay.stalled.set()  # its kernel takes what comes; the client sees none of it
            wait_for(
                lambda: gauges(metrics_port)["detached_sessions"] > before,
                "the session to wait",
                FOUND_WITHIN_S,
            )
            relay.stalled.clear()
