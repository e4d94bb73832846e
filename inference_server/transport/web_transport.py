"""The page and its WebSocket as a transport: an HTTP server on a port of its own, in the same event loop."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from email.utils import formatdate
from functools import partial
from http import HTTPStatus
from urllib.parse import urlsplit

from google.protobuf.json_format import MessageToJson
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from diffusion_toy.contract import wire
from diffusion_toy.errors import DiffusionToyError
from diffusion_toy.v1 import denoise_pb2 as pb
from inference_server.streams.sessions import Sessions
from inference_server.streams.status import Status, StreamError, status_of
from inference_server.transport.addresses import (
    cannot_listen,
    is_loopback,
    listen,
    usable_addresses,
)
from inference_server.transport.bearer import BearerGuard, bearer
from inference_server.transport.links import page_links, qr_code, with_token
from inference_server.transport.page import HEADERS, WALL, File, Page
from inference_server.transport.proxies import NO_PROXIES, TrustedProxies
from inference_server.transport.security import (
    ServerSecurity,
    certificate_warning,
    check_binding,
    tls_context,
)
from inference_server.transport.wall import WALL_SUBPROTOCOL, Wall
from inference_server.transport.web_connection import Connection, Handshakes
from inference_server.transport.web_origin import WebOrigins
from inference_server.transport.websocket import (
    CLOSE_OK,
    SUBPROTOCOL,
    WebSocketStream,
    close_code,
    close_reason,
)

library_log = logging.getLogger(f"{__name__}.websockets")
library_log.setLevel(logging.ERROR)  # every connection would be a line

STREAM_PATH, MODELS_PATH, HEALTH_PATH = "/api/denoise", "/api/models", "/api/health"
WALL_PATH = "/api/wall"
BINARY = "application/x-protobuf"
HANDSHAKE_S = 10.0  # for TLS, and then for the request and its answer
HANDSHAKES_PER_PEER = 256  # at a time; a class behind one address opens a few for each page
PING_EVERY_S, PING_TIMEOUT_S = 10.0, 20.0  # as over gRPC
CLOSE_S = 2.0
UNFINISHED_MESSAGES = 16  # frames of the WebSocket that wait to be read before the connection is read no more
HTTP_STATUS = {
    Status.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    Status.RESOURCE_EXHAUSTED: HTTPStatus.TOO_MANY_REQUESTS,
    Status.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
}


@dataclass(frozen=True)
class WebConfig:
    """Where the page is served, and to whom.

    `origins` are other pages that may use the server, `names` further names under which it is known.
    """

    host: str
    port: int
    origins: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


class WebTransport:
    """Serves the page, and sessions over WebSockets.

    Args:
        config: where, and to whom.
        security: certificate and bearer token, the same as for gRPC.
        guard: knows the token.
        page: what is served beside the contract.
        on_refused: called for each request without the token.
        wall: the class wall; None without one.
        proxies: whose word on a client's address is believed.

    Raises:
        InvalidValueError: a name or an origin that is none.
    """

    name = "web"
    _sessions: Sessions

    def __init__(
        self,
        config: WebConfig,
        security: ServerSecurity,
        guard: BearerGuard,
        page: Page,
        on_refused: Callable[[], object] = lambda: None,
        wall: Wall | None = None,
        proxies: TrustedProxies = NO_PROXIES,
    ) -> None:
        self._wall, self._proxies = wall, proxies
        self._config, self._security, self._guard, self._page = config, security, guard, page
        self._origins = WebOrigins(config.names, config.origins, tls=security.tls_cert is not None)
        self._on_refused = on_refused
        self._port, self._serving = config.port, False
        self._servers: list[Server] = []
        self._handshakes = Handshakes(HANDSHAKES_PER_PEER)
        self._connections: set[ServerConnection] = set()

    def check(self) -> list[str]:
        """See that it can be started; see `Transport.check`."""
        warnings = [check_binding(self._config.host, self._security), certificate_warning(self._security)]
        usable_addresses(self._config.host, self._config.port, "--web-port")
        if not self._page:
            warnings.append("the page's files are missing, so --web-port serves the contract alone")
        return [warning for warning in warnings if warning is not None]

    async def start(self, sessions: Sessions) -> int:
        """Listen and serve; see `Transport.start`."""
        self._sessions = sessions
        host, port = self._config.host, self._config.port
        try:
            sockets = listen(usable_addresses(host, port, "--web-port"), port)
        except OSError as error:
            raise cannot_listen(host, port, error.strerror or str(error), "--web-port") from error
        self._port = int(sockets[0].getsockname()[1])
        context: ssl.SSLContext | None = tls_context(self._security)
        for one in sockets:
            server = await serve(
                self._stream,
                sock=one,
                ssl=context,
                subprotocols=[Subprotocol(SUBPROTOCOL), Subprotocol(WALL_SUBPROTOCOL)],
                compression=None,
                process_request=self._respond,
                server_header=None,
                open_timeout=HANDSHAKE_S,
                close_timeout=CLOSE_S,
                ping_interval=PING_EVERY_S,
                ping_timeout=PING_TIMEOUT_S,
                max_size=sessions.limits.request_bytes,
                max_queue=UNFINISHED_MESSAGES,
                logger=library_log,
                create_connection=partial(Connection, self._handshakes, self._proxies),  # type: ignore[arg-type]
            )
            self._servers.append(server)
        return self._port

    async def set_serving(self, serving: bool) -> None:
        """Answer `GET /api/health` by it."""
        self._serving = serving

    async def stop(self, drain_s: float) -> None:
        """End in good order; see `Transport.stop`."""
        for server in self._servers:
            server.close(close_connections=False)
        if self._wall is not None:
            self._wall.stop()
        try:
            async with asyncio.timeout(drain_s):
                await asyncio.gather(*(server.wait_closed() for server in self._servers))
        except TimeoutError:
            for connection in list(self._connections):
                connection.transport.abort()

    def announcement(self, *, terminal: bool) -> list[str]:
        """Return the page's addresses; on a terminal with the token, and for others as a QR code too."""
        tls, token = self._security.tls_cert is not None, self._security.bearer_token
        links = page_links(self._config.host, self._port, self._config.names, tls=tls)
        if not terminal:
            hint = " (add #token= and the token to it)" if token else ""
            lines = [f"page: {links[0]}{hint}", *(f"  or: {link}" for link in links[1:])]
            if self._wall is not None:
                lines.append(f"wall: {links[0]}wall (add #wall= and the wall's token to it)")
            return lines
        plain, links = links, [with_token(link, token) for link in links]
        lines = [f"page: {links[0]}", *(f"  or: {link}" for link in links[1:])]
        if self._wall is not None:
            lines.append(f"wall: {self._wall.link(plain[0], token)}")
        return lines if is_loopback(self._config.host) else lines + qr_code(links[0])

    # --- streams ---

    async def _stream(self, connection: ServerConnection) -> None:
        """Serve a session over a WebSocket whose handshake is over."""
        assert isinstance(connection, Connection)
        connection.handshake_over()
        self._connections.add(connection)
        try:
            failure = await self._serve(connection)
            code, reason = CLOSE_OK, ""
            if failure is not None:
                status, details = failure
                code, reason = close_code(status), close_reason(details)
            async with asyncio.timeout(CLOSE_S):  # a client that does not read would keep it open
                await connection.close(code, reason)
        except TimeoutError:
            connection.transport.abort()
        finally:
            self._connections.discard(connection)

    async def _serve(self, connection: Connection) -> tuple[Status, str] | None:
        """Serve what the connection's address and subprotocol ask for; see `Sessions.serve`."""
        assert connection.request is not None
        at_wall = path_of(connection.request) == WALL_PATH
        if at_wall is not (connection.subprotocol == WALL_SUBPROTOCOL):
            said = (
                f"the subprotocol of {WALL_PATH} is {WALL_SUBPROTOCOL}, that of {STREAM_PATH} {SUBPROTOCOL}"
            )
            return Status.INVALID_ARGUMENT, said
        if at_wall and self._wall is not None:
            return await self._wall.serve(connection, self._sessions)
        return await self._sessions.serve(WebSocketStream(connection, self._guard))

    # --- requests ---

    def _respond(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answer a request; None lets a WebSocket begin."""
        assert isinstance(connection, Connection)
        if not connection.identify(request):
            said = "this address has begun too many requests at once; wait until some are answered"
            return text(HTTPStatus.TOO_MANY_REQUESTS, said)
        try:
            return self._answer(connection, request)
        except DiffusionToyError as error:
            status, details = status_of(error)
            return text(HTTP_STATUS.get(status, HTTPStatus.BAD_REQUEST), details)
        except Exception as error:
            return text(HTTPStatus.INTERNAL_SERVER_ERROR, status_of(error)[1])

    def _answer(self, connection: Connection, request: Request) -> Response | None:
        """Answer a request of a client that is known; None lets a WebSocket begin.

        Raises:
            StreamError: the request's target cannot be read, or `_models` has refused.
        """
        headers = request.headers
        hosts, origins = headers.get_all("Host"), headers.get_all("Origin")
        if len(hosts) != 1 or not self._origins.knows_host(hosts[0]):
            said = "the server does not know this name; open its address, or start it with --web-host-name"
            return text(HTTPStatus.MISDIRECTED_REQUEST, said)
        if len(origins) > 1 or not self._origins.allows(origins[0] if origins else None, hosts[0]):
            said = "pages of other sites may not use this server; its owner can allow one with --web-origin"
            return text(HTTPStatus.FORBIDDEN, said)
        path = path_of(request)
        if path == STREAM_PATH or (path == WALL_PATH and self._wall is not None):
            return None  # `websockets` answers what is no handshake
        if path == WALL and self._wall is None:
            return text(
                HTTPStatus.NOT_FOUND, "this server has no class wall; its owner can start one with --wall"
            )
        if path == HEALTH_PATH:
            status = HTTPStatus.OK if self._serving else HTTPStatus.SERVICE_UNAVAILABLE
            return text(status, "SERVING" if self._serving else "NOT_SERVING")
        if path == MODELS_PATH:
            return self._models(connection.client, headers)
        if (file := self._page.get(path)) is not None:
            return of_file(file, "gzip" in joined(headers, "Accept-Encoding"))
        return text(HTTPStatus.NOT_FOUND, "there is no such file")

    def _models(self, peer: str, headers: Headers) -> Response:
        """Answer `ListModels`.

        Raises:
            StreamError: no or a wrong token, or the models are still being loaded.
        """
        try:
            self._guard.check(peer, [bearer(value) for value in headers.get_all("Authorization")])
        except StreamError:
            self._on_refused()
            raise
        message = pb.ListModelsResponse(
            models=[wire.model_to_proto(one) for one in self._sessions.models(peer)]
        )
        if BINARY in joined(headers, "Accept"):
            return response(HTTPStatus.OK, message.SerializeToString(), BINARY, {"Vary": "Accept"})
        return response(
            HTTPStatus.OK, MessageToJson(message).encode(), "application/json", {"Vary": "Accept"}
        )


def path_of(request: Request) -> str:
    """Return the path of a request, without its query.

    Raises:
        StreamError: its target is no address.
    """
    try:
        return urlsplit(request.path).path
    except ValueError as error:
        raise StreamError(Status.INVALID_ARGUMENT, "the request's target is no address") from error


def joined(headers: Headers, name: str) -> str:
    """Return a header's value; lines of the same name are one list, by RFC 9110, section 5.3."""
    return ", ".join(headers.get_all(name))


def response(
    status: HTTPStatus, body: bytes, kind: str, extra: dict[str, str] | Iterable[tuple[str, str]] = ()
) -> Response:
    """Return an HTTP response with the headers that every one of them has."""
    fields = {
        "Date": formatdate(usegmt=True),
        "Connection": "close",
        "Content-Type": kind,
        "Content-Length": str(len(body)),
        "Cache-Control": "no-store",
        **HEADERS,
        **dict(extra),
    }
    return Response(status.value, status.phrase, Headers(fields), body)


def text(status: HTTPStatus, sentence: str) -> Response:
    """Return a response that is one sentence."""
    return response(status, f"{sentence}\n".encode(), "text/plain; charset=utf-8")


def of_file(file: File, compress: bool) -> Response:
    """Return a response that is a file of the page."""
    extra = {"Cache-Control": file.cache, "Vary": "Accept-Encoding"}
    if compress and file.compressed is not None:
        return response(HTTPStatus.OK, file.compressed, file.kind, {**extra, "Content-Encoding": "gzip"})
    return response(HTTPStatus.OK, file.content, file.kind, extra)
