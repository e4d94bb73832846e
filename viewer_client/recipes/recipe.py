"""A recipe: how a picture came to be, so exactly that it comes to be again.

A session's noise is a function of (seed, purpose, step or number of the injection, pixel). So the
start, the commands that touch the picture and the steps before which they were applied are all there
is to it; when they were sent, how fast the session ran and where it paused is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from diffusion_toy.contract import messages as m
from diffusion_toy.errors import InvalidValueError

STEPS_MAX = 1_000_000
OTHER_WEIGHTS = "the recipe was made with other weights (model {}, {}): they give another picture"
NOTHING = m.Inject(m.Disc(0.0, 0.0, 1e-6), 1.0)  # covers no pixel; counts as an injection


@dataclass(frozen=True)
class Undone:
    """So many injections were taken back here, by a return to this step.

    Their numbers are spent: the noise of the next injection is that of the number after theirs.
    """

    injections: int

    def __post_init__(self) -> None:
        m.check_range("undone.injections", self.injections, 1, STEPS_MAX)


Ingredient = m.Inject | m.Configure | m.Jump | m.Play | m.Step | Undone


@dataclass(frozen=True)
class Entry:
    """Something that was done before this step was taken.

    A `Play` says in which direction this step and those after it go, in reverse before the first; a
    `Step` is one of a disc, and takes this step; a `Jump` is one to a higher time step, which noises.
    """

    step: int
    what: Ingredient


@dataclass(frozen=True)
class Recipe:
    """How a picture came to be.

    Attributes:
        start: model, seed, origin, and settings without the speed.
        fingerprint: fingerprint of the model's weights; others give another picture.
        entries: what was done to it, in this order.
        steps: number of steps that the session has taken since its start.
        inexact: why it may come out differently, "" if it does not.

    Raises:
        InvalidValueError: not in order, or something that a recipe does not have.
    """

    start: m.Start
    fingerprint: str
    entries: tuple[Entry, ...]
    steps: int
    inexact: str = ""

    def __post_init__(self) -> None:
        if self.start.seed is None:
            raise InvalidValueError("start.seed", "(unset)", f"0…{m.SEED_MAX}")
        rest = replace(self.start, model="", origin=m.Origin(), seed=None, settings=m.SettingsChange())
        if rest != m.Start():
            raise InvalidValueError(
                "start", str(rest), "what a recipe has", "seed, origin and settings will do"
            )
        _check_change("start.settings", self.start.settings)
        m.check_range("steps", self.steps, 0, STEPS_MAX)
        least = 0
        for number, entry in enumerate(self.entries):
            path = f"commands[{number}]"
            takes_step = isinstance(entry.what, m.Step)
            m.check_range(f"{path}.at_step", entry.step, least, self.steps - takes_step)
            least = entry.step + takes_step
            _check_ingredient(path, entry.what)

    def commands(self) -> Iterator[tuple[int, m.Command]]:
        """Yield all commands that make the picture from a session paused at its start, with their steps.

        Each step is a command of its own, so that nothing depends on when they arrive.
        """
        direction, now = m.Motion.REVERSE, 0
        for entry in self.entries:
            yield from ((step, m.Step(direction)) for step in range(now, entry.step))
            now = entry.step
            match entry.what:
                case m.Play():
                    direction = entry.what.direction
                case Undone(injections):
                    yield from ((now, NOTHING) for _ in range(injections))
                case m.Step():
                    yield now, entry.what
                    now += 1
                case _:
                    yield now, entry.what
        yield from ((step, m.Step(direction)) for step in range(now, self.steps))

    def doubt(self, model: m.ModelInfo | None) -> str:
        """Return why a replay with this model may give another picture, "" if it gives the same."""
        if model is not None and model.fingerprint != self.fingerprint:
            return OTHER_WEIGHTS.format(self.start.model, self.fingerprint)
        return f"this recipe is not exact: {self.inexact}" if self.inexact else ""

    def session(self, model: str) -> m.Start:
        """Return the session on which `commands` make the picture, of this model."""
        return replace(self.start, model=model, motion=m.Motion.PAUSED)


def is_of_speed(command: m.Command) -> bool:
    """Say whether a command changes nothing but how fast a session runs."""
    if not isinstance(command, m.Configure):
        return False
    return replace(command.settings, steps_per_second=None) == m.SettingsChange()


def _check_change(path: str, change: m.SettingsChange) -> None:
    if change.steps_per_second is not None:
        raise InvalidValueError(
            f"{path}.steps_per_second", f"{change.steps_per_second:g}", "what a recipe has"
        )


def _check_ingredient(path: str, what: Ingredient) -> None:
    match what:
        case m.Step(_, None):
            raise InvalidValueError(
                f"{path}.step.disc", "(unset)", "steps that a recipe lists, those of a disc"
            )
        case m.Jump(_, None):
            raise InvalidValueError(
                f"{path}.jump.step", what.step, "jumps that a recipe has, those to a time_step"
            )
        case m.Configure(change):
            _check_change(f"{path}.configure.settings", change)
