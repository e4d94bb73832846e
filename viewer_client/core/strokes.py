"""How mouse movement becomes noise: strokes are dosed by distance.

A stroke is followed at even spacing along its path, so neither the number of mouse events nor the
frame rate nor latency changes the dose. Distances are fractions of the picture's side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from viewer_client.core.geometry import Point

SPACING_RADII = 0.5  # dabs of a brush are half a radius apart
WHOLE_IMAGE_RADIUS = 0.25  # for the whole image, one "radius" of travel is a quarter of the side
RADIUS_MIN, RADIUS_MAX, RADIUS_DEFAULT = 0.03, 0.5, 0.15
STRENGTH_MIN, STRENGTH_MAX, STRENGTH_DEFAULT = 2.0, 300.0, 30.0
STEP = 1e-9  # of rounding error that a dab may be early, in fractions of the side


class MouseMode(Enum):
    """What moving the mouse over the picture does; the value is what the viewer calls it."""

    WHOLE_IMAGE = "whole image"
    BRUSH = "brush"
    BRUSH_HELD = "brush while pressed"

    @property
    def next(self) -> MouseMode:
        """Return the mode after this one; the last leads to the first."""
        modes = list(MouseMode)
        return modes[(modes.index(self) + 1) % len(modes)]


@dataclass(frozen=True)
class Dab:
    """One injection: at `center` within `radius`, everywhere if `center` is None.

    `amount` is in time steps.
    """

    center: Point | None
    radius: float
    amount: float


class Stroke:
    """Follows the mouse and says what it injects."""

    def __init__(self) -> None:
        self._last: Point | None = None
        self._travelled = 0.0  # since the last dab

    def lift(self) -> None:
        """End the stroke: the mouse has left the picture, or the button was released."""
        self._last, self._travelled = None, 0.0

    def move(self, point: Point, mode: MouseMode, radius: float, strength: float) -> list[Dab]:
        """Follow the mouse in a straight line to `point`.

        Args:
            point: where the mouse is, in fractions of the picture.
            mode: whole image or brush.
            radius: radius of the brush, fraction of the picture's side.
            strength: time steps for each radius travelled.

        Returns:
            The dabs of this piece of the path, none if it is too short for one.
        """
        last, self._last = self._last, point
        if last is None:
            pressed = mode is MouseMode.BRUSH_HELD
            return [Dab(point, radius, strength * SPACING_RADII)] if pressed else []  # a click leaves a mark
        length = math.dist(last, point)
        if mode is MouseMode.WHOLE_IMAGE:
            amount = strength * length / WHOLE_IMAGE_RADIUS
            return [Dab(None, 1.0, amount)] if amount > 0 else []
        spacing = SPACING_RADII * radius
        dabs = []
        along = max(spacing - self._travelled, 0.0)  # from `last` to the next dab
        while along <= length + STEP:
            share = min(along / length, 1.0) if length else 0.0
            center = (last[0] + share * (point[0] - last[0]), last[1] + share * (point[1] - last[1]))
            dabs.append(Dab(center, radius, strength * SPACING_RADII))
            along += spacing
        self._travelled = length - (along - spacing)
        return dabs


def merged(dabs: Sequence[Dab], limit: int) -> list[Dab]:
    """Return at most `limit` dabs with the same total dose: neighbours on the path become one.

    Dabs of the whole image are always added up to one. The order of what remains is kept.
    """
    everywhere = sum(dab.amount for dab in dabs if dab.center is None)
    local = [dab for dab in dabs if dab.center is not None]
    result = [Dab(None, 1.0, everywhere)] if everywhere else []
    share = math.ceil(len(local) / max(limit - len(result), 1))
    for start in range(0, len(local), max(share, 1)):
        group = local[start : start + share]
        middle = group[len(group) // 2]
        result.append(Dab(middle.center, middle.radius, sum(dab.amount for dab in group)))
    return result
