"""What is seen of noise that was sent: at once in the picture, and for long on the time line."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace

from diffusion_toy.contract import messages as m
from viewer_client.core.strokes import Dab

SPECKLE_S = 0.25  # a speckle that no frame answers goes after this
MARKS_KEPT = 64


@dataclass(frozen=True)
class Speckle:
    """A dab that was sent and that no frame shows yet; gone at `expires`, seconds."""

    sequence: int
    dab: Dab
    expires: float
    rule: m.InjectionRule = m.InjectionRule.TRUTH


@dataclass(eq=False)
class Feedback:
    """Of the strokes of one session.

    Attributes:
        speckles: noise that was sent and is not in a frame yet, the oldest first.
        marks: time steps at which noise was added since the last restart.
    """

    speckles: deque[Speckle] = field(default_factory=deque)
    marks: deque[float] = field(default_factory=lambda: deque(maxlen=MARKS_KEPT))
    _fresh: bool = False  # the speckles' commands have just been sent again

    def add(self, command: m.Inject, sequence: int, now: float, time_step: float | None) -> None:
        """This was sent at `now` (seconds), with the picture at `time_step` if there was one."""
        disc = command.disc
        center, radius = ((disc.x, disc.y), disc.radius) if disc else (None, 1.0)
        dab = Dab(center, radius, command.amount)
        self.speckles.append(Speckle(sequence, dab, now + SPECKLE_S, command.rule))
        if time_step is not None:
            self.marks.append(time_step)

    def applied(self, sequence: int) -> None:
        """A frame shows all commands up to this one."""
        while self.speckles and self.speckles[0].sequence <= sequence:
            self.speckles.popleft()

    def sent_again(self) -> None:
        """The connection was made anew, and what had not applied was sent once more."""
        self._fresh = True

    def pass_time(self, now: float) -> None:
        """Drop what nobody has answered until `now`, seconds."""
        if self._fresh:
            self._fresh = False
            self.speckles = deque(replace(speckle, expires=now + SPECKLE_S) for speckle in self.speckles)
        while self.speckles and self.speckles[0].expires <= now:
            self.speckles.popleft()
