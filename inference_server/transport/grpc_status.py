"""What the server says and knows of a stream, in gRPC's words."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import grpc

from inference_server.streams.status import Status
from inference_server.transport.addresses import plain_address


def grpc_code(status: Status) -> grpc.StatusCode:
    """Return gRPC's code for a status; the names are the same."""
    return grpc.StatusCode[status.name]


def peer_of(context: grpc.aio.ServicerContext[Any, Any]) -> str:
    """Return the client's address: that of gRPC's "ipv4:192.0.2.1:567" or "ipv6:%5B2001:db8::1%5D:567"."""
    peer: str = context.peer()
    scheme, _, rest = peer.partition(":")
    if scheme not in ("ipv4", "ipv6"):
        return peer
    return plain_address(unquote(rest).rpartition(":")[0].strip("[]"))
