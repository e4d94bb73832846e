"""The token bucket."""

from inference_server.streams.rate_limit import TokenBucket


def test_a_burst_is_allowed_once_and_then_the_rate_counts() -> None:
    bucket = TokenBucket(rate=10, burst=5, now=100.0)
    assert [bucket.take(100.0) for _ in range(6)] == [True] * 5 + [False]
    assert bucket.take(100.125)
    assert not bucket.take(100.125)
    assert 99 <= sum(bucket.take(100.125 + i / 1000) for i in range(1, 10_001)) <= 101


def test_waiting_fills_it_no_further_than_the_burst() -> None:
    bucket = TokenBucket(rate=10, burst=5, now=0.0)
    assert sum(bucket.take(1000.0) for _ in range(20)) == 5
