"""A recipe becomes the same picture again, bit for bit, on a real server; and what may come between."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from diffusion_toy.contract import messages as m
from tests.models import shared_flags, tiny_flags
from tests.tools import ServerProcess, running_server, wait_for
from tests.viewer_client.frames import WELCOME, frame
from tests.viewer_client.window.viewers import Viewer
from viewer_client.core.view_model import TAKEN_OVER, ViewModel
from viewer_client.files.recipe_text import from_text, to_text
from viewer_client.link.status import Phase, Status
from viewer_client.recipes.recipe import Entry, Recipe, Undone
from viewer_client.recipes.replay import AHEAD, Replay

REVERSE, FORWARD, PAUSED = m.Motion.REVERSE, m.Motion.FORWARD, m.Motion.PAUSED
INJECT = m.Inject(m.Disc(0.5, 0.5, 0.25), 40.0)
LIVE = Status(Phase.LIVE)


def small(*entries: Entry, steps: int = 4, **more: Any) -> Recipe:
    more = {"fingerprint": WELCOME.model.fingerprint, **more}
    return Recipe(start=m.Start(model="mnist", seed=7), entries=entries, steps=steps, **more)


# --- against a real server ---


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with running_server(*tiny_flags(tmp_path_factory.mktemp("model")), "--fixed-batch", "4") as process:
        yield process


def same_picture(one: m.Frame, other: m.Frame) -> bool:
    names = ("step", "x_t", "x0_hat", "level_map")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


def replayed(server: ServerProcess, recipe: Recipe) -> tuple[m.Frame, ViewModel]:
    """The picture of a recipe that has been text in between."""
    with Viewer(server.address, recipe=from_text(to_text(recipe))) as viewer:
        return viewer.finish_replay(), viewer.model


def scribble(viewer: Viewer, dabs: int, kind: m.NoiseKind = m.NoiseKind.GAUSSIAN) -> None:
    for number in range(dabs):
        place = m.Disc(0.2 + 0.6 * number / dabs, 0.4, 0.15)
        viewer.send(m.Inject(place, 17.3, kind))


def test_a_session_with_strokes_and_changes_comes_out_the_same(server: ServerProcess) -> None:
    start = m.Start(seed=1234, settings=m.SettingsChange(num_time_steps=100, guidance=1.1))
    with Viewer(server.address, start) as viewer:
        viewer.until_step(7)
        scribble(viewer, 5)
        viewer.send(m.Configure(m.SettingsChange(label=4)))
        viewer.until_step(15)
        viewer.send(m.Play(FORWARD))
        viewer.until_step(22)
        viewer.settle(m.Pause())
        scribble(viewer, 30, m.NoiseKind.LAPLACE)  # more than a tick applies, at one step
        viewer.settle(m.Jump(time_step=80.0))
        viewer.settle(m.Step(REVERSE))
        viewer.settle(m.Step(REVERSE, m.Disc(0.3, 0.3, 0.2)))
        viewer.send(m.Play(REVERSE))
        viewer.until_step(viewer.frame.step + 5)
        viewer.send(m.Inject(None, 5.0, rule=m.InjectionRule.NAIVE))
        seen = viewer.settle(m.Pause())
        recipe = viewer.model.command_log.recipe()
    assert recipe.inexact == ""
    again, model = replayed(server, recipe)
    assert same_picture(again, seen)
    assert model.notice.startswith(f"replayed: {seen.step} steps")
    assert to_text(model.command_log.recipe()) == to_text(recipe)


@pytest.mark.parametrize("sampler", list(m.Sampler))
def test_what_was_undone_leaves_no_trace_but_its_numbers(server: ServerProcess, sampler: m.Sampler) -> None:
    settings = m.SettingsChange(num_time_steps=50, sampler=sampler, eta=0.5)
    with Viewer(server.address, m.Start(seed=5, settings=settings)) as viewer:
        viewer.until_step(6)
        viewer.settle(m.Pause())
        scribble(viewer, 3)
        viewer.settle(m.Step(REVERSE))
        viewer.settle(m.Step(REVERSE))
        viewer.send(m.Configure(m.SettingsChange(label=3)))
        at = viewer.settle(INJECT).step
        viewer.settle(m.Back(), m.Back(), m.Back(), m.Back())
        assert viewer.frame.step == at - 4
        viewer.send(INJECT, m.Play(REVERSE))  # with the noise of the fifth injection
        viewer.until_step(at + 3)
        viewer.send(m.Configure(m.SettingsChange(steps_per_second=5.0)))
        viewer.until_step(at + 4)
        seen = viewer.settle(m.Pause())
        recipe = viewer.model.command_log.recipe()
    assert Undone(4) in [entry.what for entry in recipe.entries]
    assert len([entry for entry in recipe.entries if isinstance(entry.what, m.Inject)]) == 1
    again, _ = replayed(server, recipe)
    assert same_picture(again, seen)


def test_what_makes_the_second_order_sampler_begin_again_is_in_the_recipe(server: ServerProcess) -> None:
    settings = m.SettingsChange(num_time_steps=60, sampler=m.Sampler.DPMPP, label=1)
    with Viewer(server.address, m.Start(seed=8, settings=settings)) as viewer:
        viewer.until_step(8)
        viewer.send(m.Configure(m.SettingsChange(steps_per_second=20.0)))
        viewer.until_step(14)
        viewer.settle(m.Pause())
        viewer.settle(m.Back(), m.Back(), m.Back())
        viewer.send(m.Play(REVERSE))
        viewer.until_step(20)
        seen = viewer.settle(m.Pause())
        recipe = viewer.model.command_log.recipe()
    assert [entry.what for entry in recipe.entries] == [m.Configure(m.SettingsChange())] * 2
    again, _ = replayed(server, recipe)
    assert same_picture(again, seen)
    for number in range(2):  # each of them matters
        fewer = replace(recipe, entries=(recipe.entries[number],))
        assert not np.array_equal(replayed(server, fewer)[0].x_t, seen.x_t)


def test_what_lands_in_frames_that_nobody_draws_is_known_all_the_same(server: ServerProcess) -> None:
    with Viewer(server.address, m.Start(seed=8)) as viewer:
        viewer.until_step(3)
        frames = viewer.connection.statistics.frames
        viewer.send(INJECT)
        wait_for(lambda: viewer.connection.statistics.frames >= frames + 3, "frames")
        viewer.until_step(20)
        recipe = viewer.model.command_log.recipe()
    assert recipe.inexact == ""
    assert [entry.what for entry in recipe.entries] == [INJECT]


@pytest.mark.parametrize(
    "origin", [m.Origin(m.Example(3), 30.0), m.Origin(m.Pixels(bytes(range(196)) * 4), 60.0), m.Origin()]
)
def test_a_restart_from_any_origin_comes_out_the_same(server: ServerProcess, origin: m.Origin) -> None:
    with Viewer(server.address, m.Start(seed=2)) as viewer:
        viewer.until_step(3)
        viewer.send(m.Configure(m.SettingsChange(schedule=m.ScheduleName.LINEAR, num_time_steps=60)), INJECT)
        viewer.send(m.Restart(99, origin))
        viewer.until(lambda: viewer.frame.seed == 99 and viewer.frame.step > 4, "the other run")
        seen = viewer.settle(m.Pause())
        recipe = viewer.model.command_log.recipe()
    assert recipe.start.origin == origin
    again, _ = replayed(server, recipe)
    assert same_picture(again, seen)


def test_a_recipe_is_replayed_over_a_session_that_runs(server: ServerProcess) -> None:
    settings = m.SettingsChange(num_time_steps=60, label=2)
    with Viewer(server.address, m.Start(seed=11, settings=settings)) as viewer:
        viewer.until_step(5)
        viewer.send(INJECT)
        viewer.until_step(12)
        seen = viewer.settle(m.Pause())
        recipe = viewer.model.command_log.recipe()
        viewer.send(m.Configure(m.SettingsChange(label=7, num_time_steps=300)), m.Restart(3), m.Play(REVERSE))
        viewer.until(lambda: viewer.frame.seed == 3 and viewer.frame.step > 8, "another run")
        viewer.model.begin_replay(from_text(to_text(recipe)))
        again = viewer.finish_replay()
        assert same_picture(again, seen)
        assert viewer.model.motion is PAUSED
        assert viewer.model.settings.label == 2
        assert to_text(viewer.model.command_log.recipe()) == to_text(recipe)


def test_a_replay_survives_a_server_that_restarts(tmp_path: Path) -> None:
    flags = shared_flags(tmp_path)
    recipe = small(Entry(20, INJECT), Entry(60, INJECT), Entry(60, m.Play(FORWARD)), steps=90)
    recipe = replace(recipe, start=replace(recipe.start, model="tiny"))
    with running_server(*flags) as one:
        seen, _ = replayed(one, recipe)
        with Viewer(one.address, recipe=recipe) as viewer:
            viewer.until(lambda: viewer.frame.step > 10 and viewer.connection.resume_token, "a token")
            one.stop()
            with running_server(*flags, port=one.port):
                again = viewer.finish_replay()
                assert viewer.connection.statistics.resumed == 1
    assert same_picture(again, seen)


def test_a_recipe_of_a_model_that_is_not_there_is_refused_by_name(server: ServerProcess) -> None:
    recipe = replace(small(), start=m.Start(model="fashion", seed=7))
    viewer = Viewer(server.address, recipe=recipe)
    viewer.connection.open()
    try:
        viewer.until(lambda: viewer.connection.status.phase is Phase.REFUSED, "the refusal")
        assert "there is no model 'fashion'" in viewer.connection.status.sentence
    finally:
        viewer.connection.close()


# --- without one ---


def replaying(recipe: Recipe) -> ViewModel:
    """A viewer whose session has just begun."""
    model = ViewModel(start=recipe.start, replay=Replay(recipe))
    model.pass_time(LIVE, now=0.0)
    model.next_start()
    model.receive(WELCOME)
    model.receive(frame(motion=PAUSED, idle=True, step=0))
    return model


def run(model: ViewModel, now: float = 0.0, first: int = 2) -> list[m.Command]:
    """What the replay sends now."""
    sent: list[m.Command] = []
    while (command := model.next_replayed(now)) is not None:
        model.sent(command, first + len(sent), now)
        sent.append(command)
    return sent


def test_a_session_for_a_replay_rests_at_its_start() -> None:
    model = ViewModel(start=small().start, replay=Replay(small()))
    assert model.next_start() == m.Start(model="mnist", seed=7, motion=PAUSED)
    model.replay = None
    assert model.next_start().motion is REVERSE


def test_only_so_much_is_sent_ahead_of_what_has_been_applied() -> None:
    model = replaying(small(steps=100))
    assert len(run(model)) == AHEAD
    model.receive(frame(step=3, applied_sequence=5))
    assert len(run(model, first=AHEAD + 2)) == 4


def test_a_slow_session_is_replayed_slowly() -> None:
    model = replaying(small(steps=100))
    model.configure(m.SettingsChange(steps_per_second=5.0))
    assert len(run(model, now=1.0)) == 1
    assert len(run(model, now=1.1, first=9)) == 0
    assert len(run(model, now=1.21, first=9)) == 1


def test_space_holds_a_replay_and_lets_it_go_on() -> None:
    model = replaying(small(steps=100))
    model.key("space")
    assert model.take_commands() == []
    assert model.motion is PAUSED
    assert run(model) == []
    model.key("space")
    assert model.take_commands() == []
    assert model.motion is REVERSE
    assert len(run(model)) == AHEAD


def test_the_speed_and_the_mouse_leave_a_replay_alone() -> None:
    model = replaying(small(steps=100))
    model.mouse_at((0.2, 0.2))
    model.mouse_at((0.8, 0.8))
    model.heal_button(True)
    assert model.take_commands() == []
    model.key(",")
    assert model.take_commands() == [m.Configure(m.SettingsChange(steps_per_second=30.0))]
    assert model.replay is not None


def test_whatever_touches_the_picture_ends_a_replay() -> None:
    model = replaying(small(steps=100))
    model.key("7")
    assert model.take_commands() == [m.Configure(m.SettingsChange(label=7))]
    assert model.replay is None
    assert model.notice == TAKEN_OVER


def test_other_weights_are_said_and_replayed_all_the_same() -> None:
    model = replaying(small(fingerprint="ffff"))
    assert model.notice == (
        "the recipe was made with other weights (model mnist, ffff): they give another picture"
    )
    assert len(run(model)) == 4


def test_a_recipe_that_is_not_exact_is_said_to_be_so() -> None:
    assert replaying(small(inexact="of a reason")).notice == "this recipe is not exact: of a reason"


def finished(model: ViewModel, *applied: tuple[int, int], step: int = 4) -> None:
    told = tuple(m.Applied(*one) for one in applied)
    model.receive(frame(step=step, applied=told, applied_sequence=5, motion=PAUSED, idle=True))


def test_a_replay_is_over_when_the_picture_rests_at_its_last_step() -> None:
    model = replaying(small())
    assert run(model) == [m.Step(REVERSE)] * 4
    model.receive(frame(step=3, applied_sequence=5, idle=False))
    assert model.replay is not None
    finished(model, (2, 0), (3, 1), (4, 2), (5, 3))
    assert model.replay is None
    assert model.notice.startswith("replayed: 4 steps")
    model.key("space")
    assert model.take_commands() == [m.Play(REVERSE)]


def test_a_replay_that_strays_says_where() -> None:
    model = replaying(small())
    run(model)
    finished(model, (2, 0), (3, 2), (4, 3), (5, 4), step=5)
    assert model.notice == "this replay gives another picture: what belongs to step 1 came at step 2"
    model = replaying(small())
    run(model)
    finished(model, (2, 0), (3, 1), (4, 1), (5, 1), step=1)
    assert model.notice.startswith("this replay gives another picture: what belongs to step 2 came at step 1")
    model = replaying(small())
    run(model)
    finished(model, step=2)  # of a server that tells no steps
    assert model.notice == "this replay gives another picture: the session is idle at step 2 of 4"


def test_a_replay_whose_command_is_rejected_ends_with_the_reason() -> None:
    model = replaying(small(Entry(0, INJECT)))
    run(model)
    model.receive(m.Rejected(2, "inject", "", "", "the server is too busy for this"))
    assert model.replay is None
    assert model.notice == "this replay gives another picture: the server is too busy for this"


def test_a_session_that_had_to_begin_anew_is_replayed_from_its_start() -> None:
    model = replaying(small(Entry(2, INJECT)))
    run(model)
    model.receive(frame(step=1, applied_sequence=3))
    model.receive(replace(WELCOME, session_id="another"))
    assert run(model) == [m.Step(REVERSE)] * 2 + [INJECT] + [m.Step(REVERSE)] * 2


def test_a_session_that_takes_the_place_of_the_replayed_one_is_left_alone() -> None:
    model = replaying(small())
    model.receive(replace(WELCOME, session_id="a branch", resumed=True))
    assert model.replay is None


def test_a_recipe_over_another_run_begins_with_settings_and_start_and_rests_there() -> None:
    model = ViewModel(start=m.Start(seed=3))
    model.pass_time(LIVE, now=0.0)
    model.receive(replace(WELCOME, seed=3))
    model.receive(frame(step=30, seed=3))
    model.begin_replay(small(steps=1))
    assert run(model) == [
        m.Configure(m.SettingsChange()), m.Restart(7, m.Origin()), m.Jump(step=0), m.Step(REVERSE),
    ]  # fmt: skip
    model.receive(frame(step=31, applied_sequence=1, idle=True, seed=3))  # nothing of it has been applied
    assert model.replay is not None


def test_one_who_watches_replays_nothing() -> None:
    model = ViewModel(start=m.Start(watch="x"))
    model.begin_replay(small())
    assert model.replay is None
