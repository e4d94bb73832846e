"""Sessions survive: a lost stream, another server, a shutdown, a crash, a failing engine."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest

from diffusion_toy.contract import messages as m
from tests.client import Client, Connect
from tests.models import shared_flags, tiny_flags, write_model
from tests.tools import HANGS_S, ServerProcess, running_server, wait_for

ENDLESS = m.Start(seed=5, settings=m.SettingsChange(num_time_steps=1000))
DAB = m.Inject(m.Disc(0.5, 0.5, 0.3), 200.0)


@pytest.fixture(scope="module")
def flags(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return [*shared_flags(tmp_path_factory.mktemp("shared")), "--web-port", "0"]


@pytest.fixture(scope="module")
def server(flags: list[str]) -> Iterator[ServerProcess]:
    with running_server(*flags, "--grace", "2", "--one-of-several") as process:
        yield process


@pytest.fixture(scope="module")
def other(flags: list[str]) -> Iterator[ServerProcess]:
    with running_server(*flags) as process:
        yield process


def token_after(client: Client, sequence: int) -> bytes:
    """A token in which this command is."""
    while client.token is None or client.token.sequence < sequence:
        assert client.read() is not None
    return client.token.token


def test_a_lost_session_waits_where_it_was(server: ServerProcess, connect: Connect) -> None:
    with connect(server) as client:
        welcome = client.start(ENDLESS)
        applied = client.send(DAB)
        token = token_after(client, applied)
        last = client.frame(lambda frame: frame.number > 100)
        client.break_off()
    time.sleep(1)  # 60 steps of a session that went on playing
    with connect(server) as client:
        again = client.resume(token)
        assert again.resumed
        assert again.session_id == welcome.session_id
        assert again.applied_sequence == applied
        first = client.frame()
        assert first.number < last.number  # counted anew
        # The server had taken a few steps more when it learnt of the loss, and none while it waited.
        assert last.step <= first.step <= last.step + 45
        assert first.seed == 5


def test_the_grace_period_ends_but_the_token_does_not(server: ServerProcess, connect: Connect) -> None:
    with connect(server) as client:
        client.start(ENDLESS)
        token = token_after(client, 1)
        ahead = client.frame(lambda frame: frame.step >= 80)
        client.break_off()
    with connect(server) as onlooker:
        onlooker.start(ENDLESS)
        wait_for(lambda: onlooker.frame().sessions == 1, "the end of the grace period")
    with connect(server) as client:
        assert client.resume(token).resumed
        assert client.frame().step < ahead.step  # from the token, not from where it waited


def test_another_server_goes_on_from_the_token(
    server: ServerProcess, other: ServerProcess, connect: Connect
) -> None:
    start = m.Start(seed=9, settings=m.SettingsChange(num_time_steps=1000, label=4), motion=m.Motion.PAUSED)
    with connect(server) as client:
        client.start(start)
        applied = client.send(DAB)
        token = token_after(client, applied)
        for _ in range(3):
            client.send(m.Step())
        expected = client.frame(lambda frame: frame.applied_sequence == applied + 3)
    with connect(other) as client:
        welcome = client.resume(token)
        assert welcome.settings.label == 4
        for sequence in range(applied + 1, applied + 4):  # sent again
            client.send(m.Step(), sequence=sequence)
        frame = client.frame(lambda frame: frame.applied_sequence == applied + 3)
        assert frame.step == expected.step
        np.testing.assert_array_equal(frame.x_t, expected.x_t)


def test_commands_that_are_in_the_token_are_passed_over(
    server: ServerProcess, other: ServerProcess, connect: Connect
) -> None:
    with connect(server) as client:
        client.start(m.Start(seed=1, motion=m.Motion.PAUSED, origin=m.Origin(m.Example(3), 0.0)))
        applied = client.send(m.Inject(None, 50.0))
        token = token_after(client, applied)
    with connect(other) as client:
        client.resume(token)
        client.send(m.Inject(None, 50.0), sequence=applied)  # it cannot know whether it had arrived
        client.send(m.Inject(None, 10.0), sequence=applied + 1)
        frame = client.frame(lambda frame: frame.applied_sequence == applied + 1)
        assert frame.time_step.max == pytest.approx(60, abs=0.01)


def test_a_second_stream_takes_the_session_over(server: ServerProcess, connect: Connect) -> None:
    with connect(server) as first, connect(server) as second:
        first.start(ENDLESS)
        token = token_after(first, 1)
        second.resume(token)
        code, text = first.status()
        assert code is grpc.StatusCode.ABORTED
        assert "taken this session over" in text
        assert second.frame().sessions == 1
        assert second.frame(lambda frame: frame.number > 30)


def test_a_branch_goes_its_own_way_from_the_same_moment(server: ServerProcess, connect: Connect) -> None:
    with connect(server) as client, connect(server) as branch:
        welcome = client.start(m.Start(seed=5, motion=m.Motion.PAUSED))
        token = token_after(client, 1)
        branch.send(m.Start(resume_token=token, seed=77), sequence=0)
        answer = branch.read()
        assert isinstance(answer, m.Welcome)
        assert answer.session_id != welcome.session_id
        assert answer.seed == 77
        branch.welcome = answer
        assert branch.frame().sessions == 2


@pytest.mark.parametrize("tampered", [b"", b"nonsense", b"\x0a\x02\x08\x01\x12\x00"])
def test_a_token_that_was_tampered_with_is_refused(
    server: ServerProcess, tampered: bytes, connect: Connect
) -> None:
    with connect(server) as client:
        client.start(ENDLESS)
        token = tampered or bytearray(token_after(client, 1))
        if not tampered:
            token[100] ^= 1
    with connect(server) as client:
        client.send(m.Start(resume_token=bytes(token)))
        code, text = client.status()
        assert code is grpc.StatusCode.UNAUTHENTICATED
        assert "token" in text


def test_a_server_with_another_key_or_model_refuses_the_token(
    server: ServerProcess, tmp_path: Path, connect: Connect
) -> None:
    with connect(server) as client:
        client.start(ENDLESS)
        token = token_after(client, 1)
    own = [
        *tiny_flags(tmp_path),
        "--web-port",
        "0",
    ]
    with (
        running_server(*own) as alone,
        connect(alone) as client,
    ):
        assert alone.says("made up a key")
        client.send(m.Start(resume_token=token))
        assert client.status()[0] is grpc.StatusCode.UNAUTHENTICATED


def test_a_session_can_be_watched_but_not_touched(server: ServerProcess, connect: Connect) -> None:
    with connect(server) as driver, connect(server) as watcher:
        name = driver.start(ENDLESS).session_id
        watcher.send(m.Start(watch=name))
        welcome = watcher.read()
        assert isinstance(welcome, m.Welcome)
        assert welcome.watching
        watcher.welcome = welcome
        seen = watcher.frame()
        assert driver.frame(lambda frame: frame.step >= seen.step).seed == seen.seed
        watcher.send(m.Pause())
        assert "only the one who runs the session" in watcher.rejection().message
        assert driver.frame(lambda frame: frame.watchers == 1).motion is m.Motion.REVERSE
        driver.half_close()
        assert watcher.status() == (grpc.StatusCode.OK, "")


def test_watching_what_is_not_there_is_refused(server: ServerProcess, connect: Connect) -> None:
    with connect(server) as client:
        client.send(m.Start(watch="nobody"))
        assert client.status()[0] is grpc.StatusCode.NOT_FOUND


def test_a_shutdown_says_where_to_go_on_and_nothing_is_lost(
    flags: list[str], other: ServerProcess, connect: Connect
) -> None:
    with running_server(*flags) as dying:
        with connect(dying) as client:
            client.start(ENDLESS)
            last = client.frame(lambda frame: frame.step >= 20)
            dying.process.send_signal(signal.SIGTERM)
            moving: m.Moving | None = None
            while moving is None:
                response = client.read()
                last = response if isinstance(response, m.Frame) else last
                moving = response if isinstance(response, m.Moving) else None
            assert client.status()[0] is grpc.StatusCode.UNAVAILABLE
        assert dying.stop() == 0
    with connect(other) as client:
        client.resume(moving.resume_token.token)
        assert last.step <= client.frame().step <= last.step + 30


def test_after_a_kill_the_last_token_is_enough(
    flags: list[str], other: ServerProcess, connect: Connect
) -> None:
    with running_server(*flags) as dying, connect(dying) as client:
        client.start(ENDLESS)
        client.frame(lambda frame: frame.step >= 70)  # a second or more: at least two tokens
        assert client.token is not None
        dying.process.kill()
        assert client.status()[0] is grpc.StatusCode.UNAVAILABLE
        with connect(other) as again:
            again.resume(client.token.token)
            assert again.frame().step >= 1


FAULTY = """
import sys
from inference_server import __main__ as command
from inference_server.engine.engine import Engine

tick, ticks = Engine.tick, 0

def faulty(self):
    global ticks
    ticks += 1
    if ticks == 200:
        raise RuntimeError("injected")
    return tick(self)

Engine.tick = faulty
sys.exit(command.main())
"""


def resumes(client: Client) -> bool:
    """Whether the server takes the session up now."""
    try:
        return isinstance(client.read(), m.Welcome)
    except grpc.RpcError:
        return False


def test_a_failing_engine_is_started_anew_and_its_sessions_go_on(flags: list[str], connect: Connect) -> None:
    with running_server(*flags, command=[sys.executable, "-c", FAULTY]) as server:
        with connect(server) as client:
            client.start(ENDLESS)
            code, text = client.status()
            ended = time.monotonic()
            assert code is grpc.StatusCode.UNAVAILABLE, text
            assert "restarting" in text
            assert client.token is not None
        while True:
            with connect(server) as again:
                again.send(m.Start(resume_token=client.token.token), sequence=0)
                if resumes(again):
                    break
            assert time.monotonic() - ended < HANGS_S
            time.sleep(0.1)
        assert server.process.poll() is None


def test_one_of_several_refuses_to_start_without_a_key(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="resume-key-file"):
        ServerProcess("--one-of-several", "--model", str(write_model(tmp_path / "m.safetensors")))


def test_with_a_fixed_batch_a_session_is_the_same_bit_for_bit_in_any_company(
    tmp_path: Path, connect: Connect
) -> None:
    flags = [*tiny_flags(tmp_path), "--fixed-batch", "8", "--web-port", "0"]
    pictures = []
    with running_server(*flags) as server:
        for company in (0, 5):
            others = [connect(server) for _ in range(company)]
            for client in others:
                client.start(ENDLESS)
            with connect(server) as client:
                client.start(m.Start(seed=3, settings=m.SettingsChange(stride=10, label=2)))
                pictures.append(client.frame(lambda frame: frame.idle).x_t)
            for client in others:
                client.__exit__(None, None, None)
    np.testing.assert_array_equal(*pictures)
