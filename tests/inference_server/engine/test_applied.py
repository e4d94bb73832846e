"""Which commands have been applied, and before which step: no frame that is replaced takes it along."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from diffusion_toy.contract import messages as m
from inference_server.engine.engine import Engine, EngineConfig
from inference_server.engine.frames import TickResult
from inference_server.engine.pending import Skip
from inference_server.engine.session import APPLIED_KEPT
from inference_server.streams.delivery import Connection, Delivery
from inference_server.streams.outbox import FrameRecord, Outbox
from tests.inference_server.engine.engines import applied, engine_of, send, start
from tests.inference_server.streams.frames import any_session, frame_batch
from tests.models import tiny_model


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return engine_of(tiny_model(tmp_path), EngineConfig(4))


# --- in the engine ---


def test_a_frame_lists_the_commands_that_were_applied_before_it_and_only_once(engine: Engine) -> None:
    session, other = engine.join(start()), engine.join(start())
    assert applied(engine.tick(), session) == []  # the start is none of them
    send(engine, session, m.Inject(None, 5.0), m.Configure(m.SettingsChange(stride=2)), m.Inject(None, 5.0))
    result = engine.tick()
    assert applied(result, session) == [(1, 1), (2, 1), (3, 1)]
    assert applied(result, other) == []
    send(engine, other, m.Inject(None, 5.0))
    result = engine.tick()
    assert applied(result, session) == []
    assert applied(result, other) == [(1, 2)]


def test_what_was_rejected_is_not_listed(engine: Engine) -> None:
    session = engine.join(start())
    send(engine, session, m.Configure(m.SettingsChange(label=10)), Skip(), m.Back(), m.Pause())
    result = engine.tick()
    assert result.frames is not None
    assert result.frames.applied.tolist() == [4]
    assert applied(result, session) == [(4, 0)]
    engine.tick()
    send(engine, session, m.Play())
    for _ in range(3):
        engine.tick()
    send(engine, session, m.Pause(), at_step=1)
    assert applied(engine.tick(), session) == []


def test_commands_for_a_step_are_listed_with_it(engine: Engine) -> None:
    session = engine.join(start())
    send(engine, session, m.Inject(None, 3.0), at_step=4)
    send(engine, session, m.Inject(None, 3.0), m.Step(), at_step=6)
    lists = [applied(engine.tick(), session) for _ in range(8)]
    assert lists == [[], [], [], [], [(1, 4)], [], [(2, 6), (3, 6)], []]


def test_a_restart_and_a_way_back_are_listed_with_the_step_they_were_made_at(engine: Engine) -> None:
    session = engine.join(start())
    for _ in range(5):
        engine.tick()
    send(engine, session, m.Back(), m.Jump(step=2), m.Restart(), m.Pause())
    assert applied(engine.tick(), session) == [(1, 5), (2, 4), (3, 2), (4, 0)]


def test_who_comes_back_is_told_the_last_commands_again(engine: Engine) -> None:
    session = engine.join(start())
    send(engine, session, m.Inject(None, 5.0))
    engine.tick()
    send(engine, session, m.Inject(None, 5.0))
    engine.tick()
    engine.detach(session)
    engine.reattach(session)
    engine.detach(session)  # it was broken off before a frame came
    engine.reattach(session)
    send(engine, session, m.Pause())
    assert applied(engine.tick(), session) == [(1, 0), (2, 1), (3, 2)]
    assert engine.tick().frames is None


def test_a_session_remembers_only_so_many(engine: Engine) -> None:
    session = engine.join(start())
    send(engine, session, *[m.Configure(m.SettingsChange(stride=2))] * (APPLIED_KEPT + 10))
    told = 0
    while engine._commands.ready:
        told += len(applied(engine.tick(), session))
    assert told == APPLIED_KEPT + 10
    engine.reattach(session)
    again = applied(engine.tick(), session)
    assert [sequence for sequence, _ in again] == list(range(11, APPLIED_KEPT + 11))


def test_the_next_in_a_slot_hears_nothing_of_the_one_before(engine: Engine) -> None:
    session = engine.join(start())
    send(engine, session, m.Pause())
    engine.tick()
    engine.reattach(session)
    engine.leave(session)
    following = engine.join(start())
    assert following.slot == session.slot
    assert applied(engine.tick(), following) == []


# --- on its way to the client ---


def record(number: int, *sequences: int) -> FrameRecord:
    commands = tuple(m.Applied(sequence, number) for sequence in sequences)
    return FrameRecord.of(frame_batch(number, applied={0: commands} if commands else {}), 0)


def sent(outbox: Outbox) -> list[int]:
    message = outbox.take()
    assert isinstance(message, FrameRecord)
    return [command.sequence for command in message.applied]


def test_a_frame_that_replaces_others_takes_over_their_lists_in_order() -> None:
    outbox = Outbox(1)
    outbox.offer_frame(record(1, 1))
    assert sent(outbox) == [1]
    outbox.offer_frame(record(2, 2, 3))
    outbox.offer_frame(record(3))
    outbox.offer_frame(record(4, 4))
    assert outbox.take() is None  # the window is full
    outbox.acknowledge(1)
    assert sent(outbox) == [2, 3, 4]
    outbox.acknowledge(4)
    outbox.offer_frame(record(5))
    assert sent(outbox) == []


def test_the_list_has_a_bound_and_the_oldest_go_first() -> None:
    outbox = Outbox(1)
    for number in range(50):
        outbox.offer_frame(record(number, *range(100 * number, 100 * (number + 1))))
    assert sent(outbox) == list(range(5000 - m.APPLIED_MAX, 5000))


async def test_a_loop_that_is_behind_and_every_onlooker_get_all_of_it() -> None:
    delivery, mine = Delivery(asyncio.get_running_loop()), any_session()
    driver, watcher = Connection(4), Connection(4)
    delivery.connect(mine, driver)
    delivery.watch(mine, watcher)
    for number in (1, 2, 3):  # the loop runs nothing in between
        commands = {0: (m.Applied(number, number),)} if number < 3 else {}
        delivery.publish(TickResult(frame_batch(number, [mine], commands)))
    for connection in (driver, watcher):
        message = await connection.next()
        assert isinstance(message, FrameRecord)
        assert (message.number, [one.sequence for one in message.applied]) == (3, [1, 2])
