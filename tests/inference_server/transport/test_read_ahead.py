"""What a client sends is not taken into the server's memory before the server reads it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import cast

import grpc

from diffusion_toy.contract import messages as m
from diffusion_toy.v1 import denoise_pb2 as pb
from diffusion_toy.v1 import denoise_pb2_grpc as pb_grpc
from inference_server.streams.sessions import Sessions
from inference_server.streams.stream import Stream
from inference_server.transport.bearer import BearerGuard
from inference_server.transport.grpc_transport import GrpcTransport
from inference_server.transport.security import ServerSecurity

KIB_MAX = 512  # without the limit it is 4,000 and more
BLOCKED_S = 1.0  # a write that is not taken for so long waits for the server
HANGS_S = 60.0


async def test_of_a_stream_that_is_not_read_little_is_taken() -> None:
    over = asyncio.Event()

    async def serve(stream: Stream) -> None:
        await over.wait()

    sessions = cast(Sessions, SimpleNamespace(limits=m.Limits(), serve=serve))
    transport = GrpcTransport("127.0.0.1", 0, ServerSecurity(), BearerGuard(""))
    port = await transport.start(sessions)
    request = pb.DenoiseRequest()
    request.restart.origin.pixels = bytes(63 * 1024)
    taken_kib = 0
    async with asyncio.timeout(HANGS_S), grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = pb_grpc.DenoiseServiceStub(channel).Denoise()
        try:
            while taken_kib <= KIB_MAX:
                await asyncio.wait_for(call.write(request), BLOCKED_S)
                taken_kib += 63
        except TimeoutError:
            pass
        over.set()
        call.cancel()
    await transport.stop(0.0)
    assert 0 < taken_kib <= KIB_MAX
