"""What the session does once the commands on their way have been applied."""

from __future__ import annotations

from dataclasses import dataclass, field

from diffusion_toy.contract import messages as m


@dataclass(eq=False)
class ExpectedState:
    """Shown in place of what the newest frame says, which is older by a round trip.

    Attributes:
        settings: in force then.
        motion: what the session does then.
        direction: where `Play` goes.
        stepping: the last movement was a single step, which ends in a pause.
        last_sequence: of the last command; until it has been applied, frames tell of the past.
    """

    settings: m.Settings = field(default_factory=m.Settings)
    motion: m.Motion = m.Motion.REVERSE
    direction: m.Motion = m.Motion.REVERSE
    stepping: bool = False
    last_sequence: int = 0

    def begin(self, motion: m.Motion) -> None:
        """The session begins, or begins anew, and moves like this."""
        self.motion = self.direction = motion
        self.stepping = False

    def moved(self, command: m.Play | m.Pause | m.Step | m.Back | m.Jump) -> None:
        """This is on its way."""
        self.stepping = isinstance(command, m.Step)
        if isinstance(command, m.Play):
            self.motion = self.direction = command.direction
        else:
            self.motion = m.Motion.PAUSED

    def rests(self, direction: m.Motion) -> None:
        """A replay has brought it to rest; `Play` would go on in this direction."""
        self.motion, self.stepping, self.direction = m.Motion.PAUSED, True, direction

    def receive(self, frame: m.Frame) -> None:
        """Believe a frame that knows all commands."""
        if frame.applied_sequence >= self.last_sequence:
            self.settings = frame.settings
            self.motion = m.Motion.PAUSED if self.stepping else frame.motion
            if frame.motion is not m.Motion.PAUSED:
                self.direction = frame.motion
