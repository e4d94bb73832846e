"""What is remembered of a run, what is shown of it, and the way back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffusion_toy.contract import messages as m
from tests.viewer_client.frames import WELCOME, frame
from viewer_client.core.history import MOMENTS_MAX, STILLS_MAX, Film, History, Recording, moment_of
from viewer_client.core.view_model import ViewModel
from viewer_client.link.status import Phase, Status


def add(film: Film, one: m.Frame) -> None:
    film.add(one, moment_of(one))


def run(film: Film, steps: range, **changes: object) -> None:
    for step in steps:
        add(film, frame(float(300 - step % 301), step=step, **changes))


def steps_of(film: Film) -> list[int]:
    return [still.step for still in film.stills]


def live() -> ViewModel:
    model = ViewModel()
    model.pass_time(Status(Phase.LIVE), now=0.0)
    model.receive(WELCOME)
    return model


def test_a_still_is_the_guess_as_bytes_with_its_step_and_time_step() -> None:
    film = Film()
    guess = np.array([[[-1.0, 0.0], [1.0, 3.0]]], np.float32)
    add(film, frame(142.0, step=5, x0_hat=guess))
    (still,) = film.stills
    assert (still.step, still.time_step) == (5, 142.0)
    assert still.x0_hat.dtype == np.uint8
    assert still.x0_hat.tolist() == [[[0, 128], [255, 255]]]


def test_stills_are_evenly_spaced_and_the_newest_is_the_last() -> None:
    film = Film()
    run(film, range(203))
    steps = steps_of(film)
    assert steps[-1] == 202
    assert set(np.diff(steps[:-1])) == {5}  # two passes over 300 time steps in 120 stills


def test_no_more_are_kept_than_the_most_however_long_it_runs() -> None:
    film = Film()
    run(film, range(3000))
    assert len(film.stills) == STILLS_MAX
    assert steps_of(film)[0] > 2300


@given(st.integers(1, 40), st.integers(1, 900), st.integers(1, 30))
def test_what_is_shown_fits_is_in_order_and_ends_with_the_newest(
    count: int, length: int, stride: int
) -> None:
    film = Film()
    for step in range(length):
        add(film, frame(step=step, settings=m.Settings(stride=stride)))
    shown = film.shown(count)
    assert 1 <= len(shown) <= count
    assert shown[-1] is film.stills[-1]
    steps = [still.step for still in shown]
    assert steps == sorted(set(steps))
    if len(film.stills) > count > 12:
        assert len(shown) > count / 3  # the row is not left empty


def test_the_row_stays_while_a_run_goes_on() -> None:
    film = Film()
    run(film, range(250))
    before = film.shown(20)[:-1]
    run(film, range(250, 252))
    assert film.shown(20)[:-1] == before


def test_a_new_run_forgets_the_last_one() -> None:
    film = Film()
    run(film, range(50))
    add(film, frame(298.0, step=2))
    assert steps_of(film) == [2]
    assert film.time_steps_since(0) == [298.0]


def test_another_seed_is_another_run() -> None:
    film = Film()
    run(film, range(50))
    add(film, frame(step=60, seed=8))
    assert steps_of(film) == [60]


def test_going_back_takes_only_what_came_later() -> None:
    film = Film()
    run(film, range(51))
    add(film, frame(270.0, step=30, motion=m.Motion.PAUSED))
    assert steps_of(film) == [0, 5, 10, 15, 20, 25, 30]
    assert film.time_steps_since(28) == [272.0, 271.0, 270.0]


def test_a_picture_that_is_touched_while_it_rests_replaces_its_still() -> None:
    film = Film()
    run(film, range(11))
    add(film, frame(99.0, step=10, motion=m.Motion.PAUSED))
    assert [(still.step, still.time_step) for still in film.stills][-2:] == [(5, 295.0), (10, 99.0)]


def test_the_view_model_feeds_the_film_and_forgets_with_a_restart_or_a_new_session() -> None:
    model = live()
    model.receive(frame(step=1))
    assert steps_of(model.history.film) == [1]
    model.key("r")
    assert not model.history.film.stills
    model.receive(frame(step=2))
    model.receive(replace(WELCOME, resumed=True))
    assert steps_of(model.history.film) == [2]
    model.receive(WELCOME)
    assert not model.history.film.stills


def test_a_kept_step_is_gone_back_to_and_one_that_is_not_is_said_to_be_lost() -> None:
    model = live()
    model.receive(frame(step=200, first_kept_step=80))
    model.jump_to_step(80)
    assert model.take_commands() == [m.Jump(step=80)]
    assert model.motion is m.Motion.PAUSED
    model.jump_to_step(79)
    assert model.take_commands() == []
    assert "no longer keeps" in model.notice


@pytest.mark.parametrize("jump", [lambda model: model.jump_to_step(3), lambda model: model.jump_to(42.0)])
def test_one_who_watches_goes_nowhere(jump: object) -> None:
    model = ViewModel(start=m.Start(watch="id"))
    model.pass_time(Status(Phase.LIVE), now=0.0)
    model.receive(replace(WELCOME, watching=True))
    model.receive(frame(step=4))
    jump(model)  # type: ignore[operator]
    assert model.take_commands() == []
    assert "watching" in model.notice


# --- the recording ---


def test_a_recording_of_any_length_is_bounded_even_and_ends_with_the_newest() -> None:
    recording = Recording()
    for step in range(5 * MOMENTS_MAX + 77):
        recording.add(moment_of(frame(float(step), x_t=np.full((1, 28, 28), -1, np.float32))))
    times = [moment.time_step for moment in recording.moments(10_000)]
    assert len(times) <= MOMENTS_MAX
    assert times[0] == 0
    assert times[-1] == 5 * MOMENTS_MAX + 76
    assert len(set(np.diff(times[:-1]))) == 1
    some = [moment.time_step for moment in recording.moments(50)]
    assert (len(some), some[0], some[-1]) == (50, times[0], times[-1])
    assert recording.moments(50)[0].x_t.dtype == np.uint8


def test_a_new_run_begins_a_new_recording_and_going_back_does_not() -> None:
    run_now = 1
    history = History(lambda: run_now)
    for step in (0, 1, 2, 1):
        history.received(frame(step=step, motion=m.Motion.PAUSED))
    assert [moment.step for moment in history.recording.moments(9)] == [0, 1, 2, 1]
    assert steps_of(history.film) == [0, 1]
    run_now = 2
    history.received(frame(step=0))
    assert [moment.step for moment in history.recording.moments(9)] == [0]


def test_both_views_hold_the_same_moments() -> None:
    history = History()
    history.received(frame(step=3))
    assert history.film.stills[0] is history.recording.moments(1)[0]
