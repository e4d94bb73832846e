"""Browsers behind the shipped HAProxy: the page, its streams, and going on with another server."""

from __future__ import annotations

import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest

from diffusion_toy.contract import messages as m
from tests.client import WebClient
from tests.deploy.balancer import running_balancer
from tests.models import shared_flags
from tests.tools import require_tool, running_server, wait_for

HANGS_S = 120.0  # what comes at all comes long before
ENDLESS = m.Start(seed=5, settings=m.SettingsChange(num_time_steps=1000, steps_per_second=10))


def models(page: str) -> bytes:
    with urllib.request.urlopen(f"{page}/api/models", timeout=HANGS_S) as reply:
        content: bytes = reply.read()
        return content


def resumed(page: str, token: bytes) -> int | None:
    """Go on with a session, and return the step of its first picture; None if nobody is there yet."""
    try:
        with WebClient(page) as client:
            client.resume(token)
            return client.frame().step
    except (OSError, grpc.RpcError, AssertionError):
        return None
    except Exception as error:  # a handshake that the balancer refuses, since no server is known to be up
        if "HTTP" in str(error):
            return None
        raise


@pytest.mark.slow
def test_a_browser_goes_on_with_another_server_when_its_own_is_killed(tmp_path: Path) -> None:
    require_tool("haproxy", "apt-get install haproxy")
    flags = [*shared_flags(tmp_path), "--one-of-several", "--web-port", "0"]
    with ExitStack() as stack:
        servers = [stack.enter_context(running_server(*flags)) for _ in range(2)]
        pages = [int(server.page.rpartition(":")[2]) for server in servers]
        grpc_ports = [server.port for server in servers]
        balancer = stack.enter_context(running_balancer(tmp_path, grpc_ports, pages))
        assert b"label" in models(balancer.page)
        with WebClient(balancer.page) as client:
            name = client.start(ENDLESS).session_id
            client.frame(lambda frame: frame.step > 0)
            token = client.next_token().token
            last = client.frame().step
            (own,) = [server for server in servers if server.says(name)]
            own.process.kill()
            client.read_to_the_end()
        until = time.monotonic() + HANGS_S
        while (step := resumed(balancer.page, token)) is None:
            assert time.monotonic() < until, balancer.log()
            time.sleep(0.1)
        assert 0 < step <= last + 20
        (other,) = [server for server in servers if server is not own]
        wait_for(lambda: other.says(name), "the other server's word of it")
