"""A recipe on its way back to the picture: what is sent next, and whether it goes as it should.

A replay sends every step as a command of its own, in order, to a session that is paused. So it is exact
however late anything arrives, and nothing waits on the server for a step that may never come.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from diffusion_toy.contract import messages as m
from diffusion_toy.rate import TokenBucket
from viewer_client.recipes.recipe import Recipe, is_of_speed

AHEAD = 24  # commands on their way: enough for 60 steps a second over 0.4 s, few enough to be stopped soon
SHARE = 0.8  # of the server's limit of commands a second
BURST_S = 0.25


class Replay:
    """One replay of a recipe.

    Args:
        recipe: what to replay.
        over: the session is there and may be running: its run is to be left.

    Attributes:
        held: the replay waits, as in a pause.
        direction: direction of the newest step.
        done: the recipe's picture is there.
        failure: why there will be another picture, as a sentence; "" as long as there may not.
    """

    def __init__(self, recipe: Recipe, *, over: bool = False) -> None:
        self.recipe, self.held, self.done, self.failure = recipe, False, False, ""
        self.direction = m.Motion.REVERSE
        self._sent: dict[int, tuple[int | None, m.Command]] = {}  # what has not been applied, by sequence
        self._limit = TokenBucket(0, burst=m.Limits().commands_per_second * BURST_S)
        self._speed = TokenBucket(0, burst=1)
        self._commands: Iterator[tuple[int | None, m.Command]]
        self._next: tuple[int | None, m.Command] | None
        self._begin(over)

    def _begin(self, over: bool) -> None:
        self._commands = self._all(over)
        self._next = next(self._commands, None)
        self._sent.clear()

    def _all(self, over: bool) -> Iterator[tuple[int | None, m.Command]]:
        if over:
            start = self.recipe.start
            yield None, m.Configure(start.settings)
            yield None, m.Restart(start.seed, start.origin)
            yield None, m.Jump(step=0)  # pauses there, should it have begun to run
        yield from self.recipe.commands()

    def begin_again(self) -> None:
        """Begin again: there is a new session, paused at the recipe's start."""
        self._begin(over=False)

    def next(self, now: float, limits: m.Limits, steps_per_second: float) -> m.Command | None:
        """Return what is to be sent at `now` (seconds), the same until it has been sent; None if nothing."""
        if self._next is None or self.held or self.failure or len(self._sent) >= AHEAD:
            return None
        command = self._next[1]
        self._speed.rate, self._limit.rate = steps_per_second, limits.commands_per_second * SHARE
        slow = isinstance(command, m.Step) and steps_per_second < limits.tick_rate_hz
        if slow and not self._speed.ready(now):
            return None
        return command if self._limit.ready(now) else None

    def sent(self, command: m.Command, sequence: int) -> bool:
        """Take note of a command that was sent with this number; say whether it was one of the replay's."""
        if self._next is None or command is not self._next[1]:
            return False
        self._sent[sequence] = self._next
        self._next = next(self._commands, None)
        self._limit.spend()
        if isinstance(command, m.Step):
            self._speed.spend()
            self.direction = command.direction
        return True

    def steer(self, commands: Sequence[m.Command]) -> list[m.Command] | None:
        """Take what the user wants meanwhile; return what is to be sent, None where that ends the replay.

        A pause holds the replay, playing lets it go on, and the speed is free.
        """
        others: list[m.Command] = []
        for command in commands:
            match command:
                case m.Pause():
                    self.held = True
                case m.Play() if self.held:
                    self.held = False
                case _:
                    others.append(command)
        return others if all(is_of_speed(command) for command in others) else None

    def receive(self, frame: m.Frame) -> None:
        """Take in where the session is, and which commands of the replay have been applied."""
        for applied in frame.applied:
            step, _ = self._sent.get(applied.sequence, (None, None))
            if step is not None and step != applied.step:
                self._fail(f"what belongs to step {step} came at step {applied.step}")
        for number in [number for number in self._sent if number <= frame.applied_sequence]:
            del self._sent[number]
        if self._next is None and not self._sent and frame.idle:
            self.done = frame.step == self.recipe.steps
            if not self.done:
                self._fail(f"the session is idle at step {frame.step} of {self.recipe.steps}")

    def rejected(self, rejected: m.Rejected) -> None:
        """Take note that a command was rejected, one of the replay's or another."""
        if rejected.sequence in self._sent:
            self._fail(rejected.message)

    def _fail(self, reason: str) -> None:
        self.failure = self.failure or f"this replay gives another picture: {reason}"
