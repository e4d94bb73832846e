"""Sessions without a server: they step, apply commands and rest as real ones do, tick by tick.

What a picture shows is made of what was applied and when, so that two that are alike have had the same.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from diffusion_toy.contract import messages as m
from tests.viewer_client.frames import WELCOME, frame
from viewer_client.core.view_model import ViewModel
from viewer_client.link.status import Phase, Statistics, Status

T = 60
SETTINGS = m.Settings(num_time_steps=T)
INJECTIONS_A_TICK = 9


class SimulatedSession:
    """One session and the link to it.

    Attributes:
        start: that it was opened with.
        full: there is no room for it.
        late: ticks that a command takes to the session; frames come back at once.
        at_a_time: commands that arrive in a tick at most.
        sent: all commands, with their `at_step`.
        applied: by sequence, the step at which it was applied.
        rejected: sequences of commands whose step was past.
        ended: it was closed; `kept` if the session was not to end with it.
        history: what the picture is made of.

    Args:
        shape: of the picture, (C, H, W).
        seen: what of an injection the picture is made of.
    """

    def __init__(
        self,
        start: m.Start,
        *,
        full: bool = False,
        late: int = 2,
        shape: tuple[int, int, int] = (1, 28, 28),
        seen: Callable[[m.Command], object] = repr,
    ) -> None:
        self.start, self.full, self.late, self._shape, self._seen = start, full, late, shape, seen
        self.at_a_time = 1000
        self.statistics = Statistics()
        self.statistics.round_trip_ms = late * 1000 / 60
        self.sent: list[tuple[m.Command, int | None]] = []
        self.applied: dict[int, int] = {}
        self.rejected: list[int] = []
        self.ended = self.kept = False
        self.switched_session: m.ResumeToken | None = None
        self.tokens = True
        self.resume_token: m.ResumeToken | None = None
        self.status = Status(Phase.LOST, "the server is full", 1) if full else Status(Phase.LIVE)
        self.recent: list[m.Frame] = []
        self.step, self.t, self.motion = 0, float(T), start.motion
        self.seed = 7 if start.seed is None else start.seed
        if start.resume_token:
            step, t = start.resume_token.decode().split()
            self.step, self.t, self.motion = int(step), float(t), m.Motion.PAUSED
        self.history: list[object] = [self.seed]
        self._single = False
        self._sequence, self._applied_sequence, self._tick = 1, 1, 0
        self._waiting: deque[tuple[int, int, m.Command, int | None]] = deque()  # tick, sequence, …
        self._events: list[m.Response] = [] if full else [replace(WELCOME, settings=SETTINGS)]
        self._untold: list[m.Applied] = []
        self._dirty, self._number = True, 0
        self._newest: m.Frame | None = None

    # --- the link ---

    def take(self) -> list[m.Response]:
        events, self._events = self._events, []
        if self._newest is not None:
            events.append(self._newest)
            self._newest = None
        return events

    def send(self, command: m.Command, at_step: int | None = None) -> int | None:
        if not self.status.live:
            return None
        self._sequence += 1
        self.sent.append((command, at_step))
        self._waiting.append((self._tick + self.late, self._sequence, command, at_step))
        return self._sequence

    def drawn(self, frame: m.Frame) -> None:
        pass

    def take_over(self, token: m.ResumeToken) -> None:
        self.switched_session = token

    def close(self, *, keep_session: bool = False) -> None:
        self.ended, self.kept = True, keep_session

    # --- the session ---

    def lose(self, sentence: str) -> None:
        self.status = Status(Phase.LOST, sentence, 1)

    @property
    def idle(self) -> bool:
        return self.motion is m.Motion.PAUSED or self.t == 0

    def tick(self) -> None:
        """Apply what has arrived, show, step."""
        self._tick += 1
        if not self.status.live:
            return
        injections, left = 0, self.at_a_time
        while self._waiting and self._waiting[0][0] <= self._tick and left:
            left -= 1
            _, sequence, command, at_step = self._waiting[0]
            if at_step is not None and at_step > self.step:
                break
            injections += isinstance(command, m.Inject)
            if injections > INJECTIONS_A_TICK:
                break
            self._waiting.popleft()
            self._applied_sequence, self._dirty = sequence, True
            if at_step is not None and at_step < self.step:
                self.rejected.append(sequence)
            else:
                self._apply(sequence, command)
        running = not self.idle
        if running or self._dirty:
            self._show()
        if running:
            self.t, self.step = max(self.t - 1, 0), self.step + 1
            self.history.append(self.step)
            if self._single:
                self.motion, self._single = m.Motion.PAUSED, False
            self._dirty = self.idle

    def _apply(self, sequence: int, command: m.Command) -> None:
        self.applied[sequence] = self.step
        self._untold.append(m.Applied(sequence, self.step))
        match command:
            case m.Inject():
                self.t = min(self.t + command.amount, float(T))
                self.history.append(self._seen(command))
            case m.Play():
                self.motion = m.Motion.REVERSE
            case m.Pause():
                self.motion = m.Motion.PAUSED
                if self.tokens:
                    self.resume_token = m.ResumeToken(f"{self.step} {self.t}".encode(), sequence)
            case m.Step():
                self.motion, self._single = m.Motion.REVERSE, True
            case m.Restart():
                self.step, self.t, self.motion, self._single = 0, float(T), m.Motion.REVERSE, False
                self.seed = self.seed if command.seed is None else command.seed
                self.history = [self.seed]

    def _show(self) -> None:
        digest = hashlib.sha256(repr(self.history).encode()).digest()
        noise = np.random.default_rng(list(digest)).uniform(-1, 1, self._shape).astype(np.float32)
        self._number += 1
        self._newest = frame(
            self.t, number=self._number, step=self.step, applied_sequence=self._applied_sequence, x_t=noise,
            x0_hat=noise, motion=self.motion, idle=self.idle, settings=SETTINGS, seed=self.seed,
            applied=tuple(self._untold),
        )  # fmt: skip
        self._untold = []
        self.recent = [*self.recent, self._newest][-32:]
        self._dirty = False


def exchanged(model: ViewModel, link: SimulatedSession, now: float) -> None:
    """What `exchange.exchange` does with a real connection."""
    for response in link.take():
        model.receive(response)
    model.pass_time(link.status, now)
    for command in model.take_commands():
        sequence = link.send(command)
        if sequence is not None:
            model.sent(command, sequence, now)
