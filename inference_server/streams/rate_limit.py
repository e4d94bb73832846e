"""A token bucket: how often a client may send commands."""

from __future__ import annotations


class TokenBucket:
    """Allows `rate` events a second in the long run and `burst` at once. Time is passed in."""

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self.rate, self.burst = rate, burst
        self._tokens, self._then = burst, now

    def take(self, now: float) -> bool:
        """Whether an event at `now` (seconds, never falling) is allowed; if so, it is counted."""
        self._tokens = min(self.burst, self._tokens + (now - self._then) * self.rate)
        self._then = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
