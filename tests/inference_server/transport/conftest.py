"""The ways in: what goes over a real server runs over each of them."""

from __future__ import annotations

import pytest

from tests.client import Client, Connect, WebClient
from tests.tools import ServerProcess


@pytest.fixture(params=["gRPC", "WebSocket"])
def connect(request: pytest.FixtureRequest) -> Connect:
    """What opens a stream to a server, one that has a page."""

    def opened(server: ServerProcess, acknowledge: bool = True) -> Client:
        if request.param == "gRPC":
            return Client(server.address, acknowledge)
        return WebClient(server.page, acknowledge)

    return opened
