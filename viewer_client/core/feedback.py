"""What is seen of noise that was sent: at once in the picture, and for long on the time line."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace

from diffusion_toy.contract import messages as m

SPECKLE_S = 0.25  # a speckle that no frame answers goes after this
MARKS_KEPT = 64


@dataclass(frozen=True)
class Speckle:
    """An injection that was sent and that no frame shows yet; gone at `expires`, seconds."""

    sequence: int
    inject: m.Inject
    expires: float


@dataclass(eq=False)
class Feedback:
    """Shows the strokes of one session before the server answers.

    Attributes:
        speckles: noise that was sent and is not in a frame yet, the oldest first.
        marks: time steps at which noise was added since the last restart.
    """

    speckles: deque[Speckle] = field(default_factory=deque)
    marks: deque[float] = field(default_factory=lambda: deque(maxlen=MARKS_KEPT))
    _time_step: float | None = None  # of the newest frame
    _ahead: deque[int] = field(default_factory=deque)  # injections of a replay that wait for their turn
    _sent_again: bool = False  # the speckles' commands have just been sent once more

    def sent(self, command: m.Command, sequence: int, now: float, *, ahead: bool) -> None:
        """Show an injection that was sent; one of a replay only once it has been applied."""
        if not isinstance(command, m.Inject):
            return
        if ahead:
            self._ahead.append(sequence)
            return
        self.speckles.append(Speckle(sequence, command, now + SPECKLE_S))
        if self._time_step is not None:
            self.marks.append(self._time_step)

    def received(self, response: m.Response) -> None:
        """Drop what a frame shows, and keep what is sent again after a loss."""
        match response:
            case m.Welcome(resumed=True):
                self._sent_again = True
            case m.Welcome():
                self.speckles.clear()
                self._ahead.clear()
            case m.Frame():
                self._time_step = response.time_step.max
                while self.speckles and self.speckles[0].sequence <= response.applied_sequence:
                    self.speckles.popleft()
                while self._ahead and self._ahead[0] <= response.applied_sequence:
                    self._ahead.popleft()
                    self.marks.append(self._time_step)

    def forget_run(self) -> None:
        """Forget the marks: another run begins."""
        self.marks.clear()

    def pass_time(self, now: float) -> None:
        """Drop what nobody has answered until `now`, seconds."""
        if self._sent_again:
            self._sent_again = False
            self.speckles = deque(replace(speckle, expires=now + SPECKLE_S) for speckle in self.speckles)
        while self.speckles and self.speckles[0].expires <= now:
            self.speckles.popleft()
