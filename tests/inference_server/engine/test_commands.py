"""What commands do to a session: in order, at their step, within limits; back, jumps, and kept states."""

from __future__ import annotations

import pytest
import torch

from diffusion_toy.contract import messages as m
from inference_server.engine.engine import Engine
from inference_server.engine.pending import Pending, Skip
from tests.inference_server.engine.engines import picture, run_out, send, start, time_step


def test_commands_land_in_order_and_the_frame_says_so(engine: Engine) -> None:
    session = engine.join(start())
    engine.tick()
    send(engine, session, m.Pause(), Skip(), m.Inject(None, 5.0))
    frames = engine.tick().frames
    assert frames is not None
    assert frames.applied.tolist() == [3]
    assert frames.motion.tolist() == [m.Motion.PAUSED]


def test_restart_with_the_same_seed_is_the_same_picture_again(engine: Engine) -> None:
    session = engine.join(start())
    first = picture(engine, session)
    for _ in range(5):
        engine.tick()
    send(engine, session, m.Pause(), m.Restart(), m.Pause())
    engine.tick()
    assert torch.equal(picture(engine, session), first)
    send(engine, session, m.Restart(seed=2), m.Pause())
    engine.tick()
    assert not torch.equal(picture(engine, session), first)
    assert engine.controls.step[session.slot] == 0


def test_a_new_schedule_is_announced_and_the_rest_stays(engine: Engine) -> None:
    session = engine.join(start(label=4))
    engine.tick()
    change = m.SettingsChange(schedule=m.ScheduleName.LINEAR, num_time_steps=1000)
    send(engine, session, m.Pause(), m.Configure(change))
    result = engine.tick()
    (event,) = result.events
    assert isinstance(event.message, m.Schedule)
    assert len(event.message.alphas_cumprod) == 1001
    assert result.frames is not None
    assert result.frames.settings[0].label == 4
    assert time_step(result, session)[1] > 600


@pytest.mark.parametrize(
    ("command", "field"),
    [
        (m.Configure(m.SettingsChange(label=10)), "settings.label"),
        (m.Configure(m.SettingsChange(steps_per_second=61.0)), "settings.steps_per_second"),
        (m.Restart(origin=m.Origin(time_step=301.0)), "restart.origin.time_step"),
        (m.Restart(origin=m.Origin(m.Pixels(b"123"))), "restart.origin.pixels"),
        (m.Restart(origin=m.Origin(m.Example(10))), "restart.origin.example.label"),
    ],
)
def test_a_bad_value_is_rejected_and_changes_nothing(engine: Engine, command: m.Command, field: str) -> None:
    session = engine.join(start())
    send(engine, session, m.Pause())
    engine.tick()
    before, settings = picture(engine, session), session.settings
    send(engine, session, command)
    result = engine.tick()
    (event,) = result.events
    assert isinstance(event.message, m.Rejected)
    assert (event.message.field, event.message.sequence) == (field, 2)
    assert torch.equal(picture(engine, session), before)
    assert session.settings == settings


def test_a_command_waits_for_its_step_and_one_that_is_late_is_rejected(engine: Engine) -> None:
    session = engine.join(start())
    send(engine, session, m.Inject(None, 3.0), at_step=4)
    applied = []
    for _ in range(6):
        frames = engine.tick().frames
        assert frames is not None
        applied.append((int(frames.steps[0]), int(frames.applied[0])))
    assert applied == [(0, 0), (1, 0), (2, 0), (3, 0), (4, 1), (5, 1)]
    send(engine, session, m.Pause(), at_step=2)
    (event,) = engine.tick().events
    assert isinstance(event.message, m.Rejected)
    assert event.message.field == "at_step"


def test_many_injections_of_one_tick_are_spread_but_none_is_lost(engine: Engine) -> None:
    session = engine.join(start())
    send(engine, session, m.Pause(), m.Restart(origin=m.Origin(m.Example(), 0.0)), m.Pause())
    engine.tick()
    send(engine, session, *[m.Inject(None, 2.0)] * 50)
    assert time_step(run_out(engine), session) == (100, 100)


def test_a_flood_of_rejected_commands_takes_no_room(engine: Engine) -> None:
    session = engine.join(start())
    send(engine, session, m.Pause(), at_step=1_000_000)
    for sequence in range(2, 5000):
        engine.submit(session, Pending(sequence, Skip()))
    assert [pending.sequence for pending in session.pending] == [1, 4999]


def test_a_session_is_stepped_back_through_its_states_and_plays_to_the_same_end(engine: Engine) -> None:
    session = engine.join(start())
    seen = []
    for _ in range(30):
        seen.append(picture(engine, session))
        engine.tick()
    send(engine, session, m.Back(), m.Back())
    frames = engine.tick().frames
    assert frames is not None
    assert (int(frames.steps[0]), int(frames.motion[0])) == (28, m.Motion.PAUSED)
    assert torch.equal(picture(engine, session), seen[28])
    send(engine, session, m.Jump(step=5))
    engine.tick()
    assert torch.equal(picture(engine, session), seen[5])
    send(engine, session, m.Play())
    for _ in range(10):
        engine.tick()
    assert torch.equal(picture(engine, session), seen[15])


def test_only_so_many_states_are_kept_and_the_frame_says_which(engine: Engine) -> None:
    session = engine.join(start())
    for _ in range(130):
        result = engine.tick()
    assert result.frames is not None
    assert engine.kept_states == 120
    assert (int(result.frames.steps[0]), int(result.frames.first_kept[0])) == (129, 9)
    send(engine, session, m.Jump(step=9))
    rejected = engine.tick().events[0].message
    assert isinstance(rejected, m.Rejected)  # the tick before has made 130 steps
    assert (rejected.field, rejected.limit) == ("jump.step", "10…130")
    send(engine, session, m.Jump(step=11))
    assert not engine.tick().events


def test_a_jump_in_time_is_noise_upwards_and_a_kept_state_downwards(engine: Engine) -> None:
    session = engine.join(start())
    for _ in range(20):
        engine.tick()
    before = picture(engine, session)
    send(engine, session, m.Jump(time_step=290.0))
    assert time_step(engine.tick(), session)[1] == 290
    assert not torch.equal(picture(engine, session), before)
    assert engine.tick().frames is None  # it is paused, and has shown where it is
    send(engine, session, m.Jump(time_step=100.0))
    rejected = engine.tick().events[0].message
    assert isinstance(rejected, m.Rejected)
    assert rejected.field == "jump.time_step"
    send(engine, session, m.Play())
    for _ in range(20):
        engine.tick()
    send(engine, session, m.Jump(time_step=285.0))
    result = engine.tick()
    assert time_step(result, session) == (285, 285)
    assert result.frames is not None
    readings = result.frames.readings_of(0)
    assert readings.nominal_mean == pytest.approx(readings.actual_mean, abs=1e-5)  # nominal and actual agree


@pytest.mark.parametrize(
    ("change", "kept", "missing"),
    [
        (m.SettingsChange(num_time_steps=1000), 700.0, 250.0),  # of 300 these were 210, which is kept, and 75
        (m.SettingsChange(num_time_steps=30), 25.0, 10.0),
        (m.SettingsChange(schedule=m.ScheduleName.LINEAR), 250.0, 100.0),
    ],
)
def test_a_jump_down_in_time_counts_in_the_schedule_of_now(
    engine: Engine, change: m.SettingsChange, kept: float, missing: float
) -> None:
    session = engine.join(start())
    for _ in range(100):
        engine.tick()
    send(engine, session, m.Jump(time_step=300.0), m.Configure(change), m.Jump(time_step=missing))
    schedule, rejected = (event.message for event in engine.tick().events)
    assert isinstance(schedule, m.Schedule)
    assert isinstance(rejected, m.Rejected)
    assert rejected.field == "jump.time_step"
    send(engine, session, m.Jump(time_step=kept))
    result = engine.tick()
    assert not result.events
    assert time_step(result, session)[1] == pytest.approx(kept, abs=0.5)


def test_a_restart_forgets_the_states(engine: Engine) -> None:
    session = engine.join(start())
    for _ in range(5):
        engine.tick()
    send(engine, session, m.Restart(), m.Back())
    rejected = engine.tick().events[0].message
    assert isinstance(rejected, m.Rejected)
    assert rejected.field == "back"
