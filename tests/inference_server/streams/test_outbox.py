"""Backpressure: a window of frames, the newest of the rest, and nothing else is kept."""

from __future__ import annotations

import numpy as np
import pytest

from diffusion_toy.contract.messages import Rejected, Schedule, ScheduleName
from diffusion_toy.errors import InvalidValueError
from inference_server.streams.outbox import CONTROL_MESSAGES_MAX, FrameRecord, Outbox, StalledClientError
from tests.inference_server.streams.frames import frame_batch


def record(number: int) -> FrameRecord:
    return FrameRecord(frame_batch(number), 0)


def taken(outbox: Outbox) -> list[int]:
    numbers = []
    while (message := outbox.take()) is not None:
        assert isinstance(message, FrameRecord)
        numbers.append(message.number)
    return numbers


def rejected() -> Rejected:
    return Rejected(1, "f", "v", "l", "m")


def test_a_client_that_keeps_up_gets_every_frame() -> None:
    outbox = Outbox(2)
    for number in range(1, 50):
        outbox.offer_frame(record(number))
        assert taken(outbox) == [number]
        outbox.acknowledge(number)
    assert outbox.dropped == 0


def test_a_stalled_client_gets_its_window_and_then_the_newest() -> None:
    outbox = Outbox(3)
    sent = []
    for number in range(1, 1000):
        outbox.offer_frame(record(number))
        sent += taken(outbox)
    assert sent == [1, 2, 3]
    assert outbox.unacknowledged == 3
    assert outbox.dropped == 995
    outbox.acknowledge(1)
    assert taken(outbox) == [999]


def test_an_acknowledgement_covers_all_before_it_and_may_be_repeated() -> None:
    outbox = Outbox(4)
    for number in range(1, 5):
        outbox.offer_frame(record(number))
        taken(outbox)
    outbox.acknowledge(3)
    outbox.acknowledge(2)
    assert outbox.unacknowledged == 1


def test_a_frame_that_was_never_sent_cannot_be_acknowledged() -> None:
    outbox = Outbox(1)
    outbox.offer_frame(record(1))
    taken(outbox)
    with pytest.raises(InvalidValueError, match="frame_number 2"):
        outbox.acknowledge(2)


def test_answers_pass_a_full_window_but_not_without_bound() -> None:
    outbox = Outbox(1)
    outbox.offer_frame(record(1))
    outbox.offer_frame(record(2))
    taken(outbox)
    outbox.offer(rejected())
    assert outbox.take() == rejected()
    for _ in range(CONTROL_MESSAGES_MAX - 1):  # one was sent, and is not known to have been read
        outbox.offer(rejected())
    with pytest.raises(StalledClientError):
        outbox.offer(rejected())


def test_of_many_schedules_that_wait_only_the_newest_is_kept_and_it_comes_before_the_next_frame() -> None:
    outbox = Outbox(1)
    outbox.offer_frame(record(1))
    for _ in range(10 * CONTROL_MESSAGES_MAX):
        newest = Schedule(ScheduleName.LINEAR, np.ones(3))
        outbox.offer(newest)
    assert outbox.waiting
    assert outbox.take() is newest
    assert taken(outbox) == [1]
    assert not outbox.waiting
