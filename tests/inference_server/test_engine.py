"""The engine's rules: what a tick applies, publishes and steps. No thread, no socket, no clock."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from diffusion_toy import messages as m
from diffusion_toy.errors import InvalidValueError
from inference_server.engine import Engine, ServerFullError, TickResult
from inference_server.session import Pending, Session, Skip
from tests.models import tiny_model

CPU = torch.device("cpu")


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine(tiny_model(tmp_path), CPU, 8, 60.0)


def start(**changes: object) -> m.Start:
    settings = m.SettingsChange(**changes)  # type: ignore[arg-type]
    return m.Start(seed=1, settings=settings)


def send(engine: Engine, session: Session, *commands: m.Command | Skip, at_step: int | None = None) -> None:
    for command in commands:
        sequence = int(engine.controls.landed[session.slot]) + len(session.pending) + 1
        engine.submit(session, Pending(sequence, command, at_step))


def row_of(result: TickResult, session: Session) -> int:
    assert result.frames is not None
    return result.frames.sessions.index(session)


def time_step(result: TickResult, session: Session) -> tuple[float, float]:
    """Least and greatest."""
    assert result.frames is not None
    readings = result.frames.readings[row_of(result, session)]
    return float(readings[6]), float(readings[8])


def picture(engine: Engine, session: Session) -> torch.Tensor:
    return engine.state.x[session.slot].clone()


def run_out(engine: Engine, limit: int = 1000) -> TickResult:
    for _ in range(limit):
        result = engine.tick()
        if engine.idle:
            return result
    raise AssertionError("the engine never rested")


def test_a_session_goes_from_noise_to_clean_and_then_rests(engine: Engine) -> None:
    session = engine.join(start(num_time_steps=20))
    first = engine.tick()
    assert time_step(first, session) == (20, 20)
    last = run_out(engine)
    assert last.frames is not None
    assert time_step(last, session) == (0, 0)
    assert last.frames.resting.tolist() == [True]
    assert last.frames.steps.tolist() == [20]
    assert last.frames.numbers.tolist() == [21]
    assert engine.tick().frames is None


def test_a_frame_shows_the_picture_before_its_step_with_its_own_prediction(engine: Engine) -> None:
    session = engine.join(start())
    before = picture(engine, session)
    expected = engine.predict_x0(torch.tensor([session.slot]), np.array([-1]), np.array([1.0], np.float32))
    frames = engine.tick().frames
    assert frames is not None
    pixels = frames.pixels[0]
    np.testing.assert_array_equal(pixels[:784], before.half().numpy().ravel())
    np.testing.assert_array_equal(pixels[784 : 2 * 784], expected[0].half().numpy().ravel())
    assert not torch.equal(picture(engine, session), before)


def test_the_same_seed_and_commands_give_the_same_picture_whoever_else_is_there(tmp_path: Path) -> None:
    def play(company: int) -> torch.Tensor:
        engine = Engine(tiny_model(tmp_path), CPU, 8, 60.0)
        for other in range(company):
            engine.join(m.Start(seed=100 + other))
        session = engine.join(start(label=3))
        for tick in range(30):
            if tick == 10:
                send(engine, session, m.Inject(m.Disc(0.4, 0.6, 0.3), 30.0, m.NoiseKind.LAPLACE))
            engine.tick()
        return picture(engine, session)

    torch.testing.assert_close(play(0), play(5), atol=1e-4, rtol=0)
    assert torch.equal(play(0), play(0))


def test_commands_land_in_order_and_the_frame_says_so(engine: Engine) -> None:
    session = engine.join(start())
    engine.tick()
    send(engine, session, m.Pause(), Skip(), m.Inject(None, 5.0))
    frames = engine.tick().frames
    assert frames is not None
    assert frames.landed.tolist() == [3]
    assert frames.motion.tolist() == [m.Motion.PAUSED]


def test_an_edit_while_paused_is_shown_without_a_step(engine: Engine) -> None:
    session = engine.join(start(stride=10))
    engine.tick()
    send(engine, session, m.Pause())
    engine.tick()
    assert engine.tick().frames is None
    send(engine, session, m.Inject(m.Disc(0.5, 0.5, 0.2), 5.0))
    result = engine.tick()
    assert result.frames is not None
    assert result.frames.steps.tolist() == [1]
    assert time_step(result, session) == (290, 295)
    assert engine.tick().frames is None


@pytest.mark.parametrize(("direction", "expected"), [(m.Motion.REVERSE, 90.0), (m.Motion.FORWARD, 110.0)])
def test_a_single_step_is_one_step_and_then_rest(
    engine: Engine, direction: m.Motion, expected: float
) -> None:
    origin = m.Origin(m.Example(3), 100.0)
    session = engine.join(
        m.Start(origin=origin, settings=m.SettingsChange(stride=10), motion=m.Motion.PAUSED)
    )
    engine.tick()
    send(engine, session, m.Step(direction))
    result = run_out(engine)
    assert time_step(result, session) == (expected, expected)
    assert result.frames is not None
    assert result.frames.motion.tolist() == [m.Motion.PAUSED]
    send(engine, session, m.Step(direction), m.Step(direction))
    assert time_step(run_out(engine), session)[0] == expected + 2 * (expected - 100)


def test_forward_play_ends_in_noise(engine: Engine) -> None:
    session = engine.join(m.Start(origin=m.Origin(m.Example(), 0.0), motion=m.Motion.FORWARD))
    assert time_step(engine.tick(), session) == (0, 0)
    result = run_out(engine)
    assert time_step(result, session) == (300, 300)
    slot = session.slot
    assert engine.state.g[slot].abs().max() < 1e-5


def test_a_real_picture_at_time_step_zero_is_itself(engine: Engine) -> None:
    pixels = bytes(range(196)) * 4
    session = engine.join(m.Start(origin=m.Origin(m.Pixels(pixels), 0.0)))
    expected = torch.frombuffer(bytearray(pixels), dtype=torch.uint8).reshape(1, 28, 28) / 127.5 - 1
    torch.testing.assert_close(picture(engine, session), expected)


def test_an_example_of_a_class_is_of_that_class(engine: Engine) -> None:
    assert engine.model.examples is not None
    session = engine.join(m.Start(origin=m.Origin(m.Example(7), 0.0)))
    shown = ((picture(engine, session) + 1) * 127.5).round().to(torch.uint8)
    of_class = engine.model.examples.images[engine.model.examples.labels == 7]
    assert any(torch.equal(shown, image) for image in of_class)


def test_speed_is_steps_a_second_and_not_more(engine: Engine) -> None:
    session = engine.join(start(steps_per_second=20.0))
    for _ in range(60):
        engine.tick()
    assert engine.controls.step[session.slot] == 20


def test_strides_are_the_sessions_own(engine: Engine) -> None:
    slow, fast = engine.join(start(stride=1)), engine.join(start(stride=7))
    engine.tick()
    result = engine.tick()
    assert time_step(result, slow) == (299, 299)
    assert time_step(result, fast) == (293, 293)


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


def test_a_bad_start_opens_nothing(engine: Engine) -> None:
    with pytest.raises(InvalidValueError, match=r"settings\.label 10"):
        engine.join(start(label=10))
    assert not engine.sessions


def test_a_command_waits_for_its_step_and_one_that_is_late_is_rejected(engine: Engine) -> None:
    session = engine.join(start())
    send(engine, session, m.Inject(None, 3.0), at_step=4)
    landed = []
    for _ in range(6):
        frames = engine.tick().frames
        assert frames is not None
        landed.append((int(frames.steps[0]), int(frames.landed[0])))
    assert landed == [(0, 0), (1, 0), (2, 0), (3, 0), (4, 1), (5, 1)]
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


def test_a_full_engine_says_how_many_it_serves_and_a_leave_makes_room(engine: Engine) -> None:
    sessions = [engine.join(m.Start()) for _ in range(8)]
    with pytest.raises(ServerFullError, match="8 sessions"):
        engine.join(m.Start())
    engine.leave(sessions[3])
    engine.leave(sessions[3])
    again = engine.join(m.Start())
    assert again.slot == sessions[3].slot
    send(engine, sessions[3], m.Pause())  # of a session that is gone: ignored
    engine.tick()
    assert engine.controls.motion[again.slot] == m.Motion.REVERSE


def test_a_flood_of_rejected_commands_takes_no_room(engine: Engine) -> None:
    session = engine.join(start())
    send(engine, session, m.Pause(), at_step=1_000_000)
    for sequence in range(2, 5000):
        engine.submit(session, Pending(sequence, Skip()))
    assert [pending.sequence for pending in session.pending] == [1, 4999]


def test_guidance_mixes_two_predictions(engine: Engine) -> None:
    session = engine.join(start(label=2))
    slots = torch.tensor([session.slot])

    def prediction(label: int, guidance: float) -> torch.Tensor:
        return engine.predict_x0(slots, np.array([label]), np.array([guidance], np.float32))

    torch.testing.assert_close(prediction(2, 0.0), prediction(-1, 1.0))
    assert not torch.allclose(prediction(2, 1.0), prediction(-1, 1.0))
    assert not torch.allclose(prediction(2, 3.0), prediction(2, 1.0))


def test_a_model_without_examples_refuses_them(tmp_path: Path) -> None:
    engine = Engine(tiny_model(tmp_path, examples=False), CPU, 2, 60.0)
    with pytest.raises(InvalidValueError, match="no examples"):
        engine.join(m.Start(origin=m.Origin(m.Example())))
