"""Between the engine's thread and the event loop: the newest frame only, and nothing left behind."""

from __future__ import annotations

import asyncio

import pytest

from diffusion_toy.contract import messages as m
from inference_server.engine.frames import TickResult
from inference_server.engine.session import Event, Session
from inference_server.streams.delivery import Connection, Delivery
from inference_server.streams.outbox import FrameRecord
from tests.inference_server.streams.frames import any_session, frame_batch


def tick(number: int, *sessions: Session) -> TickResult:
    return TickResult(frame_batch(number, sessions))


async def test_a_loop_that_is_behind_gets_the_newest_frame_once() -> None:
    delivery, connection, mine = Delivery(asyncio.get_running_loop()), Connection(4), any_session()
    delivery.connect(mine, connection)
    for number in range(1, 100):  # the loop runs nothing in between
        delivery.publish(tick(number, mine))
    message = await connection.next()
    assert isinstance(message, FrameRecord)
    assert message.number == 99
    assert connection.outbox.dropped == 0


async def test_nothing_is_kept_of_sessions_that_are_gone_or_were_never_connected() -> None:
    delivery, gone, other = Delivery(asyncio.get_running_loop()), any_session(), any_session()
    connection = Connection(4)
    delivery.connect(gone, connection)
    delivery.publish(tick(1, gone, other))
    assert delivery.disconnect(gone, connection)
    delivery.publish(tick(2, gone, other))
    await asyncio.sleep(0)
    assert not delivery._frames
    assert not delivery._audiences


async def test_events_arrive_in_order_and_before_the_frame_they_belong_to() -> None:
    delivery, connection, mine = Delivery(asyncio.get_running_loop()), Connection(4), any_session()
    delivery.connect(mine, connection)
    rejected = [m.Rejected(i, "f", "v", "l", "m") for i in range(2)]
    result = tick(1, mine)
    result.events.extend(Event(mine, message) for message in rejected)
    delivery.publish(result)
    assert [await connection.next() for _ in range(2)] == rejected
    assert isinstance(await connection.next(), FrameRecord)


async def test_closing_all_ends_every_stream_with_the_reason() -> None:
    delivery, connection = Delivery(asyncio.get_running_loop()), Connection(4)
    delivery.connect(any_session(), connection)
    delivery.close_all(RuntimeError("over"))
    delivery.close_all(None)  # the first call counts
    with pytest.raises(RuntimeError, match="over"):
        await connection.next()
