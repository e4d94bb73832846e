"""The gRPC service: a thin adapter between gRPC's calls and `streams.sessions`."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc

from diffusion_toy.contract import wire
from diffusion_toy.v1 import denoise_pb2 as pb
from diffusion_toy.v1 import denoise_pb2_grpc as pb_grpc
from inference_server.streams.sessions import Sessions
from inference_server.streams.status import status_of
from inference_server.streams.stream import BrokenStreamError
from inference_server.transport.grpc_status import grpc_code, peer_of, refuse_stream
from inference_server.transport.proxies import TrustedProxies

BREAK_S = 0.05  # within this time after its last request, a broken call is known to be broken


class GrpcStream:
    """A gRPC call as a `streams.stream.Stream`.

    Args:
        context: the call's.
        peer: the client's address.
    """

    def __init__(self, context: grpc.aio.ServicerContext[Any, Any], peer: str) -> None:
        self._context, self._peer = context, peer

    @property
    def peer(self) -> str:
        """Return the client's address."""
        return self._peer

    async def read(self) -> pb.DenoiseRequest | None:
        """Return the next request, None at the end; see `Stream.read`."""
        message = await self._context.read()
        if message is not grpc.aio.EOF:
            return message  # type: ignore[no-any-return]
        # A connection that breaks reads like one that is done, but gRPC cancels the call then.
        await asyncio.sleep(BREAK_S)
        if self._context.cancelled():
            raise BrokenStreamError
        return None

    async def write(self, message: pb.DenoiseResponse) -> None:
        """Send a response; gRPC serialises it at once."""
        await self._context.write(message)


class DenoiseService(pb_grpc.DenoiseServiceServicer):
    """Streams sessions over gRPC.

    Args:
        sessions: what is served.
        proxies: whose word on a client's address is believed.
    """

    def __init__(self, sessions: Sessions, proxies: TrustedProxies) -> None:
        self._sessions, self._proxies = sessions, proxies

    async def ListModels(
        self, request: pb.ListModelsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.ListModelsResponse:
        """Return the models that a `Start` can name."""
        try:
            models = self._sessions.models(peer_of(context, self._proxies))
        except Exception as error:
            status, details = status_of(error)
            await context.abort(grpc_code(status), details)
        return pb.ListModelsResponse(models=[wire.model_to_proto(model) for model in models])

    async def Denoise(  # type: ignore[override]
        self, request_iterator: Any, context: grpc.aio.ServicerContext[Any, Any]
    ) -> None:
        """Serve one stream, from `Start` to its end."""
        stream = GrpcStream(context, peer_of(context, self._proxies))
        if (failure := await self._sessions.serve(stream)) is not None:
            await refuse_stream(context, *failure)
