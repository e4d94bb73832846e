"""Where everything is in a window of any size, and which point of the picture the mouse is on."""

from __future__ import annotations

from dataclasses import dataclass, replace

MIN_WIDTH_PX, MIN_HEIGHT_PX = 640, 480
DEFAULT_WIDTH_PX, DEFAULT_HEIGHT_PX = 1100, 720
SCALE_MIN, SCALE_MAX = 0.76, 2.0
PORTRAIT_RATIO = 1.1  # windows higher than this times their width are laid out in rows
SIDE_SHARE = 0.45  # of the window's height, which x_t is to have before there is room for all else
LINE_HEIGHT = 1.42  # of a line of text, times the size of its letters
SIZE_MIN_PX, SIZE_MIN_SMALL_PX = 11, 9  # of letters; the latter where they are an index

ENLARGEMENTS = (2.0, 1.5)  # of the default size, on displays with many small pixels
DESKTOP_SHARE = 0.75  # of the display that an enlarged window may take

PANES = ("noisy", "clean", "noise")  # x_t, the large one; x̂0; ε̂

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
        """Return the x just right of this rectangle."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """Return the y just below this rectangle."""
        return self.y + self.height

    def inset(self, pad: int) -> Rect:
        """Return this rectangle without a border of `pad` px (never negative in size)."""
        return Rect(self.x + pad, self.y + pad, max(self.width - 2 * pad, 0), max(self.height - 2 * pad, 0))

    def fraction(self, point: Point) -> Point | None:
        """Return the point in fractions of this rectangle, 0 up to 1; None outside it."""
        x, y = (point[0] - self.x) / self.width, (point[1] - self.y) / self.height
        return (x, y) if 0 <= x < 1 and 0 <= y < 1 else None


def default_size(desktop: tuple[int, int]) -> tuple[int, int]:
    """Return the size of the first window on a display of this size, px: larger where pixels are small."""
    for factor in ENLARGEMENTS:
        width, height = round(DEFAULT_WIDTH_PX * factor), round(DEFAULT_HEIGHT_PX * factor)
        if width <= DESKTOP_SHARE * desktop[0] and height <= DESKTOP_SHARE * desktop[1]:
            return width, height
    return DEFAULT_WIDTH_PX, DEFAULT_HEIGHT_PX


def text_size_px(points: float, scale: float) -> int:
    """Return the size of letters, px, that are `points` px at scale 1; never too small to be read."""
    return max(round(points * scale), SIZE_MIN_PX if points >= SIZE_MIN_PX else SIZE_MIN_SMALL_PX)


def line_px(points: float, scale: float) -> int:
    """Return the height of a line of text, px."""
    return round(text_size_px(points, scale) * LINE_HEIGHT)


@dataclass(frozen=True)
class Layout:
    """The places of a window's parts; none overlaps another.

    Attributes:
        header: the time step and the lines about the session.
        panes: the squares of the pictures by the names in `PANES`; the first is the largest.
        rail: what goes on in words, the gauge, and the settings.
        film: stills of x̂0; None where x_t would become too small for it.
        timeline: from noise (left) to clean (right).
        status: the connection, and where there is room, the most important keys.
        title: height of the line above each of the panes.
        scale: size of text; 1 at the window's default size with a text scale of 1.
    """

    header: Rect
    panes: dict[str, Rect]
    rail: Rect
    film: Rect | None
    timeline: Rect
    status: Rect
    title: int
    scale: float

    @property
    def largest(self) -> Rect:
        """Return the pane of the first name, x_t."""
        return self.panes[PANES[0]]


def layout(width: int, height: int, text_scale: float = 1.0) -> Layout:
    """Return the layout for a window of this size, px; a smaller one than 640×480 is laid out as that.

    `text_scale` is of text, times the scale that follows the window.
    """
    width, height = max(width, MIN_WIDTH_PX), max(height, MIN_HEIGHT_PX)
    window = min(width / DEFAULT_WIDTH_PX, height / DEFAULT_HEIGHT_PX)
    window = min(max(window, SCALE_MIN), SCALE_MAX)
    for film, keys in ((True, True), (True, False), (False, False)):
        places = _layout(width, height, window, window * text_scale, film=film, keys=keys)
        if places.largest.height >= SIDE_SHARE * min(width, height):
            break
    return places


def _layout(width: int, height: int, window: float, scale: float, *, film: bool, keys: bool) -> Layout:
    """Return a layout with or without a film strip and a line of keys; `scale` is of text."""
    gap = round(12 * window)
    full = width - 2 * gap
    header = Rect(gap, gap, full, max(round(44 * scale), line_px(15, scale) + line_px(13, scale)))
    status_height = line_px(12, scale) + (line_px(11, scale) + round(6 * scale) if keys else 0)
    status = Rect(gap, height - status_height - gap // 2, full, status_height)
    timeline_height = round(38 * window + 16 * scale) + line_px(11, scale)
    timeline = Rect(gap, status.y - gap // 2 - timeline_height, full, timeline_height)
    bottom = timeline
    strip = None
    if film:
        strip_height = round(44 * window + 4 * scale) + line_px(11, scale)
        strip = bottom = Rect(gap, timeline.y - gap // 2 - strip_height, full, strip_height)
    title = line_px(14, scale) + round(2 * scale)
    top = header.bottom + gap // 3
    room = Rect(gap, top, full, bottom.y - gap // 2 - top)
    panes, rail = _rows(room, gap, title) if height > PORTRAIT_RATIO * width else _columns(room, gap, title)
    return Layout(header, panes, rail, strip, timeline, status, title, scale)


def _columns(room: Rect, gap: int, title: int) -> tuple[dict[str, Rect], Rect]:
    """Return the panes and the rail side by side: the first pane, a column with the others, the rail."""
    first, *others = PANES
    side = min(room.height - title, round(room.width * 0.54))
    above = gap // 2 + title  # each of the others but the topmost
    small = (side - (len(others) - 1) * above) // len(others)
    panes = {first: Rect(room.x, room.y + title, side, side)}
    x, top = panes[first].right + gap, panes[first].y
    for number, name in enumerate(others):
        panes[name] = Rect(x, top + number * (small + above), small, small)
    spare = panes[first].bottom - panes[others[-1]].bottom  # what the division left
    panes[others[-1]] = replace(panes[others[-1]], y=panes[others[-1]].y + spare)
    rail_x = x + small + gap
    return panes, Rect(rail_x, top, room.right - rail_x, room.bottom - top)


def _rows(room: Rect, gap: int, title: int) -> tuple[dict[str, Rect], Rect]:
    """Return the panes and the rail in two rows: the first pane; the others and the rail."""
    first, *others = PANES
    small = (room.width - len(others) * gap) * 6 // (10 * len(others))
    side = min(room.width, room.height - small - 2 * title - gap)
    panes = {first: Rect(room.x, room.y + title, side, side)}
    x, top = room.x, panes[first].bottom + gap + title
    for name in others:
        panes[name] = Rect(x, top, small, small)
        x += small + gap
    return panes, Rect(x, top, room.right - x, room.bottom - top)


def grid(count: int, room: Rect, gap: int, caption: int) -> list[Rect]:
    """Return squares for so many pictures, as large as they fit, each with room for a caption below.

    The rows are centred; the last may be shorter. Empty if there is no room.
    """
    best, columns = 0, 1
    for tried in range(1, count + 1):
        rows = -(-count // tried)
        width = (room.width - (tried - 1) * gap) // tried
        height = (room.height - (rows - 1) * gap) // rows - caption
        if min(width, height) > best:
            best, columns = min(width, height), tried
    if best <= 0:
        return []
    rows = -(-count // columns)
    height = rows * (best + caption) + (rows - 1) * gap
    left = room.x + (room.width - columns * best - (columns - 1) * gap) // 2
    top = room.y + (room.height - height) // 2
    places = [divmod(number, columns) for number in range(count)]
    return [
        Rect(left + column * (best + gap), top + row * (best + caption + gap), best, best)
        for row, column in places
    ]
