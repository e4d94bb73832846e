"""Commands that wait: bounded in number and bytes, for a session and for the server, at every moment."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from diffusion_toy.contract import messages as m
from diffusion_toy.errors import InvalidValueError
from inference_server.engine.pending import (
    OVERHEAD_BYTES,
    Pending,
    PendingCommands,
    PendingLimits,
    SharedRoom,
    Skip,
)

TraceFunction = Callable[[FrameType, str, Any], Any]

SMALL = 100 - OVERHEAD_BYTES  # of a request, so that a command counts as 100 bytes


def fill(queue: PendingCommands, first: int = 1, size_bytes: int = SMALL, most: int = 10_000) -> int:
    """Put commands in until one is refused; return how many were taken."""
    for taken in range(most):
        try:
            queue.put(Pending(first + taken, m.Pause(), None, size_bytes))
        except InvalidValueError:
            return taken
    return most


def test_so_many_commands_wait_and_not_one_more() -> None:
    queue = PendingCommands(PendingLimits(commands=8))
    assert fill(queue) == 8
    with pytest.raises(InvalidValueError, match=r"commands beyond 8 waiting .*8.*applied_sequence"):
        queue.put(Pending(9, m.Pause()))
    queue.take()
    assert fill(queue, 9) == 1


def test_the_limit_holds_while_two_threads_put_and_take() -> None:
    queue, over, most = PendingCommands(PendingLimits(commands=16)), threading.Event(), 0

    def take() -> None:
        while not over.is_set() or queue.first is not None:
            if queue.first is not None:
                queue.take()

    taker = threading.Thread(target=take)
    taker.start()
    try:
        for sequence in range(1, 20_000):
            try:
                queue.put(Pending(sequence, m.Pause()))
            except InvalidValueError:
                queue.put(Pending(sequence, Skip()))
            most = max(most, sum(not isinstance(one.command, Skip) for one in queue))
    finally:
        over.set()
        taker.join()
    assert 1 < most <= 16
    assert queue.bytes == 0


def test_rejections_never_fill_a_queue_and_stand_for_those_before_them() -> None:
    queue = PendingCommands(PendingLimits(commands=1))
    queue.put(Pending(1, m.Pause()))
    for sequence in range(2, 50):
        queue.put(Pending(sequence, Skip()))
    assert [pending.sequence for pending in queue] == [1, 49]


def test_a_rejection_takes_the_place_of_another_while_the_engine_looks() -> None:
    queue = PendingCommands()
    seen: list[Pending | None] = []

    def look(frame: FrameType, event: str, value: object) -> TraceFunction:
        """Read the queue before each line of `put`, as the engine's thread may."""
        seen.append(queue.first)
        return look

    assert queue.put(Pending(1, Skip())) is True
    before = sys.gettrace()
    sys.settrace(look)
    try:
        again = queue.put(Pending(2, Skip()))
    finally:
        sys.settrace(before)
    assert again is False  # the engine knows that something waits
    assert seen
    assert None not in seen
    assert queue.first == Pending(2, Skip())


def test_bytes_are_bounded_for_a_session() -> None:
    queue = PendingCommands(PendingLimits(bytes=1000))
    assert fill(queue) == 10
    with pytest.raises(InvalidValueError, match=r"of 1100 bytes waiting .*1000 bytes for a session"):
        queue.put(Pending(11, m.Pause(), None, SMALL))


def test_bytes_are_bounded_for_the_server_and_each_session_is_sure_of_its_own() -> None:
    limits, room = PendingLimits(bytes=1000, sure_bytes=300), SharedRoom(1500)
    greedy = [PendingCommands(limits, room) for _ in range(3)]
    assert [fill(queue) for queue in greedy] == [10, 10, 4]  # 300 each, and 1,500 of the room
    late = PendingCommands(limits, room)
    assert fill(late) == 3
    with pytest.raises(InvalidValueError, match="300 bytes until others have been served"):
        late.put(Pending(4, m.Pause(), None, SMALL))
    greedy[0].close()
    assert fill(late, 4) == 7
    for queue in (*greedy, late):
        queue.close()
    assert room.taken_bytes == 0


def test_a_closed_queue_drops_what_still_comes() -> None:
    room = SharedRoom(1000)
    queue = PendingCommands(PendingLimits(sure_bytes=0), room)
    queue.put(Pending(1, m.Pause()))
    queue.close()
    assert queue.put(Pending(2, m.Pause())) is False
    assert (len(queue), room.taken_bytes) == (0, 0)


def test_the_engine_is_told_of_the_first_command_only() -> None:
    queue = PendingCommands()
    assert [queue.put(Pending(sequence, m.Pause())) for sequence in (1, 2)] == [True, False]
    queue.take(), queue.take()
    assert queue.put(Pending(3, m.Pause())) is True
