"""The connection: what it says when something is wrong, and that it comes back."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from diffusion_toy.contract import messages as m
from diffusion_toy.contract import wire
from diffusion_toy.v1 import denoise_pb2 as pb
from tests.models import flags_of, write_model
from tests.tools import ServerProcess, free_port, running_server, wait_for
from tests.viewer_client.frames import WELCOME
from tests.viewer_client.link.dialogue import Faulty, frames_of
from viewer_client.link.address import Endpoint
from viewer_client.link.status import Phase
from viewer_client.link.transport import RefusedError, list_models, status_of


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")


@pytest.fixture(scope="module")
def server(model_file: Path) -> Iterator[ServerProcess]:
    with running_server(*flags_of(model_file)) as process:
        yield process


def test_frames_arrive_and_commands_land(server: ServerProcess, connect: Any) -> None:
    connection = connect(server.address)
    frames_of(connection, 5)
    sequence = connection.send(m.Inject(None, 5.0))
    assert sequence == 2
    wait_for(lambda: frames_of(connection, 1)[0].applied_sequence >= sequence, "the injection")
    assert connection.status.phase is Phase.LIVE
    assert connection.statistics.latency_quantile_ms(0.5) > 0
    assert connection.statistics.steps_per_second(time.monotonic()) > 0


def test_it_says_that_nobody_is_there_and_counts_the_tries(connect: Any) -> None:
    address = f"127.0.0.1:{free_port()}"
    connection = connect(address)
    wait_for(lambda: connection.status.attempt >= 2, "a second try")
    assert connection.status.phase is Phase.LOST
    assert connection.status.sentence == f"no server at {address}; start one with: python -m inference_server"
    assert connection.send(m.Pause()) is None


def test_it_comes_back_when_the_server_does(model_file: Path, tmp_path: Path, connect: Any) -> None:
    key = tmp_path / "key"
    key.write_text("known to all servers of this test")
    flags = [*flags_of(model_file), "--resume-key-file", str(key)]
    first = ServerProcess(*flags)
    connection = connect(first.address, m.Start(seed=5))
    assert frames_of(connection, 3)[0].seed == 5
    connection.send(m.Configure(m.SettingsChange(label=3, num_time_steps=1000)))
    before = frames_of(connection, 60)[-1]
    first.stop()
    wait_for(lambda: connection.status.phase is Phase.LOST, "the loss to be noticed")
    assert connection.status.sentence
    with running_server(*flags, "--port", str(first.port)):
        after = frames_of(connection, 3)[-1]
        assert (after.seed, after.settings.label) == (5, 3)
        assert after.step >= before.step
        assert connection.statistics.resumed == 1
        assert connection.status.phase is Phase.LIVE


def test_a_web_server_is_not_our_server(connect: Any) -> None:
    class Quiet(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    try:
        connection = connect(f"127.0.0.1:{web.server_port}")
        wait_for(lambda: connection.status.phase is Phase.LOST, "the failure")
        assert "not as Diffusion Toy's server does; check the port" in connection.status.sentence
    finally:
        web.shutdown()
        web.server_close()


def test_another_grpc_service_is_not_ours(faulty: Any, connect: Any) -> None:
    address = faulty(None)
    connection = connect(address)
    wait_for(lambda: connection.status.phase is not Phase.CONNECTING, "the failure")
    assert (
        connection.status.sentence
        == f"the gRPC server at {address} is not Diffusion Toy's; check the address"
    )
    with pytest.raises(RefusedError, match="not Diffusion Toy's"):
        list_models(Endpoint(address))


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
    wait_for(lambda: connection.status.phase is not Phase.CONNECTING, "the failure")
    assert (connection.status.phase, connection.status.sentence) == (phase, text)


@pytest.mark.parametrize("status", [grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE, None])
def test_a_refusal_counts_whatever_status_follows(
    faulty: Any, connect: Any, status: grpc.StatusCode | None
) -> None:
    refusal = pb.DenoiseResponse(refusal=pb.Refusal(code=5, reason="there is no model 'x'"))
    connection = connect(faulty(Faulty([refusal], status, "stream timeout")))
    wait_for(lambda: connection.status.phase is not Phase.CONNECTING, "the failure")
    assert (connection.status.phase, connection.status.sentence) == (Phase.REFUSED, "there is no model 'x'")


def test_a_refusal_of_an_unknown_number_is_no_end_in_good_order() -> None:
    assert (
        status_of(m.Refusal(0, "why")) == status_of(m.Refusal(99, "why")) == (grpc.StatusCode.UNKNOWN, "why")
    )


def test_unknown_responses_are_passed_over(faulty: Any, connect: Any) -> None:
    welcome = pb.DenoiseResponse(welcome=wire.welcome_to_proto(WELCOME))
    future = pb.DenoiseResponse.FromString(b"\xfa\x3e\x03abc")  # field 1007, which nobody knows
    connection = connect(faulty(Faulty([future, welcome], None)))
    wait_for(lambda: connection.status.phase is Phase.LIVE, "the welcome")


def test_frames_of_another_size_are_refused_clearly(faulty: Any, connect: Any) -> None:
    welcome = pb.DenoiseResponse(welcome=wire.welcome_to_proto(WELCOME))
    frame = pb.DenoiseResponse(frame=pb.Frame(number=1, x_t=b"12"))
    connection = connect(faulty(Faulty([welcome, frame], None)))
    wait_for(lambda: connection.status.phase is Phase.REFUSED, "the refusal")
    assert "frame.x_t has 2 bytes" in connection.status.sentence


def test_models_are_listed(server: ServerProcess) -> None:
    assert [model.name for model in list_models(Endpoint(server.address))] == ["tiny"]
