"""When a session's token is due: about once a second, and at once where a command has let it rest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from diffusion_toy.contract import messages as m
from inference_server.engine.engine import Engine, EngineConfig
from inference_server.engine.session import SessionSnapshot
from inference_server.engine.snapshot_schedule import SnapshotSchedule
from tests.inference_server.engine.engines import engine_of, send, start, whole_state
from tests.models import tiny_model

DISC = m.Disc(0.4, 0.6, 0.3)


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return engine_of(tiny_model(tmp_path), EngineConfig(4, token_period_s=1.0))


def told(engine: Engine, ticks: int) -> list[tuple[int, SessionSnapshot]]:
    """The snapshots of the next ticks, and in which of them, from 1."""
    return [
        (tick, event.message)
        for tick in range(1, ticks + 1)
        for event in engine.tick().events
        if isinstance(event.message, SessionSnapshot)
    ]


@pytest.mark.parametrize(
    "command",
    [m.Pause(), m.Step(), m.Step(m.Motion.FORWARD, DISC), m.Back(), m.Jump(step=3), m.Jump(time_step=299.0)],
    ids=lambda command: type(command).__name__,
)
def test_who_comes_to_rest_is_told_at_once_and_exactly_there(engine: Engine, command: m.Command) -> None:
    session = engine.join(start())
    told(engine, 20)  # the first token is long past, and the next one not due
    send(engine, session, command)
    (tick, snapshot), *more = told(engine, 30)
    assert tick <= 3  # applied, perhaps shown, told
    assert not more
    assert snapshot.applied == engine.controls.applied[session.slot] == 1
    assert (snapshot.motion, snapshot.step) == (m.Motion.PAUSED, engine.controls.step[session.slot])
    state = engine.restore(snapshot, branch_seed=1)
    np.testing.assert_array_equal(whole_state(engine, state), whole_state(engine, session))


def test_a_rejected_command_and_an_edit_at_rest_hurry_nothing(engine: Engine) -> None:
    session = engine.join(start())
    send(engine, session, m.Pause())
    told(engine, 20)
    send(engine, session, m.Back())  # to before the first step
    send(engine, session, m.Inject(DISC, 20.0))
    assert not told(engine, 20)
    assert len(told(engine, 60)) == 1


@pytest.mark.parametrize("every", [1, 3, 10])
def test_who_steps_quickly_is_told_a_few_times_a_second_and_then_at_once(engine: Engine, every: int) -> None:
    session = engine.join(start())
    send(engine, session, m.Pause())
    seen = told(engine, 30)
    for _ in range(120 // every):
        send(engine, session, m.Step())
        seen += told(engine, every)
    assert len(seen) <= 2 + 2 * 5  # in 2 s: four a second at rest, one on the way
    seen += told(engine, 17)
    _, newest = seen[-1]
    assert newest.step == engine.controls.step[session.slot] == 120 // every
    assert newest.motion is m.Motion.PAUSED


def test_ticks_that_nobody_needed_count_as_time(engine: Engine) -> None:
    session = engine.join(start())
    send(engine, session, m.Pause())
    told(engine, 70)
    for _ in range(5):
        assert engine.idle
        engine.skip_ticks(60)
        send(engine, session, m.Step())
        (tick, snapshot), *_ = told(engine, 70)
        assert tick <= 3
        assert snapshot.step == engine.controls.step[session.slot]


def test_who_comes_back_is_told_even_if_nothing_has_changed(engine: Engine) -> None:
    session = engine.join(start())
    send(engine, session, m.Pause())
    told(engine, 70)
    for _ in range(3):
        engine.detach(session)
        assert engine.idle
        engine.reattach(session)
        assert told(engine, 62)


def test_without_a_period_nothing_is_ever_told() -> None:
    turns = SnapshotSchedule(2, 60.0, 0.0)
    both, frames = np.array([True, True]), np.array([5, 6])
    turns.begin(0)
    turns.bring_to_rest(0)
    turns.advance(1000)
    assert not turns.untold(both, frames).any()
    assert not len(turns.take(both, both, frames))


def test_a_slots_next_session_has_turns_of_its_own() -> None:
    turns = SnapshotSchedule(1, 60.0, 1.0)
    one, frames = np.array([True]), np.array([1])
    turns.begin(0)
    assert turns.take(one, ~one, frames).tolist() == [0]
    turns.bring_to_rest(0)
    turns.begin(0)
    assert turns.take(one, ~one, frames).tolist() == [0]
    assert not turns.untold(one, frames).any()
