"""A scripted session without a display, recorded as a GIF.

The script moves a pointer through the same view model as a person does, against a real server:
structure emerges from noise, strokes of the brush heal, noise over the whole picture gives way to
another digit.
"""

from __future__ import annotations

import math
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from diffusion_toy.contract import messages as m
from diffusion_toy.errors import DiffusionToyError
from diffusion_toy.files import UnwritableError, check_file
from viewer_client.core import labels
from viewer_client.core.geometry import Point
from viewer_client.core.strokes import MouseMode
from viewer_client.core.sync import synchronize
from viewer_client.core.view_model import ViewModel
from viewer_client.files.gif import FigureRenderer, Picture, encode, of_run
from viewer_client.files.saving import RUN_PICTURES, free_path
from viewer_client.link.connection import Connection
from viewer_client.link.status import Phase

POLL_S = 1 / 60
PERIOD_MS = 80  # between two pictures of the GIF
STALL_S = 30.0  # without a picture from a server that has answered
SAY_AFTER_S = 0.5  # what is waited for, unless it has come
DONE_BY = 0.9  # of a scene: when the picture is to be clean
SLOW_HZ = 15.0  # steps a second while noise is added, so that it can be seen before it heals
LOOK_AGAIN_S = 1.0  # after this, the steps a second that the server really makes are known


class RecordingError(DiffusionToyError):
    """Nothing could be recorded."""


@dataclass(frozen=True)
class Scene:
    """A part of the script, a `share` of its length, with its caption.

    `mode`, `path` and `strength` say how the mouse adds noise; without a mode it does not.
    """

    share: float
    caption: str
    mode: MouseMode | None = None
    path: tuple[Point, ...] = ()
    strength: float = 0.0


SCENES = (
    Scene(0.34, "Structure emerges from Gaussian noise, step by step."),
    Scene(
        0.10, "The mouse adds noise, here under a brush only …", MouseMode.BRUSH,
        ((0.30, 0.25), (0.62, 0.40), (0.38, 0.58), (0.62, 0.74)), 80,
    ),
    Scene(0.16, "… and the network heals just that."),
    Scene(
        0.08, "Noise over the whole picture …", MouseMode.WHOLE_IMAGE,
        ((0.2, 0.3), (0.8, 0.35), (0.2, 0.6), (0.8, 0.7)), 60,
    ),
    Scene(0.32, "… and it becomes a digit again, maybe another one."),
)  # fmt: skip


@dataclass
class Summary:
    """What was recorded; `str` of it is for the user."""

    path: Path
    size_bytes: int
    pictures: int
    frames: int
    dropped: int
    seconds: float
    landing_p50_ms: float | None
    landing_p99_ms: float | None
    step_rates: list[float] = field(default_factory=list)
    remark: str = ""  # a sentence more

    def __str__(self) -> str:
        rate = f"{statistics.median(self.step_rates):.0f}" if self.step_rates else "no"
        lines = [
            f"recorded {self.path} ({self.size_bytes / 1e6:.2f} MB, {self.pictures} pictures)",
            f"{self.frames} frames in {self.seconds:.1f} s, {self.dropped} dropped, {rate} steps/s",
        ]
        if self.landing_p50_ms is not None and self.landing_p99_ms is not None:
            p50, p99 = self.landing_p50_ms, self.landing_p99_ms
            lines.append(f"command to frame: p50 {p50:.1f} ms, p99 {p99:.1f} ms")
        if self.remark:
            lines.append(self.remark)
        return "\n".join(lines)


def along(path: tuple[Point, ...], share: float) -> Point:
    """Return the point at this share (0…1) of the length of a polyline."""
    lengths = [math.dist(a, b) for a, b in pairwise(path)]
    rest = share * sum(lengths)
    for (a, b), length in zip(pairwise(path), lengths, strict=True):
        if rest <= length:
            part = rest / length if length else 0.0
            return a[0] + part * (b[0] - a[0]), a[1] + part * (b[1] - a[1])
        rest -= length
    return path[-1]


def stride_for(time_steps: float, seconds: float, steps_per_second: float) -> int:
    """Return the time steps for each network step with which `time_steps` are gone after `seconds`."""
    return min(max(math.ceil(time_steps / max(seconds * steps_per_second, 1)), 1), m.STRIDE_MAX)


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


class Recorder:
    """Plays the script on a connection and keeps the pictures.

    Args:
        seconds: length of the script.
        wait_s: how long to wait for a server that does not answer; 0 tries once.
        say: tells the user what is waited for.
    """

    def __init__(
        self,
        connection: Connection,
        model: ViewModel,
        seconds: float,
        wait_s: float = STALL_S,
        say: Callable[[str], None] = _say,
    ) -> None:
        self.connection, self.model, self.seconds = connection, model, seconds
        self.wait_s, self._say = wait_s, say
        self._renderer = FigureRenderer()
        self._pictures: list[Picture] = []
        self._rates: list[float] = []

    def record(self, path: Path) -> Summary:
        """Play the script and write it to `path`, or beside it if that exists.

        Raises:
            RecordingError: no picture came in time, or the session was lost, or the file cannot be
                written.
        """
        target = _target(path)
        self._wait_for_first_frame()
        began = time.monotonic()
        for scene in SCENES:
            self._play(scene)
        elapsed = time.monotonic() - began
        return self._write(target, encode(self._pictures, PERIOD_MS), len(self._pictures), elapsed)

    def record_replay(self, path: Path) -> Summary:
        """Record the model's replay instead, until its picture is there.

        Raises:
            RecordingError: as above, or it gives another picture.
        """
        target, replay = _target(path), self.model.replay
        assert replay is not None
        self._wait_for_first_frame()
        began = moved = time.monotonic()
        while self.model.replay is not None:
            if self._exchange():
                moved = time.monotonic()
                self._note_rate()
            refused = self.connection.status.phase is Phase.REFUSED
            if refused or time.monotonic() > moved + STALL_S:
                raise RecordingError(self.connection.status.sentence or "the server sends no pictures")
            time.sleep(POLL_S)
        if replay.failure:
            raise RecordingError(replay.failure)
        moments = self.model.history.recording.moments(RUN_PICTURES)
        caption = labels.SEPARATOR.join(labels.session_parts(self.model)[:3])
        elapsed, doubt = time.monotonic() - began, self.model.doubt_of(replay.recipe)
        remark = f"replayed {replay.recipe.steps} steps{'; ' if doubt else ''}{doubt}"
        return self._write(target, of_run(moments, caption), len(moments), elapsed, remark)

    def _write(
        self, target: Path, content: bytes, pictures: int, elapsed: float, remark: str = ""
    ) -> Summary:
        try:
            target.write_bytes(content)
        except OSError as error:
            raise RecordingError(f"{target} cannot be written ({error.strerror})") from error
        figures = self.connection.statistics
        return Summary(
            path=target,
            size_bytes=len(content),
            pictures=pictures,
            frames=figures.frames,
            dropped=figures.dropped,
            seconds=elapsed,
            landing_p50_ms=figures.latency_quantile_ms(0.5),
            landing_p99_ms=figures.latency_quantile_ms(0.99),
            step_rates=self._rates,
            remark=remark,
        )

    def _wait_for_first_frame(self) -> None:
        began = live_since = time.monotonic()
        told = self.wait_s == 0
        while self.model.frame is None:
            status, now = self.connection.status, time.monotonic()
            if not status.live:
                live_since = now
            given_up = status.attempt > 0 and now - began >= self.wait_s
            if status.phase is Phase.REFUSED or given_up or now - live_since > STALL_S:
                raise RecordingError(status.sentence or "the server sends no pictures")
            if not told and now - began > SAY_AFTER_S:
                told = True
                self._say(
                    f"waiting up to {self.wait_s:g} s for {self.connection.endpoint} (--wait SECONDS) …"
                )
            self._exchange()
            time.sleep(POLL_S)

    def _play(self, scene: Scene) -> None:
        """Play one scene, in real time."""
        model, length = self.model, scene.share * self.seconds
        model.mouse_at(None)
        if scene.mode is not None:
            model.brush.mode, model.brush.strength = scene.mode, scene.strength
        began = time.monotonic()
        next_picture, looked = 0.0, False
        if scene.mode is None:
            self._keep_pace(length, model.tick_rate_hz)
        else:
            slow = min(SLOW_HZ, model.tick_rate_hz)
            model.configure(m.SettingsChange(stride=1, steps_per_second=slow))
        while (elapsed := time.monotonic() - began) < length:
            if scene.mode is not None:
                model.mouse_at(along(scene.path, elapsed / length))
            elif not looked and elapsed > LOOK_AGAIN_S:
                looked = True
                self._keep_pace(
                    length - elapsed, self.connection.statistics.steps_per_second(time.monotonic())
                )
            self._exchange()
            if not model.status.live:
                raise RecordingError(f"the session was lost: {model.status.sentence}")
            if elapsed >= next_picture:
                self._keep_picture(scene.caption)
                next_picture += PERIOD_MS / 1000
            time.sleep(POLL_S)

    def _keep_pace(self, seconds: float, steps_per_second: float) -> None:
        """Choose a stride with which the picture is clean in time."""
        frame = self.model.frame
        assert frame is not None
        if frame.idle or steps_per_second <= 0:
            return
        stride = stride_for(frame.time_step.max, seconds * DONE_BY, steps_per_second)
        change = m.SettingsChange(stride=stride, steps_per_second=self.model.tick_rate_hz)
        if change.apply_to(self.model.settings) != self.model.settings:
            self.model.configure(change)

    def _keep_picture(self, caption: str) -> None:
        self._pictures.append(self._renderer.draw(self.model, caption))
        self._note_rate()

    def _note_rate(self) -> None:
        rate = self.connection.statistics.steps_per_second(time.monotonic())
        if rate > 0:
            self._rates.append(rate)

    def _exchange(self) -> bool:
        """Take in and send what there is; return whether there was a new frame."""
        fresh = synchronize(self.connection, self.model)
        if fresh is None:
            return False
        self.connection.drawn(fresh)
        return True


def _target(path: Path) -> Path:
    """Return the path to record to: the given one, or one beside it.

    Raises:
        RecordingError: no file can be written there.
    """
    try:
        check_file("the recording", path)
    except UnwritableError as error:
        raise RecordingError(str(error)) from error
    return free_path(path)
