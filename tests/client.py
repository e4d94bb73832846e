"""A bare client of the protocol, for tests that want to break its rules."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

import grpc
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from diffusion_toy.contract import messages as m
from diffusion_toy.contract import wire
from diffusion_toy.v1 import denoise_pb2 as pb
from diffusion_toy.v1 import denoise_pb2_grpc as pb_grpc

TIMEOUT_S = 60.0  # which only a hang reaches


class Client:
    """One stream; a `with` block ends it. Acknowledges every frame unless told otherwise.

    `token` is the newest that has been read, `refusal` what came before an error's status; `metadata` and
    `credentials` are for servers that ask for them.
    """

    def __init__(
        self,
        address: str,
        acknowledge: bool = True,
        metadata: tuple[tuple[str, str], ...] | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        timeout_s: float | None = None,
    ) -> None:
        self._channel = (
            grpc.secure_channel(address, credentials) if credentials else grpc.insecure_channel(address)
        )
        self._begin(acknowledge)
        stub = pb_grpc.DenoiseServiceStub(self._channel)
        self._call = stub.Denoise(iter(self._requests.get, None), metadata=metadata, timeout=timeout_s)
        self._thread.start()

    def _begin(self, acknowledge: bool) -> None:
        self.acknowledge = acknowledge
        self.sequence = 0
        self.welcome: m.Welcome | None = None
        self.token: m.ResumeToken | None = None
        self.refusal: m.Refusal | None = None
        self._requests: queue.SimpleQueue[pb.DenoiseRequest | None] = queue.SimpleQueue()
        self._responses: queue.SimpleQueue[pb.DenoiseResponse | grpc.RpcError | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def _read(self) -> None:
        try:
            for response in self._incoming():
                self._responses.put(response)
            self._responses.put(None)
        except grpc.RpcError as error:
            self._responses.put(error)

    def _incoming(self) -> Iterator[pb.DenoiseResponse]:
        """Yield what comes; raise how it ended, unless in good order."""
        yield from self._call

    def _close(self) -> None:
        """Let go of the connection."""
        self._call.cancel()
        self._thread.join(TIMEOUT_S)
        self._channel.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._requests.put(None)  # "I am done"
        self._thread.join(1.0)
        self._close()

    def send_raw(self, message: pb.DenoiseRequest) -> None:
        """Exactly this message."""
        self._requests.put(message)

    def send(
        self,
        body: m.Start | m.Acknowledge | m.Command,
        at_step: int | None = None,
        sequence: int | None = None,
    ) -> int:
        """A proper request, with the next sequence or with this one; its sequence."""
        if sequence is not None:
            self.sequence = sequence
        elif not isinstance(body, m.Acknowledge):
            self.sequence += 1
        self.send_raw(wire.request_to_proto(m.Request(body, self.sequence, at_step)))
        return self.sequence

    def start(self, start: m.Start | None = None) -> m.Welcome:
        """Send the start and wait for the welcome."""
        self.send(start or m.Start())
        response = self.read()
        assert isinstance(response, m.Welcome)
        return response

    def resume(self, token: bytes, window: int = m.WINDOW_DEFAULT) -> m.Welcome:
        """Go on from this token, and with the numbers above what has been applied; wait for the welcome."""
        self.send(m.Start(resume_token=token, window=window), sequence=0)
        response = self.read()
        assert isinstance(response, m.Welcome)
        self.sequence = response.applied_sequence
        return response

    def watch(self, session_id: str) -> m.Welcome:
        """Watch a session; wait for the welcome."""
        self.send(m.Start(watch=session_id))
        response = self.read()
        assert isinstance(response, m.Welcome)
        return response

    def half_close(self) -> None:
        """Send nothing more."""
        self._requests.put(None)

    def break_off(self) -> None:
        """Break the stream, as a lost connection does: the server may keep the session."""
        self._call.cancel()

    def read(self) -> m.Response | None:
        """The next response; None at a normal end. A refusal is kept, and the status awaited.

        Raises:
            grpc.RpcError: the stream ended with a status.
        """
        message = self._responses.get(timeout=TIMEOUT_S)
        if message is None:
            return None
        if isinstance(message, grpc.RpcError):
            raise message
        response = wire.response_from_proto(message, self.welcome.model if self.welcome else None)
        if isinstance(response, m.Refusal):
            self.refusal = response
            return self.read()
        if isinstance(response, m.Frame) and self.acknowledge:
            self.send(m.Acknowledge(response.number))
        if isinstance(response, m.Welcome):
            self.welcome = response
        if isinstance(response, m.ResumeToken | m.Moving):
            self.token = response.resume_token if isinstance(response, m.Moving) else response
        return response

    def frames(self) -> Iterator[m.Frame]:
        """All frames, passing over other responses."""
        while (response := self.read()) is not None:
            if isinstance(response, m.Frame):
                yield response

    def frame(self, condition: Callable[[m.Frame], bool] = lambda _: True) -> m.Frame:
        """The next frame for which `condition` holds."""
        for frame in self.frames():
            if condition(frame):
                return frame
        raise AssertionError("the stream ended")

    def rejection(self) -> m.Rejected:
        """The next rejection."""
        while (response := self.read()) is not None:
            if isinstance(response, m.Rejected):
                return response
        raise AssertionError("the stream ended")

    def next_token(self) -> m.ResumeToken:
        """The next resume token."""
        self.token = None
        while self.token is None:
            assert self.read() is not None, "the stream ended"
        return self.token

    def read_to_the_end(self) -> None:
        """Read until the stream has ended, however it does."""
        with contextlib.suppress(grpc.RpcError):
            while self.read() is not None:
                pass

    def status(self) -> tuple[grpc.StatusCode, str]:
        """Read to the end: the stream's status and its text."""
        try:
            while self.read() is not None:
                pass
        except grpc.RpcError as error:
            return error.code(), error.details() or ""
        return grpc.StatusCode.OK, ""


class Ended(grpc.RpcError):  # type: ignore[misc]
    """How a WebSocket has ended, in gRPC's words."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        number = {1009: 8}.get(code, code - 4000)
        known = [one for one in grpc.StatusCode if one.value[0] == number]
        self._code, self._details = (known[0] if known else grpc.StatusCode.UNAVAILABLE), reason

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._details


class WebClient(Client):
    """The same over a WebSocket.

    Args:
        page: the address of the server's page.
        acknowledge: every frame that is read.
        bearer_token: goes into every start.
        how: further arguments of `websockets.sync.client.connect`.
    """

    def __init__(self, page: str, acknowledge: bool = True, bearer_token: str = "", **how: Any) -> None:
        self._bearer_token = bearer_token
        address = page.replace("http", "ws", 1) + "/api/denoise"
        options: dict[str, Any] = {"subprotocols": [Subprotocol("diffusion-toy.v1")], "compression": None}
        self._held = contextlib.ExitStack()
        self._connection = self._held.enter_context(connect(address, **{**options, "proxy": None, **how}))
        self._begin(acknowledge)
        self._writer = threading.Thread(target=self._write, daemon=True)
        self._writer.start()
        self._thread.start()

    def _write(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            while (message := self._requests.get()) is not None:
                if self._bearer_token and message.HasField("start"):
                    message.start.bearer_token = self._bearer_token
                self._connection.send(message.SerializeToString())
            self._connection.close()

    def send_bytes(self, content: bytes | str) -> None:
        """Exactly this, as a binary or as a text message."""
        self._connection.send(content)

    def close(self, code: int) -> None:
        """Close with this code."""
        self._connection.close(code)

    def _incoming(self) -> Iterator[pb.DenoiseResponse]:
        try:
            while True:
                yield pb.DenoiseResponse.FromString(self._connection.recv(decode=False))
        except ConnectionClosed as closed:
            if closed.rcvd is None or closed.rcvd.code != 1000:
                received = closed.rcvd
                raise (Ended(received.code, received.reason) if received else Ended(1006, "")) from closed

    def break_off(self) -> None:
        with contextlib.suppress(OSError):
            self._connection.socket.shutdown(socket.SHUT_RDWR)

    def _close(self) -> None:
        self.break_off()
        self._requests.put(None)
        self._writer.join(TIMEOUT_S)
        self._thread.join(TIMEOUT_S)
        self._held.close()


Connect = Callable[..., Client]
