"""What the screen is made of: text, panes, bars and curves on a PyGame surface."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pygame
from numpy.typing import NDArray

from viewer_client.colormaps import Pixels
from viewer_client.geometry import Rect

Color = tuple[int, int, int]

BACKGROUND, PANEL, EDGE = (15, 16, 20), (23, 25, 31), (54, 58, 70)
TEXT, DIM, FAINT = (224, 227, 234), (142, 149, 166), (92, 98, 114)
ACCENT, WARNING, CURVE = (255, 190, 92), (255, 128, 110), (120, 172, 255)
BAND, AREA = (64, 54, 38), (30, 40, 62)

FONTS = "dejavusans,segoeui,helveticaneue,liberationsans,notosans,arial"
BUNDLED_FACTOR = 1.35  # PyGame's own font is drawn smaller than its size says
SIZE_MIN_PX = 11
TEXTS_KEPT = 600
ELLIPSIS = "…"


def area(place: Rect) -> pygame.Rect:
    """The same rectangle, for PyGame."""
    return pygame.Rect(place.x, place.y, place.width, place.height)


class Typesetter:
    """Writes text, anti-aliased, in sizes that follow the window.

    `placed` and `shortened` hold what was written since `begin`, for tests.
    """

    def __init__(self, path: str | None = None) -> None:
        self._path = path or pygame.font.match_font(FONTS)
        self._fonts: dict[int, pygame.font.Font] = {}
        self._texts: dict[tuple[str, int, Color], pygame.Surface] = {}
        self._scale = 1.0
        self.placed: list[tuple[str, pygame.Rect]] = []
        self.shortened: list[str] = []

    def begin(self, scale: float) -> None:
        """A new picture begins, of this size of text."""
        self._scale = scale
        self.placed.clear()
        self.shortened.clear()

    def px(self, points: float) -> int:
        """A length or size of text that is `points` px in a window of the default size."""
        return max(round(points * self._scale), 1)

    def line(self, points: float) -> int:
        """Height of a line of text, px."""
        return round(self._size(points) * 1.42)

    def width(self, text: str, points: float) -> int:
        """Of a text, px."""
        return self._image(text, points, TEXT).get_width()

    def put(
        self,
        surface: pygame.Surface,
        text: str,
        x: float,
        y: float,
        points: float = 13,
        color: Color = TEXT,
        *,
        width: float | None = None,
        align: str = "left",
    ) -> int:
        """Write one line, shortened to `width` px; `x` is its left, middle or right; returns its width."""
        if not text:
            return 0
        image = self._image(text, points, color)
        if width is not None and image.get_width() > width:
            self.shortened.append(text)
            while text and self.width(text + ELLIPSIS, points) > width:
                text = text[:-1]
            image = self._image(text + ELLIPSIS, points, color)
        offset = {"left": 0.0, "center": 0.5, "right": 1.0}[align] * image.get_width()
        place = image.get_rect(topleft=(round(x - offset), round(y)))
        surface.blit(image, place)
        self.placed.append((text, place))
        return image.get_width()

    def wrap(
        self, surface: pygame.Surface, text: str, place: Rect, points: float = 13, color: Color = TEXT
    ) -> int:
        """Write words in lines of the rectangle's width; returns the y below them."""
        y = place.y
        for line in self.lines(text, place.width, points):
            self.put(surface, line, place.x, y, points, color, width=place.width)
            y += self.line(points)
        return y

    def lines(self, text: str, width: int, points: float) -> list[str]:
        """The words in lines of at most this width, px."""
        lines: list[str] = []
        for word in text.split():
            longer = f"{lines[-1]} {word}" if lines else word
            if lines and self.width(longer, points) <= width:
                lines[-1] = longer
            else:
                lines.append(word)
        return lines

    def fit(self, parts: Sequence[str], separator: str, width: float, points: float) -> str:
        """As many of the parts, from the first on, as fit into the width; none is cut."""
        chosen: list[str] = []
        for part in parts:
            if self.width(separator.join([*chosen, part]), points) > width:
                break
            chosen.append(part)
        return separator.join(chosen)

    def symbol(
        self, surface: pygame.Surface, letter: str, index: str, x: int, y: int, points: float, *, hat: bool
    ) -> int:
        """Write a letter with an index, and with a hat on it; returns the x behind."""
        begin = x
        x += self.put(surface, letter, x, y, points)
        if hat:
            middle, top, step = (begin + x) / 2, y + self._size(points) * 0.26, max(self.px(2.5), 2)
            peak = [(middle - step, top), (middle, top - step), (middle + step, top)]
            pygame.draw.aalines(surface, TEXT, False, peak)
        x += self.put(surface, index, x, y + self._size(points) * 0.38, points * 0.72)
        return x

    def _size(self, points: float) -> int:
        return max(round(points * self._scale), SIZE_MIN_PX if points >= 11 else 9)

    def _image(self, text: str, points: float, color: Color) -> pygame.Surface:
        size = self._size(points)
        key = (text, size, color)
        if key not in self._texts:
            if len(self._texts) > TEXTS_KEPT:
                self._texts.clear()
            self._texts[key] = self._font(size).render(text, True, color)
        return self._texts[key]

    def _font(self, size: int) -> pygame.font.Font:
        if size not in self._fonts:
            real = size if self._path else round(size * BUNDLED_FACTOR)
            self._fonts[size] = pygame.font.Font(self._path, real)
        return self._fonts[size]


class Pane:
    """A picture, enlarged with hard pixels; enlarged anew only where it has changed."""

    def __init__(self) -> None:
        self._key: object = None
        self._image: pygame.Surface | None = None

    def draw(
        self, surface: pygame.Surface, place: Rect, key: object, pixels: Callable[[], Pixels] | None
    ) -> None:
        """Draw the pixels (H, W, 3), which `key` stands for; an empty pane for None."""
        if pixels is None:
            pygame.draw.rect(surface, PANEL, area(place))
        else:
            key = (key, place.width, place.height)
            if key != self._key or self._image is None:
                small = surface_of(pixels())
                self._image = pygame.transform.scale(small, (place.width, place.height))
                self._key = key
            surface.blit(self._image, (place.x, place.y))
        pygame.draw.rect(surface, EDGE, area(place), 1)


def surface_of(pixels: NDArray[np.uint8]) -> pygame.Surface:
    """A surface of (H, W, 3) or (H, W, 4) bytes."""
    height, width, depth = pixels.shape
    return pygame.image.frombuffer(pixels.tobytes(), (width, height), "RGBA" if depth == 4 else "RGB")


def keycap(surface: pygame.Surface, text: Typesetter, key: str, x: int, y: int, points: float = 12) -> int:
    """A key as a small box; returns its width."""
    pad = text.px(5)
    width = max(text.width(key, points) + 2 * pad, text.line(points))
    pygame.draw.rect(surface, EDGE, (x, y, width, text.line(points)), 1, border_radius=text.px(3))
    text.put(surface, key, x + width / 2, y + text.px(1), points, ACCENT, align="center")
    return width


def bar(
    surface: pygame.Surface,
    text: Typesetter,
    place: Rect,
    name: str,
    level: tuple[float, float] | float | None,
) -> None:
    """A level in 0…1 as a bar up to its mean, with its name and its number.

    Of a pair, the second is marked; None says that there is nothing to show.
    """
    points = 12
    text.put(surface, name, place.x, place.y, points, DIM)
    left = place.x + text.width("measured", points) + text.px(8)
    if level is None:
        text.put(surface, "–", place.right, place.y, points, FAINT, align="right")
        return
    mean, most = level if isinstance(level, tuple) else (level, None)
    text.put(surface, f"{mean:.2f}", place.right, place.y, points, align="right")
    width = place.right - text.width("0.00", points) - text.px(8) - left
    height = text.px(7)
    top = place.y + (text.line(points) - height) // 2
    pygame.draw.rect(surface, AREA, (left, top, width, height))
    pygame.draw.rect(surface, CURVE, (left, top, round(width * min(max(mean, 0), 1)), height))
    if most is None:
        return
    mark = left + round((width - 1) * min(max(most, 0), 1))
    pygame.draw.line(surface, ACCENT, (mark, top - 2), (mark, top + height + 1), 2)


def curve(surface: pygame.Surface, place: Rect, values: NDArray[np.float64], color: Color) -> None:
    """Values in 0…1 over the place, the last one at its left (time runs from noise to clean)."""
    pygame.draw.aalines(surface, color, False, curve_points(place, values))


def curve_points(place: Rect, values: NDArray[np.float64]) -> list[tuple[float, float]]:
    """Where a curve runs; at most one point for each px."""
    chosen = np.unique(np.linspace(0, len(values) - 1, min(len(values), place.width)).astype(int))
    last = len(values) - 1
    return [
        (place.right - place.width * i / last, place.bottom - float(values[i]) * place.height)
        for i in chosen.tolist()
    ]
