"""The twin: that the one thing is all that differs, whatever is done and whenever."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from diffusion_toy.contract import messages as m
from tests.inference_server.faults import gauges
from tests.models import write_model
from tests.tools import free_port, running_server, wait_for
from tests.viewer_client.experiments.scene import Scene as AnyScene
from tests.viewer_client.frames import frame
from tests.viewer_client.simulated import SETTINGS, SimulatedSession
from viewer_client.core.strokes import MouseMode
from viewer_client.core.sync import synchronize
from viewer_client.core.view_model import ViewModel
from viewer_client.experiments.difference import (
    Difference,
)
from viewer_client.experiments.twin import DIVERGED, Side, Twin, last_step, newest_pair, obstacle
from viewer_client.link.address import Endpoint
from viewer_client.link.connection import Connection

NAMES = tuple("0123456789")


# --- which frames belong together ---


def side_of(*frames: m.Frame) -> Side:
    link = SimulatedSession(m.Start())
    link.recent = list(frames)
    side = Side(link)
    side.observe()
    return side


def test_frames_are_matched_by_step_even_if_the_newest_is_one_sides_alone() -> None:
    own = side_of(*(frame(100.0 - n, step=n) for n in (4, 6, 8)))
    twin = side_of(*(frame(100.0 - n, step=n) for n in (3, 6, 7)))
    pair = newest_pair(own, twin)
    assert pair is not None
    assert pair[0].step == pair[1].step == 6
    assert newest_pair(own, side_of(frame(step=5))) is None


def test_a_stroke_while_both_rest_is_matched_too() -> None:
    before, after = frame(step=6, applied_sequence=9), frame(step=6, applied_sequence=10)
    own, twin = side_of(before, after), side_of(before)
    own.sequences, twin.sequences = [9, 10], [9, 10]
    pair = newest_pair(own, twin)
    assert pair is not None
    assert [one.applied_sequence for one in pair] == [9, 9]


def test_the_last_certain_step_is_one_that_is_reached() -> None:
    assert last_step(frame(0.0, step=40, idle=True)) == 40
    assert 40 + 20 - 2 <= last_step(frame(20.0, step=40)) <= 40 + 20
    strided = frame(20.0, step=40, settings=m.Settings(stride=6))
    assert 40 <= last_step(strided) <= 40 + 4
    assert last_step(frame(0.4, step=40)) == 40


# --- with sessions that are simulated ---


def place_of(command: m.Command) -> object:
    """What of an injection is the same for both."""
    assert isinstance(command, m.Inject)
    return command.disc, command.amount


class Scene(AnyScene):
    """A window's session, its twin on a connection of another delay, and a clock."""

    def __init__(self, late: int = 2, twin_late: int = 3, *, room: bool = True) -> None:
        self.twin: Twin | None = None
        super().__init__(
            ViewModel(start=m.Start(seed=7, settings=m.SettingsChange(**vars(SETTINGS)))),
            SimulatedSession(m.Start(seed=7), late=late, seen=place_of),
            lambda start, room: SimulatedSession(start, full=not room, late=twin_late, seen=place_of),
            room_for=1 if room else 0,
            begin_at=10,
        )
        self.model.brush.mode = MouseMode.BRUSH

    def open(self) -> Twin:
        self.twin = self.comparison = Twin(self.model, self.own, self.open_link)
        return self.twin

    def tick(self) -> None:
        super().tick()
        if self.twin is not None and self.twin.pair is not None:
            first, second = self.twin.pair
            assert (first.step, first.time_step) == (second.step, second.time_step)

    def settled(self) -> bool:
        """All strokes are on both, and both rest."""
        assert self.twin is not None
        sides = self.own, self.opened[0]
        nothing_left = not any(session._waiting for session in sides)
        return nothing_left and all(s.idle for s in sides) and not self.twin.waiting

    def has_not_diverged(self) -> None:
        own, other = self.own, self.opened[0]
        assert self.twin is not None
        assert not self.twin.diverged
        assert not own.rejected
        assert not other.rejected
        assert self.twin.pair is not None
        first, second = self.twin.pair
        assert (first.x_t == second.x_t).all()


def test_both_restart_with_the_seed_and_origin_of_the_session() -> None:
    scene = Scene()
    twin = scene.open()
    assert scene.opened[0].start.motion is m.Motion.PAUSED
    assert scene.opened[0].start.settings == m.SettingsChange(**vars(scene.model.settings))
    assert twin.sentence.startswith("the twin joins")
    scene.run(lambda: twin.pair is not None and twin.pair[0].step == 5)
    begun = m.Restart(7, m.Origin())
    assert (begun, None) in scene.own.sent
    assert (begun, None) in scene.opened[0].sent
    scene.has_not_diverged()
    assert twin.figure == "0.00"


@pytest.mark.parametrize("seed", range(12))
def test_whatever_is_done_lands_at_the_same_step_of_both(seed: int) -> None:
    rng = random.Random(seed)
    scene = Scene(late=rng.randint(0, 6), twin_late=rng.randint(0, 6))
    scene.model.brush.strength = rng.choice((2.0, 30.0, 200.0))
    twin = scene.open()
    scene.run(lambda: twin.pair is not None)
    touched = 0
    for _ in range(900):
        scene.tick()
        match rng.randrange(60):
            case 0:
                twin.toggle_play()
            case 1:
                twin.step()
            case 2:
                twin.restart()
            case 3 | 4 | 5 | 6:
                touched += 1
                twin.mouse_at(None)
                for _ in range(rng.randrange(1, 20)):
                    twin.mouse_at((rng.random(), rng.random()))
                    for _ in range(rng.randrange(2)):
                        scene.tick()
            case _:
                continue
    assert touched > 10
    if not twin.playing:
        twin.toggle_play()
    scene.run(scene.settled, 3000)
    scene.run(lambda: twin.pair is not None and twin.pair[0] is scene.own.recent[-1])
    assert scene.own.history == scene.opened[0].history
    scene.has_not_diverged()


def test_a_finished_picture_takes_strokes_as_well() -> None:
    scene = Scene()
    scene.model.brush.strength = 2.0  # so little that it heals between two strokes
    twin = scene.open()
    scene.run(lambda: twin.pair is not None and twin.pair[0].time_step.max == 0)
    for n in range(60):
        twin.mouse_at((0.1 + n / 80, 0.5))
        scene.tick()
    scene.run(scene.settled)
    assert sum(isinstance(command, m.Inject) for command, _ in scene.own.sent) > 5
    scene.has_not_diverged()


def test_a_stroke_that_arrives_bit_by_bit_wakes_neither_before_all_is_there() -> None:
    scene = Scene()
    twin = scene.open()
    scene.run(lambda: twin.pair is not None and twin.pair[0].time_step.max == 0)
    scene.own.at_a_time, scene.opened[0].at_a_time = 4, 3
    for n in range(9):
        twin.mouse_at((0.1 + n / 10, 0.5))
    scene.run(scene.settled)
    assert sum(isinstance(command, m.Inject) for command, _ in scene.own.sent) > 8
    scene.has_not_diverged()


def test_no_more_is_meant_for_one_step_than_the_server_takes_in_it() -> None:
    scene = Scene()
    twin = scene.open()
    scene.run(lambda: twin.pair is not None and twin.pair[0].step == 5)
    for n in range(40):
        twin.mouse_at((0.1 + n / 50, 0.5))
        twin.update(scene.now)  # no frame has come in since the last time
    scene.run(scene.settled)
    assert sum(isinstance(command, m.Inject) for command, _ in scene.own.sent) > 9
    scene.has_not_diverged()


@pytest.mark.parametrize("allowed", [1, 3, 9])
def test_a_server_says_how_many_injections_one_step_takes(allowed: int) -> None:
    scene = Scene()
    assert scene.model.welcome is not None
    scene.model.welcome = replace(scene.model.welcome, limits=m.Limits(injections_per_tick=allowed))
    twin = scene.open()
    scene.run(lambda: twin.pair is not None and twin.pair[0].step == 5)
    for n in range(40):
        twin.mouse_at((0.1 + n / 50, 0.5))
        twin.update(scene.now)
    scene.run(scene.settled)
    at_steps = Counter(
        at for command, at in scene.own.sent if isinstance(command, m.Inject) and at is not None
    )
    assert max(at_steps.values()) == max(allowed - 1, 1)
    scene.has_not_diverged()


def test_the_kind_of_noise_is_all_that_differs_in_what_is_sent() -> None:
    scene = Scene()
    twin = scene.open()
    scene.run(lambda: twin.pair is not None)
    for n in range(20):
        twin.mouse_at((0.2 + n / 40, 0.4))
        scene.tick()
    scene.run(scene.settled)
    own, other = (
        [(command, at) for command, at in one.sent if isinstance(command, m.Inject)]
        for one in (scene.own, scene.opened[0])
    )
    assert own
    assert [(replace(command, kind=m.NoiseKind.GAUSSIAN), at) for command, at in other] == own
    assert {command.kind for command, _ in other} == {m.NoiseKind.CONSTANT}
    assert all(at is not None for _, at in own)


def test_a_sampler_is_the_twins_alone_and_both_restart_for_it() -> None:
    scene = Scene()
    twin = scene.open()
    scene.run(lambda: twin.pair is not None)
    twin.change(Difference.SAMPLER)
    scene.run(lambda: twin.pair is not None and twin.pair[0].step == 3)
    configured = [command.settings for command, _ in scene.opened[0].sent if isinstance(command, m.Configure)]
    assert configured[-1] == m.SettingsChange(sampler=m.Sampler.DDIM, label=m.NO_LABEL)
    assert not any(isinstance(command, m.Configure) for command, _ in scene.own.sent)
    assert sum(isinstance(command, m.Restart) for command, _ in scene.own.sent) == 2
    twin.choose_label(3)
    assert (twin.what, twin.other.label, twin.other.sampler) == (Difference.LABEL, 3, m.Sampler.DDPM)
    twin.next_difference()
    assert twin.what is Difference.KIND


def test_the_brush_that_marks_only_while_pressed_does_so_here() -> None:
    scene = Scene()
    scene.model.brush.mode = MouseMode.BRUSH_HELD
    twin = scene.open()
    scene.run(lambda: twin.pair is not None)
    for n in range(10):
        twin.mouse_at((0.2 + n / 20, 0.4))
    scene.run(scene.settled)
    assert not any(isinstance(command, m.Inject) for command, _ in scene.own.sent)
    twin.mouse_button((0.5, 0.5), True)
    twin.mouse_button((0.5, 0.5), False)
    scene.run(lambda: any(isinstance(command, m.Inject) for command, _ in scene.own.sent))


def test_a_command_that_comes_too_late_for_one_is_said_and_a_restart_mends_it() -> None:
    scene = Scene()
    twin = scene.open()
    scene.run(lambda: twin.pair is not None)
    scene.opened[0].late = 30  # its connection is slow all at once
    for n in range(20):
        twin.mouse_at((0.2 + n / 40, 0.4))
        scene.tick()
    scene.run(lambda: twin.diverged)
    assert twin.sentence == DIVERGED
    scene.opened[0].late = 2
    twin.restart()
    scene.run(scene.settled)
    assert not twin.diverged


def test_closing_ends_the_twin_alone() -> None:
    scene = Scene()
    twin = scene.open()
    scene.run(lambda: twin.pair is not None)
    twin.close()
    wait_for(lambda: scene.opened[0].ended, 10, "the twin to end")
    assert not scene.own.ended


def test_a_full_server_has_no_room_for_a_twin_and_the_session_is_not_touched() -> None:
    scene = Scene(room=False)
    twin = scene.open()
    scene.run(lambda: twin.closed)
    assert scene.model.notice == "the server has no room for a twin"
    assert not scene.own.sent


@pytest.mark.parametrize("whose", ["own", "twin"])
def test_a_lost_connection_ends_the_twin_with_a_sentence(whose: str) -> None:
    scene = Scene()
    twin = scene.open()
    scene.run(lambda: twin.pair is not None)
    (scene.own if whose == "own" else scene.opened[0]).lose("the connection to box:1 broke")
    scene.run(lambda: twin.closed)
    assert scene.model.notice == "the twin is gone: the connection to box:1 broke"
    wait_for(lambda: scene.opened[0].ended, 10, "the twin to end")


def test_there_is_a_reason_where_there_can_be_no_twin() -> None:
    assert obstacle(ViewModel())
    assert obstacle(Scene().model) == ""


# --- with a real server ---


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    model = write_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")
    port = free_port()
    flags = ["--model", str(model), "--threads", "1", "--capacity", "100000", "--fixed-batch", "8"]
    with running_server(*flags, "--metrics-port", str(port)) as server:
        yield server.address, port


def test_a_twin_that_differs_in_nothing_yet_is_bit_equal_and_strokes_part_it_only_as_chosen(
    address: tuple[str, int],
) -> None:
    endpoint, metrics_port = Endpoint(address[0]), address[1]
    model = ViewModel(start=m.Start(seed=5))
    model.brush.mode = MouseMode.BRUSH
    own = Connection(endpoint, model.next_start)
    opened: list[Connection] = []
    twin: Twin | None = None

    def open_link(start: m.Start) -> Connection:
        opened.append(Connection(endpoint, lambda: start))
        opened[-1].open()
        return opened[-1]

    def run(until: Callable[[], object], what: str) -> None:
        def there() -> bool:
            fresh = synchronize(own, model)
            if fresh is not None:
                own.drawn(fresh)
            if twin is not None:
                twin.update(time.monotonic())
            return bool(until())

        wait_for(there, 60, what)

    def scribble() -> None:
        assert twin is not None
        twin.mouse_at(None)
        for n in range(40):
            step = twin.pair[0].step if twin.pair else 0
            twin.mouse_at((0.2 + n / 80, 0.3 + (n % 7) / 20))
            run(lambda: (twin.pair is not None and twin.pair[0].step != step) or n % 2, "a step")  # noqa: B023

    def healed() -> bool:
        assert twin is not None
        pair = twin.pair
        return (
            pair is not None and all(one.idle and one.time_step.max == 0 for one in pair) and not twin.waiting
        )

    own.open()
    try:
        run(lambda: model.frame is not None and model.frame.step > 5, "the session")
        twin = Twin(model, own, open_link)
        twin.other = twin.treatment  # no change at all
        run(lambda: twin.pair is not None and twin.pair[0].step > 20, "the pair")
        scribble()
        run(healed, "both to heal")
        assert not twin.diverged
        assert twin.pair is not None
        first, second = twin.pair
        assert first.applied_sequence > 10
        assert first.x_t.tobytes() == second.x_t.tobytes()
        assert first.x0_hat.tobytes() == second.x0_hat.tobytes()
        twin.choose(Difference.RULE)
        run(lambda: twin.pair is not None and 20 < twin.pair[0].step < 100, "both to restart")
        assert twin.pair[0].x_t.tobytes() == twin.pair[1].x_t.tobytes()
        scribble()
        run(healed, "both to heal again")
        assert not twin.diverged
        assert twin.pair[0].x_t.tobytes() != twin.pair[1].x_t.tobytes()
        assert gauges(metrics_port)["sessions"] == 2
        twin.close()
        wait_for(lambda: gauges(metrics_port)["sessions"] == 1, 10, "the twin's session to end")
    finally:
        if twin is not None:
            twin.close()
        own.close()
    wait_for(lambda: gauges(metrics_port)["sessions"] == 0, 10, "the last session to end")
