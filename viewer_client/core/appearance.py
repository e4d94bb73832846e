"""How the viewer shows things, as the user has chosen: colours, text size, layers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

TEXT_SCALE_MIN, TEXT_SCALE_MAX, TEXT_SCALE_STEP = 0.8, 2.0, 1.1


class ColorMap(Enum):
    """How grey values become colours; the value is what the viewer calls it."""

    GREY = "grey"
    INK = "ink on paper"
    VIRIDIS = "viridis"
    DIVERGING = "diverging"


@dataclass
class Appearance:
    """How the window shows things; its keys change it.

    Attributes:
        color_map: colours of x_t and x̂0; ε̂ is always shown in the diverging one.
        heat: the time step of each pixel is laid over x_t.
        text_scale: factor on the size of all text, which follows the window.
    """

    color_map: ColorMap = ColorMap.GREY
    heat: bool = False
    text_scale: float = 1.0

    def next_colors(self) -> None:
        """Choose the next colour map; the last leads to the first."""
        maps = list(ColorMap)
        self.color_map = maps[(maps.index(self.color_map) + 1) % len(maps)]

    def larger_text(self) -> None:
        """Make the text one step larger, up to `TEXT_SCALE_MAX`."""
        self.text_scale = min(self.text_scale * TEXT_SCALE_STEP, TEXT_SCALE_MAX)

    def smaller_text(self) -> None:
        """Make the text one step smaller, down to `TEXT_SCALE_MIN`."""
        self.text_scale = max(self.text_scale / TEXT_SCALE_STEP, TEXT_SCALE_MIN)
