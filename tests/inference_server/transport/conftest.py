"""The ways in: what goes over a real server runs over each of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.client import Client, Connect, WebClient
from tests.inference_server.transport.web_port import SCRIPT
from tests.tools import ServerProcess


@pytest.fixture(params=["gRPC", "WebSocket"])
def connect(request: pytest.FixtureRequest) -> Connect:
    """What opens a stream to a server, one that has a page."""

    def opened(server: ServerProcess, acknowledge: bool = True) -> Client:
        if request.param == "gRPC":
            return Client(server.address, acknowledge)
        return WebClient(server.page, acknowledge)

    return opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A page's files, and a secret beside them."""
    dist = tmp_path / "dist"
    (dist / "assets").mkdir(parents=True)
    (dist / "index.html").write_text("<!doctype html><title>toy</title>")
    (dist / "assets" / "page-1a2b.js").write_bytes(SCRIPT)
    (tmp_path / "secret").write_text("secret")
    return dist
