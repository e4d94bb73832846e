"""How mouse movement becomes noise: strokes are dosed by distance.

A stroke is followed at even spacing along its path, so neither the number of mouse events nor the
frame rate nor latency changes the dose. Distances are fractions of the picture's side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from viewer_client.geometry import Point

SPACING_RADII = 0.5  # dabs of a brush are half a radius apart
WHOLE_IMAGE_REFERENCE = 0.25  # for the whole image, one "radius" of travel is a quarter of the side
RADIUS_MIN, RADIUS_MAX, RADIUS_DEFAULT = 0.03, 0.5, 0.15
STRENGTH_MIN, STRENGTH_MAX, STRENGTH_DEFAULT = 2.0, 300.0, 30.0


class MouseMode(Enum):
    """What moving the mouse over the picture does; the value is what the viewer calls it."""

    WHOLE_IMAGE = "whole image"
    BRUSH = "brush while moving"
    BRUSH_HELD = "brush while a button is held"

    @property
    def next(self) -> MouseMode:
        """The mode after this one; the last leads to the first."""
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
        """The mouse has left the picture, or the button was released."""
        self._last, self._travelled = None, 0.0

    def move(self, point: Point, mode: MouseMode, radius: float, strength: float) -> list[Dab]:
        """The mouse has moved in a straight line to `point`.

        Args:
            point: in fractions of the picture.
            mode: whole image or brush.
            radius: of the brush, fraction of the picture's side.
            strength: time steps for each radius travelled.

        Returns:
            The dabs of this piece of the path, none if it is too short for one.
        """
        last, self._last = self._last, point
        if mode is MouseMode.BRUSH_HELD and last is None:
            return [Dab(point, radius, strength * SPACING_RADII)]  # a click alone leaves a mark
        if last is None:
            return []
        length = math.dist(last, point)
        if mode is MouseMode.WHOLE_IMAGE:
            amount = strength * length / WHOLE_IMAGE_REFERENCE
            return [Dab(None, 1.0, amount)] if amount > 0 else []
        spacing = SPACING_RADII * radius
        dabs = []
        along = spacing - self._travelled  # from `last` to the next dab
        while along <= length:
            share = along / length if length else 0.0
            center = (last[0] + share * (point[0] - last[0]), last[1] + share * (point[1] - last[1]))
            dabs.append(Dab(center, radius, strength * SPACING_RADII))
            along += spacing
        self._travelled = length - (along - spacing)
        return dabs
