"""What a server admits it serves: the promise holds at its own batch size, and follows the machine."""

from __future__ import annotations

import numpy as np
import pytest

from diffusion_toy.contract.messages import CapacityInfo, CapacitySource
from inference_server.engine.capacity import FRAME_S, SHARE, TICKS, Capacity, rows_within

PERIOD = 1 / 60
CURVE = {1: 0.002, 8: 0.010, 32: 0.026}


def after(capacity: Capacity, slowdown: float, rows: int = 8, ticks: int = TICKS) -> bool:
    taken = (CURVE[rows] + rows * FRAME_S) * slowdown
    changed = [capacity.ticked(rows, taken, 5.0) for _ in range(ticks)]
    return any(changed)


def measured() -> Capacity:
    capacity = Capacity(None, 60.0, 64)
    capacity.measured(CURVE, 1.0)
    return capacity


def test_a_tick_with_so_many_rows_takes_just_its_budget() -> None:
    rows = rows_within(0.015, CURVE, 64)
    assert 8 < rows < 32
    assert CURVE[8] + (CURVE[32] - CURVE[8]) * (rows - 8) / 24 == pytest.approx(0.015)


def test_no_more_rows_are_expected_than_there_can_be() -> None:
    assert rows_within(0.015, {1: 1e-4, 32: 1e-3}, 64) == 64


def test_a_machine_too_slow_for_one_is_told_what_it_can_do_for_one() -> None:
    assert rows_within(0.015, {1: 0.1, 8: 0.2}, 64) == pytest.approx(0.15)


def test_the_promise_keeps_time_for_the_streams_and_a_tick_may_use_all_of_it() -> None:
    capacity = measured()
    promised, limit = capacity.rows_per_second, capacity.rows_per_tick
    assert promised is not None
    assert limit is not None
    sessions = promised * PERIOD
    points = sorted((rows, took + rows * FRAME_S) for rows, took in CURVE.items())
    assert np.interp(sessions, *zip(*points, strict=True)) == pytest.approx(SHARE * PERIOD)
    # A session that was admitted is not slowed down while its ticks end in time.
    assert np.interp(limit, *zip(*points, strict=True)) == pytest.approx(PERIOD)


def test_a_start_on_a_busy_machine_is_corrected_once_it_is_quiet_and_the_other_way() -> None:
    capacity = measured()
    before = capacity.rows_per_second
    assert before is not None
    assert after(capacity, 0.5)
    assert capacity.rows_per_second is not None
    assert capacity.rows_per_second > 1.5 * before
    assert (capacity.source, capacity.measured_at) == ("ticks", 5.0)
    assert after(capacity, 1.0)
    assert capacity.rows_per_second == pytest.approx(before)


def test_small_changes_and_short_ones_change_no_promise() -> None:
    capacity = measured()
    before = capacity.rows_per_second
    assert not after(capacity, 1.1)
    assert not after(capacity, 3.0, ticks=TICKS // 3)
    assert not after(capacity, 1.0, ticks=TICKS)  # the median: a third of the ticks were slow
    assert capacity.rows_per_second == before


def test_what_the_operator_has_set_stays() -> None:
    capacity = Capacity(500.0, 60.0, 64)
    capacity.measured(CURVE, 1.0)
    assert not after(capacity, 4.0)
    assert (capacity.rows_per_second, capacity.source) == (500.0, "given")


def test_the_promise_is_told_with_its_source_and_its_age() -> None:
    assert Capacity(None, 60.0, 64).info(9.0) is None
    capacity = measured()
    info = capacity.info(3.5)
    assert info is not None
    assert (info.rows_per_second, info.source, info.age_s) == (
        capacity.rows_per_second, CapacitySource.START, 2.5,
    )  # fmt: skip
    given = Capacity(500.0, 60.0, 64)
    given.measured(CURVE, 1.0)
    assert given.info(9.0) == CapacityInfo(500.0, CapacitySource.GIVEN, None)
