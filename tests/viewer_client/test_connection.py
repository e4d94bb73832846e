"""The connection: what it says when something is wrong, and that it comes back."""

from __future__ import annotations

import http.server
import socket
import threading
import time
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest

from diffusion_toy import messages as m
from diffusion_toy import wire
from diffusion_toy.errors import InvalidValueError
from diffusion_toy.v1 import denoise_pb2 as pb
from diffusion_toy.v1 import denoise_pb2_grpc as pb_grpc
from tests.models import write_model
from tests.tools import ServerProcess, running_server, wait_for
from tests.viewer_client.frames import WELCOME
from viewer_client.address import parse_address
from viewer_client.connection import Connection, RefusedError, list_models
from viewer_client.link import Phase


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")


@pytest.fixture(scope="module")
def server(model_file: Path) -> Iterator[ServerProcess]:
    with running_server("--model", str(model_file), "--threads", "1") as process:
        yield process


@pytest.fixture
def connect() -> Iterator[Any]:
    opened: list[Connection] = []

    def opener(address: str, start: m.Start | None = None) -> Connection:
        connection = Connection(address, lambda: start or m.Start())
        opened.append(connection)
        connection.open()
        return connection

    yield opener
    for connection in opened:
        connection.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def frames_of(connection: Connection, count: int) -> list[m.Frame]:
    frames: list[m.Frame] = []

    def enough() -> bool:
        for response in connection.take():
            if isinstance(response, m.Frame):
                connection.drawn(response)
                frames.append(response)
        return len(frames) >= count

    wait_for(enough, 20, f"{count} frames")
    return frames


def test_frames_arrive_and_commands_land(server: ServerProcess, connect: Any) -> None:
    connection = connect(server.address)
    frames_of(connection, 5)
    sequence = connection.send(m.Inject(None, 5.0))
    assert sequence == 2
    wait_for(lambda: frames_of(connection, 1)[0].landed_sequence >= sequence, 20, "the injection")
    assert connection.status.phase is Phase.LIVE
    assert connection.statistics.landing_quantile_ms(0.5) > 0
    assert connection.statistics.steps_per_second(time.monotonic()) > 10


def test_it_says_that_nobody_is_there_and_counts_the_tries(connect: Any) -> None:
    address = f"127.0.0.1:{free_port()}"
    connection = connect(address)
    wait_for(lambda: connection.status.attempt >= 2, 20, "a second try")
    assert connection.status.phase is Phase.LOST
    assert connection.status.sentence == f"no server at {address}; start one with: python -m inference_server"
    assert connection.send(m.Pause()) is None


def test_it_comes_back_when_the_server_does(model_file: Path, connect: Any) -> None:
    first = ServerProcess("--model", str(model_file))
    connection = connect(first.address, m.Start(seed=5))
    assert frames_of(connection, 3)[0].seed == 5
    first.stop()
    wait_for(lambda: connection.status.phase is Phase.LOST, 20, "the loss to be noticed")
    assert connection.status.sentence
    with running_server("--model", str(model_file), "--port", str(first.port)):
        assert frames_of(connection, 3)[-1].seed == 5
        assert connection.status.phase is Phase.LIVE


def test_a_web_server_is_not_our_server(connect: Any) -> None:
    class Quiet(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    try:
        connection = connect(f"127.0.0.1:{web.server_port}")
        wait_for(lambda: connection.status.phase is Phase.LOST, 20, "the failure")
        assert "not as Diffusion Toy's server does; check the port" in connection.status.sentence
    finally:
        web.shutdown()
        web.server_close()


class Faulty(pb_grpc.DenoiseServiceServicer):
    """Answers with what it is given, then with a status if there is one."""

    def __init__(
        self, responses: list[pb.DenoiseResponse], code: grpc.StatusCode | None, text: str = ""
    ) -> None:
        self.responses, self.code, self.text = responses, code, text

    def ListModels(self, request: Any, context: Any) -> pb.ListModelsResponse:
        return pb.ListModelsResponse()

    def Denoise(self, requests: Any, context: Any) -> Iterator[pb.DenoiseResponse]:  # type: ignore[override]
        next(requests)
        yield from self.responses
        if self.code is not None:
            context.abort(self.code, self.text)
        for _ in requests:
            pass


@pytest.fixture
def faulty() -> Iterator[Any]:
    servers: list[grpc.Server] = []

    def serve(servicer: Faulty | None) -> str:
        server = grpc.server(futures.ThreadPoolExecutor(2))
        if servicer is not None:
            pb_grpc.add_DenoiseServiceServicer_to_server(servicer, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        servers.append(server)
        return f"127.0.0.1:{port}"

    yield serve
    for server in servers:
        server.stop(None).wait()


def test_another_grpc_service_is_not_ours(faulty: Any, connect: Any) -> None:
    address = faulty(None)
    connection = connect(address)
    wait_for(lambda: connection.status.sentence, 20, "the failure")
    assert (
        connection.status.sentence
        == f"the gRPC server at {address} is not Diffusion Toy's; check the address"
    )
    with pytest.raises(RefusedError, match="not Diffusion Toy's"):
        list_models(address)


@pytest.mark.parametrize(
    ("code", "text", "phase"),
    [
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "the server is full: it serves 3 sessions", Phase.LOST),
        (grpc.StatusCode.UNAVAILABLE, "the server is loading its model; try again in a moment", Phase.LOST),
        (grpc.StatusCode.INVALID_ARGUMENT, "settings.label 12 is outside 0…9", Phase.REFUSED),
        (grpc.StatusCode.NOT_FOUND, "there is no model 'x'", Phase.REFUSED),
    ],
)
def test_the_servers_own_words_are_passed_on(
    faulty: Any, connect: Any, code: grpc.StatusCode, text: str, phase: Phase
) -> None:
    connection = connect(faulty(Faulty([], code, text)))
    wait_for(lambda: connection.status.sentence, 20, "the failure")
    assert (connection.status.phase, connection.status.sentence) == (phase, text)


def test_unknown_responses_are_passed_over(faulty: Any, connect: Any) -> None:
    welcome = pb.DenoiseResponse(welcome=wire.welcome_to_proto(WELCOME))
    future = pb.DenoiseResponse.FromString(b"\xfa\x3e\x03abc")  # field 1007, which nobody knows
    connection = connect(faulty(Faulty([future, welcome], None)))
    wait_for(lambda: connection.status.phase is Phase.LIVE, 20, "the welcome")


def test_frames_of_another_size_are_refused_clearly(faulty: Any, connect: Any) -> None:
    welcome = pb.DenoiseResponse(welcome=wire.welcome_to_proto(WELCOME))
    frame = pb.DenoiseResponse(frame=pb.Frame(number=1, x_t=b"12"))
    connection = connect(faulty(Faulty([welcome, frame], None)))
    wait_for(lambda: connection.status.phase is Phase.REFUSED, 20, "the refusal")
    assert "frame.x_t has 2 bytes" in connection.status.sentence


def test_models_are_listed(server: ServerProcess) -> None:
    assert [model.name for model in list_models(server.address)] == ["tiny"]


@pytest.mark.parametrize(
    "text", ["localhost", "localhost:", ":50051", "host:0", "host:99999", "host:x", "::1:50051"]
)
def test_a_bad_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidValueError, match="--server"):
        parse_address(text)


@pytest.mark.parametrize("text", ["localhost:50051", "10.0.0.1:1", "[::1]:65535"])
def test_a_good_address_is_taken(text: str) -> None:
    assert parse_address(text) == text
