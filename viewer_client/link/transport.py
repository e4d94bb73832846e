"""One gRPC stream to a server: requests go in, responses come out.

`connection` decides when to open one, and what to do when it ends. The load generator opens its own streams
on the channels made here.
"""

from __future__ import annotations

import queue
import socket
import ssl
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

import grpc
import grpc.aio

from diffusion_toy.contract import messages as m
from diffusion_toy.contract import wire
from diffusion_toy.errors import DiffusionToyError
from diffusion_toy.v1 import denoise_pb2 as pb
from diffusion_toy.v1 import denoise_pb2_grpc as pb_grpc
from viewer_client.link.address import Endpoint
from viewer_client.link.failures import Failure, explain, may_need_tls, needs_tls

ANSWER_TIMEOUT_S = 5.0  # for a call that answers once
PROBE_TIMEOUT_S = 2.0  # for a handshake that shows whether a port speaks TLS
SILENCE_MS = 20_000  # after which the server is asked whether it is there
PING_TIMEOUT_MS = 5_000  # for it to answer; its kernel's answers do not count
MESSAGE_BYTES_MAX = 16 * 1024 * 1024

Requests = queue.SimpleQueue[m.Request | None]  # None ends the stream


class RefusedError(DiffusionToyError):
    """The server cannot be used as asked for."""


def channel_options(endpoint: Endpoint) -> list[tuple[str, int | str]]:
    """Return the options of a channel that shares nothing with others and gives up soon."""
    options: list[tuple[str, int | str]] = [
        ("grpc.enable_retries", 0),
        ("grpc.keepalive_time_ms", SILENCE_MS),
        ("grpc.keepalive_timeout_ms", PING_TIMEOUT_MS),
        ("grpc.http2.ping_timeout_ms", PING_TIMEOUT_MS),
        ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
        ("grpc.min_reconnect_backoff_ms", 3_000),  # also how long a connection may take to come up
        ("grpc.use_local_subchannel_pool", 1),  # each try is a fresh one
        ("grpc.enable_http_proxy", int(bool(endpoint.proxy))),  # never one that only the environment names
    ]
    if endpoint.proxy:
        options.append(("grpc.http_proxy", endpoint.proxy))
    return options


def channel_credentials(endpoint: Endpoint) -> grpc.ChannelCredentials | None:
    """Return what TLS needs, None without TLS."""
    return grpc.ssl_channel_credentials(endpoint.root_certificates()) if endpoint.tls else None


def open_channel(endpoint: Endpoint) -> grpc.Channel:
    """Return a channel to this server. Nothing is sent yet; calls need `endpoint.metadata`."""
    options, credentials = channel_options(endpoint), channel_credentials(endpoint)
    if credentials is None:
        return grpc.insecure_channel(endpoint.address, options=options)
    return grpc.secure_channel(endpoint.address, credentials, options=options)


def open_async_channel(endpoint: Endpoint, credentials: grpc.ChannelCredentials | None) -> grpc.aio.Channel:
    """Return a channel for asyncio; `credentials` are those of `channel_credentials`."""
    options = channel_options(endpoint)
    if credentials is None:
        return grpc.aio.insecure_channel(endpoint.address, options=options)
    return grpc.aio.secure_channel(endpoint.address, credentials, options=options)


def speaks_tls(endpoint: Endpoint) -> bool:
    """Say whether a server that was spoken to in the clear answers a TLS handshake."""
    host, _, port = endpoint.address.rpartition(":")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # nothing is sent over it
    try:
        with (
            socket.create_connection((host.strip("[]"), int(port)), PROBE_TIMEOUT_S) as plain,
            context.wrap_socket(plain, server_hostname=host.strip("[]")),
        ):
            return True
    except (OSError, ValueError):
        return False


class StreamEndedError(DiffusionToyError):
    """A call or a stream has ended with an error.

    Attributes:
        code: the status's code.
        details: the status's text.
    """

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        self.code, self.details = code, details
        super().__init__(details)

    @classmethod
    def of(cls, error: Any) -> StreamEndedError:
        """Return what gRPC's error says."""
        return cls(error.code(), error.details() or "")

    def explain(self, endpoint: Endpoint, *, was_live: bool = False, resuming: bool = False) -> Failure:
        """Return what this means to the user; see `failures.explain`. It may ask the server and wait."""
        failure = explain(self.code, self.details, endpoint, was_live=was_live, resuming=resuming)
        return needs_tls(endpoint) if may_need_tls(failure, endpoint) and speaks_tls(endpoint) else failure


def status_of(refusal: m.Refusal) -> tuple[grpc.StatusCode, str]:
    """Return the status that a refusal stands for; UNKNOWN where gRPC has no error of that number."""
    known = {code.value[0]: code for code in grpc.StatusCode if code is not grpc.StatusCode.OK}
    return known.get(refusal.code, grpc.StatusCode.UNKNOWN), refusal.reason


class Stream:
    """One dialogue: requests are queued and sent in order, responses are iterated over.

    Iterating raises `StreamEndedError` where the stream ends with an error, and a `DiffusionToyError` where
    the server does not keep to the protocol.
    """

    def __init__(self, stub: pb_grpc.DenoiseServiceStub, endpoint: Endpoint) -> None:
        self._requests: Requests = queue.SimpleQueue()
        self._call: Any = stub.Denoise(_messages(self._requests), metadata=endpoint.metadata)

    def send(self, request: m.Request) -> None:
        """Queue a request; never waits."""
        self._requests.put(request)

    def finish(self) -> None:
        """Half-close the stream after what is queued: the server then need not keep the session."""
        self._requests.put(None)

    def cancel(self) -> None:
        """End the stream at once, and the thread that sends."""
        self._requests.put(None)
        self._call.cancel()

    def __iter__(self) -> Iterator[m.Response]:
        model: m.ModelInfo | None = None
        try:
            for message in self._call:
                response = wire.response_from_proto(message, model)
                if response is None:  # of a later release
                    continue
                if isinstance(response, m.Refusal):  # a proxy may have another status follow it
                    raise StreamEndedError(*status_of(response))
                if isinstance(response, m.Welcome):
                    model = response.model
                yield response
        except grpc.RpcError as error:
            raise StreamEndedError.of(error) from error


def _messages(requests: Requests) -> Iterator[pb.DenoiseRequest]:
    while (request := requests.get()) is not None:
        yield wire.request_to_proto(request)


class Transport:
    """A channel to a server. A `with` block closes it."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint, self._channel = endpoint, open_channel(endpoint)
        self._stub = pb_grpc.DenoiseServiceStub(self._channel)

    def __enter__(self) -> Transport:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._channel.close()

    def models(self) -> list[m.ModelInfo]:
        """Return the server's models.

        Raises:
            StreamEndedError: the server does not answer as one of ours does.
        """
        return [wire.model_from_proto(model) for model in self._list_models().models]

    def measure_round_trip(self, clock: Callable[[], float]) -> float:
        """Return the round trip in seconds, and see first that the server is one of ours.

        Raises:
            StreamEndedError: it is not, or it does not answer.
        """
        self._list_models()  # connects
        began = clock()
        self._list_models()
        return clock() - began

    def ping(self, answered: Callable[[], None]) -> None:
        """Ask something that is answered at once; `answered` is called in another thread, unless it fails."""
        call: Any = self._stub.ListModels.future(  # type: ignore[attr-defined]
            pb.ListModelsRequest(), timeout=ANSWER_TIMEOUT_S, metadata=self._endpoint.metadata
        )

        def done(call: Any) -> None:
            if not call.cancelled() and call.exception() is None:
                answered()

        call.add_done_callback(done)

    def open(self) -> Stream:
        """Open a stream; its first request is to be a `Start`."""
        return Stream(self._stub, self._endpoint)

    def _list_models(self) -> pb.ListModelsResponse:
        try:
            answer: pb.ListModelsResponse = self._stub.ListModels(
                pb.ListModelsRequest(), timeout=ANSWER_TIMEOUT_S, metadata=self._endpoint.metadata
            )
        except grpc.RpcError as error:
            raise StreamEndedError.of(error) from error
        return answer


def list_models(endpoint: Endpoint) -> list[m.ModelInfo]:
    """Return the models of a server.

    Raises:
        RefusedError: it cannot be asked, with the reason as one sentence.
    """
    with Transport(endpoint) as transport:
        try:
            return transport.models()
        except StreamEndedError as error:
            raise RefusedError(error.explain(endpoint).sentence) from error
