"""The commands of a tick: how much of it they may take, and that sessions share it. Counts only, no clock."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from diffusion_toy.contract import messages as m
from diffusion_toy.errors import InvalidValueError
from inference_server.engine.commands import INJECTIONS_PER_TICK
from inference_server.engine.engine import Engine, EngineConfig
from inference_server.engine.session import Session
from tests.inference_server.engine.engines import engine_of, send, start
from tests.models import tiny_model

NEIGHBOURS, FLOOD = 20, 60
LINEAR = m.SettingsChange(schedule=m.ScheduleName.LINEAR, num_time_steps=1000)
COSINE = m.SettingsChange(schedule=m.ScheduleName.COSINE, num_time_steps=300)

FLOODS: dict[str, Callable[[int], m.Command]] = {
    "inject": lambda number: m.Inject(m.Disc(0.5, 0.5, 0.3), 1.0),
    "jump": lambda number: m.Jump(time_step=300.0),
    "restart": lambda number: m.Restart(seed=number),
    "configure": lambda number: m.Configure(LINEAR if number % 2 else COSINE),
    "bad": lambda number: m.Jump(step=10_000),
    "pause": lambda number: m.Pause(),
}


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return engine_of(tiny_model(tmp_path), EngineConfig(NEIGHBOURS + 1))


def applied_of(engine: Engine, session: Session) -> int:
    return engine.applied_of(session)


@pytest.mark.parametrize("name", FLOODS)
def test_a_viewer_steps_in_every_tick_and_is_heard_beside_twenty_floods(engine: Engine, name: str) -> None:
    floods = [engine.join(start()) for _ in range(NEIGHBOURS)]
    viewer = engine.join(start())
    engine.tick()
    for session in floods:
        send(engine, session, *(FLOODS[name](number) for number in range(FLOOD)))
    # A round of everybody costs so many ticks at most; nobody waits longer for one command.
    budget, cost = engine._commands._budget, 0.0
    cost = sum(budget.cost_us(FLOODS[name](0), first_injection=True) for _ in range(NEIGHBOURS + 1))
    round_ticks = int(cost / budget.microseconds) + 2
    for _ in range(3):
        send(engine, viewer, m.Inject(m.Disc(0.2, 0.2, 0.1), 1.0))
        sent, step = applied_of(engine, viewer) + 1, int(engine.controls.step[viewer.slot])
        for _ in range(round_ticks):
            engine.tick()
            if applied_of(engine, viewer) == sent:
                break
        else:
            pytest.fail(f"not applied within {round_ticks} ticks")
        assert engine.controls.step[viewer.slot] > step


@pytest.mark.parametrize("name", FLOODS)
def test_the_commands_of_a_tick_cost_no_more_than_its_budget(engine: Engine, name: str) -> None:
    floods = [engine.join(start()) for _ in range(NEIGHBOURS)]
    engine.tick()
    for session in floods:
        send(engine, session, *(FLOODS[name](number) for number in range(FLOOD)))
    budget = engine._commands._budget
    most = budget.microseconds / budget.cost_us(FLOODS[name](0)) + 1
    before = [applied_of(engine, session) for session in floods]
    engine.tick()
    taken = [applied_of(engine, session) - was for session, was in zip(floods, before, strict=True)]
    assert 1 <= sum(taken) <= most


def test_sessions_get_equal_shares_of_the_budget(engine: Engine) -> None:
    floods = [engine.join(start()) for _ in range(NEIGHBOURS)]
    engine.tick()
    for session in floods:
        send(engine, session, *(FLOODS["jump"](number) for number in range(FLOOD)))
    for _ in range(25):
        engine.tick()
        taken = [applied_of(engine, session) for session in floods]
        assert max(taken) - min(taken) <= 1
    assert min(taken) > 2


def test_what_is_left_over_is_applied_later_in_order(engine: Engine) -> None:
    session = engine.join(start())
    seeds = list(range(100, 130))
    engine.tick()
    send(engine, session, *(m.Restart(seed=seed) for seed in seeds))
    seen = []
    while engine._commands.ready:
        engine.tick()
        seen.append(int(engine.controls.seed[session.slot]))
    assert len(seen) > 2
    assert seen == sorted(seen)
    assert seen[-1] == seeds[-1]


def test_a_step_waits_for_the_commands_that_are_meant_for_it(engine: Engine) -> None:
    session, other = engine.join(start()), engine.join(start())
    engine.tick()
    number = 3 * INJECTIONS_PER_TICK
    send(engine, session, *[m.Inject(m.Disc(0.5, 0.5, 0.3), 1.0)] * number, at_step=4)
    others_steps = []
    while applied_of(engine, session) < number:
        result = engine.tick()
        assert not result.events, "rejected: the step was taken before its commands"
        others_steps.append(int(engine.controls.step[other.slot]))
    assert [applied.step for applied in session.applied] == [4] * number
    assert others_steps == list(range(2, 2 + len(others_steps))), "the others have waited too"
    step = int(engine.controls.step[session.slot])
    engine.tick()
    assert engine.controls.step[session.slot] == step + 1


def test_what_no_session_can_be_asked_for_is_refused_before_it_waits(engine: Engine) -> None:
    for command, field in (
        (m.Restart(origin=m.Origin(m.Pixels(b"123"))), r"restart\.origin\.pixels"),
        (m.Restart(origin=m.Origin(m.Example(10))), r"restart\.origin\.example\.label"),
        (m.Configure(m.SettingsChange(label=10)), r"settings\.label"),
        (m.Configure(m.SettingsChange(steps_per_second=61.0)), r"settings\.steps_per_second"),
    ):
        with pytest.raises(InvalidValueError, match=field):
            engine.check(command)
    engine.check(m.Restart(origin=m.Origin(m.Example(9))))


def test_a_slow_machine_applies_fewer_commands_in_a_tick_but_always_some(tmp_path: Path) -> None:
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += 1e-3  # each look at it
        return now

    engine = engine_of(tiny_model(tmp_path), EngineConfig(NEIGHBOURS + 1), clock=clock)
    floods = [engine.join(start()) for _ in range(NEIGHBOURS)]
    engine.tick()
    for session in floods:
        send(engine, session, *[m.Pause()] * FLOOD)
    for ticks in range(1, 6):
        engine.tick()
        taken = sum(applied_of(engine, session) for session in floods)
        assert ticks <= taken <= 4 * ticks
