"""What the session does once the commands on their way have been applied."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from diffusion_toy.contract import messages as m


@dataclass(eq=False)
class ExpectedState:
    """Shown in place of what the newest frame says, which is older by a round trip.

    Attributes:
        settings: settings in force once all commands have been applied.
        motion: what the session does then.
        direction: where `Play` goes.
        stepping: the last movement was a single step, which ends in a pause.
        last_sequence: number of the last command; until it has been applied, frames tell of the past.
        applied_sequence: number of the last command that a frame says was applied.
    """

    settings: m.Settings = field(default_factory=m.Settings)
    motion: m.Motion = m.Motion.REVERSE
    direction: m.Motion = m.Motion.REVERSE
    stepping: bool = False
    last_sequence: int = 0
    applied_sequence: int = 0

    def go_back_to(self, earlier: ExpectedState) -> None:
        """Expect what was expected earlier: the commands since then have not been sent."""
        self.settings, self.motion = earlier.settings, earlier.motion
        self.direction, self.stepping = earlier.direction, earlier.stepping

    def begin(self, motion: m.Motion) -> None:
        """Expect a session that begins, or begins again, and moves like this."""
        self.motion = self.direction = motion
        self.stepping = False

    def moved(self, command: m.Play | m.Pause | m.Step | m.Back | m.Jump) -> None:
        """Expect what this command does; it is on its way."""
        self.stepping = isinstance(command, m.Step)
        if isinstance(command, m.Play):
            self.motion = self.direction = command.direction
        else:
            self.motion = m.Motion.PAUSED

    def paused_by_replay(self, direction: m.Motion) -> None:
        """Expect the pause at the end of a replay; `Play` would go on in this direction."""
        self.motion, self.stepping, self.direction = m.Motion.PAUSED, True, direction

    @property
    def on_their_way(self) -> int:
        """Return how many commands no frame shows yet."""
        return self.last_sequence - self.applied_sequence

    def sent(self, command: m.Command, sequence: int, now: float, *, ahead: bool) -> None:
        """Take note of a command: frames that do not know it tell of the past."""
        self.last_sequence = sequence

    def received(self, response: m.Response) -> None:
        """Believe a frame that knows all commands."""
        match response:
            case m.Welcome(resumed=False):
                self.last_sequence = 0
            case m.Frame():
                self.applied_sequence = response.applied_sequence
                if response.applied_sequence >= self.last_sequence:
                    self.settings = response.settings
                    self.motion = m.Motion.PAUSED if self.stepping else response.motion
                    if response.motion is not m.Motion.PAUSED:
                        self.direction = response.motion


@dataclass(eq=False)
class SentState:
    """What a session begins with and does by the commands that have been sent.

    Attributes:
        dropped: commands have been asked for since then, and will not be sent.
    """

    start: m.Start
    expected: ExpectedState
    dropped: bool = False

    @staticmethod
    def of(start: m.Start, expected: ExpectedState) -> SentState:
        """Return the state of now: all that was asked for is on its way."""
        return SentState(start, replace(expected))

    def restored(self, start: m.Start, expected: ExpectedState) -> m.Start:
        """Take back what was dropped: a session that goes on knows nothing of it. Return its start."""
        if not self.dropped:
            return start
        self.dropped = False
        expected.go_back_to(self.expected)
        return self.start
