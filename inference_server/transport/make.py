"""The transports of a server."""

from __future__ import annotations

from collections.abc import Callable

from inference_server.transport.bearer import BearerGuard
from inference_server.transport.grpc_transport import GrpcTransport
from inference_server.transport.page import Page
from inference_server.transport.security import ServerSecurity
from inference_server.transport.transport import Transport
from inference_server.transport.web_transport import WebConfig, WebTransport

__all__ = ["WebConfig", "make_transports"]


def make_transports(
    host: str, port: int, web: WebConfig | None, security: ServerSecurity, on_refused: Callable[[], object]
) -> list[Transport]:
    """Return what serves at these ports; one guard counts the wrong tokens of an address over all of them.

    Args:
        host, port: where gRPC listens.
        web: where the page is served; None for nowhere.
        security: certificate and bearer token.
        on_refused: called for each call without the token.
    """
    guard = BearerGuard(security.bearer_token or "")
    transports: list[Transport] = [GrpcTransport(host, port, security, guard, on_refused)]
    if web is not None:
        transports.append(WebTransport(web, security, guard, Page(), on_refused))
    return transports
