"""What a server admits it serves: the promise holds at its own batch size, and follows the machine."""

from __future__ import annotations

import pytest

from diffusion_toy.contract.messages import CapacityInfo, CapacitySource
from inference_server.engine.capacity import SHARE, TICKS, Capacity, promised_rows

PERIOD = 1 / 60
CURVE = {1: 0.002, 8: 0.010, 32: 0.026}


def after(capacity: Capacity, slowdown: float, rows: int = 8, ticks: int = TICKS) -> bool:
    changed = [capacity.ticked(rows, CURVE[rows] * slowdown, 5.0) for _ in range(ticks)]
    return any(changed)


def measured() -> Capacity:
    capacity = Capacity(None, 60.0, 64)
    capacity.measured(CURVE, 1.0)
    return capacity


def test_the_promise_is_the_most_sessions_whose_tick_ends_within_its_period() -> None:
    sessions = promised_rows(CURVE, 60.0, 64) / 60
    assert 8 < sessions < 32  # the rate is best at 32, where a tick takes longer than its period
    seconds = CURVE[8] + (CURVE[32] - CURVE[8]) * (sessions - 8) / 24
    assert seconds == pytest.approx(SHARE * PERIOD)


def test_no_more_is_promised_than_there_are_seats() -> None:
    assert promised_rows({1: 1e-4, 32: 1e-3}, 60.0, 64) == 64 * 60


def test_a_machine_too_slow_for_one_promises_what_it_can_do_for_one() -> None:
    assert promised_rows({1: 0.1, 8: 0.2}, 60.0, 64) == pytest.approx(SHARE * 10)


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
