"""Who is let in, and how sessions are detached, restored, branched and told about. No thread, no clock."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from diffusion_toy.contract import messages as m
from diffusion_toy.errors import InvalidValueError
from inference_server.engine.engine import Engine, EngineConfig
from inference_server.engine.errors import NotHereError, ServerFullError
from inference_server.engine.session import SessionSnapshot
from tests.inference_server.engine.engines import engine_of, picture, send, start
from tests.models import tiny_model


def test_a_bad_start_opens_nothing(engine: Engine) -> None:
    with pytest.raises(InvalidValueError, match=r"settings\.label 10"):
        engine.join(start(label=10))
    assert not engine.sessions


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


def test_a_session_of_a_faster_server_is_restored_and_goes_on_as_fast_as_this_one_can(tmp_path: Path) -> None:
    fast, slow = (engine_of(tiny_model(tmp_path), EngineConfig(4, rate)) for rate in (60.0, 30.0))
    session, leisurely = fast.join(start(label=4)), fast.join(start(steps_per_second=10.0))
    snapshot, other = fast.snapshots([session, leisurely])
    restored = slow.restore(snapshot)
    assert restored.settings == replace(session.settings, steps_per_second=30.0)
    assert slow.restore(snapshot, branch_seed=1).settings == restored.settings
    assert slow.restore(other).settings == leisurely.settings
    slow.tick()
    assert int(slow.controls.step[restored.slot]) == 1


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


def test_who_watched_a_session_that_has_ended_is_counted_no_more(engine: Engine) -> None:
    session, other = engine.join(start()), engine.join(start())
    engine.add_watchers(session, 2)
    engine.add_watchers(other, 1)
    engine.leave(session)
    assert engine.num_watchers == 1
    following = engine.join(start())
    assert following.slot == session.slot
    engine.add_watchers(session, -2)  # their streams end later
    assert engine.num_watchers == 1


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
