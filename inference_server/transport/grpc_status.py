"""What the server says and knows of a stream, in gRPC's words."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any
from urllib.parse import unquote

import grpc

from diffusion_toy.contract import messages as m
from diffusion_toy.contract import wire
from diffusion_toy.v1 import denoise_pb2 as pb
from inference_server.streams.status import Status
from inference_server.transport.addresses import plain_address
from inference_server.transport.proxies import FORWARDED_FOR, TrustedProxies

REFUSAL_S = 1.0  # for the client to take its refusal; the status is sent in any case


def grpc_code(status: Status) -> grpc.StatusCode:
    """Return gRPC's code for a status; the names are the same."""
    return grpc.StatusCode[status.name]


def peer_of(context: grpc.aio.ServicerContext[Any, Any], proxies: TrustedProxies) -> str:
    """Return the client's address: that of gRPC's "ipv4:192.0.2.1:567" or "ipv6:%5B2001:db8::1%5D:567".

    Where a proxy has this address that is believed, it is the one that the proxy names.
    """
    peer: str = context.peer()
    scheme, _, rest = peer.partition(":")
    if scheme not in ("ipv4", "ipv6"):
        return peer
    metadata = context.invocation_metadata() or ()
    forwarded = [str(value) for key, value in metadata if key == FORWARDED_FOR]
    return proxies.client(plain_address(unquote(rest).rpartition(":")[0].strip("[]")), forwarded)


async def refuse_stream(context: grpc.aio.ServicerContext[Any, Any], status: Status, details: str) -> None:
    """End a `Denoise` stream with a status, and say it in a last response for clients behind a proxy.

    A proxy may turn the status into another one: see rule 7 in denoise.proto.
    """
    refusal = wire.refusal_to_proto(m.Refusal(status.value, details))
    # It cannot be sent where the client is gone, or takes nothing: then an earlier response has not left yet.
    with contextlib.suppress(TimeoutError, grpc.aio.BaseError):
        async with asyncio.timeout(REFUSAL_S):
            await context.write(pb.DenoiseResponse(refusal=refusal))
    await context.abort(grpc_code(status), details)
