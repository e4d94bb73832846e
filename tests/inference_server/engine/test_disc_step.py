"""A step of a disc: inside it is the step, outside of it nothing happens, and it is a step like any other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from diffusion_toy.contract import messages as m
from inference_server.engine.engine import Engine, EngineConfig
from inference_server.engine.session import Session
from tests.inference_server.engine.engines import (
    engine_of,
    picture,
    run_out,
    send,
    time_step,
    under,
    whole_state,
)
from tests.models import tiny_model

DISC = m.Disc(0.4, 0.6, 0.3)
AT_THE_BORDER = m.Disc(1.0, 0.0, 0.25)


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    """One whose network takes each row by itself, so that equal rows are equal to the bit."""
    return engine_of(tiny_model(tmp_path), EngineConfig(8), (1,))


def paused(engine: Engine, **changes: object) -> Session:
    """A session at rest at t = 150 of 300, of a real picture."""
    settings = m.SettingsChange(**changes)  # type: ignore[arg-type]
    origin = m.Origin(m.Example(3), 150.0)
    session = engine.join(m.Start(seed=1, origin=origin, settings=settings, motion=m.Motion.PAUSED))
    engine.tick()
    return session


def levels(engine: Engine, session: Session) -> torch.Tensor:
    """The session's time steps, (H, W)."""
    return torch.from_numpy(engine.state.time_steps(np.array([session.slot]))[0])


@pytest.mark.parametrize("sampler", list(m.Sampler))
@pytest.mark.parametrize("direction", [m.Motion.REVERSE, m.Motion.FORWARD])
@pytest.mark.parametrize("disc", [DISC, AT_THE_BORDER])
def test_only_the_pixels_of_the_disc_take_the_step(
    engine: Engine, disc: m.Disc, direction: m.Motion, sampler: m.Sampler
) -> None:
    session, whole = paused(engine, sampler=sampler, stride=7), paused(engine, sampler=sampler, stride=7)
    before, inside = whole_state(engine, session), under(disc)
    send(engine, session, m.Step(direction, disc))
    send(engine, whole, m.Step(direction))
    run_out(engine)
    after = whole_state(engine, session)
    assert torch.equal(after[:, ~inside], before[:, ~inside])  # picture, level, gain and noise variance
    assert torch.equal(after[:, inside], whole_state(engine, whole)[:, inside])
    assert (after[0] != before[0])[inside].all()
    moved = 143 if direction is m.Motion.REVERSE else 157
    assert levels(engine, session)[inside].tolist() == [moved] * int(inside.sum())


def test_it_counts_rests_and_is_undone(engine: Engine) -> None:
    session = paused(engine)
    before = whole_state(engine, session)
    send(engine, session, m.Step(disc=DISC))
    assert time_step(run_out(engine), session) == (149, 150)
    send(engine, session, m.Step(disc=DISC))
    result = run_out(engine)
    assert result.frames is not None
    assert (result.frames.steps.tolist(), result.frames.idle.tolist()) == ([2], [True])
    assert result.frames.motion.tolist() == [m.Motion.PAUSED]
    assert time_step(result, session) == (148, 150)
    send(engine, session, m.Back(), m.Back())
    run_out(engine)
    assert torch.equal(whole_state(engine, session), before)
    assert engine.controls.step[session.slot] == 0


def test_the_next_step_is_of_all_pixels_again(engine: Engine) -> None:
    session = paused(engine)
    send(engine, session, m.Step(disc=DISC), m.Step())
    run_out(engine)
    expected = torch.where(under(DISC), 148.0, 149.0)
    assert torch.equal(levels(engine, session), expected)


def test_a_picture_goes_on_from_a_disc_as_if_it_had_been_restored_there(engine: Engine) -> None:
    session = paused(engine)
    send(engine, session, m.Step(disc=DISC))
    run_out(engine)
    twin = engine.restore(engine.snapshots([session])[0], branch_seed=session.seed)
    send(engine, session, m.Play())
    send(engine, twin, m.Play())
    for _ in range(5):
        engine.tick()
    assert torch.equal(whole_state(engine, session), whole_state(engine, twin))


def test_in_a_disc_dpm_solver_steps_like_ddim_and_so_it_does_right_after(engine: Engine) -> None:
    second, first = (
        paused(engine, sampler=sampler, stride=20) for sampler in (m.Sampler.DPMPP, m.Sampler.DDIM)
    )
    for disc in (None, DISC, None):  # the step before has left a prediction for the second one
        for session in (second, first):
            send(engine, session, m.Step(disc=disc))
        run_out(engine)
        assert torch.equal(picture(engine, second), picture(engine, first))


def test_nor_is_a_disc_of_all_pixels_of_second_order(engine: Engine) -> None:
    second, first = (
        paused(engine, sampler=sampler, stride=20) for sampler in (m.Sampler.DPMPP, m.Sampler.DDIM)
    )
    everywhere = m.Disc(0.5, 0.5, 1.0)
    assert under(everywhere).all()
    for disc, alike in ((None, True), (everywhere, True), (None, True), (None, False)):
        for session in (second, first):
            send(engine, session, m.Step(disc=disc))
        run_out(engine)
        assert torch.equal(picture(engine, second), picture(engine, first)) == alike


@pytest.mark.parametrize("stride", [1, 1000])
def test_pixels_that_are_clean_stay_as_they_are(engine: Engine, stride: int) -> None:
    change = m.SettingsChange(stride=stride)
    session = engine.join(m.Start(origin=m.Origin(m.Example(), 0.0), settings=change))
    noisy = m.Disc(0.25, 0.25, 0.15)
    send(engine, session, m.Pause(), m.Inject(noisy, 50.0))
    run_out(engine)
    before = whole_state(engine, session)
    send(engine, session, m.Step(disc=m.Disc(0.75, 0.75, 0.15)))
    run_out(engine)
    assert torch.equal(whole_state(engine, session), before)
    assert engine.controls.step[session.slot] == 1  # a step has been taken, of nothing
    half = m.Disc(0.4, 0.4, 0.2)
    send(engine, session, m.Step(disc=half))
    run_out(engine)
    moved = whole_state(engine, session)[1] != before[1]
    assert torch.equal(moved, under(noisy) & under(half))
    assert moved.any()


def test_where_everything_is_at_its_end_there_is_no_step(engine: Engine) -> None:
    session = engine.join(m.Start(origin=m.Origin(m.Example(), 0.0), motion=m.Motion.PAUSED))
    send(engine, session, m.Step(disc=DISC), m.Play(m.Motion.FORWARD))
    engine.tick()
    assert engine.controls.step[session.slot] == 0
    engine.tick()
    assert levels(engine, session).amin() == levels(engine, session).amax() == 1  # the disc is forgotten


def test_discs_of_several_sessions_are_each_ones_own(engine: Engine) -> None:
    sessions = [paused(engine) for _ in range(4)]
    discs = [DISC, None, AT_THE_BORDER, m.Disc(0.5, 0.5, 0.01)]
    before = [whole_state(engine, session) for session in sessions]
    for session, disc in zip(sessions, discs, strict=True):
        send(engine, session, m.Step(disc=disc))
    run_out(engine)
    for session, disc, state in zip(sessions, discs, before, strict=True):
        everything = torch.ones(28, 28, dtype=torch.bool)
        inside = everything if disc is None else under(disc)
        assert torch.equal(whole_state(engine, session)[1] != state[1], inside)


def test_a_small_disc_may_hold_no_pixel_at_all(engine: Engine) -> None:
    session = paused(engine)
    before = whole_state(engine, session)
    send(engine, session, m.Step(disc=m.Disc(0.5, 0.5, 0.001)))
    run_out(engine)
    assert torch.equal(whole_state(engine, session), before)
    assert engine.controls.step[session.slot] == 1


def test_a_token_after_it_has_the_step_taken_and_rests(engine: Engine) -> None:
    session = paused(engine)
    send(engine, session, m.Step(disc=DISC))
    engine.tick()
    snapshot = engine.snapshots([session])[0]  # before the last frame has been shown
    assert (snapshot.step, snapshot.motion) == (1, m.Motion.PAUSED)
    twin = engine.restore(snapshot, branch_seed=5)
    run_out(engine)
    assert torch.equal(whole_state(engine, session), whole_state(engine, twin))
    assert engine.controls.step[[session.slot, twin.slot]].tolist() == [1, 1]


def test_a_state_that_would_not_be_finite_is_not_taken_over(engine: Engine) -> None:
    session, other = paused(engine), paused(engine)
    engine.state.x[session.slot, 0, 14, 10] = float("inf")
    before = whole_state(engine, session)
    send(engine, session, m.Step(disc=DISC))
    send(engine, other, m.Step(disc=DISC))
    assert engine.tick().broken == 1
    np.testing.assert_array_equal(whole_state(engine, session).numpy(), before.numpy())
    assert torch.equal(levels(engine, other) == 149, under(DISC))
