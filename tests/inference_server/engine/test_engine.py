"""The engine's rules: what a tick applies, publishes and steps. No thread, no socket, no clock."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from diffusion_toy.contract import messages as m
from diffusion_toy.diffusion.process import x0_of_velocity
from diffusion_toy.diffusion.sampling import SamplingPlan, sample
from diffusion_toy.diffusion.schedule import make_schedule
from diffusion_toy.errors import InvalidValueError
from inference_server.engine.engine import Engine, EngineConfig
from inference_server.engine.errors import NotHereError, ServerFullError
from inference_server.engine.pending import Pending, Skip
from inference_server.engine.session import Session, SessionSnapshot
from tests.inference_server.engine.engines import engine_of, picture, run_out, send, start, time_step
from tests.models import tiny_model


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return engine_of(tiny_model(tmp_path), EngineConfig(8))


def prediction(engine: Engine, session: Session, label: int = -1, guidance: float = 1.0) -> torch.Tensor:
    """The engine's x̂0 of a session as it is now."""
    state = engine.state.state[[session.slot]]
    v, _ = engine.predict_v(state, np.array([label]), np.array([guidance], np.float32))
    x0_hat = x0_of_velocity(state[:, :1], v, state[:, 1:2])
    return torch.from_numpy(x0_hat).clamp(-1, 1)


def test_a_session_goes_from_noise_to_clean_and_then_rests(engine: Engine) -> None:
    session = engine.join(start(num_time_steps=20))
    first = engine.tick()
    assert time_step(first, session) == (20, 20)
    last = run_out(engine)
    assert last.frames is not None
    assert time_step(last, session) == (0, 0)
    assert last.frames.idle.tolist() == [True]
    assert last.frames.steps.tolist() == [20]
    assert last.frames.numbers.tolist() == [21]
    assert engine.tick().frames is None


def test_a_frame_shows_the_picture_before_its_step_with_its_own_prediction(engine: Engine) -> None:
    session = engine.join(start())
    before = picture(engine, session)
    expected = prediction(engine, session)
    frames = engine.tick().frames
    assert frames is not None
    pixels = frames.pixels[0]
    np.testing.assert_array_equal(pixels[:784], before.half().numpy().ravel())
    np.testing.assert_array_equal(pixels[784 : 2 * 784], expected[0].half().numpy().ravel())
    assert not torch.equal(picture(engine, session), before)


def test_the_same_seed_and_commands_give_the_same_picture_whoever_else_is_there(tmp_path: Path) -> None:
    def play(company: int) -> torch.Tensor:
        engine = engine_of(tiny_model(tmp_path), EngineConfig(8))
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
    assert frames.applied.tolist() == [3]
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
    assert np.abs(engine.state.g[slot]).max() < 1e-5


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
    assert any(np.array_equal(shown, image) for image in of_class)


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
    torch.testing.assert_close(prediction(engine, session, 2, 0.0), prediction(engine, session))
    assert not torch.allclose(prediction(engine, session, 2, 1.0), prediction(engine, session))
    assert not torch.allclose(prediction(engine, session, 2, 3.0), prediction(engine, session, 2, 1.0))


def test_a_model_without_examples_refuses_them(tmp_path: Path) -> None:
    engine = engine_of(tiny_model(tmp_path, examples=False), EngineConfig(2))
    with pytest.raises(InvalidValueError, match="no examples"):
        engine.join(m.Start(origin=m.Origin(m.Example())))


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


def test_a_restart_forgets_the_states(engine: Engine) -> None:
    session = engine.join(start())
    for _ in range(5):
        engine.tick()
    send(engine, session, m.Restart(), m.Back())
    rejected = engine.tick().events[0].message
    assert isinstance(rejected, m.Rejected)
    assert rejected.field == "back"


@pytest.mark.parametrize("sampler", list(m.Sampler))
def test_a_restored_session_goes_on_bit_for_bit(tmp_path: Path, sampler: m.Sampler) -> None:
    engine = engine_of(tiny_model(tmp_path), EngineConfig(4))
    session = engine.join(start(sampler=sampler, stride=5, label=4))
    for tick in range(12):
        if tick == 3:
            send(engine, session, m.Inject(m.Disc(0.5, 0.5, 0.3), 20.0))
        engine.tick()
    snapshot = engine.snapshots([session])[0]
    other = engine_of(tiny_model(tmp_path), EngineConfig(4))
    restored = other.restore(snapshot)
    assert restored.id == session.id
    for one, its in ((engine, session), (other, restored)):
        send(one, its, m.Inject(m.Disc(0.2, 0.5, 0.3), 20.0))
        for _ in range(6):
            one.tick()
    assert torch.equal(picture(engine, session), picture(other, restored))
    assert engine.controls.applied[session.slot] == other.controls.applied[restored.slot]


def test_a_branch_is_another_session_with_noise_of_its_own(engine: Engine) -> None:
    session = engine.join(start())
    for _ in range(5):
        engine.tick()
    branch = engine.restore(engine.snapshots([session])[0], branch_seed=99)
    assert torch.equal(picture(engine, session), picture(engine, branch))
    assert branch.id != session.id
    engine.tick()
    assert not torch.equal(picture(engine, session), picture(engine, branch))


def test_a_restored_session_takes_a_second_order_step_like_the_one_it_was(engine: Engine) -> None:
    session = engine.join(start(sampler=m.Sampler.DPMPP, stride=20))
    for _ in range(3):
        engine.tick()
    snapshot = engine.snapshots([session])[0]
    engine.tick()
    expected = picture(engine, session)
    engine.leave(session)
    again = engine.restore(snapshot)
    engine.tick()
    assert torch.equal(picture(engine, again), expected)


def test_after_a_jump_into_noise_dpm_solver_begins_anew(tmp_path: Path) -> None:
    engine = engine_of(tiny_model(tmp_path), EngineConfig(4), (1,))
    session = engine.join(start(sampler=m.Sampler.DPMPP, stride=40))
    for _ in range(3):
        engine.tick()
    send(engine, session, m.Jump(time_step=200.0))  # below the level of the prediction before
    engine.tick()
    forgetful = engine.restore(engine.snapshots([session])[0], branch_seed=1)
    engine.state.forget_earlier(forgetful.slot)
    for one in (session, forgetful):
        send(engine, one, m.Step())
    engine.tick()
    assert torch.equal(picture(engine, session), picture(engine, forgetful))


def test_a_session_whose_schedule_has_become_shorter_than_its_origin_is_restored(engine: Engine) -> None:
    session = engine.join(m.Start(seed=5, origin=m.Origin(m.PureNoise(), 250.0)))
    send(engine, session, m.Configure(m.SettingsChange(num_time_steps=100)))
    engine.tick()
    again = engine.restore(engine.snapshots([session])[0], branch_seed=1)
    assert again.origin == session.origin


def test_who_watches_is_not_confused_by_numbers_that_begin_again(engine: Engine) -> None:
    session = engine.join(start())
    for _ in range(5):
        engine.tick()
    engine.add_watchers(session, 1)
    engine.detach(session)
    engine.reattach(session)
    frames = engine.tick().frames
    assert frames is not None
    assert int(frames.numbers[0]) == 6


def test_a_detached_session_takes_no_command(engine: Engine) -> None:
    session = engine.join(start())
    engine.tick()
    engine.detach(session)
    send(engine, session, m.Restart(7))
    assert engine.idle
    engine.reattach(session)
    engine.tick()
    assert session.seed != 7


def test_a_snapshot_of_another_model_or_of_another_size_is_refused(engine: Engine, tmp_path: Path) -> None:
    snapshot = engine.snapshots([engine.join(start())])[0]
    with pytest.raises(NotHereError, match="made with the model"):
        engine.restore(replace(snapshot, fingerprint="0" * 16))
    for state in (snapshot.state[:-1], np.full_like(snapshot.state, np.nan)):
        with pytest.raises(InvalidValueError, match="resume_token"):
            engine.restore(replace(snapshot, state=state))
    assert len(engine.sessions) == 1
    for seed in range(7):  # no slot was lost
        engine.join(m.Start(seed=seed))


def test_a_detached_session_rests_and_goes_on_where_it_was(engine: Engine) -> None:
    session = engine.join(start())
    for _ in range(5):
        engine.tick()
    before = picture(engine, session)
    assert engine.detach(session)
    assert engine.idle
    assert engine.tick().frames is None
    engine.reattach(session)
    frames = engine.tick().frames
    assert frames is not None
    assert (int(frames.numbers[0]), int(frames.steps[0])) == (1, 5)
    assert torch.equal(torch.tensor(frames.pixels[0][:784].astype(np.float32)), before.half().float().ravel())


def test_a_newcomer_takes_the_seat_of_a_session_that_only_waits(engine: Engine) -> None:
    sessions = [engine.join(m.Start(seed=seed)) for seed in range(8)]
    with pytest.raises(ServerFullError):
        engine.join(m.Start())
    engine.detach(sessions[3])
    engine.join(m.Start())
    assert not engine.detach(sessions[3])
    assert engine.find(sessions[3].id) is None


def test_a_start_beyond_the_capacity_is_refused_and_so_is_a_wish_for_more(tmp_path: Path) -> None:
    engine = engine_of(tiny_model(tmp_path), EngineConfig(8, capacity=150))
    first = engine.join(start())
    engine.join(start())
    assert engine.share.demand == 120
    with pytest.raises(ServerFullError, match="serves 2 sessions"):
        engine.join(start())
    slow = engine.join(start(steps_per_second=30.0))
    send(engine, slow, m.Configure(m.SettingsChange(steps_per_second=60.0)))
    rejected = engine.tick().events[0].message
    assert isinstance(rejected, m.Rejected)
    assert "full" in rejected.message
    engine.leave(first)
    send(engine, slow, m.Configure(m.SettingsChange(steps_per_second=60.0)))
    assert not engine.tick().events


def test_somebody_alone_is_served_however_slow_the_machine(tmp_path: Path) -> None:
    engine = engine_of(tiny_model(tmp_path), EngineConfig(8, capacity=10))
    engine.join(start(label=1, guidance=3.0))
    assert engine.share.demand == 120


def test_snapshots_are_told_about_once_a_second_and_only_when_something_happened(tmp_path: Path) -> None:
    engine = engine_of(tiny_model(tmp_path), EngineConfig(4, token_period_s=1.0))
    session = engine.join(start())
    told = []
    for tick in range(125):
        told += [tick for event in engine.tick().events if isinstance(event.message, SessionSnapshot)]
    assert told == [0, 60, 120]
    send(engine, session, m.Pause())
    engine.tick()
    for _ in range(200):
        told += [1 for event in engine.tick().events if isinstance(event.message, SessionSnapshot)]
    assert len(told) <= 5


def test_dpm_solver_is_the_one_that_samples_offline(tmp_path: Path) -> None:
    model = tiny_model(tmp_path)
    engine = engine_of(model, EngineConfig(4))
    session = engine.join(start(sampler=m.Sampler.DPMPP, stride=30))
    x_T = picture(engine, session)[None]
    sampler = SamplingPlan(m.Sampler.DPMPP, 10)
    moments = list(
        sample(model.network, x_T, torch.tensor([10]), 10, make_schedule(), sampler, lambda _: torch.zeros(1))
    )
    for moment in moments[:-1]:
        torch.testing.assert_close(picture(engine, session), moment.x_t[0], atol=2e-4, rtol=1e-3)
        engine.tick()
