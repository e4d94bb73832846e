"""What moving the mouse does, and the noise that it has painted and nobody has sent yet."""

from __future__ import annotations

from dataclasses import dataclass

from diffusion_toy.contract import messages as m
from viewer_client.core.geometry import Point
from viewer_client.core.keymap import Action
from viewer_client.core.strokes import (
    RADIUS_DEFAULT,
    RADIUS_MAX,
    RADIUS_MIN,
    STRENGTH_DEFAULT,
    STRENGTH_MAX,
    STRENGTH_MIN,
    Dab,
    MouseMode,
    Stroke,
    merged,
)

DABS_PER_FRAME = 8  # at most; a server with a low limit of commands gets fewer
DABS_WAITING = 3 * DABS_PER_FRAME  # more are merged, so that the noise keeps up with the mouse
RADIUS_STEP, STRENGTH_STEP = 1.15, 1.25  # factors of one key press


def injection(dab: Dab, kind: m.NoiseKind, rule: m.InjectionRule) -> m.Inject:
    """Return the command that adds this noise, at most `AMOUNT_MAX` of it."""
    disc = None if dab.center is None else m.Disc(*dab.center, dab.radius)
    return m.Inject(disc, min(dab.amount, m.AMOUNT_MAX), kind, rule)


@dataclass(eq=False)
class Brush:
    """How the mouse paints.

    Attributes:
        mode: where moving the mouse adds noise.
        radius: radius of the brush, fraction of the picture's side.
        strength: time steps for each radius travelled.
        kind: kind of noise.
        rule: rule by which the noise is added.
    """

    mode: MouseMode = MouseMode.WHOLE_IMAGE
    radius: float = RADIUS_DEFAULT
    strength: float = STRENGTH_DEFAULT
    kind: m.NoiseKind = m.NoiseKind.GAUSSIAN
    rule: m.InjectionRule = m.InjectionRule.TRUTH

    def act(self, action: Action) -> bool:
        """Change what a key asks for; say whether it was the brush that it meant."""
        match action:
            case Action.MOUSE_MODE:
                self.mode = self.mode.next
            case Action.SMALLER_BRUSH:
                self.radius = max(self.radius / RADIUS_STEP, RADIUS_MIN)
            case Action.LARGER_BRUSH:
                self.radius = min(self.radius * RADIUS_STEP, RADIUS_MAX)
            case Action.WEAKER:
                self.strength = max(self.strength / STRENGTH_STEP, STRENGTH_MIN)
            case Action.STRONGER:
                self.strength = min(self.strength * STRENGTH_STEP, STRENGTH_MAX)
            case Action.NOISE_KIND:
                self.kind = m.NoiseKind(self.kind % len(m.NoiseKind) + 1)
            case Action.RULE:
                self.rule = m.InjectionRule(self.rule % len(m.InjectionRule) + 1)
            case _:
                return False
        return True

    def inject(self, dab: Dab) -> m.Inject:
        """Return the command that paints this dab."""
        return injection(dab, self.kind, self.rule)


class Painting:
    """Follows the mouse over one picture and keeps the dabs that wait to be sent.

    Args:
        brush: how the mouse paints.
    """

    def __init__(self, brush: Brush) -> None:
        self._brush = brush
        self._stroke = Stroke()
        self._waiting: list[Dab] = []
        self._held = False

    def __bool__(self) -> bool:
        """Say whether any dab waits."""
        return bool(self._waiting)

    @property
    def paints(self) -> bool:
        """Say whether moving leaves noise; the third mode asks for the button as well."""
        return self._brush.mode is not MouseMode.BRUSH_HELD or self._held

    def button(self, held: bool) -> bool:
        """Take note that the button went down or up; say whether that begins or ends a stroke."""
        self._held = held
        return self._brush.mode is MouseMode.BRUSH_HELD

    def move(self, point: Point) -> None:
        """Follow the mouse in a straight line to this point of the picture."""
        brush = self._brush
        self._waiting += self._stroke.move(point, brush.mode, brush.radius, brush.strength)

    def lift(self) -> None:
        """End the stroke: the next point begins another one."""
        self._stroke.lift()

    def drop(self) -> None:
        """Forget what waits."""
        self._waiting.clear()

    def take(self, most: int) -> list[Dab]:
        """Remove and return the first of the dabs that wait, so many at most."""
        waiting = merged(self._waiting, DABS_WAITING)
        self._waiting = waiting[most:]
        return waiting[:most]
