"""The twin: that the one thing is all that differs, whatever is done and whenever."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest

from diffusion_toy.contract import messages as m
from tests.tools import wait_for
from tests.viewer_client.experiments.scene import Scene as AnyScene
from tests.viewer_client.frames import frame
from viewer_client.core.strokes import MouseMode
from viewer_client.core.view_model import ViewModel
from viewer_client.experiments.difference import Difference
from viewer_client.experiments.twin import DIVERGED, Side, Twin, last_step, newest_pair, obstacle
from viewer_client.link.address import Endpoint
from viewer_client.link.connection import Connection

# --- which frames belong together ---


def side_of(*frames: m.Frame) -> Side:
    side = Side(Connection(Endpoint("nobody:1"), m.Start))
    side.frames = list(frames)
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


# --- with sessions of the real engine, within the process ---


class Scene(AnyScene):
    """A window's session, its twin on a connection of another delay, and a clock."""

    def __init__(self, late: int = 2, twin_late: int = 3, *, room: int = 1) -> None:
        super().__init__(shape=(1, 8, 8), room=room, late=late, late_beside=twin_late)
        self.twin: Twin | None = None
        self.model.brush.mode = MouseMode.BRUSH

    def open(self, *, alike: bool = False) -> Twin:
        """Open the twin; one that is `alike` differs in nothing."""
        self.twin = self.comparison = Twin(self.model, self.own, self.open_link)
        if alike:
            self.twin.other = self.twin.treatment
        return self.twin

    def tick(self) -> None:
        super().tick()
        if self.comparison is not None and self.twin is not None and self.twin.pair is not None:
            first, second = self.twin.pair
            assert (first.step, first.time_step) == (second.step, second.time_step)

    def settled(self) -> bool:
        """Say whether all strokes are on both, and both are idle."""
        assert self.twin is not None
        sides = self.own, self.opened[0]
        return all(s.idle and not s.under_way for s in sides) and not self.twin.waiting

    def has_not_diverged(self) -> None:
        own, other = self.own, self.opened[0]
        assert self.twin is not None
        assert not self.twin.diverged
        assert not own.rejected
        assert not other.rejected
        assert self.twin.pair is not None
        first, second = self.twin.pair
        if self.twin.other == self.twin.treatment:
            assert first.x_t.tobytes() == second.x_t.tobytes()

    def injections(self) -> int:
        return sum(isinstance(command, m.Inject) for command, _ in self.own.sent)


def test_both_restart_with_the_seed_and_origin_of_the_session() -> None:
    scene = Scene()
    twin = scene.open(alike=True)
    assert scene.opened[0].start.motion is m.Motion.PAUSED
    assert scene.opened[0].start.settings == m.SettingsChange(**vars(scene.model.settings))
    assert twin.sentence.startswith("the twin joins")
    scene.run(lambda: twin.pair is not None and twin.pair[0].step == 5)
    begun = m.Restart(7, m.Origin())
    assert (begun, None) in scene.own.sent
    assert (begun, None) in scene.opened[0].sent
    scene.has_not_diverged()
    assert twin.figure == "0.00"


@pytest.mark.parametrize("seed", range(6))
def test_whatever_is_done_lands_at_the_same_step_of_both(seed: int) -> None:
    rng = random.Random(seed)
    scene = Scene(late=rng.randint(0, 6), twin_late=rng.randint(0, 6))
    scene.model.brush.strength = rng.choice((2.0, 30.0, 200.0))
    twin = scene.open(alike=True)
    scene.run(lambda: twin.pair is not None)
    touched = 0
    for _ in range(400):
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
    assert scene.injections() > 10
    scene.has_not_diverged()


def test_a_finished_picture_takes_strokes_as_well() -> None:
    scene = Scene()
    scene.model.brush.strength = 2.0  # so little that it heals between two strokes
    twin = scene.open(alike=True)
    scene.run(lambda: twin.pair is not None and twin.pair[0].time_step.max == 0)
    for n in range(60):
        twin.mouse_at((0.1 + n / 80, 0.5))
        scene.tick()
    scene.run(scene.settled)
    assert scene.injections() > 5
    scene.has_not_diverged()


def test_a_stroke_that_arrives_bit_by_bit_wakes_neither_before_all_is_there() -> None:
    scene = Scene()
    twin = scene.open(alike=True)
    scene.run(lambda: twin.pair is not None and twin.pair[0].time_step.max == 0)
    scene.own.at_a_time, scene.opened[0].at_a_time = 4, 3
    for n in range(9):
        twin.mouse_at((0.1 + n / 10, 0.5))
    scene.run(scene.settled)
    assert scene.injections() > 8
    scene.has_not_diverged()


def test_no_more_is_meant_for_one_step_than_the_server_takes_in_it() -> None:
    scene = Scene()
    twin = scene.open(alike=True)
    scene.run(lambda: twin.pair is not None and twin.pair[0].step == 5)
    for n in range(40):
        twin.mouse_at((0.1 + n / 50, 0.5))
        twin.update(scene.now)  # no frame has come in since the last time
    scene.run(scene.settled)
    assert scene.injections() > 9
    scene.has_not_diverged()


@pytest.mark.parametrize("allowed", [1, 3, 9])
def test_a_server_says_how_many_injections_one_step_takes(allowed: int) -> None:
    scene = Scene()
    assert scene.model.welcome is not None
    scene.model.welcome = replace(scene.model.welcome, limits=m.Limits(injections_per_tick=allowed))
    twin = scene.open(alike=True)
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
    assert not scene.injections()
    twin.mouse_button((0.5, 0.5), True)
    twin.mouse_button((0.5, 0.5), False)
    scene.run(lambda: scene.injections() > 0)


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
    wait_for(lambda: scene.opened[0].ended, "the twin to end")
    assert not scene.own.ended


def test_a_full_server_has_no_room_for_a_twin_and_the_session_is_not_touched() -> None:
    scene = Scene(room=0)
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
    wait_for(lambda: scene.opened[0].ended, "the twin to end")


def test_there_is_a_reason_where_there_can_be_no_twin() -> None:
    assert obstacle(ViewModel())
    assert obstacle(Scene().model) == ""
