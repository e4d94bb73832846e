"""Whose rows the network takes: whatever costs one counts, and nobody gets more than its part."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from diffusion_toy.contract import messages as m
from inference_server.engine.engine import Engine, EngineConfig
from inference_server.engine.row_scheduler import LEAST_TURNS_HZ, SAVED_S, RowScheduler
from inference_server.engine.session import Session
from tests.inference_server.engine.engines import applied, engine_of, send, start
from tests.models import tiny_model

TICKS = 300  # five seconds
SECONDS = TICKS / 60
PAUSED = m.SettingsChange(steps_per_second=0.001, num_time_steps=1000)
WORK: tuple[m.Command, ...] = (
    m.Step(),
    m.Step(m.Motion.REVERSE, m.Disc(0.5, 0.5, 0.2)),
    m.Restart(),
    m.Configure(m.SettingsChange()),
    m.Jump(time_step=1000.0),
    m.Inject(m.Disc(0.5, 0.5, 0.2), 5.0),
)


def full(folder: Path, capacity: float | None = None, slots: int = 32) -> Engine:
    return engine_of(tiny_model(folder), EngineConfig(slots, capacity=capacity))


def honest(engine: Engine) -> Session:
    """Somebody who plays at the full rate, for longer than a test lasts."""
    return engine.join(start(num_time_steps=1000))


def steps_of(engine: Engine, session: Session) -> int:
    return int(engine.controls.step[session.slot])


def frames_beside(engine: Engine, idlers: list[Session], work: m.Command) -> int:
    """Send each tick a command for each; return how many frames that made for all of them."""
    frames = 0
    for _ in range(TICKS):
        for session in idlers:
            send(engine, session, work)
        result = engine.tick()
        if result.frames is not None:
            frames += sum(session in idlers for session in result.frames.sessions)
    return frames


@pytest.mark.parametrize("work", WORK, ids=lambda work: type(work).__name__)
def test_commands_of_a_paused_session_make_no_more_frames_than_its_rate(
    tmp_path: Path, work: m.Command
) -> None:
    engine = full(tmp_path)
    session = engine.join(m.Start(seed=1, motion=m.Motion.PAUSED, settings=PAUSED))
    frames = frames_beside(engine, [session], work)
    assert frames <= LEAST_TURNS_HZ * (SECONDS + SAVED_S) + 1
    assert frames >= LEAST_TURNS_HZ * SECONDS  # and it is not starved either


@pytest.mark.parametrize("work", [WORK[0], WORK[3]], ids=lambda work: type(work).__name__)
def test_a_viewer_keeps_its_rate_beside_paused_sessions_that_send_as_fast_as_they_can(
    tmp_path: Path, work: m.Command
) -> None:
    """The attack that once took an honest viewer from 58.7 to 14 steps a second."""
    capacity = 60 + 20 * LEAST_TURNS_HZ  # what the ticks can carry, to the last row
    engine = full(tmp_path, capacity)
    viewer = honest(engine)
    idlers = [engine.join(m.Start(seed=seed, motion=m.Motion.PAUSED, settings=PAUSED)) for seed in range(20)]
    rows = 0
    for _ in range(TICKS):
        for session in idlers:
            send(engine, session, work)
        rows += engine.tick().rows
    assert steps_of(engine, viewer) >= 0.9 * TICKS
    assert rows <= capacity * SECONDS + len(engine.sessions)


def test_overload_slows_everybody_by_the_same_factor(tmp_path: Path) -> None:
    engine = full(tmp_path)
    rates = np.array([60.0] * 8 + [30.0] * 3 + [20.0])
    sessions = [engine.join(start(steps_per_second=rate, num_time_steps=1000)) for rate in rates]
    engine.share.capacity.rows_per_tick = rates.sum() / 2 / 60
    for _ in range(TICKS):
        assert engine.tick().rows <= rates.sum() / 2 / 60 + 1
    kept = np.array([steps_of(engine, session) for session in sessions]) / (rates * SECONDS)
    np.testing.assert_allclose(kept, 0.5, atol=0.03)


def test_steps_beyond_the_rate_wait_and_none_is_lost(tmp_path: Path) -> None:
    engine = full(tmp_path)
    session = engine.join(m.Start(seed=1, motion=m.Motion.PAUSED, settings=PAUSED))
    engine.tick()
    for _ in range(60):
        send(engine, session, m.Step())
    send(engine, session, m.Inject(m.Disc(0.5, 0.5, 0.2), 5.0))
    told: list[tuple[int, int]] = []
    ticks = 0
    while not engine.idle:
        result = engine.tick()
        ticks += 1
        if result.frames is not None:
            told += applied(result, session)
    assert told == [(sequence, sequence - 1) for sequence in range(1, 62)]
    assert ticks >= 60 * (60 / LEAST_TURNS_HZ) - SAVED_S * 60 - 3


def test_a_paused_session_at_the_full_rate_takes_a_step_in_every_tick(tmp_path: Path) -> None:
    engine = full(tmp_path)
    session = engine.join(m.Start(seed=1, motion=m.Motion.PAUSED))
    for _ in range(100):
        send(engine, session, m.Step())
        engine.tick()
    assert steps_of(engine, session) == 100


def test_drawing_on_a_slow_session_does_not_slow_it_down(tmp_path: Path) -> None:
    engine = full(tmp_path)
    session = engine.join(start(steps_per_second=30.0, num_time_steps=1000))
    for _ in range(TICKS):
        send(engine, session, m.Inject(m.Disc(0.5, 0.5, 0.2), 1.0))
        engine.tick()
    assert steps_of(engine, session) >= 0.95 * 30 * SECONDS


def test_commands_of_a_frame_that_waits_are_listed_in_it(tmp_path: Path) -> None:
    engine = full(tmp_path, capacity=120.0)
    first, second = honest(engine), honest(engine)
    engine.share.capacity.rows_per_tick = 1.0  # from now on they take turns
    send(engine, first, m.Inject(m.Disc(0.5, 0.5, 0.2), 1.0))
    send(engine, second, m.Inject(m.Disc(0.5, 0.5, 0.2), 1.0))
    seen: dict[str, list[tuple[int, int]]] = {first.id: [], second.id: []}
    for _ in range(2):
        result = engine.tick()
        assert result.frames is not None
        (session,) = result.frames.sessions
        seen[session.id] += applied(result, session)
    assert [[sequence for sequence, _ in told] for told in seen.values()] == [[1], [1]]


def test_somebody_is_served_in_every_tick_however_slow_the_machine() -> None:
    scheduler = RowScheduler(4, 60.0)
    for slot in range(4):
        scheduler.begin(slot)
    rate, guided = np.ones(4), np.full(4, 2)
    turns = np.zeros(4, np.int64)
    for _ in range(40):
        scheduler.advance(1, rate)
        chosen = scheduler.choose(np.ones(4, np.bool_), guided, budget=0.1)
        assert chosen.sum() == 1
        turns += chosen
        scheduler.charge(np.flatnonzero(chosen), 2)
    assert turns.tolist() == [10, 10, 10, 10]
