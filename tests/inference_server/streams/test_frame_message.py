"""The message that a stream fills anew for each frame tells nothing of the frame before."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from diffusion_toy.contract import messages as m
from inference_server.engine.readings import Readings
from inference_server.streams.frame_message import FrameMessage
from inference_server.streams.outbox import FrameRecord
from tests.inference_server.streams.frames import any_session, frame_batch


def records() -> tuple[FrameRecord, FrameRecord]:
    """Two frames that share no value, the second of which leaves out what it can."""
    applied = m.Applied(7, 4), m.Applied(8, 5)
    full, spare = frame_batch(5, [any_session()], {0: applied}), frame_batch(0, [any_session()])
    readings = Readings(*np.arange(1, 13, dtype=np.float32)[:, None])
    full = replace(
        full,
        pixels=np.ones((1, 3), np.float16),
        readings=readings,
        settings=[m.Settings(label=3, stride=2)],
        idle=np.array([True]),
    )
    half, nan = np.full(1, 0.5, np.float32), np.full(1, np.nan, np.float32)
    nothing = Readings(*[half] * 9, *[nan] * 3)
    return FrameRecord.of(full, 0), FrameRecord.of(replace(spare, readings=nothing), 0)


def test_a_frame_is_the_same_whatever_came_before() -> None:
    for first, second in (records(), records()[::-1]):
        message = FrameMessage()
        message.fill(first)
        assert message.fill(second) == FrameMessage().fill(second)


def test_what_has_been_applied_is_listed_in_one_frame_only() -> None:
    full, spare = records()
    message = FrameMessage()
    listed = [
        [(one.sequence, one.step) for one in message.fill(record).frame.applied] for record in (full, spare)
    ]
    assert listed == [[(7, 4), (8, 5)], []]


def test_what_was_not_measured_and_a_map_of_one_level_are_left_out() -> None:
    full, spare = records()
    message = FrameMessage()
    frame = message.fill(full).frame
    assert frame.level_map
    assert (frame.measured_by_residual, frame.measured_by_border, frame.excess_kurtosis) == (10, 11, 12)
    frame = message.fill(spare).frame
    assert not frame.level_map
    assert not any(
        frame.HasField(name) for name in ("measured_by_residual", "measured_by_border", "excess_kurtosis")
    )
