"""The figures of a load: what counts, and when."""

from __future__ import annotations

import pytest

from viewer_client.load.report import Quantiles, Samples, Tally


def tally(counts_from: float = 0.0) -> Tally:
    return Tally(Samples(counts_from))


def test_intervals_and_steps_are_those_while_the_session_runs() -> None:
    one = tally()
    for i in range(61):
        one.frame(i / 60, i + 1, step=2 * i, applied_sequence=0, idle=i == 60)
    one.frame(9.0, 62, step=0, applied_sequence=0, idle=False)  # after a rest
    one.frame(9.5, 63, step=60, applied_sequence=0, idle=False)
    one.finish(9.5)
    assert one.steps_per_second == pytest.approx(120)
    assert len(one.samples.interval_ms) == 61
    assert max(one.samples.interval_ms) == 500
    assert one.dropped == 0


def test_a_restart_counts_the_steps_since_it() -> None:
    one = tally()
    for now, step in ((0.0, 100), (0.1, 106), (0.2, 3)):
        one.frame(now, round(10 * now) + 1, step, 0, False)
    assert one.steps_per_second == pytest.approx(45)


def test_numbers_that_are_skipped_were_dropped() -> None:
    one = tally()
    for number in (1, 2, 5, 6, 8):
        one.frame(number / 60, number, number, 0, False)
    assert one.dropped == 3


def test_the_time_to_be_back_is_a_figure_of_its_own() -> None:
    one = tally()
    one.frame(1.0, 50, 50, 0, False)
    one.latency.sent(2, 1.0)
    one.broke(1.4)
    one.broke(1.6)  # a try in vain
    one.frame(2.0, 1, 45, 2, False)
    one.frame(2.1, 2, 51, 2, True)
    one.broke(7.0)  # it rested: nothing was missed
    one.finish(7.5)
    assert list(one.samples.back_s) == pytest.approx([1.0, 0.5])
    assert list(one.samples.interval_ms) == pytest.approx([100], rel=1e-3)
    assert not one.samples.latencies_ms
    assert one.steps_per_second == pytest.approx(60)


def test_a_server_that_stops_sending_is_seen() -> None:
    one = tally()
    one.frame(0.0, 1, 0, 0, False)
    one.frame(1.0, 2, 60, 0, False)
    one.finish(3.0)
    assert one.steps_per_second == pytest.approx(20)
    assert tally().steps_per_second == 0


def test_an_injection_lands_in_the_first_frame_that_has_it() -> None:
    one = tally()
    for sequence in (2, 3, 4):
        one.latency.sent(sequence, sequence / 10)
    one.frame(0.5, 1, 1, 3, False)
    one.frame(0.6, 2, 2, 4, False)
    assert list(one.samples.latencies_ms) == pytest.approx([300, 200, 200], rel=1e-4)


def test_the_warm_up_does_not_count() -> None:
    one = tally(counts_from=10.0)
    one.latency.sent(2, 9.0)
    one.frame(9.0, 1, 1, 0, False)
    one.frame(9.9, 50, 50, 2, False)
    assert one.seen
    assert (one.frames, one.dropped, len(one.samples.interval_ms), len(one.samples.latencies_ms)) == (
        0,
        0,
        0,
        0,
    )
    one.frame(10.1, 60, 60, 2, False)
    assert (one.frames, one.dropped) == (1, 9)


def test_quantiles() -> None:
    assert Quantiles.of([]) is None
    assert Quantiles.of(list(range(101))) == Quantiles(50.0, 95.0, 99.0)
