"""The protocol's rules, against a real server process."""

from __future__ import annotations

import math
import socket
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from diffusion_toy.contract import messages as m
from diffusion_toy.v1 import denoise_pb2 as pb
from diffusion_toy.v1 import denoise_pb2_grpc as pb_grpc
from tests.client import Client, Connect
from tests.models import flags_of, tiny_flags, write_model
from tests.tools import ServerProcess, running_server, wait_for

SEATS = 6


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("models")
    first, second = (
        write_model(folder / "first.safetensors"),
        write_model(folder / "second.safetensors", False),
    )
    flags = ["--max-sessions", str(SEATS), "--grace", "1", "--web-port", "0"]
    with running_server(*flags_of(first, second), *flags) as process:
        yield process


@pytest.fixture
def bystander(server: ServerProcess, connect: Connect) -> Iterator[Client]:
    """Somebody else's session, which must not notice what the test does."""
    with connect(server) as client:
        client.start(m.Start(settings=m.SettingsChange(stride=1, num_time_steps=1000)))
        before = client.frame()
        yield client
        wait_for(lambda: client.frame().step > before.step + 20, "the bystander's frames")


def test_the_first_response_says_everything_a_client_needs(server: ServerProcess, connect: Connect) -> None:
    with connect(server) as client:
        # Paused: of a session that plays, a busy machine's client may see a later picture first.
        start = m.Start(seed=77, window=9, settings=m.SettingsChange(label=3), motion=m.Motion.PAUSED)
        welcome = client.start(start)
        assert welcome.seed == 77
        assert welcome.window == 9
        assert welcome.model.name == "first"
        assert (welcome.model.channels, welcome.model.height, welcome.model.width) == (1, 28, 28)
        assert len(welcome.schedule.alphas_cumprod) == 301
        assert welcome.settings == m.Settings(label=3)
        assert welcome.limits.tick_rate_hz == 60
        frame = client.frame()
        assert (frame.number, frame.step, frame.applied_sequence) == (1, 0, 1)
        assert frame.time_step == m.Range(300, 300, 300)
        assert frame.seed == 77
        assert frame.level_map is None


def test_a_session_plays_to_its_end_and_half_closing_ends_it(server: ServerProcess, connect: Connect) -> None:
    with connect(server) as client:
        client.start(m.Start(settings=m.SettingsChange(stride=30)))
        last = client.frame(lambda frame: frame.idle)
        assert last.time_step.max == 0
        assert last.step == 10
        client.half_close()
        assert client.status() == (grpc.StatusCode.OK, "")


def test_an_injection_lands_and_the_level_map_shows_where(server: ServerProcess, connect: Connect) -> None:
    with connect(server) as client:
        client.start(m.Start(origin=m.Origin(m.Example(1), 0.0), motion=m.Motion.PAUSED))
        assert client.frame().time_step.max == 0
        sequence = client.send(m.Inject(m.Disc(0.25, 0.25, 0.2), 60.0))
        frame = client.frame(lambda frame: frame.applied_sequence >= sequence)
        assert frame.time_step == m.Range(0, pytest.approx(60 * (frame.level_map > 0).mean(), abs=0.1), 60)
        assert frame.level_map is not None
        assert frame.level_map[:14, :14].any()
        assert not frame.level_map[14:].any()
        assert frame.actual.max == pytest.approx(frame.nominal.max, abs=1e-3)


def test_the_named_model_is_used_and_unknown_ones_are_refused(
    server: ServerProcess, connect: Connect
) -> None:
    with connect(server) as client:
        assert client.start(m.Start(model="second")).model.name == "second"
    with connect(server) as client:
        client.send(m.Start(model="third"))
        code, text = client.status()
        assert code is grpc.StatusCode.NOT_FOUND
        assert "first, second" in text


def test_models_are_listed_and_the_server_describes_itself(server: ServerProcess) -> None:
    with grpc.insecure_channel(server.address) as channel:
        models = pb_grpc.DenoiseServiceStub(channel).ListModels(pb.ListModelsRequest()).models
        assert [(model.name, model.has_examples) for model in models] == [("first", True), ("second", False)]
        assert all(model.capacity.rows_per_second > 0 for model in models)
        health = health_pb2_grpc.HealthStub(channel)
        for name in ("", "diffusion_toy.v1.DenoiseService"):
            answer = health.Check(health_pb2.HealthCheckRequest(service=name))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        ask = reflection_pb2.ServerReflectionRequest(list_services="")
        answers = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter([ask]))
        names = {service.name for service in next(answers).list_services_response.service}
        assert "diffusion_toy.v1.DenoiseService" in names


DISC = pb.Disc(x=0.5, y=0.5, radius=0.2)
BAD_COMMANDS = {
    "inject.disc.radius": pb.DenoiseRequest(inject=pb.Inject(disc=pb.Disc(x=0.5, y=0.5, radius=7), amount=5)),
    "inject.disc.x": pb.DenoiseRequest(inject=pb.Inject(disc=pb.Disc(x=math.nan, y=0, radius=1), amount=5)),
    "inject.amount": pb.DenoiseRequest(inject=pb.Inject(disc=DISC, amount=math.inf)),
    "inject.place": pb.DenoiseRequest(inject=pb.Inject(amount=1)),
    "inject.kind": pb.DenoiseRequest(inject=pb.Inject(disc=DISC, amount=1, kind=77)),  # type: ignore[arg-type]
    "settings.label": pb.DenoiseRequest(configure=pb.Configure(settings=pb.Settings(label=10))),
    "settings.guidance": pb.DenoiseRequest(configure=pb.Configure(settings=pb.Settings(guidance=-1))),
    "restart.seed": pb.DenoiseRequest(restart=pb.Restart(seed=2**63)),
    "restart.origin.pixels": pb.DenoiseRequest(restart=pb.Restart(origin=pb.Origin(pixels=b"123"))),
    "play.direction": pb.DenoiseRequest(play=pb.Play(direction=pb.MOTION_PAUSED)),
}


@pytest.mark.parametrize("field", BAD_COMMANDS)
def test_a_bad_value_is_answered_and_the_stream_goes_on(
    server: ServerProcess, bystander: Client, field: str, connect: Connect
) -> None:
    with connect(server) as client:
        client.start()
        before = client.frame()
        message = BAD_COMMANDS[field]
        message.sequence = client.sequence = 5
        client.send_raw(message)
        rejected = client.rejection()
        assert (rejected.sequence, rejected.field) == (5, field)
        assert rejected.limit
        assert rejected.value in rejected.message
        after = client.frame(lambda frame: frame.applied_sequence >= 5)
        # It denoises on as if nothing had come: a time step each step, the same everywhere.
        assert (after.settings, after.seed, after.motion) == (before.settings, before.seed, before.motion)
        assert after.step > before.step
        assert after.time_step.min == after.time_step.max == pytest.approx(300 - after.step, abs=1e-3)


BROKEN = {
    "command before start": (
        [pb.DenoiseRequest(sequence=1, pause=pb.Pause())],
        "FAILED_PRECONDITION",
        "start",
    ),
    "empty first": ([pb.DenoiseRequest(sequence=1)], "INVALID_ARGUMENT", "empty"),
    "bad start": (
        [pb.DenoiseRequest(sequence=1, start=pb.Start(settings=pb.Settings(label=10)))],
        "INVALID_ARGUMENT",
        "settings.label 10 is outside",
    ),
    "bad seed": ([pb.DenoiseRequest(start=pb.Start(seed=2**63))], "INVALID_ARGUMENT", "start.seed"),
    "start twice": (
        [pb.DenoiseRequest(sequence=i, start=pb.Start()) for i in (1, 2)],
        "FAILED_PRECONDITION",
        "restart",
    ),
    "empty later": (
        [pb.DenoiseRequest(sequence=1, start=pb.Start()), pb.DenoiseRequest(sequence=2)],
        "INVALID_ARGUMENT",
        "empty",
    ),
    "sequence does not rise": (
        [pb.DenoiseRequest(sequence=4, start=pb.Start()), pb.DenoiseRequest(sequence=4, pause=pb.Pause())],
        "INVALID_ARGUMENT",
        "sequence 4 is outside 5",
    ),
    "frame that was never sent": (
        [
            pb.DenoiseRequest(sequence=1, start=pb.Start()),
            pb.DenoiseRequest(acknowledge=pb.Acknowledge(frame_number=10**6)),
        ],
        "INVALID_ARGUMENT",
        "acknowledge.frame_number 1000000",
    ),
    "oversize": (
        [pb.DenoiseRequest(sequence=1, start=pb.Start(origin=pb.Origin(pixels=bytes(70_000))))],
        "RESOURCE_EXHAUSTED",
        "65536",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_protocol_ends_the_stream_with_a_reason(
    server: ServerProcess, bystander: Client, case: str, connect: Connect
) -> None:
    messages, code, text = BROKEN[case]
    with connect(server) as client:
        client.welcome = m.Welcome(
            "", 0, m.ModelInfo("", "", 1, 28, 28, (), "", None, False), None, None, None, 0, ""
        )  # type: ignore[arg-type]
        client.acknowledge = False
        for message in messages:
            client.send_raw(message)
        ended, said = client.status()
        assert ended is grpc.StatusCode[code]
        assert text in said


def test_bytes_that_are_no_message_end_only_their_own_stream(
    server: ServerProcess, bystander: Client
) -> None:
    with grpc.insecure_channel(server.address) as channel:
        call = channel.stream_stream("/diffusion_toy.v1.DenoiseService/Denoise")(iter([b"\xff" * 100]))
        with pytest.raises(grpc.RpcError):
            list(call)


def test_a_connection_that_is_cut_frees_its_seat(
    server: ServerProcess, bystander: Client, connect: Connect
) -> None:
    """Raw bytes, then a reset in the middle of a message."""
    for _ in range(3):
        with connect(server) as client:
            client.start()
            client.frame()
            client.break_off()
        with socket.create_connection(("127.0.0.1", server.port)) as raw:
            raw.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x20\x01")
    wait_for(lambda: bystander.frame().sessions == 1, "the seats to be free")


def test_a_full_server_says_so_at_once(server: ServerProcess, connect: Connect) -> None:
    clients = [connect(server) for _ in range(SEATS)]
    try:
        for client in clients:
            client.start()
        with connect(server) as late:
            late.send(m.Start())
            code, text = late.status()
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert f"serves {SEATS} sessions" in text
    finally:
        for client in clients:
            client.__exit__(None, None, None)
    with connect(server) as client:
        wait_for(lambda: client.frame().sessions == 1 if client.welcome else client.start(), "a free seat")


def test_a_client_that_does_not_acknowledge_gets_its_window_and_then_the_newest(
    server: ServerProcess, connect: Connect
) -> None:
    with connect(server, acknowledge=False) as stalled, connect(server) as lively:
        stalled.start(m.Start(window=3, settings=m.SettingsChange(num_time_steps=1000)))
        lively.start(m.Start(settings=m.SettingsChange(num_time_steps=1000)))
        numbers = [stalled.frame().number for _ in range(3)]
        assert numbers == sorted(set(numbers))
        wait_for(lambda: lively.frame().step >= 60, "a second of the other's steps")
        assert stalled._responses.empty()
        stalled.send(m.Acknowledge(numbers[-1]))
        assert stalled.frame().step >= 50


def test_commands_beyond_the_rate_are_rejected_one_by_one(tmp_path: Path, connect: Connect) -> None:
    flags = [*tiny_flags(tmp_path), "--web-port", "0", "--commands-per-second", "60"]
    with running_server(*flags) as server, connect(server) as client:
        limits = client.start(m.Start(motion=m.Motion.PAUSED)).limits
        sent = limits.commands_per_second * 10
        for _ in range(sent):
            client.send(m.Pause())
        rejected = client.rejection()
        assert rejected.field == "commands"
        client.frame(lambda frame: frame.applied_sequence == sent + 1)  # every one was dealt with


def test_settings_change_live_and_a_new_schedule_arrives_as_a_table(
    server: ServerProcess, connect: Connect
) -> None:
    with connect(server) as client:
        client.start()
        change = m.SettingsChange(label=5, schedule=m.ScheduleName.LINEAR, num_time_steps=1000, eta=0.5)
        client.send(m.Configure(change))
        while not isinstance(response := client.read(), m.Schedule):
            assert response is not None
        assert len(response.alphas_cumprod) == 1001
        frame = client.frame(lambda frame: frame.applied_sequence == 2)
        assert frame.settings == change.apply_to(m.Settings())
