"""What viewers saw of a server, as figures. Times are seconds of one clock, passed in.

Of times and frames only those after the warm-up count; sessions that were lost, errors and rejections
always do.
"""

from __future__ import annotations

import json
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from viewer_client.link.status import Latency


class Samples:
    """What the viewers of one load have measured, all together.

    Attributes:
        interval_ms: times between two frames, without idle times and reconnects.
        latencies_ms: times from an injection to the first frame that shows it, without those that were on
            their way when the stream broke.
        back_s: times from the last frame of a stream that broke to the first of the next one.
        errors: ends of streams by the name of their status, other than those that were asked for.
        rejections: how many commands were rejected, by field.
    """

    def __init__(self, counts_from: float) -> None:
        self.counts_from = counts_from
        self.interval_ms, self.latencies_ms, self.back_s = array("f"), array("f"), array("f")
        self.errors: Counter[str] = Counter()
        self.rejections: Counter[str] = Counter()


class Tally:
    """What one viewer sees.

    Attributes:
        seen: the viewer has got a frame, if only while warming up.
        frames, dropped: how many arrived, and how many were replaced by newer ones.
        resumed, lost: how often the session went on after its stream broke, and how often it did not.
    """

    def __init__(self, samples: Samples) -> None:
        self.samples = samples
        self.seen = False
        self.frames = self.dropped = self.resumed = self.lost = 0
        self._steps, self._stepping_s = 0, 0.0
        self._last: float | None = None  # when the last frame of this stream came
        self._number = self._step = 0
        self._idle = False
        self._away_since: float | None = None
        self.latency = Latency()

    def frame(self, now: float, number: int, step: int, applied_sequence: int, idle: bool) -> None:
        """Count a frame that has come in."""
        samples, last = self.samples, self._last
        counts = now >= samples.counts_from
        if counts:
            self.frames += 1
            if self._away_since is not None:
                samples.back_s.append(now - self._away_since)
            elif last is not None:
                self.dropped += number - self._number - 1
                if not self._idle:
                    samples.interval_ms.append((now - last) * 1000)
                    self._stepping_s += now - last
                    self._steps += step - self._step if step >= self._step else step  # after a restart
        latencies_s = self.latency.applied(applied_sequence, now)
        if counts:
            samples.latencies_ms.extend(s * 1000 for s in latencies_s)
        self.seen, self._away_since = True, None
        self._last, self._number, self._step, self._idle = now, number, step, idle

    def broke(self, now: float) -> None:
        """Take note that the stream has ended before it should."""
        if self._last is not None:
            self._away_since = now if self._idle else self._last
        self._last = None
        self.latency.forget()

    def finish(self, now: float) -> None:
        """Count what has not been answered yet: the measurement is over."""
        if self._away_since is not None:
            self.samples.back_s.append(now - self._away_since)
        elif self._last is not None and not self._idle:
            self._stepping_s += now - max(self._last, self.samples.counts_from)

    @property
    def steps_per_second(self) -> float:
        """Return the rate while the session was connected and not idle; 0 if it never was."""
        return self._steps / self._stepping_s if self._stepping_s > 0 else 0.0


@dataclass(frozen=True)
class Quantiles:
    """Quantiles of some times, in milliseconds."""

    p50: float
    p95: float
    p99: float

    @staticmethod
    def of(values: Sequence[float]) -> Quantiles | None:
        """Return the quantiles of some times; None of no values."""
        if not values:
            return None
        return Quantiles(*(float(q) for q in np.quantile(np.asarray(values), (0.5, 0.95, 0.99))))


@dataclass(frozen=True)
class Report:
    """What a load has shown; `str` of it is a table.

    Attributes:
        seconds: how long was measured, after ramp and warm-up.
        steps_per_second_mean: mean of the viewers' rates.
        steps_per_second_least: the lowest of the viewers' rates.
        back_s_max: the longest that a viewer waited for its session after its stream broke.
        cpu_share: share of one core that the load generator uses; near 1 the figures are its own limit.
        cpu_us_per_frame: processor time of the load generator for each frame, microseconds.
        last_failure: what the last stream that broke said.
    """

    server: str
    viewers: int
    viewers_with_frames: int
    seconds: float
    ramp_s: float
    mouse: str
    seed: int
    steps_per_second_mean: float
    steps_per_second_least: float
    frame_interval_ms: Quantiles | None
    command_to_frame_ms: Quantiles | None
    frames: int
    dropped: int
    resumed: int
    lost: int
    back_s_max: float | None
    errors: dict[str, int]
    rejections: dict[str, int]
    cpu_share: float
    cpu_us_per_frame: float | None
    last_failure: str = ""

    def to_json(self) -> str:
        """Return the report as JSON; units are in the names, what was not measured is null."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"

    def __str__(self) -> str:
        def times(quantiles: Quantiles | None) -> str:
            if quantiles is None:
                return "–"
            return f"p50 {quantiles.p50:.1f} ms, p95 {quantiles.p95:.1f} ms, p99 {quantiles.p99:.1f} ms"

        def counts(by_name: dict[str, int]) -> str:
            return ", ".join(f"{name} {count}" for name, count in by_name.items()) or "none"

        back = "" if self.back_s_max is None else f"; back after at most {self.back_s_max:.2f} s"
        per_frame = "" if self.cpu_us_per_frame is None else f", {self.cpu_us_per_frame:.0f} µs a frame"
        mean, least = self.steps_per_second_mean, self.steps_per_second_least
        rows = (
            ("viewers with pictures", f"{self.viewers_with_frames} of {self.viewers}"),
            ("steps a second, each", f"{mean:.1f} mean, {least:.1f} least"),
            ("frame interval", times(self.frame_interval_ms)),
            ("command to frame", times(self.command_to_frame_ms)),
            ("frames", f"{self.frames} received, {self.dropped} dropped"),
            ("sessions", f"{self.resumed} resumed, {self.lost} lost{back}"),
            ("errors", counts(self.errors)),
            ("rejections", counts(self.rejections)),
            ("load generator", f"{100 * self.cpu_share:.0f} % of one core{per_frame}"),
        )
        title = f"{self.viewers} viewers on {self.server} for {self.seconds:.1f} s, mouse {self.mouse}"
        return "\n".join([title, "", *(f"{name:<24}{value}" for name, value in rows)])


def report_of(
    samples: Samples, tallies: Sequence[Tally], cpu_s: float, seconds: float, **known: object
) -> Report:
    """Return a report of all viewers; `known` is what it tells about the load itself."""
    rates = [tally.steps_per_second for tally in tallies]
    frames = sum(tally.frames for tally in tallies)
    return Report(
        viewers=len(tallies),
        viewers_with_frames=sum(tally.seen for tally in tallies),
        seconds=seconds,
        steps_per_second_mean=sum(rates) / len(rates),
        steps_per_second_least=min(rates),
        frame_interval_ms=Quantiles.of(samples.interval_ms),
        command_to_frame_ms=Quantiles.of(samples.latencies_ms),
        frames=frames,
        dropped=sum(tally.dropped for tally in tallies),
        resumed=sum(tally.resumed for tally in tallies),
        lost=sum(tally.lost for tally in tallies),
        back_s_max=max(samples.back_s, default=None),
        errors=dict(samples.errors),
        rejections=dict(samples.rejections),
        cpu_share=cpu_s / seconds if seconds > 0 else 0.0,
        cpu_us_per_frame=1e6 * cpu_s / frames if frames else None,
        **known,  # type: ignore[arg-type]
    )
