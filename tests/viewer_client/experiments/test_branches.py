"""Branches: that they come from one moment, what is said of them, and that nothing of them is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from diffusion_toy.contract import messages as m
from tests.inference_server.faults import gauges
from tests.models import flags_of, write_model
from tests.tools import ServerProcess, free_port, running_server, wait_for
from tests.viewer_client.experiments.scene import Scene as AnyScene
from tests.viewer_client.frames import frame
from viewer_client.core.sync import synchronize
from viewer_client.core.view_model import ViewModel
from viewer_client.experiments.branches import (
    BRANCHES,
    FINISHED,
    NO_TOKEN,
    TOKEN_S,
    Branches,
    Progress,
    agreement,
    obstacle,
    outcome,
    seeds_of,
)
from viewer_client.link.address import Endpoint
from viewer_client.link.connection import Connection
from viewer_client.link.status import Phase, Status

DIGIT = np.random.default_rng(0).uniform(-1, 1, (1, 28, 28)).astype(np.float32)


# --- what is said ---


def test_seeds_follow_the_sessions_own_and_stay_in_range() -> None:
    assert seeds_of(1234) == [1235, 1236, 1237, 1238, 1239, 1240, 1241, 1242]
    assert seeds_of(m.SEED_MAX, 2) == [0, 1]


def test_agreement_counts_the_largest_group_that_looks_alike() -> None:
    other = np.flip(DIGIT, 2)
    slightly = DIGIT + 0.05 * other
    result = agreement([DIGIT, slightly, DIGIT, other])
    assert result.alike == 3
    assert not result.same
    assert 0 < result.correlation < 0.8
    assert agreement([DIGIT, DIGIT]).same
    assert agreement([DIGIT, -DIGIT]).correlation == pytest.approx(-1)


def test_pictures_of_one_value_agree_only_with_their_equals() -> None:
    black, white = np.full((3, 4, 5), -1, np.float32), np.full((3, 4, 5), 1, np.float32)
    assert agreement([black, black]).correlation == 1
    assert agreement([black, white]).correlation == 0
    assert agreement([black, white]).alike == 1


@pytest.mark.parametrize(
    ("pictures", "sampler", "words"),
    [
        ([DIGIT, np.flip(DIGIT, 1)], m.Sampler.DDPM, "no two look alike"),
        ([DIGIT, DIGIT * 0.9, np.flip(DIGIT, 1)], m.Sampler.DDPM, "2 of 3 look alike"),
        ([DIGIT, DIGIT * 0.9 + 0.1], m.Sampler.DDPM, "all 2 look alike"),
        ([DIGIT, DIGIT], m.Sampler.DDIM, "DDIM adds no noise"),
        ([DIGIT, DIGIT], m.Sampler.DDPM, "nothing was left open"),
    ],
)
def test_the_outcome_says_how_many_look_alike(
    pictures: list[m.Image], sampler: m.Sampler, words: str
) -> None:
    origin = frame(243.0, settings=m.Settings(sampler=sampler))
    assert words in outcome(agreement(pictures), len(pictures), origin)


# --- with sessions of the real engine, within the process ---


class Scene(AnyScene):
    """A window's session, its branches, and a clock."""

    def __init__(
        self, room: int = BRANCHES, motion: m.Motion = m.Motion.REVERSE, *, tokens: bool = True
    ) -> None:
        super().__init__(room=room, begin_at=20, tokens=tokens)
        if motion is m.Motion.PAUSED:
            self.model.key("space")
            self.run(lambda: self.model.frame is not None and self.model.frame.idle)

    def open(self) -> Branches:
        branches = Branches(self.model, self.own, self.open_link)
        self.comparison = branches
        return branches

    def ended(self) -> bool:
        return all(session.ended for session in self.opened)


def test_all_begin_from_the_moment_at_which_the_session_is_paused() -> None:
    scene = Scene()
    branches = scene.open()
    scene.run(lambda: branches.stage is Progress.RUNNING)
    assert branches.origin is not None
    assert [session.start.seed for session in scene.opened] == seeds_of(7)
    scene.run(lambda: all(session.recent for session in scene.opened))
    for session in scene.opened:
        first = session.recent[0]
        assert first.step == branches.origin.step
        assert (first.x_t == branches.origin.x_t).all()
    assert branches.title == f"8 ways on from t {branches.origin.time_step.max:.0f}/60"
    scene.run(lambda: branches.stage is Progress.FINISHED)
    assert scene.own.step == branches.origin.step  # it has rested all the while
    assert "no two look alike" in branches.sentence


def test_strokes_that_wait_are_dropped_so_that_the_moment_stays_what_it_is() -> None:
    scene = Scene()
    scene.model.mouse_at((0.2, 0.2))
    scene.model.mouse_at((0.8, 0.8))
    scene.open()
    scene.run(lambda: len(scene.opened) == BRANCHES)
    assert not any(isinstance(command, m.Inject) for command, _ in scene.own.sent)


@pytest.mark.parametrize("motion", [m.Motion.REVERSE, m.Motion.PAUSED])
def test_after_closing_the_session_does_what_it_did_before(motion: m.Motion) -> None:
    scene = Scene(motion=motion)
    branches = scene.open()
    scene.run(lambda: branches.stage is Progress.RUNNING)
    branches.close()
    wait_for(scene.ended, "the branches to end")
    step = scene.own.step
    for _ in range(30):
        scene.tick()
    assert (scene.own.step > step) == (motion is m.Motion.REVERSE)
    assert not any(session.kept for session in scene.opened)


def test_a_busy_server_shows_fewer_and_it_is_said() -> None:
    scene = Scene(room=5)
    branches = scene.open()
    scene.run(lambda: branches.stage is Progress.RUNNING)
    assert len(branches.branches) == 5
    assert branches.room == "the server has room for 5 of 8"
    wait_for(lambda: all(session.ended for session in scene.opened[5:]), "the others to be given up")


def test_a_full_server_is_said_and_the_session_plays_on() -> None:
    scene = Scene(room=0)
    branches = scene.open()
    scene.run(lambda: branches.closed)
    assert scene.model.notice == "the server has no room for branches"
    scene.run(lambda: not scene.own.idle)


def test_without_a_token_the_branches_give_up() -> None:
    scene = Scene(tokens=False)
    branches = scene.open()
    scene.run(lambda: branches.closed, ticks=round(TOKEN_S * 60) + 60)
    assert scene.model.notice == NO_TOKEN
    assert not scene.opened


def test_a_token_of_an_earlier_moment_is_not_taken() -> None:
    scene = Scene()
    earlier = scene.own.resume_token
    assert earlier is not None  # the server sends one about once a second
    branches = scene.open()
    scene.run(lambda: branches.stage is Progress.RUNNING)
    assert all(session.start.resume_token != earlier.token for session in scene.opened)


def test_a_server_that_goes_ends_them_with_a_sentence() -> None:
    scene = Scene()
    branches = scene.open()
    scene.run(lambda: branches.stage is Progress.RUNNING)
    for session in (scene.own, *scene.opened):
        session.lose("the connection to box:1 broke")
    scene.run(lambda: branches.closed)
    assert scene.model.notice == "the branches are gone: the connection to box:1 broke"
    wait_for(scene.ended, "the branches to end")


def test_a_session_that_was_paused_for_them_plays_on_after_a_loss() -> None:
    scene = Scene()
    branches = scene.open()
    scene.run(lambda: branches.stage is Progress.RUNNING)
    scene.own.lose("the connection to box:1 broke")
    scene.run(lambda: branches.closed)
    for _ in range(5):  # what is asked for meanwhile is not sent later
        scene.tick()
    scene.own.come_back()
    scene.run(lambda: bool(scene.own.recent) and scene.own.recent[-1].time_step.max == 0)
    assert scene.model.notice == "the branches are gone: the connection to box:1 broke"


def test_the_one_that_is_chosen_takes_the_place_of_the_session() -> None:
    scene = Scene()
    branches = scene.open()
    scene.run(lambda: branches.stage is Progress.RUNNING)
    chosen = scene.opened[2]
    branches.adopt(branches.branches[2])
    assert not branches.closed  # it does not run yet
    scene.run(lambda: chosen.resume_token is not None and bool(chosen.recent) and not chosen.idle)
    step = chosen.step
    branches.adopt(branches.branches[2])
    assert branches.closed
    assert scene.model.start.seed == chosen.start.seed == 10
    wait_for(scene.ended, "all to end")
    assert [session.kept for session in scene.opened] == [session is chosen for session in scene.opened]
    scene.run(lambda: bool(scene.own.recent) and scene.own.recent[-1].seed == 10)
    assert scene.own.step >= step
    scene.run(lambda: scene.own.recent[-1].time_step.max == 0)  # it goes on by itself
    assert len(scene.server.engine.sessions) == 1


def test_there_is_a_reason_where_there_can_be_no_branches() -> None:
    model = ViewModel()
    assert obstacle(model)
    model.pass_time(Status(Phase.LIVE), now=0.0)
    model.receive(frame(0.0))
    assert obstacle(model) == FINISHED
    model.receive(frame(20.0))
    assert obstacle(model) == ""


# --- with a real server ---


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")


class Live:
    """A view model on a real server, and a loop like the window's."""

    def __init__(self, server: ServerProcess, start: m.Start) -> None:
        self.endpoint = Endpoint(server.address)
        self.model = ViewModel(start=start)
        self.own = Connection(self.endpoint, self.model.next_start)
        self.own.open()
        self.opened: list[Connection] = []
        self.branches: Branches | None = None

    def open(self) -> Branches:
        self.branches = Branches(self.model, self.own, self._open)
        return self.branches

    def _open(self, start: m.Start) -> Connection:
        connection = Connection(self.endpoint, lambda: start)
        self.opened.append(connection)
        connection.open()
        return connection

    def run(self, until: Callable[[], object], what: str) -> None:
        def there() -> bool:
            fresh = synchronize(self.own, self.model)
            if fresh is not None:
                self.own.drawn(fresh)
            if self.branches is not None:
                self.branches.update(time.monotonic())
            return bool(until())

        wait_for(there, what)

    def close(self) -> None:
        if self.branches is not None:
            self.branches.close()
        self.own.close()


@pytest.fixture
def live() -> Iterator[Callable[..., Live]]:
    made: list[Live] = []

    def make(server: ServerProcess, **start: object) -> Live:
        made.append(Live(server, m.Start(seed=5, **start)))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        one.close()


def server_flags(model_file: Path, *more: object) -> list[str]:
    return [*flags_of(model_file), "--fixed-batch", "16", *map(str, more)]


def test_branches_begin_from_one_picture_differ_in_the_end_and_leave_nothing_behind(
    model_file: Path, live: Callable[..., Live]
) -> None:
    port = free_port()
    with running_server(*server_flags(model_file, "--metrics-port", port)) as server:
        window = live(server)
        window.run(lambda: window.model.frame and window.model.frame.step > 20, "some steps")
        branches = window.open()
        first: dict[int, m.Frame] = {}

        def seen() -> bool:
            for connection in window.opened:
                for shown in connection.recent:
                    if branches.origin is not None and shown.step == branches.origin.step:
                        first.setdefault(shown.seed, shown)
            return branches.stage is Progress.FINISHED

        window.run(seen, "all to finish")
        assert branches.origin is not None
        assert sorted(first) == seeds_of(5)
        for shown in first.values():
            assert (shown.x_t == branches.origin.x_t).all()
        last = [branch.frame for branch in branches.branches]
        assert len({shown.x_t.tobytes() for shown in last if shown is not None}) == BRANCHES
        assert gauges(port)["sessions"] == BRANCHES + 1
        origin = branches.origin
        branches.close()
        wait_for(lambda: gauges(port)["sessions"] == 1, "the branches' sessions to end")
        window.run(lambda: window.model.frame and window.model.frame.step > origin.step + 5, "it to play on")
        window.close()
        wait_for(lambda: gauges(port)["sessions"] == 0, "the last session to end")


def test_a_server_without_room_for_all_shows_as_many_as_there_is_room_for(
    model_file: Path, live: Callable[..., Live]
) -> None:
    with running_server(*server_flags(model_file, "--max-sessions", 4)) as server:
        window = live(server)
        window.run(lambda: window.model.frame and window.model.frame.step > 5, "some steps")
        branches = window.open()
        window.run(lambda: branches.stage is Progress.RUNNING, "them to run")
        assert branches.room == "the server has room for 3 of 8"


def test_the_window_goes_on_with_the_branch_that_is_chosen(
    model_file: Path, live: Callable[..., Live]
) -> None:
    port = free_port()
    with running_server(*server_flags(model_file, "--metrics-port", port)) as server:
        window = live(server, settings=m.SettingsChange(num_time_steps=1000))
        window.run(lambda: window.model.frame and window.model.frame.step > 20, "some steps")
        branches = window.open()
        window.run(lambda: branches.stage is Progress.RUNNING, "them to run")
        chosen = branches.branches[3]
        window.run(lambda: chosen.frame and chosen.frame.motion is m.Motion.REVERSE, "it to run")
        window.run(lambda: chosen.link.resume_token, "its token")
        assert chosen.frame is not None
        step = chosen.frame.step
        branches.adopt(chosen)
        assert branches.closed
        window.run(
            lambda: window.model.frame and window.model.frame.seed == chosen.seed, "the window to show it"
        )
        assert window.model.frame is not None
        assert window.model.frame.step >= step
        wait_for(lambda: gauges(port)["sessions"] == 1, "all others to end")
        before = window.model.frame.step
        window.run(lambda: window.model.frame and window.model.frame.step > before, "it to go on")
        window.model.key("space")
        window.run(lambda: window.model.frame and window.model.frame.idle, "it to take commands")


def test_a_server_that_dies_ends_the_branches_and_no_thread_is_left(
    model_file: Path, live: Callable[..., Live]
) -> None:
    with running_server(*server_flags(model_file)) as server:
        window = live(server)
        window.run(lambda: window.model.frame and window.model.frame.step > 5, "some steps")
        branches = window.open()
        window.run(lambda: branches.stage is Progress.RUNNING, "them to run")
        server.process.kill()
        window.run(lambda: branches.closed, "them to close")
        assert window.model.notice.startswith("the branches are gone: ")
        wait_for(
            lambda: all(one.status.phase is Phase.CLOSED for one in window.opened), "their threads to end"
        )
