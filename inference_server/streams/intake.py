"""How much the server takes in from outside: of one stream, of one address and in all.

What is beyond is read later (a stream's messages), refused (calls and new streams of an address, watchers) or
rejected (commands, where too much waits). Nothing here knows a clock: time is passed in.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Iterator

from diffusion_toy.contract import messages as m
from diffusion_toy.rate import TokenBucket
from diffusion_toy.v1 import denoise_pb2 as pb
from inference_server.engine.pending import PendingCommands, PendingLimits, SharedRoom
from inference_server.streams.status import Status, StreamError

SHARED_BYTES = 16 * 1024 * 1024  # of commands that wait, for all sessions beyond what each is sure of

# Requests a second, without the acknowledgements of new frames: a stroke for each frame of the usual rate is
# sure for every stream, whatever the others send.
SURE_PER_SECOND, SURE_AT_ONCE = 75.0, 300.0
SHARED_PER_SECOND = 500.0  # of all beyond that, or what the operator allows one viewer, if that is more
COSTLY = 4.0  # requests that count for as many; see `cost_of`

WATCHED_PER_SECOND, WATCHED_AT_ONCE = 600.0, 60.0  # messages to all watchers together
WATCHERS_MAX = 256

REFUSED_PER_SECOND, REFUSED_AT_ONCE = 10.0, 50.0  # bad commands of one stream
REFUSED_IN_A_ROW_MAX = 1000  # after which it had to wait; then the stream ends

STREAMS_PER_SECOND, STREAMS_BURST_S = 20.0, 25.0  # new ones of one address
CALLS_PER_SECOND, CALLS_AT_ONCE = 5.0, 100.0  # of one address
ADDRESSES_MAX = 4096  # that are remembered


def cost_of(request: pb.DenoiseRequest) -> float:
    """Return how many requests this one counts for, by what it makes the server do."""
    kind = request.WhichOneof("request")
    if kind in ("restart", "jump"):
        return COSTLY
    if kind == "configure":
        settings = request.configure.settings  # a new schedule is told to everybody who sees the session
        return COSTLY if settings.schedule or settings.HasField("num_time_steps") else 1.0
    return 1.0


class StreamIntake:
    """Says how long a stream has to wait before its next request is read.

    Args:
        shared: what all streams have together.
        now: seconds of the clock that counts.
    """

    def __init__(self, shared: TokenBucket, now: float) -> None:
        self._shared = shared
        self._sure = TokenBucket(SURE_PER_SECOND, SURE_AT_ONCE, now)
        self._refusals = TokenBucket(REFUSED_PER_SECOND, REFUSED_AT_ONCE, now)
        self._waited = 0

    def request_wait_s(self, now: float, cost: float = 1.0) -> float:
        """Count a request that has come; return how long it waits, so that streams take turns.

        Acknowledgements of new frames are not to be counted: there are no more of them than frames.
        """
        return 0.0 if self._sure.take(now, cost) else self._shared.reserve(now, cost)

    def refusal_wait_s(self, now: float, why: str) -> float:
        """Count a command that was refused; return how long the stream is not read.

        Args:
            now: seconds.
            why: one sentence on this command.

        Raises:
            StreamError: RESOURCE_EXHAUSTED, since so many in a row came faster than they may.
        """
        wait_s = self._refusals.reserve(now)
        self._waited = self._waited + 1 if wait_s > 0 else 0
        if self._waited > REFUSED_IN_A_ROW_MAX:
            raise StreamError(
                Status.RESOURCE_EXHAUSTED,
                f"{REFUSED_IN_A_ROW_MAX} refused commands came faster than {REFUSED_PER_SECOND:g} a second; "
                f"send fewer, and mend the cause: {why}",
            )
        return wait_s


class PeerRate:
    """Holds each address to a rate; remembers the newest of them.

    Args:
        what: is counted, in words.
        per_second, at_once: how many.
    """

    def __init__(self, what: str, per_second: float, at_once: float) -> None:
        self._what, self._per_second, self._at_once = what, per_second, at_once
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def check(self, network: str, now: float) -> None:
        """Count one.

        Raises:
            StreamError: RESOURCE_EXHAUSTED, there are too many.
        """
        bucket = self._buckets.get(network)
        if bucket is None:
            bucket = self._buckets[network] = TokenBucket(self._per_second, self._at_once, now)
            if len(self._buckets) > ADDRESSES_MAX:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(network)
        if not bucket.take(now):
            raise StreamError(
                Status.RESOURCE_EXHAUSTED,
                f"this address has made more than {self._per_second:g} {self._what} a second; "
                "wait a few seconds and try again",
            )


class Intake:
    """Holds all streams of the server to what they may send.

    Args:
        limits: what clients are told.
        new_streams_per_second: from one address in the long run.

    Attributes:
        streams, calls: the rates of each address.
        watched: paces what watchers are sent.
    """

    def __init__(self, limits: m.Limits, new_streams_per_second: float = STREAMS_PER_SECOND) -> None:
        self._pending = PendingLimits(limits.pending_commands, limits.pending_bytes, limits.request_bytes)
        self._room = SharedRoom(SHARED_BYTES)
        rate = max(SHARED_PER_SECOND, limits.commands_per_second)
        self._requests = TokenBucket(rate, rate)
        self.streams = PeerRate(
            "new streams", new_streams_per_second, STREAMS_BURST_S * new_streams_per_second
        )
        self.calls = PeerRate("calls", CALLS_PER_SECOND, CALLS_AT_ONCE)
        self.watched = TokenBucket(WATCHED_PER_SECOND, WATCHED_AT_ONCE)
        self._watchers = 0

    def queue(self) -> PendingCommands:
        """Return a queue for a stream that is to drive a session."""
        return PendingCommands(self._pending, self._room)

    def stream(self, now: float) -> StreamIntake:
        """Return what holds a new stream to its share."""
        return StreamIntake(self._requests, now)

    @contextlib.contextmanager
    def watcher(self) -> Iterator[None]:
        """Hold the server to its number of watchers.

        Raises:
            StreamError: RESOURCE_EXHAUSTED.
        """
        if self._watchers >= WATCHERS_MAX:
            text = f"{self._watchers} streams watch sessions here, which is the limit; try again later"
            raise StreamError(Status.RESOURCE_EXHAUSTED, text)
        self._watchers += 1
        try:
            yield
        finally:
            self._watchers -= 1
