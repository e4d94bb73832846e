"""Where everything is in a window of any size, and which point of the picture the mouse is on."""

from __future__ import annotations

from dataclasses import dataclass

MIN_WIDTH_PX, MIN_HEIGHT_PX = 640, 480
Point = tuple[float, float]


@dataclass(frozen=True)
class Rect:
    """A rectangle of whole pixels, origin top left."""

    x: int
    y: int
    width: int
    height: int

    @property
    def right(self) -> int:
        return self.x + self.width

    @property
    def bottom(self) -> int:
        return self.y + self.height

    def fraction(self, point: Point) -> Point | None:
        """The point in fractions of this rectangle, each 0…1; None outside it."""
        x, y = (point[0] - self.x) / self.width, (point[1] - self.y) / self.height
        return (x, y) if 0 <= x <= 1 and 0 <= y <= 1 else None


@dataclass(frozen=True)
class Layout:
    """The places of a window's parts; none overlaps another.

    Attributes:
        header: the time step and the line about the session.
        noisy: the large pane with x_t, the only one that can be touched.
        clean: the pane with x̂0, the network's guess.
        levels: the pane with the level of each pixel.
        rail: what the session does, in words, and the mouse's settings.
        timeline: from noise (left) to clean (right).
        status: the connection, and the most important keys.
        scale: size of text and gaps; 1 at the window's default size.
    """

    header: Rect
    noisy: Rect
    clean: Rect
    levels: Rect
    rail: Rect
    timeline: Rect
    status: Rect
    scale: float


def layout(width: int, height: int) -> Layout:
    """The layout for a window of this size, px; smaller than 640×480 is laid out as that."""
    width, height = max(width, MIN_WIDTH_PX), max(height, MIN_HEIGHT_PX)
    scale = min(max(min(width / 1100, height / 720), 0.72), 1.8)
    gap = round(14 * scale)
    header = Rect(gap, gap, width - 2 * gap, round(46 * scale))
    status = Rect(gap, height - round(46 * scale) - gap // 2, width - 2 * gap, round(46 * scale))
    timeline_height = round(84 * scale)
    timeline = Rect(gap, status.y - gap // 2 - timeline_height, width - 2 * gap, timeline_height)
    top, bottom = header.bottom + gap, timeline.y - gap
    room = bottom - top
    title = round(20 * scale)  # each pane has its name above it
    side = min(room - title, round((width - 3 * gap) * 0.6))
    noisy = Rect(gap, top + title, side, side)
    column_x = noisy.right + gap
    column = width - gap - column_x
    share = 0.56 if height >= 600 else 0.46  # a low window needs the room for words
    small = min(round((room - title) * share), round(column * 0.62))
    clean = Rect(column_x, top + title, small, small)
    heat = min(column - small - gap, small)
    levels = Rect(clean.right + gap, top + title, heat, heat)
    rail_y = clean.bottom + gap
    rail = Rect(column_x, rail_y, column, bottom - rail_y)
    return Layout(header, noisy, clean, levels, rail, timeline, status, scale)
