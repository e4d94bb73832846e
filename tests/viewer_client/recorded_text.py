"""Text that remembers what it wrote and where, for tests of what is drawn."""

from __future__ import annotations

from typing import Any

import pygame

from viewer_client.ui.widgets import Text


class RecordedText(Text):
    """The texts since `begin` with their places, and those of them that were cut."""

    def __init__(self) -> None:
        super().__init__()
        self.placed: list[tuple[str, pygame.Rect]] = []
        self.shortened: list[str] = []

    def begin(self, scale: float) -> None:
        super().begin(scale)
        self.placed.clear()
        self.shortened.clear()

    def put(
        self,
        surface: pygame.Surface,
        text: str,
        x: float,
        y: float,
        points: float = 13,
        *rest: Any,
        **how: Any,
    ) -> int:
        used = super().put(surface, text, x, y, points, *rest, **how)
        if not text:
            return used
        width = how.get("width")
        if width is not None and self.width(text, points) > width:
            self.shortened.append(text)
        left = x - {"left": 0.0, "center": 0.5, "right": 1.0}[how.get("align", "left")] * used
        self.placed.append((text, pygame.Rect(round(left), round(y), used, self.font(points).get_height())))
        return used
