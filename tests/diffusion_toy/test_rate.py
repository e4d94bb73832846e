"""The token bucket."""

from diffusion_toy.rate import TokenBucket


def test_a_burst_is_allowed_once_and_then_the_rate_counts() -> None:
    bucket = TokenBucket(rate=10, burst=5, now=100.0)
    assert [bucket.take(100.0) for _ in range(6)] == [True] * 5 + [False]
    assert bucket.take(100.125)
    assert not bucket.take(100.125)
    assert 99 <= sum(bucket.take(100.125 + i / 1000) for i in range(1, 10_001)) <= 101


def test_waiting_fills_it_no_further_than_the_burst() -> None:
    bucket = TokenBucket(rate=10, burst=5, now=0.0)
    assert sum(bucket.take(1000.0) for _ in range(20)) == 5


def test_a_rate_that_changes_counts_from_then_on_whether_asked_often_or_not() -> None:
    bucket = TokenBucket(rate=0, burst=1)
    assert bucket.take(5.0)
    bucket.rate = 60
    sent = 0
    for i in range(1, 601):
        sent += bucket.take(5.0 + i / 600)
    assert sent == 60


def test_asking_counts_nothing() -> None:
    bucket = TokenBucket(rate=1, burst=2)
    assert all(bucket.ready(1.0) for _ in range(5))
    bucket.spend()
    bucket.spend()
    assert not bucket.ready(1.0)
