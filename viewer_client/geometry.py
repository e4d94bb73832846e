"""Where everything is in a window of any size, and which point of the picture the mouse is on."""

from __future__ import annotations

from dataclasses import dataclass

MIN_WIDTH_PX, MIN_HEIGHT_PX = 640, 480
DEFAULT_WIDTH_PX, DEFAULT_HEIGHT_PX = 1100, 720
SCALE_MIN, SCALE_MAX = 0.76, 2.0
PORTRAIT_RATIO = 1.1  # windows higher than this times their width are laid out in rows

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

    def inset(self, pad: int) -> Rect:
        """This rectangle without a border of `pad` px (never negative in size)."""
        return Rect(self.x + pad, self.y + pad, max(self.width - 2 * pad, 0), max(self.height - 2 * pad, 0))

    def fraction(self, point: Point) -> Point | None:
        """The point in fractions of this rectangle, 0 up to 1; None outside it."""
        x, y = (point[0] - self.x) / self.width, (point[1] - self.y) / self.height
        return (x, y) if 0 <= x < 1 and 0 <= y < 1 else None


@dataclass(frozen=True)
class Layout:
    """The places of a window's parts; none overlaps another.

    Attributes:
        header: the time step and the lines about the session.
        noisy: the large pane with x_t, the only one that can be touched.
        clean: the pane with x̂0, the network's guess.
        levels: the pane with the level of each pixel, or with what x_t is taken to be made of.
        rail: what goes on in words, the gauge, and the mouse's settings.
        timeline: from noise (left) to clean (right).
        status: the connection, and the most important keys.
        title: height of the line above each of the three panes.
        scale: size of text and gaps; 1 at the window's default size.
    """

    header: Rect
    noisy: Rect
    clean: Rect
    levels: Rect
    rail: Rect
    timeline: Rect
    status: Rect
    title: int
    scale: float

    @property
    def all(self) -> tuple[Rect, ...]:
        """Every part."""
        return (self.header, self.noisy, self.clean, self.levels, self.rail, self.timeline, self.status)


def layout(width: int, height: int) -> Layout:
    """The layout for a window of this size, px; smaller than 640×480 is laid out as that."""
    width, height = max(width, MIN_WIDTH_PX), max(height, MIN_HEIGHT_PX)
    scale = min(width / DEFAULT_WIDTH_PX, height / DEFAULT_HEIGHT_PX)
    scale = min(max(scale, SCALE_MIN), SCALE_MAX)
    gap = round(12 * scale)
    full = width - 2 * gap
    header = Rect(gap, gap, full, round(48 * scale))
    status_height = round(42 * scale)
    status = Rect(gap, height - status_height - gap // 2, full, status_height)
    timeline_height = round(82 * scale)
    timeline = Rect(gap, status.y - gap // 2 - timeline_height, full, timeline_height)
    title = round(22 * scale)
    room = Rect(gap, header.bottom + gap // 2, full, timeline.y - gap - header.bottom - gap // 2)
    panes = _rows(room, gap, title) if height > PORTRAIT_RATIO * width else _columns(room, gap, title)
    return Layout(header, *panes, timeline, status, title, scale)


def _columns(room: Rect, gap: int, title: int) -> tuple[Rect, Rect, Rect, Rect]:
    """x_t, a column with x̂0 above the levels, the rail."""
    side = min(room.height - title, round(room.width * 0.54))
    small = (side - gap - title) // 2
    noisy = Rect(room.x, room.y + title, side, side)
    clean = Rect(noisy.right + gap, noisy.y, small, small)
    levels = Rect(clean.x, noisy.bottom - small, small, small)
    rail_x = clean.right + gap
    rail = Rect(rail_x, noisy.y, room.right - rail_x, room.bottom - noisy.y)
    return noisy, clean, levels, rail


def _rows(room: Rect, gap: int, title: int) -> tuple[Rect, Rect, Rect, Rect]:
    """x_t, and below it x̂0, the levels and the rail side by side."""
    small = (room.width - 2 * gap) * 3 // 10
    side = min(room.width, room.height - small - 2 * title - gap)
    noisy = Rect(room.x, room.y + title, side, side)
    top = noisy.bottom + gap + title
    clean = Rect(room.x, top, small, small)
    levels = Rect(clean.right + gap, top, small, small)
    rail_x = levels.right + gap
    rail = Rect(rail_x, top, room.right - rail_x, room.bottom - top)
    return noisy, clean, levels, rail
