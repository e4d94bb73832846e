"""A page's port that is open, without any engine behind it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from diffusion_toy.contract import messages as m
from inference_server.engine.loop import EngineLoop
from inference_server.engine.roster import Roster
from inference_server.ops.monitoring import Load, Metrics
from inference_server.streams.delivery import Delivery
from inference_server.streams.sessions import Sessions
from inference_server.streams.tokens import Sealer
from inference_server.transport.bearer import BearerGuard
from inference_server.transport.page import Page
from inference_server.transport.proxies import NO_PROXIES, TrustedProxies
from inference_server.transport.security import ServerSecurity
from inference_server.transport.web_transport import WebConfig, WebTransport

HANGS_S = 30.0  # what comes at all comes long before
SCRIPT = b"export const words = 'one two three four five six seven eight nine ten';\n" * 10


@dataclass
class Web:
    """A page's port that is open."""

    transport: WebTransport
    sessions: Sessions
    port: int

    async def get(self, path: str = "/", *headers: str, host: str = "") -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body of a request."""
        lines = [f"GET {path} HTTP/1.1", f"Host: {host or f'127.0.0.1:{self.port}'}", *headers, "", ""]
        return await self.ask("\r\n".join(lines).encode())

    async def ask(
        self, request: bytes, tls: ssl.SSLContext | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        async with asyncio.timeout(HANGS_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=tls)
            writer.write(request)
            answer = await reader.read()
            writer.close()
        head, _, body = answer.partition(b"\r\n\r\n")
        first, *rest = head.decode().split("\r\n")
        fields = dict(line.split(": ", 1) for line in rest)
        return int(first.split()[1]), {name.lower(): value for name, value in fields.items()}, body

    def socket(self, **how: Any) -> connect:
        """Return what opens a WebSocket."""
        options: dict[str, Any] = {"subprotocols": [Subprotocol("diffusion-toy.v1")], "proxy": None}
        scheme = "wss" if "ssl" in how else "ws"
        return connect(f"{scheme}://localhost:{self.port}/api/denoise", **{**options, **how})


@asynccontextmanager
async def web(
    folder: Path,
    security: ServerSecurity | None = None,
    host: str = "localhost",
    proxies: TrustedProxies = NO_PROXIES,
    **how: Any,
) -> AsyncIterator[Web]:
    security = security or ServerSecurity()
    sessions = Sessions(
        Delivery(asyncio.get_running_loop()), m.Limits(), Sealer(b"k" * 32, 2**20), Metrics(Load), 8
    )
    guard = BearerGuard(security.bearer_token or "")
    transport = WebTransport(WebConfig(host, 0, **how), security, guard, Page(folder), proxies=proxies)
    sessions.open(
        Roster(), cast(EngineLoop, SimpleNamespace(call=None))
    )  # without any model, so that a start is answered NOT_FOUND
    port = await transport.start(sessions)
    try:
        yield Web(transport, sessions, port)
    finally:
        await transport.stop(1.0)


async def ending(connection: ClientConnection) -> tuple[int, str]:
    """Return close code and reason."""
    async with asyncio.timeout(HANGS_S):
        with pytest.raises(ConnectionClosed) as caught:
            await connection.recv()
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code, caught.value.rcvd.reason


async def refused(web: Web, **how: Any) -> int:
    """Return the status with which a WebSocket is refused."""
    with pytest.raises(InvalidStatus) as caught:
        async with web.socket(**how):
            pass
    return caught.value.response.status_code
