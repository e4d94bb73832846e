"""The connection as the rest of the viewer sees it: where it is, and its figures. No gRPC here."""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from diffusion_toy.contract import messages as m

LATENCIES_KEPT = 512
UNAPPLIED_MAX = 4096  # injections whose first frame is awaited
FRAME_RATE_HZ = 60.0
STEPS_KEPT = 240
RATE_WINDOW_S = 1.0
RENDER_DELAY_S = 2 / 60  # a frame waits for the next picture of the window, and is drawn
WINDOW_LEAST = 4
RETRY_DELAYS_S = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0)  # before the first try, the second, …; the last stays
JITTER = 0.2  # of a wait, up or down
STEADY_S = 1.0  # a session that lasted so long is not part of a row of failures


class Phase(Enum):
    """Where a connection is; the value is what the viewer calls it."""

    CONNECTING = "connecting"
    LIVE = "live"
    LOST = "reconnecting"
    REFUSED = "refused"  # trying again by itself would not help
    CLOSED = "closed"


@dataclass(frozen=True)
class Status:
    """The connection in words: `sentence` says what is wrong, `attempt` counts the tries."""

    phase: Phase
    sentence: str = ""
    attempt: int = 0

    @property
    def live(self) -> bool:
        """Say whether frames are coming, or will when something changes."""
        return self.phase is Phase.LIVE


class Retries:
    """Counts the tries since the last session that lasted, and spaces them out.

    A session that is lost is tried again at once; one that breaks again and again is not. Waits vary
    by chance (`JITTER`, the share that gRPC's own backoff takes), so that a class that waits for one server
    does not knock all together.

    Args:
        draw: a number from [0, 1).
    """

    def __init__(self, draw: Callable[[], float] = random.random) -> None:
        self.attempt = 0
        self._draw = draw

    def lasted(self, seconds: float) -> None:
        """Take note that a session has ended after so long."""
        if seconds >= STEADY_S:
            self.attempt = 0

    def next_s(self) -> float:
        """Count one more try; how long to wait before it, seconds."""
        self.attempt += 1
        delay_s = RETRY_DELAYS_S[min(self.attempt, len(RETRY_DELAYS_S)) - 1]
        return delay_s * (1 + JITTER * (2 * self._draw() - 1))


class Latency:
    """Measures the time from an injection to the first frame that shows it, in seconds of any clock."""

    def __init__(self) -> None:
        self._unapplied: deque[tuple[int, float]] = deque(maxlen=UNAPPLIED_MAX)

    def sent(self, sequence: int, now: float) -> None:
        """Take note that an injection has been sent with this number."""
        self._unapplied.append((sequence, now))

    def applied(self, applied_sequence: int, now: float) -> list[float]:
        """Return the latencies of the injections that a frame shows first, in seconds."""
        latencies_s = []
        while self._unapplied and self._unapplied[0][0] <= applied_sequence:
            latencies_s.append(now - self._unapplied.popleft()[1])
        return latencies_s

    def forget(self) -> None:
        """Forget what is on its way: the stream broke, and the time without a server would count."""
        self._unapplied.clear()


class Statistics:
    """Figures of a connection. Times are passed in as seconds of a monotonic clock.

    Attributes:
        frames: how many frames have arrived.
        resumed: how often the session went on after its stream was lost.
        dropped: how many frames were replaced by newer ones, by the server or on arrival.
        round_trip_ms: the newest measurement, None before the first.
        latency: measures the injections that are on their way.
        latencies_ms: the newest times from an injection to the first frame that shows it.
    """

    def __init__(self) -> None:
        self.frames = 0
        self.dropped = 0
        self.resumed = 0
        self.round_trip_ms: float | None = None
        self.latency = Latency()
        self.latencies_ms: deque[float] = deque(maxlen=LATENCIES_KEPT)
        self._number = 0  # of the newest frame of this stream
        self._steps: deque[tuple[float, int]] = deque(maxlen=STEPS_KEPT)

    def begin_stream(self) -> None:
        """Begin to count the frame numbers of a new stream."""
        self._number = 0
        self.latency.forget()

    def arrived(self, frame: m.Frame, now: float, *, replaced: bool = False) -> None:
        """Count a frame that has come in; `replaced` says that it took the place of one nobody took."""
        skipped = max(frame.number - self._number - 1, 0) if self._number else 0
        self._number = frame.number
        self.frames += 1
        self.dropped += skipped + replaced
        self.latencies_ms.extend(s * 1000 for s in self.latency.applied(frame.applied_sequence, now))
        if self._steps and frame.step < self._steps[-1][1]:  # a restart
            self._steps.clear()
        self._steps.append((now, frame.step))

    def steps_per_second(self, now: float) -> float:
        """Return the rate over the last second; 0 while the session is idle."""
        steps = tuple(self._steps)  # in one piece: frames arrive in another thread
        recent = [entry for entry in steps if now - entry[0] < RATE_WINDOW_S]
        if len(recent) < 2 or recent[-1][0] == recent[0][0]:
            return 0.0
        return (recent[-1][1] - recent[0][1]) / (recent[-1][0] - recent[0][0])

    def latency_quantile_ms(self, q: float) -> float | None:
        """Return a quantile (0…1) of the recent injection-to-frame times, None without any."""
        ordered = sorted(self.latencies_ms)
        return ordered[min(int(q * len(ordered)), len(ordered) - 1)] if ordered else None


def window_for(round_trip_s: float, frame_rate_hz: float, most: int) -> int:
    """Return how many unacknowledged frames keep a connection of this round trip fluid, 4…`most`.

    While one frame's acknowledgement is on its way, so many others are.
    """
    in_flight = math.ceil((round_trip_s + RENDER_DELAY_S) * frame_rate_hz) + 1
    return min(max(in_flight, WINDOW_LEAST), most)
