"""The load generator keeps to the protocol, comes back, and reports."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest

from diffusion_toy.contract import messages as m
from tests.authority import Authority
from tests.viewer_client.link.resumable import End, Resumable, serving
from viewer_client import cli
from viewer_client.link.address import Endpoint
from viewer_client.load import scripted_input
from viewer_client.load.generator import FAILED_WRITE, Ending, LoadOptions, run_load
from viewer_client.load.scripted_input import Mouse


@pytest.fixture
def busy_hands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scripted_input, "PAUSE_S", (0.02, 0.05))


def options(address: str, **changes: object) -> LoadOptions:
    known = {"viewers": 3, "seconds": 0.8, "warm_up_s": 0.2}
    return LoadOptions(Endpoint(address), **(known | changes))  # type: ignore[arg-type]


async def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for what must come."""
    for _ in range(6000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"waited in vain for {what}")


@pytest.mark.usefixtures("busy_hands")
async def test_viewers_look_and_touch_and_report() -> None:
    service = Resumable()
    with serving(service) as address:
        report = await run_load(
            options(address, ramp_s=0.2, start=m.Start(settings=m.SettingsChange(label=3)))
        )
    assert (report.viewers, report.viewers_with_frames) == (3, 3)
    assert report.seconds == pytest.approx(0.8, abs=0.5)
    assert 0 < report.steps_per_second_least <= report.steps_per_second_mean < 250
    assert report.frames > 10
    assert report.frame_interval_ms is not None
    assert 0 < report.frame_interval_ms.p50 < 300
    assert report.command_to_frame_ms is not None
    assert (report.resumed, report.lost, report.errors, report.rejections) == (0, 0, {}, {})
    assert 0 < report.cpu_share < 2
    assert len(service.left) == 3  # each has ended its session
    for applied in service.applied.values():
        assert applied == list(range(2, len(applied) + 2))
    bodies = [first.body for first in service.starts]
    assert all(isinstance(body, m.Start) and body.settings.label == 3 for body in bodies)
    assert len({body.seed for body in bodies if isinstance(body, m.Start)}) == 3
    read_back = json.loads(report.to_json())
    assert read_back["frames"] == report.frames
    assert read_back["frame_interval_ms"]["p99"] == report.frame_interval_ms.p99
    assert "3 viewers on 127.0.0.1" in str(report)
    assert "0 resumed, 0 lost" in str(report)


@pytest.mark.usefixtures("busy_hands")
async def test_viewers_come_back_when_their_server_is_replaced_and_lose_no_command() -> None:
    first, second = Resumable(), Resumable()
    with serving(first) as address:
        running = asyncio.create_task(run_load(options(address, seconds=120.0)))
        await until(
            lambda: [len(applied) > 3 for applied in first.applied.values()] == 3 * [True], "commands"
        )
        first.refusal = grpc.StatusCode.UNAVAILABLE
        first.end = End(grpc.StatusCode.UNAVAILABLE, "restarting", moving=True)
        await until(lambda: len(first.starts) > 3, "another try")
    with serving(second, int(address.rpartition(":")[2])):
        await until(lambda: second.tokens_sent >= 9, "all to go on")
        await until(lambda: len(second.applied) == 3, "all to go on")
        second.end = End(grpc.StatusCode.ABORTED)  # then nobody goes on
        report = await running
    assert (report.resumed, report.lost) == (3, 0)
    assert report.back_s_max is not None
    assert 0 < report.back_s_max < 60
    assert report.errors["UNAVAILABLE"] >= 3
    assert second.applied.keys() == first.applied.keys()
    for applied in second.applied.values():
        assert applied == list(range(2, len(applied) + 2))


async def test_sessions_that_cannot_go_on_are_lost_and_new_ones_begin() -> None:
    service = Resumable(refusal=grpc.StatusCode.UNAUTHENTICATED)
    with serving(service) as address:
        running = asyncio.create_task(run_load(options(address, viewers=1, mouse=Mouse.NONE, seconds=120.0)))
        await until(lambda: service.tokens_sent > 0, "a token")
        service.end = End(grpc.StatusCode.UNAVAILABLE)
        await until(lambda: len(service.starts) == 3, "a new session")  # the second try was refused its token
        sent = service.tokens_sent
        await until(lambda: service.tokens_sent > sent, "it to run")
        service.end = End(grpc.StatusCode.ABORTED)  # then nobody goes on
        report = await running
    assert (report.resumed, report.lost) == (0, 1)
    assert report.errors == {"UNAVAILABLE": 1, "UNAUTHENTICATED": 1, "ABORTED": 1}
    assert report.command_to_frame_ms is None


async def test_an_idle_session_is_restarted() -> None:
    service = Resumable(rest_at=10)
    with serving(service) as address:
        running = asyncio.create_task(run_load(options(address, viewers=1, mouse=Mouse.NONE, seconds=120.0)))
        await until(lambda: any(len(applied) >= 2 for applied in service.applied.values()), "two restarts")
        service.end = End(grpc.StatusCode.ABORTED)  # then nobody goes on
        report = await running
    assert report.frames > 0


async def test_a_server_that_refuses_everybody_is_reported() -> None:
    with serving(Resumable(bearer="secret")) as address:
        report = await run_load(options(address, viewers=2, seconds=30.0))  # over when both are refused
    assert report.viewers_with_frames == 0
    assert report.errors == {"UNAUTHENTICATED": 2}
    assert report.last_failure == "the server refuses this viewer: a bearer token is needed"
    assert report.steps_per_second_mean == 0


async def test_a_server_that_is_encrypted_is_named_as_such(authority: Authority) -> None:
    service = Resumable()
    with serving(service, credentials=authority.credentials("good")) as address:
        running = asyncio.create_task(run_load(options(address, viewers=1, seconds=0.5)))
        report = await running
    assert report.last_failure.startswith(f"{address} is encrypted: add --tls")


WRITE = (grpc.StatusCode.INTERNAL, FAILED_WRITE)
REFUSED = (grpc.StatusCode.UNAUTHENTICATED, "a bearer token is needed")


class Ended:
    """A stream of gRPC's aio that gets one status after another; its callbacks hear of the first."""

    def __init__(self, *statuses: tuple[grpc.StatusCode, str]) -> None:
        self._statuses = list(statuses)

    def end(self, ended: Callable[[Ended], None]) -> None:
        ended(self)
        self._next()

    def add_done_callback(self, ended: Callable[[Ended], None]) -> None:
        asyncio.get_running_loop().call_soon(self.end, ended)

    def _next(self) -> None:
        if len(self._statuses) > 1:
            del self._statuses[0]
            asyncio.get_running_loop().call_later(0.02, self._next)

    async def code(self) -> grpc.StatusCode:
        return self._statuses[0][0]

    async def details(self) -> str | None:
        return self._statuses[0][1]


async def test_a_write_that_fails_does_not_hide_why_the_server_ended_the_stream() -> None:
    for statuses in ([REFUSED], [REFUSED, WRITE], [WRITE, REFUSED], [WRITE, WRITE, REFUSED]):
        ending = Ending(Ended(*statuses))
        await asyncio.sleep(0)
        assert await ending.status() == REFUSED


async def test_a_status_that_never_comes_is_not_waited_for_forever() -> None:
    assert await Ending(Ended(WRITE), patience_s=0.05).status() == WRITE


def test_bad_numbers_are_refused() -> None:
    for changes, words in (
        ({"viewers": 0}, "--viewers 0"),
        ({"viewers": 2001}, "--viewers 2001"),
        ({"seconds": 0.0}, "--seconds 0"),
        ({"ramp_s": -1.0}, "--ramp -1"),
    ):
        with pytest.raises(ValueError, match=words):
            options("host:1", **changes)


# --- the command line ---


def test_the_command_prints_a_table_and_writes_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "load.json"
    with serving(Resumable(bearer="secret")) as address:
        flags = ["--headless", "--viewers", "1", "--server", address, "--seconds", "0.3", "--mouse", "none"]
        assert cli.main([*flags, "--json", str(target)]) == 1
        said = capsys.readouterr().err
        assert said.startswith("error: no viewer got a picture: the server refuses this viewer")
        monkeypatch.setenv("DIFFUSION_TOY_TOKEN", "secret")
        assert cli.main([*flags, "--json", str(target)]) == 0
    assert "steps a second, each" in capsys.readouterr().out
    assert json.loads(target.read_text())["viewers_with_frames"] == 1


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("--headless", "add --record FILE.gif or --viewers N"),
        ("--viewers 3", "add --headless"),
        ("--headless --viewers 3 --record a.gif", "choose one of them"),
        ("--headless --viewers 0", "--viewers 0 is outside 1…2000"),
        ("--headless --viewers 3 --seconds 4000", "--seconds 4000"),
        ("--headless --viewers 3 --json nowhere/a.json", "make nowhere first"),
        ("--headless --record a.gif --ramp 3", "add --headless --viewers N"),
        ("--mouse none", "add --headless --viewers N"),
        ("--headless --viewers 3 --watch x", "leave out --headless"),
        ("--tls-ca nowhere.pem", "--tls-ca nowhere.pem"),
        ("--list-models --token sécret", "--token (hidden)"),
    ],
)
def test_flags_that_do_not_go_together_are_explained(
    flags: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(flags.split()) == 2
    assert said in capsys.readouterr().err
