"""The transports of a server."""

from __future__ import annotations

import os
from collections.abc import Callable

from inference_server.options import ServerOptions
from inference_server.secrets import bearer_token, wall_token
from inference_server.streams.board import Board
from inference_server.transport.bearer import BearerGuard
from inference_server.transport.grpc_transport import GrpcTransport
from inference_server.transport.page import Page
from inference_server.transport.proxies import TrustedProxies
from inference_server.transport.security import ServerSecurity
from inference_server.transport.transport import Transport
from inference_server.transport.wall import Wall
from inference_server.transport.web_transport import WebConfig, WebTransport


def make_transports(
    options: ServerOptions, on_refused: Callable[[], object], board: Board | None = None
) -> list[Transport]:
    """Return what serves by these options; one guard counts the wrong tokens of an address over all of them.

    Args:
        options: where they listen, and who may use them.
        on_refused: called for each call without the token.
        board: what a class wall shows; None without one.

    Raises:
        DiffusionToyError: the token cannot be used, a certificate lacks its key, or a name, an origin or a
            proxy is none.
    """
    token = bearer_token(options, os.environ)
    security = ServerSecurity(options.tls_cert, options.tls_key, token, options.insecure)
    guard, proxies = BearerGuard(token), TrustedProxies.parse(options.trusted_proxies)
    secret = wall_token(options)
    grpc = GrpcTransport(options.host, options.port, security, guard, on_refused, proxies)
    transports: list[Transport] = [grpc]
    if options.web_port is not None:
        web = WebConfig(options.host, options.web_port, options.web_origins, options.web_host_names)
        wall = Wall(board, secret) if board is not None else None
        transports.append(WebTransport(web, security, guard, Page(), on_refused, wall, proxies))
    return transports
