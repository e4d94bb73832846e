"""The engine's rules: what a tick applies, publishes and steps. No thread, no socket, no clock."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from diffusion_toy.contract import messages as m
from diffusion_toy.diffusion.process import x0_of_velocity
from diffusion_toy.diffusion.sampling import SamplingPlan, sample, step_noise
from diffusion_toy.diffusion.schedule import make_schedule
from diffusion_toy.errors import InvalidValueError
from inference_server.engine.engine import Engine, EngineConfig
from inference_server.engine.session import Session
from tests.inference_server.engine.engines import engine_of, picture, run_out, send, start, time_step
from tests.models import tiny_model


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


def test_guidance_mixes_two_predictions(engine: Engine) -> None:
    session = engine.join(start(label=2))
    torch.testing.assert_close(prediction(engine, session, 2, 0.0), prediction(engine, session))
    assert not torch.allclose(prediction(engine, session, 2, 1.0), prediction(engine, session))
    assert not torch.allclose(prediction(engine, session, 2, 3.0), prediction(engine, session, 2, 1.0))


def test_a_model_without_examples_refuses_them(tmp_path: Path) -> None:
    engine = engine_of(tiny_model(tmp_path, examples=False), EngineConfig(2))
    with pytest.raises(InvalidValueError, match="no examples"):
        engine.join(m.Start(origin=m.Origin(m.Example())))


@pytest.mark.parametrize("sampler", [m.Sampler.DPMPP, m.Sampler.SDE_DPMPP])
def test_dpm_solver_is_the_one_that_samples_offline(tmp_path: Path, sampler: m.Sampler) -> None:
    model = tiny_model(tmp_path)
    engine = engine_of(model, EngineConfig(4))
    session = engine.join(start(sampler=sampler, stride=30))
    x_T = picture(engine, session)[None]
    plan = SamplingPlan(sampler, 10)
    noise = step_noise(torch.tensor([session.seed]), tuple(x_T.shape[1:]))
    moments = list(sample(model.network, x_T, torch.tensor([10]), 10, make_schedule(), plan, noise))
    for moment in moments[:-1]:
        torch.testing.assert_close(picture(engine, session), moment.x_t[0], atol=2e-4, rtol=1e-3)
        engine.tick()
