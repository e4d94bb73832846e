"""The connection's figures, and what the status of an ended call means to a person."""

from __future__ import annotations

import itertools
import random
import sys
import threading

import pytest
from grpc import StatusCode

from tests.viewer_client.frames import frame
from viewer_client.link.address import Endpoint
from viewer_client.link.failures import explain
from viewer_client.link.status import RETRY_DELAYS_S, Retries, Statistics, window_for

ADDRESS = "box:50051"
SERVER = Endpoint(ADDRESS)


@pytest.mark.parametrize(("round_trip_s", "window"), [(0.0, 4), (0.01, 4), (0.1, 9), (0.25, 18), (2.0, 32)])
def test_the_window_grows_with_the_round_trip_within_its_limits(round_trip_s: float, window: int) -> None:
    assert window_for(round_trip_s, 60.0, 32) == window


def test_steps_a_second_are_those_of_the_last_second() -> None:
    statistics = Statistics()
    assert statistics.steps_per_second(0.0) == 0
    for i in range(120):
        statistics.arrived(frame(number=i + 1, step=2 * i), i / 60)
    assert statistics.steps_per_second(119 / 60) == pytest.approx(120)
    assert statistics.steps_per_second(10.0) == 0


def test_a_restart_does_not_make_the_rate_negative() -> None:
    statistics = Statistics()
    for number, step in enumerate((10, 11, 12, 0, 1, 2), start=1):
        statistics.arrived(frame(number=number, step=step), step / 60 + (0.2 if step < 10 else 0))
    assert statistics.steps_per_second(0.3) > 0


def test_the_rate_may_be_asked_for_while_frames_arrive_in_another_thread() -> None:
    statistics, over = Statistics(), threading.Event()

    def receive() -> None:
        for number in itertools.count(1):
            statistics.arrived(frame(number=number, step=number), number / 1000)
            if over.is_set():
                return

    often, receiver = sys.getswitchinterval(), threading.Thread(target=receive)
    sys.setswitchinterval(1e-6)
    receiver.start()
    try:
        for _ in range(2000):
            assert statistics.steps_per_second(0.0) >= 0
    finally:
        over.set()
        receiver.join()
        sys.setswitchinterval(often)


def test_quantiles_of_few_values() -> None:
    statistics = Statistics()
    assert statistics.latency_quantile_ms(0.5) is None
    statistics.latencies_ms.extend([30.0, 10.0, 20.0])
    assert statistics.latency_quantile_ms(0.5) == 20.0
    assert statistics.latency_quantile_ms(0.99) == 30.0


def test_frames_that_were_skipped_or_replaced_are_dropped_ones() -> None:
    statistics = Statistics()
    for number, replaced in ((3, False), (4, False), (7, False), (8, True)):
        statistics.arrived(frame(number=number), number / 60, replaced=replaced)
    assert (statistics.frames, statistics.dropped) == (4, 3)
    statistics.begin_stream()
    statistics.arrived(frame(number=5), 1.0)  # numbers begin again with each stream
    assert statistics.dropped == 3


def test_latency_is_from_an_injection_to_the_first_frame_that_shows_it() -> None:
    statistics = Statistics()
    for sequence in (2, 3, 4):
        statistics.latency.sent(sequence, sequence / 10)
    statistics.arrived(frame(number=1, applied_sequence=1), 0.4)
    statistics.arrived(frame(number=2, applied_sequence=3), 0.5)
    assert list(statistics.latencies_ms) == pytest.approx([300, 200])
    statistics.begin_stream()  # the time without a server does not count
    statistics.arrived(frame(number=1, applied_sequence=4), 9.0)
    assert len(statistics.latencies_ms) == 2


def test_a_session_that_lasted_is_tried_again_at_once_and_one_that_breaks_is_not() -> None:
    retries = Retries(draw=lambda: 0.5)
    assert [retries.next_s() for _ in range(8)] == [0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 4.0]
    retries.lasted(0.5)
    assert retries.next_s() == 4.0
    retries.lasted(1.5)
    assert (retries.next_s(), retries.attempt) == (0.0, 1)


def test_viewers_that_wait_for_one_server_do_not_all_come_at_once() -> None:
    waits = []
    for number in range(30):
        retries = Retries(random.Random(number).random)
        waits.append([retries.next_s() for _ in range(7)])
    for delay_s, one in zip(RETRY_DELAYS_S, zip(*waits, strict=True), strict=True):
        assert all(0.8 * delay_s <= wait <= 1.2 * delay_s for wait in one)
    assert max(one[-1] for one in waits) - min(one[-1] for one in waits) > 1.0


@pytest.mark.parametrize(
    ("code", "details", "was_live", "words", "again"),
    [
        (StatusCode.UNIMPLEMENTED, "", False, "not Diffusion Toy's", True),
        (StatusCode.UNAVAILABLE, "Connection refused", False, f"no server at {ADDRESS}", True),
        (StatusCode.UNAVAILABLE, "Socket closed", True, f"the connection to {ADDRESS} broke", True),
        (StatusCode.UNAVAILABLE, "Socket closed", False, "closes the connection at once", True),
        (StatusCode.UNAVAILABLE, "DNS resolution failed", False, "not known; check its spelling", True),
        (StatusCode.UNAVAILABLE, "connection timed out", False, "check the address and the firewall", True),
        (StatusCode.UNAVAILABLE, "No route to host", False, "check the network", True),
        (StatusCode.UNAVAILABLE, "the server is shutting down", True, "the server is shutting down", True),
        (StatusCode.UNAVAILABLE, "odd", False, "cannot be reached (odd)", True),
        (StatusCode.DEADLINE_EXCEEDED, "", False, "does not answer", True),
        (StatusCode.RESOURCE_EXHAUSTED, "", False, "the server is full", True),
        (StatusCode.UNAUTHENTICATED, "a token is needed", False, "a token is needed", False),
        (StatusCode.FAILED_PRECONDITION, "begin with start", False, "begin with start", False),
        (StatusCode.INTERNAL, "boom", True, "internal: boom", True),
        (StatusCode.ABORTED, "taken over", True, "another window has taken over", False),
        (StatusCode.DEADLINE_EXCEEDED, "", True, "nothing was done in it for a long time", False),
        (StatusCode.UNAVAILABLE, "CERTIFICATE_VERIFY_FAILED", False, "is not trusted", True),
    ],
)
def test_every_failure_has_a_sentence_of_its_own(
    code: StatusCode, details: str, was_live: bool, words: str, again: bool
) -> None:
    failure = explain(code, details, SERVER, was_live=was_live)
    assert words in failure.sentence
    assert failure.again is again


@pytest.mark.parametrize(
    "code", [StatusCode.NOT_FOUND, StatusCode.UNAUTHENTICATED, StatusCode.INVALID_ARGUMENT]
)
def test_a_refused_resume_token_means_a_new_session(code: StatusCode) -> None:
    failure = explain(code, "another key", SERVER, resuming=True)
    assert (failure.again, failure.new_session) == (True, True)
    assert "another key" in failure.sentence
    assert not explain(code, "another key", SERVER).again


def test_a_server_that_is_away_does_not_cost_the_session() -> None:
    for code in (StatusCode.UNAVAILABLE, StatusCode.RESOURCE_EXHAUSTED, StatusCode.DEADLINE_EXCEEDED):
        failure = explain(code, "", SERVER, resuming=True)
        assert (failure.again, failure.new_session) == (True, False)
