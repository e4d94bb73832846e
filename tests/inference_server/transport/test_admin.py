"""What an operator asks of a server over the administration service."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import grpc
import pytest
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from diffusion_toy.contract import messages as m
from diffusion_toy.v1 import admin_pb2 as pb
from diffusion_toy.v1 import admin_pb2_grpc as pb_grpc
from tests.client import Client
from tests.inference_server.transport.admin_client import admin_port, administration, code_of, listed
from tests.models import shared_flags
from tests.tools import HANGS_S, ROOT, ServerProcess, running_server, wait_for

ENDLESS = m.Start(seed=5, settings=m.SettingsChange(num_time_steps=1000))
YOUNGEST, AT_REST = pb.MOVE_ORDER_YOUNGEST, pb.MOVE_ORDER_LONGEST_AT_REST


@pytest.fixture(scope="module")
def flags(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return shared_flags(tmp_path_factory.mktemp("admin"))


@pytest.fixture(scope="module")
def server(flags: list[str]) -> Iterator[ServerProcess]:
    with running_server(*flags, "--admin-port", "0") as one:
        yield one


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as held:
        yield held


def begin(stack: ExitStack, address: str, start: m.Start | None = None) -> tuple[Client, str]:
    """Begin a session; return its client and its name."""
    client = stack.enter_context(Client(address))
    return client, client.start(start).session_id


def moved(client: Client) -> tuple[bytes, int]:
    """Read until the session moves; return the token of its `Moving`, and the last step that was seen."""
    step = 0
    try:
        while (response := client.read()) is not None:
            if isinstance(response, m.Moving):
                break
            if isinstance(response, m.Frame):
                step = response.step
    finally:
        code, _ = client.status()
    assert code is grpc.StatusCode.UNAVAILABLE
    assert isinstance(response, m.Moving)
    return response.resume_token.token, step


def test_sessions_are_listed_oldest_first(server: ServerProcess, stack: ExitStack) -> None:
    admin = stack.enter_context(administration(server))
    names = [begin(stack, server.address)[1] for _ in range(3)]
    sessions = listed(admin)
    assert [name for name in sessions if name in names] == names
    one = sessions[names[0]]
    assert (one.model, one.peer, one.attached) == ("tiny", "127.0.0.1", True)
    assert one.rows_per_second > 0


def test_an_ended_session_is_gone_and_its_client_knows_why(server: ServerProcess, stack: ExitStack) -> None:
    admin = stack.enter_context(administration(server))
    client, name = begin(stack, server.address)
    admin.EndSession(pb.EndSessionRequest(session_id=name))
    code, text = client.status()
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert "an operator has ended this session" in text
    wait_for(lambda: name not in listed(admin), "the session to go")
    code, text = code_of(admin.EndSession, pb.EndSessionRequest(session_id=name))
    assert code is grpc.StatusCode.NOT_FOUND
    assert name in text


def test_a_session_that_waits_for_its_client_can_be_ended(server: ServerProcess, stack: ExitStack) -> None:
    admin = stack.enter_context(administration(server))
    client, name = begin(stack, server.address)
    client.break_off()
    wait_for(lambda: not listed(admin)[name].attached, "the session to wait")
    admin.EndSession(pb.EndSessionRequest(session_id=name))
    assert name not in listed(admin)


def test_the_youngest_sessions_move_and_go_on_where_they_were(
    server: ServerProcess, flags: list[str], stack: ExitStack
) -> None:
    admin = stack.enter_context(administration(server))
    other = stack.enter_context(running_server(*flags))
    (oldest, first), *rest = [begin(stack, server.address, ENDLESS) for _ in range(3)]
    seen = [client.frame(lambda frame: frame.step > 5).step for client, _ in rest]
    answer = admin.MoveSessions(pb.MoveSessionsRequest(count=2, order=YOUNGEST))
    assert list(answer.session_ids) == [name for _, name in reversed(rest)]
    for (client, name), before in zip(rest, seen, strict=True):
        token, last = moved(client)
        again = stack.enter_context(Client(other.address))
        assert again.resume(token).session_id == name
        assert again.frame().step >= max(before, last)
    wait_for(lambda: not listed(admin).keys() & {name for _, name in rest}, "their seats")
    assert first in listed(admin)
    assert oldest.frame()


def test_a_session_that_moves_may_come_back(server: ServerProcess, stack: ExitStack) -> None:
    admin = stack.enter_context(administration(server))
    client, name = begin(stack, server.address)
    admin.MoveSessions(pb.MoveSessionsRequest(count=1))
    again = stack.enter_context(Client(server.address))
    assert again.resume(moved(client)[0]).session_id == name
    assert again.frame()


def test_sessions_at_rest_move_first(server: ServerProcess, stack: ExitStack) -> None:
    admin = stack.enter_context(administration(server))
    resting, name = begin(stack, server.address)
    resting.send(m.Pause())
    _, playing = begin(stack, server.address, ENDLESS)
    wait_for(lambda: listed(admin)[name].rest_seconds > 1, "the session to rest")
    answer = admin.MoveSessions(pb.MoveSessionsRequest(count=1, order=AT_REST))
    assert list(answer.session_ids) == [name]
    assert playing in listed(admin)


@pytest.mark.parametrize(
    ("request_", "text"),
    [(pb.MoveSessionsRequest(), "count"), (pb.MoveSessionsRequest(count=1, order=9), "order is 9")],
)
def test_a_bad_request_is_told_its_limit(
    server: ServerProcess, stack: ExitStack, request_: pb.MoveSessionsRequest, text: str
) -> None:
    admin = stack.enter_context(administration(server))
    code, details = code_of(admin.MoveSessions, request_)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert text in details


def test_drain_moves_every_client_and_ends_the_process(flags: list[str], stack: ExitStack) -> None:
    one = stack.enter_context(running_server(*flags, "--admin-port", "0"))
    admin = stack.enter_context(administration(one))
    client, _ = begin(stack, one.address)
    admin.Drain(pb.DrainRequest())
    assert moved(client)[0]
    assert one.process.wait(HANGS_S) == 0


def test_reflection_names_the_service(server: ServerProcess, stack: ExitStack) -> None:
    channel = stack.enter_context(grpc.insecure_channel(f"127.0.0.1:{admin_port(server)}"))
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    (answer,) = list(stub.ServerReflectionInfo(iter([request])))
    services = {one.name for one in answer.list_services_response.service}
    assert "diffusion_toy.v1.AdministrationService" in services


def test_viewers_cannot_reach_the_administration_on_their_port(
    server: ServerProcess, stack: ExitStack
) -> None:
    channel = stack.enter_context(grpc.insecure_channel(server.address))
    stub = pb_grpc.AdministrationServiceStub(channel)
    code, _ = code_of(stub.ListSessions, pb.ListSessionsRequest())
    assert code is grpc.StatusCode.UNIMPLEMENTED


def test_a_port_that_is_taken_is_told_at_the_start(server: ServerProcess, flags: list[str]) -> None:
    taken = str(admin_port(server))
    command = [sys.executable, "-m", "inference_server", "--port", "0", *flags, "--admin-port", taken]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=HANGS_S)
    assert done.returncode == 1
    assert f"127.0.0.1:{taken}" in done.stderr
    assert "--admin-port" in done.stderr
