"""The contract over a WebSocket, for browsers: see "Over a WebSocket" in denoise.proto."""

from __future__ import annotations

from google.protobuf.message import DecodeError
from websockets.exceptions import ConnectionClosed

from diffusion_toy.v1 import denoise_pb2 as pb
from inference_server.streams.status import Status, StreamError
from inference_server.streams.stream import BrokenStreamError
from inference_server.transport.bearer import BearerGuard
from inference_server.transport.web_connection import Connection

SUBPROTOCOL = "diffusion-toy.v1"
CLOSE_OK, CLOSE_TOO_BIG, CLOSE_STATUS = 1000, 1009, 4000
REASON_BYTES_MAX = 123  # what a close frame has room for


class WebSocketStream:
    """A WebSocket as a `streams.stream.Stream`.

    Args:
        connection: after its handshake.
        guard: knows the bearer token, which has to be in the first message.
    """

    def __init__(self, connection: Connection, guard: BearerGuard) -> None:
        self._connection, self._guard = connection, guard
        self._admitted = False

    @property
    def peer(self) -> str:
        """Return the client's address."""
        return self._connection.client

    async def read(self) -> pb.DenoiseRequest | None:
        """Return the next request, None at the end; see `Stream.read`.

        Raises:
            StreamError: the message is none of the contract's, or the first one lacks the bearer token.
        """
        try:
            content = await self._connection.recv()
        except ConnectionClosed as closed:
            if closed.rcvd is not None and closed.rcvd.code == CLOSE_OK:
                return None
            if closed.sent is not None and closed.sent.code == CLOSE_TOO_BIG:
                raise StreamError(Status.RESOURCE_EXHAUSTED, closed.sent.reason) from closed
            raise BrokenStreamError from closed
        if isinstance(content, str):
            raise StreamError(Status.INVALID_ARGUMENT, "a text message; the contract's are binary")
        try:
            message = pb.DenoiseRequest.FromString(content)
        except DecodeError as error:
            raise StreamError(Status.INVALID_ARGUMENT, "the message is no DenoiseRequest") from error
        if not self._admitted:
            self._guard.check(self.peer, [message.start.bearer_token.encode()])
            self._admitted = True
        return message

    async def write(self, message: pb.DenoiseResponse) -> None:
        """Send a response, which is serialised at once.

        Raises:
            BrokenStreamError: the connection is lost.
        """
        try:
            await self._connection.send(message.SerializeToString())
        except ConnectionClosed as closed:
            if (
                closed.rcvd is None or closed.rcvd.code != CLOSE_OK
            ):  # else `read` tells that the client is done
                raise BrokenStreamError from closed


def close_code(status: Status) -> int:
    """Return the close code of a status: 4000 and gRPC's number."""
    return CLOSE_STATUS + status.value


def close_reason(text: str) -> str:
    """Return as much of a text as a close frame has room for."""
    content = text.encode()
    if len(content) <= REASON_BYTES_MAX:
        return text
    kept = content[: REASON_BYTES_MAX - len("…".encode())].decode(errors="ignore")
    return kept.rstrip() + "…"
