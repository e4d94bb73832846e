"""The connection: what it says when something is wrong, and that it comes back."""

from __future__ import annotations

import http.server
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest

from diffusion_toy.contract import messages as m
from diffusion_toy.contract import wire
from diffusion_toy.errors import InvalidValueError
from diffusion_toy.v1 import denoise_pb2 as pb
from diffusion_toy.v1 import denoise_pb2_grpc as pb_grpc
from tests.inference_server.faults import Relay
from tests.models import write_model
from tests.tools import ServerProcess, free_port, require_tool, running_server, wait_for
from tests.viewer_client.frames import WELCOME
from tests.viewer_client.link.resumable import End, Resumable, serving
from viewer_client.link import transport
from viewer_client.link.address import Endpoint
from viewer_client.link.connection import Connection
from viewer_client.link.status import Phase
from viewer_client.link.transport import RefusedError, list_models


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

    def opener(server: str | Endpoint, start: m.Start | None = None) -> Connection:
        endpoint = server if isinstance(server, Endpoint) else Endpoint(server)
        connection = Connection(endpoint, lambda: start or m.Start())
        opened.append(connection)
        connection.open()
        return connection

    yield opener
    for connection in opened:
        connection.close()


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
    wait_for(lambda: frames_of(connection, 1)[0].applied_sequence >= sequence, 20, "the injection")
    assert connection.status.phase is Phase.LIVE
    assert connection.statistics.latency_quantile_ms(0.5) > 0
    assert connection.statistics.steps_per_second(time.monotonic()) > 0


def test_it_says_that_nobody_is_there_and_counts_the_tries(connect: Any) -> None:
    address = f"127.0.0.1:{free_port()}"
    connection = connect(address)
    wait_for(lambda: connection.status.attempt >= 2, 20, "a second try")
    assert connection.status.phase is Phase.LOST
    assert connection.status.sentence == f"no server at {address}; start one with: python -m inference_server"
    assert connection.send(m.Pause()) is None


def test_it_comes_back_when_the_server_does(model_file: Path, tmp_path: Path, connect: Any) -> None:
    key = tmp_path / "key"
    key.write_text("known to all servers of this test")
    flags = ["--model", str(model_file), "--threads", "1", "--resume-key-file", str(key)]
    first = ServerProcess(*flags)
    connection = connect(first.address, m.Start(seed=5))
    assert frames_of(connection, 3)[0].seed == 5
    connection.send(m.Configure(m.SettingsChange(label=3, num_time_steps=1000)))
    before = frames_of(connection, 60)[-1]
    first.stop()
    wait_for(lambda: connection.status.phase is Phase.LOST, 20, "the loss to be noticed")
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
    wait_for(lambda: connection.status.phase is not Phase.CONNECTING, 20, "the failure")
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
    wait_for(lambda: connection.status.phase is not Phase.CONNECTING, 20, "the failure")
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
    assert [model.name for model in list_models(Endpoint(server.address))] == ["tiny"]


# --- sessions that go on ---


def live(connection: Connection) -> m.Welcome:
    """Wait for the next welcome."""
    found: list[m.Response] = []

    def welcomed() -> bool:
        found.extend(response for response in connection.take() if isinstance(response, m.Welcome))
        return bool(found)

    wait_for(welcomed, 30, "the welcome")
    assert isinstance(found[-1], m.Welcome)
    return found[-1]


def has_token(connection: Connection) -> None:
    wait_for(lambda: connection.resume_token is not None, 30, "a token")


def send(connection: Connection, count: int) -> list[int]:
    sequences = [connection.send(m.Inject(None, 5.0)) for _ in range(count)]
    assert None not in sequences
    return [sequence for sequence in sequences if sequence is not None]


def has_applied(service: Resumable, name: str, sequences: list[int]) -> None:
    wait_for(lambda: len(service.applied.get(name, ())) >= len(sequences), 30, "the commands")
    assert service.applied[name] == sequences


@pytest.mark.parametrize("moving", [False, True])
def test_after_a_broken_stream_the_session_goes_on_and_no_command_is_lost(connect: Any, moving: bool) -> None:
    service = Resumable()
    with serving(service) as address:
        connection = connect(address, m.Start(seed=5))
        session = live(connection).session_id
        sent = send(connection, 3)
        has_applied(service, session, sent)
        has_token(connection)
        service.deaf = True
        sent += send(connection, 4)  # on their way when the stream breaks
        time.sleep(0.05)
        service.deaf = False
        began = time.monotonic()
        service.end = End(grpc.StatusCode.UNAVAILABLE, "the server is restarting", moving)
        welcome = live(connection)
        assert time.monotonic() - began < 4
        assert (welcome.session_id, welcome.resumed) == (session, True)
        assert connection.statistics.resumed == 1
        has_applied(service, session, sent)
        sent += send(connection, 2)
        has_applied(service, session, sent)
    assert sent == list(range(2, 11))
    assert service.starts[1].sequence == 0
    assert isinstance(start := service.starts[1].body, m.Start)
    assert start.seed is None


def test_another_server_behind_the_same_address_goes_on_within_two_seconds(connect: Any) -> None:
    first, second = Resumable(), Resumable()
    with serving(first) as address:
        connection = connect(address)
        session = live(connection).session_id
        has_token(connection)
        last = frames_of(connection, 1)[-1]
        first.deaf = True
        sent = send(connection, 3)
    began = time.monotonic()
    with serving(second, int(address.rpartition(":")[2])):
        assert live(connection).resumed
        assert time.monotonic() - began < 4
        has_applied(second, session, sent)
        frame = frames_of(connection, 3)[-1]
        assert frame.step > last.step - 20
        assert frame.number < 100  # they begin again, steps do not


def test_a_server_that_hangs_is_noticed_though_its_kernel_still_answers(
    connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "SILENCE_MS", 500)
    monkeypatch.setattr(transport, "PING_TIMEOUT_MS", 500)
    with serving(Resumable()) as address, Relay(int(address.rpartition(":")[2])) as relay:
        connection = connect(relay.address)
        assert not live(connection).resumed
        relay.stalled.set()
        wait_for(lambda: connection.status.phase is Phase.LOST, 30, "the silence to be noticed")
        relay.stalled.clear()
        relay.cut()
        assert live(connection).session_id


def test_a_farewell_is_shown_while_there_is_no_server(connect: Any) -> None:
    service = Resumable()
    with serving(service) as address:
        connection = connect(address)
        live(connection)
        service.end = End(grpc.StatusCode.UNAVAILABLE, "back in a minute", moving=True)
        wait_for(lambda: connection.statistics.resumed == 1, 5, "the return")
        sentences = set()
        service.end = End(grpc.StatusCode.UNAVAILABLE, "back in a minute", moving=True)
        service.refusal = grpc.StatusCode.UNAVAILABLE  # until it is really back

        def seen() -> bool:
            sentences.add(connection.status.sentence)
            return connection.status.attempt >= 3

        wait_for(seen, 5, "some tries")
        assert "back in a minute" in sentences
        service.refusal = None
        assert live(connection).resumed


@pytest.mark.parametrize("code", [grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNAUTHENTICATED])
def test_when_the_token_is_refused_a_new_session_begins(connect: Any, code: grpc.StatusCode) -> None:
    service = Resumable(refusal=code)
    with serving(service) as address:
        connection = connect(address, m.Start(seed=5))
        session = live(connection).session_id
        send(connection, 2)
        has_token(connection)
        service.end = End(grpc.StatusCode.UNAVAILABLE)
        welcome = live(connection)
        assert welcome.session_id != session
        assert not welcome.resumed
        assert connection.statistics.resumed == 0
        has_applied(service, welcome.session_id, send(connection, 1))
    bodies = [first.body for first in service.starts]
    assert [isinstance(b, m.Start) and (b.seed, bool(b.resume_token)) for b in bodies] == [
        (5, False),
        (None, True),
        (5, False),
    ]


def test_without_a_token_a_lost_session_begins_anew(connect: Any) -> None:
    service = Resumable(tokens=False)
    with serving(service) as address:
        connection = connect(address, m.Start(seed=5))
        session = live(connection).session_id
        send(connection, 1)
        service.end = End(grpc.StatusCode.UNAVAILABLE)
        welcome = live(connection)
        assert welcome.session_id != session
        assert send(connection, 1) == [2]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (grpc.StatusCode.ABORTED, "another window has taken over this session"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "nothing was done in it for a long time"),
    ],
)
def test_what_only_the_user_can_undo_waits_for_the_user(
    connect: Any, code: grpc.StatusCode, words: str
) -> None:
    service = Resumable()
    with serving(service) as address:
        connection = connect(address)
        session = live(connection).session_id
        has_token(connection)
        service.end = End(code, "as it is")
        wait_for(lambda: connection.status.phase is Phase.REFUSED, 5, "the refusal")
        assert words in connection.status.sentence
        assert connection.send(m.Pause()) is None
        time.sleep(0.1)
        assert len(service.starts) == 1
        connection.try_again()
        assert live(connection).session_id == session


def test_a_session_that_was_left_for_another_says_nothing_more(connect: Any) -> None:
    service = Resumable()
    with serving(service) as address:
        left, other = connect(address), connect(address)
        names = [live(one).session_id for one in (left, other)]
        has_token(other)
        other.close(keep_session=True)
        has_token(left)
        left.take_over(other.resume_token)
        assert left.send(m.Pause()) is None
        welcome = live(left)  # tokens of the old session that still came in would have led back to it
        assert (welcome.session_id, welcome.resumed) == (names[1], True)
        wait_for(lambda: names[0] in service.left, 30, "the old session to be ended")


def test_closing_ends_the_session_instead_of_leaving_it_to_wait(connect: Any) -> None:
    service = Resumable()
    with serving(service) as address:
        connection = connect(address)
        session = live(connection).session_id
        connection.close()
        assert service.left == [session]
        assert connection.status.phase is Phase.CLOSED


def test_one_who_watches_sends_nothing_and_comes_back_to_watch(connect: Any) -> None:
    service = Resumable()
    with serving(service) as address:
        connection = connect(address, m.Start(watch="them"))
        assert live(connection).watching
        frames_of(connection, 12)  # and a token
        assert connection.send(m.Pause()) is None
        service.end = End(grpc.StatusCode.UNAVAILABLE)
        assert live(connection).watching
        assert [isinstance(s.body, m.Start) and s.body.watch for s in service.starts] == ["them", "them"]
        service.end = End(grpc.StatusCode.OK)
        wait_for(lambda: connection.status.phase is Phase.REFUSED, 5, "the end")
        assert connection.status.sentence == "the session is over"


def test_one_who_watches_waits_for_an_owner_who_is_about_to_return(faulty: Any, connect: Any) -> None:
    welcome = wire.welcome_to_proto(WELCOME)
    welcome.watching = True
    service = Faulty([pb.DenoiseResponse(welcome=welcome)], grpc.StatusCode.UNAVAILABLE, "restarting")
    connection = connect(faulty(service), m.Start(watch="them"))
    wait_for(lambda: connection.status.live, 30, "the welcome")
    service.responses, service.code, service.text = [], grpc.StatusCode.NOT_FOUND, "there is no session"
    wait_for(lambda: connection.status.sentence == "there is no session", 30, "a try")
    assert connection.status.phase is Phase.LOST


# --- servers that are not open to all ---


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, Path]]:
    """Two servers' own certificates for 127.0.0.1, each with its key."""
    openssl, folder = require_tool("openssl", "apt-get install openssl"), tmp_path_factory.mktemp("tls")
    pairs = [(folder / f"{name}.pem", folder / f"{name}.key") for name in ("ours", "theirs")]
    for certificate, key in pairs:
        command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        command += ["-nodes", "-days", "2", "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"]
        subprocess.run([*command, "-out", certificate, "-keyout", key], check=True, capture_output=True)
    return pairs


def test_an_encrypted_server_lets_in_who_has_the_token(
    connect: Any, certificates: list[tuple[Path, Path]]
) -> None:
    (ours, key), (theirs, _) = certificates
    credentials = grpc.ssl_server_credentials([(key.read_bytes(), ours.read_bytes())])
    service = Resumable(bearer="secret")
    with serving(service, credentials=credentials) as address:
        good = Endpoint(address, tls=True, ca_file=ours, token="secret")
        assert [model.name for model in list_models(good)] == ["mnist"]
        connection = connect(good)
        assert not live(connection).resumed
        has_token(connection)
        service.end = End(grpc.StatusCode.UNAVAILABLE)
        assert live(connection).resumed
        for endpoint, words in (
            (Endpoint(address, tls=True, ca_file=ours), "a bearer token is needed"),
            (
                Endpoint(address, tls=True, ca_file=theirs, token="secret"),
                "was not signed by the authority in",
            ),
            (Endpoint(address, token="secret"), "is encrypted: add --tls"),
        ):
            with pytest.raises(RefusedError, match=words):
                list_models(endpoint)


def test_without_the_bearer_token_it_is_refused_and_keeps_its_session(connect: Any) -> None:
    service = Resumable()
    with serving(service) as address:
        connection = connect(address)
        session = live(connection).session_id
        has_token(connection)
        service.bearer = "secret"
        service.end = End(grpc.StatusCode.UNAVAILABLE)
        wait_for(lambda: connection.status.phase is Phase.REFUSED, 5, "the refusal")
        assert connection.status.sentence == "the server refuses this viewer: a bearer token is needed"
        service.bearer = ""
        connection.try_again()
        assert live(connection).session_id == session


def test_a_bad_endpoint_is_refused_and_a_token_is_never_shown(tmp_path: Path) -> None:
    certificate = tmp_path / "ca.pem"
    with pytest.raises(InvalidValueError, match=r"--tls-ca .*ca\.pem .*No such file"):
        Endpoint("host:1", tls=True, ca_file=certificate)
    certificate.write_text("nothing")
    with pytest.raises(InvalidValueError, match="PEM"):
        Endpoint("host:1", tls=True, ca_file=certificate)
    with pytest.raises(InvalidValueError, match="--tls-ca"):
        Endpoint("host:1", ca_file=certificate)
    with pytest.raises(InvalidValueError, match="--token") as refusal:
        Endpoint("host:1", token="se cret")
    assert "se cret" not in str(refusal.value)
    assert "secret" not in repr(Endpoint("host:1", token="secret"))
    assert Endpoint("host:1", token="secret").metadata == (("authorization", "Bearer secret"),)
    assert Endpoint("host:1").metadata is None
