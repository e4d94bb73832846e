"""A token bucket: how often something may happen. It knows no clock: time is passed in."""

from __future__ import annotations

ROUNDING = 1e-9  # of a token, which sums of short times may lack


class TokenBucket:
    """Allows `rate` events a second in the long run and `burst` at once.

    Args:
        rate: events a second; it may be changed at any time and counts from then on.
        burst: events at once after a pause.
        now: seconds of any clock that never falls; None begins with the first question.
    """

    def __init__(self, rate: float, burst: float, now: float | None = None) -> None:
        self.rate, self.burst = rate, burst
        self._tokens, self._then = burst, now

    def ready(self, now: float, cost: float = 1.0) -> bool:
        """Say whether an event at `now` is allowed, without counting it; `cost` is how many it counts for."""
        if self._then is not None:
            self._tokens = min(self.burst, self._tokens + (now - self._then) * self.rate)
        self._then = now
        return self._tokens >= cost - ROUNDING

    def spend(self, cost: float = 1.0) -> None:
        """Count an event."""
        self._tokens -= cost

    def take(self, now: float, cost: float = 1.0) -> bool:
        """Say whether an event at `now` is allowed; if so, it is counted."""
        allowed = self.ready(now, cost)
        if allowed:
            self.spend(cost)
        return allowed

    def reserve(self, now: float, cost: float = 1.0) -> float:
        """Count an event that waits for its turn; return how long it has to, in seconds.

        Those who wait have their turns in the order of their questions.
        """
        self.ready(now)
        self.spend(cost)
        return max(0.0, -self._tokens / self.rate)
