"""The bearer token over gRPC: `authorization: Bearer TOKEN` in the metadata, but for health checks."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import grpc

from inference_server.streams.status import StreamError
from inference_server.transport.bearer import BearerGuard, bearer
from inference_server.transport.grpc_status import grpc_code, peer_of, refuse_stream
from inference_server.transport.proxies import NO_PROXIES, TrustedProxies

STREAM_METHOD = "/diffusion_toy.v1.DenoiseService/Denoise"
OPEN_METHODS = "/grpc.health.v1.Health/"  # what a load balancer asks, which has no token

Check = Callable[[grpc.aio.ServicerContext[Any, Any]], Awaitable[None]]


class BearerInterceptor(grpc.aio.ServerInterceptor):
    """Ends every call that a guard does not let in, but health checks.

    Args:
        guard: knows the token.
        on_refused: called for each call that is ended.
        proxies: whose word on a client's address is believed.
    """

    def __init__(
        self,
        guard: BearerGuard,
        on_refused: Callable[[], object] = lambda: None,
        proxies: TrustedProxies = NO_PROXIES,
    ) -> None:
        self._guard, self._on_refused, self._proxies = guard, on_refused, proxies

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler | None:
        """Return the method's own handler, with the check before it."""
        handler = await continuation(handler_call_details)
        if handler_call_details.method.startswith(OPEN_METHODS):
            return handler
        metadata = handler_call_details.invocation_metadata
        given = [bearer(value) for key, value in metadata if key == "authorization"]
        check = self._check(given, stream=handler_call_details.method == STREAM_METHOD)
        return checked(handler, check)

    def _check(self, given: Sequence[bytes], *, stream: bool) -> Check:
        async def check(context: grpc.aio.ServicerContext[Any, Any]) -> None:
            try:
                self._guard.check(peer_of(context, self._proxies), given)
            except StreamError as error:
                self._on_refused()
                if stream:
                    await refuse_stream(context, error.status, str(error))
                await context.abort(grpc_code(error.status), str(error))

        return check


def checked(handler: grpc.RpcMethodHandler | None, check: Check) -> grpc.RpcMethodHandler:
    """Return a handler that checks, and then does what `handler` does; None stands for an unknown method.

    It is a handler of streams also for unary methods, since it does not wait for a request: who has no token
    is answered at once.
    """

    async def handle(requests: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        await check(context)
        if handler is None:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "there is no such method")
            return
        if handler.request_streaming:
            argument = requests
        else:
            argument = await context.read()
            if argument is grpc.aio.EOF:
                await context.abort(grpc.StatusCode.INTERNAL, "the call has no request")
        behaviour = (
            handler.stream_stream or handler.stream_unary or handler.unary_stream or handler.unary_unary
        )
        answer = behaviour(argument, context)
        if inspect.isasyncgen(answer):
            async for message in answer:
                await context.write(message)
        elif handler.response_streaming:
            await answer
        else:
            await context.write(await answer)

    deserializer = handler.request_deserializer if handler is not None else None
    serializer = handler.response_serializer if handler is not None else None
    return grpc.stream_stream_rpc_method_handler(handle, deserializer, serializer)
