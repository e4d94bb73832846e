"""The pictures of a class wall: the newest of each session, and no work while nobody looks."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import numpy as np

from inference_server.engine.frames import FrameBatch, TickResult
from inference_server.engine.session import Session
from inference_server.streams.board import Board, BoardPicture
from inference_server.streams.delivery import Connection, Delivery
from tests.inference_server.streams.frames import any_session, frame_batch


def batch_of(value: float, *sessions: Session, idle: bool = False) -> FrameBatch:
    batch = frame_batch(1, sessions)
    return replace(batch, pixels=np.full_like(batch.pixels, value), idle=np.full(len(sessions), idle))


def test_pictures_are_bytes_and_stay_the_same_object_until_something_changes() -> None:
    board, mine = Board(), any_session()
    board.look()
    for value, byte in ((-1, 0), (-9, 0), (0, 128), (1, 255), (9, 255)):
        board.put(mine, batch_of(value, mine), 0)
        picture = board.pictures(9)[mine]
        assert picture.x_t == bytes([byte])
        assert board.pictures(9)[mine] is picture


def test_while_nobody_looks_only_the_pictures_of_sessions_at_rest_are_kept() -> None:
    board, plays, rests = Board(), any_session(), any_session()
    board.put(plays, batch_of(0, plays), 0)
    board.put(rests, batch_of(1, rests, idle=True), 0)
    assert set(board.pictures(9)) == {rests}
    board.look()
    board.put(plays, batch_of(0, plays), 0)
    assert len(board) == 2
    board.look_away()
    assert all(isinstance(one, BoardPicture) for one in board._newest.values())
    board.put(rests, batch_of(0, rests), 0)
    assert len(board) == 0


async def test_the_board_has_the_sessions_that_somebody_drives() -> None:
    board = Board()
    delivery = Delivery(asyncio.get_running_loop(), board)
    mine, strange, connection, watcher = any_session(), any_session(), Connection(4), Connection(4)
    board.look()
    delivery.connect(mine, connection)
    delivery.watch(mine, watcher)
    delivery.publish(TickResult(batch_of(0, mine, strange)))
    assert set(board.pictures(9)) == {mine}
    assert connection.outbox.unacknowledged == 0
    delivery.disconnect(mine, connection)
    delivery.publish(TickResult(batch_of(0, mine)))  # for the one who still watches
    assert len(board) == 0
