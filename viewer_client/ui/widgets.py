"""What the screen is made of: text, pictures, bars and keys on a PyGame surface."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pygame
from numpy.typing import NDArray

from viewer_client.core.colormaps import Pixels
from viewer_client.core.geometry import Rect, line_px, text_size_px
from viewer_client.core.palette import ACCENT, DIM, EDGE, TEXT, Color

FONTS = "dejavusans,segoeui,helveticaneue,liberationsans,notosans,arial"
BUNDLED_FACTOR = 1.35  # PyGame's own font is drawn smaller than its size says
TEXTS_KEPT = 1500
SHRINK = 0.95  # a step of text that is to fit
ELLIPSIS = "…"


def area(place: Rect) -> pygame.Rect:
    """Return a rectangle as PyGame has it."""
    return pygame.Rect(place.x, place.y, place.width, place.height)


def drawable(text: str) -> str:
    """Return a text without what no font can draw: control characters, and names that are not UTF-8."""
    if text.isprintable():
        return text
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) in ("Cc", "Cs") else c for c in text
    )


class Text:
    """Writes text, anti-aliased, in sizes that follow the window."""

    def __init__(self, path: str | None = None) -> None:
        self._path = path or pygame.font.match_font(FONTS)
        self._fonts: dict[int, pygame.font.Font] = {}
        self._texts: dict[tuple[str, int, Color], pygame.Surface] = {}
        self._widths: dict[tuple[str, int], int] = {}
        self._scale = 1.0

    @property
    def scale(self) -> float:
        """Return the scale of text of the picture that is being drawn."""
        return self._scale

    def begin(self, scale: float) -> None:
        """Begin a new picture with this scale of text."""
        self._scale = scale

    def font(self, points: float) -> pygame.font.Font:
        """Return the font in which text of this size is written."""
        return self._font_of(self._size(points))

    def px(self, points: float) -> int:
        """Return in px what is `points` px in a window of the default size."""
        return max(round(points * self._scale), 1)

    def line(self, points: float) -> int:
        """Return the height of a line of text, px."""
        return line_px(points, self._scale)

    def width(self, text: str, points: float) -> int:
        """Return the width of a text, px."""
        text = drawable(text)
        key = (text, self._size(points))
        if key not in self._widths:
            if len(self._widths) > TEXTS_KEPT:
                self._widths.clear()
            self._widths[key] = self._font_of(key[1]).size(text)[0]
        return self._widths[key]

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
        """Write one line, shortened to `width` px; `x` is its left, middle or right; return its width."""
        if not text:
            return 0
        text = drawable(text)
        image = self._image(text, points, color)
        if width is not None and image.get_width() > width:
            while text and self.width(text + ELLIPSIS, points) > width:
                text = text[:-1]
            image = self._image(text + ELLIPSIS, points, color)
        offset = {"left": 0.0, "center": 0.5, "right": 1.0}[align] * image.get_width()
        place = image.get_rect(topleft=(round(x - offset), round(y)))
        surface.blit(image, place)
        return image.get_width()

    def wrap(
        self, surface: pygame.Surface, text: str, place: Rect, points: float = 13, color: Color = TEXT
    ) -> int:
        """Write words in lines of the rectangle's width; return the y below them."""
        y = place.y
        for line in self.lines(text, place.width, points):
            self.put(surface, line, place.x, y, points, color, width=place.width)
            y += self.line(points)
        return y

    def lines(self, text: str, width: int, points: float) -> list[str]:
        """Return the words in lines of at most this width, px."""
        lines: list[str] = []
        for word in text.split():
            longer = f"{lines[-1]} {word}" if lines else word
            if lines and self.width(longer, points) <= width:
                lines[-1] = longer
            else:
                lines.append(word)
        return lines

    def fit(self, parts: Sequence[str], separator: str, width: float, points: float) -> str:
        """Return as many of the parts, from the first on, as fit into the width; none is cut."""
        chosen: list[str] = []
        for part in parts:
            if self.width(separator.join([*chosen, part]), points) > width:
                break
            chosen.append(part)
        return separator.join(chosen)

    def longest(self, texts: Iterable[str], width: float, points: float) -> str:
        """Return the first of the texts, which go from long to short, that fits; "" if none does."""
        return next((text for text in texts if self.width(text, points) <= width), "")

    def symbol(
        self, surface: pygame.Surface, letter: str, index: str, x: int, y: int, points: float, *, hat: bool
    ) -> int:
        """Write a letter with an index, and with a hat on it; return the x behind."""
        begin = x
        x += self.put(surface, letter, x, y, points)
        if hat:
            middle, top, step = (begin + x) / 2, y + self._size(points) * 0.26, max(self.px(2.5), 2)
            peak = [(middle - step, top), (middle, top - step), (middle + step, top)]
            pygame.draw.aalines(surface, TEXT, False, peak)
        x += self.put(surface, index, x, y + self._size(points) * 0.38, points * 0.72)
        return x

    def _size(self, points: float) -> int:
        return text_size_px(points, self._scale)

    def _image(self, text: str, points: float, color: Color) -> pygame.Surface:
        size = self._size(points)
        key = (text, size, color)
        if key not in self._texts:
            if len(self._texts) > TEXTS_KEPT:
                self._texts.clear()
            self._texts[key] = self._font_of(size).render(text, True, color)
        return self._texts[key]

    def _font_of(self, size: int) -> pygame.font.Font:
        if size not in self._fonts:
            real = size if self._path else round(size * BUNDLED_FACTOR)
            self._fonts[size] = pygame.font.Font(self._path, real)
        return self._fonts[size]


class ScaledImage:
    """A small picture, enlarged with hard pixels, and again only when it has changed."""

    def __init__(self) -> None:
        self._key: object = None
        self._image: pygame.Surface | None = None

    def draw(self, surface: pygame.Surface, place: Rect, key: object, pixels: Callable[[], Pixels]) -> None:
        """Draw the pixels (H, W, 3), which `key` stands for."""
        key = (key, place.width, place.height)
        if key != self._key or self._image is None:
            self._image = enlarged(pixels(), place, surface)
            self._key = key
        surface.blit(self._image, (place.x, place.y))


class CachedSurface:
    """A part of the screen that is painted again only when what it shows has changed."""

    def __init__(self) -> None:
        self._key: object = None
        self._image: pygame.Surface | None = None

    def draw(
        self, surface: pygame.Surface, text: Text, place: Rect, key: object, paint: Callable[[], None]
    ) -> None:
        """Paint within the place, or show again what was painted there for the same `key`."""
        key = (key, place, text.scale)
        if key == self._key and self._image is not None:
            surface.blit(self._image, (place.x, place.y))
            return
        clip = surface.get_clip()
        surface.set_clip(area(place))
        paint()
        surface.set_clip(clip)
        self._image = surface.subsurface(area(place).clip(surface.get_rect())).copy()
        self._key = key


def shrunk(size: float, least: float, fits: Callable[[float], bool]) -> float:
    """Return the size, made smaller step by step until all fits or it is below the least."""
    while size > least and not fits(size):
        size *= SHRINK
    return size


def enlarged(pixels: Pixels, place: Rect, target: pygame.Surface) -> pygame.Surface:
    """Return the pixels (H, W, 3) in the size of the place, in the target's format, which blits fastest."""
    small = pygame.Surface((pixels.shape[1], pixels.shape[0]), 0, target)
    small.blit(surface_of(pixels), (0, 0))
    return pygame.transform.scale(small, (place.width, place.height))


def surface_of(pixels: NDArray[np.uint8]) -> pygame.Surface:
    """Return a surface of (H, W, 3) bytes."""
    return pygame.image.frombuffer(pixels.tobytes(), (pixels.shape[1], pixels.shape[0]), "RGB")


def keycap(surface: pygame.Surface, text: Text, key: str, x: int, y: int, points: float = 12) -> int:
    """Draw a key as a small box; return its width."""
    pad = text.px(5)
    width = max(text.width(key, points) + 2 * pad, text.line(points))
    pygame.draw.rect(surface, EDGE, (x, y, width, text.line(points)), 1, border_radius=text.px(3))
    text.put(surface, key, x + width / 2, y + text.px(1), points, ACCENT, align="center")
    return width


def legend(
    surface: pygame.Surface,
    text: Text,
    place: Rect,
    table: NDArray[np.uint8],
    ends: tuple[str, str],
    length: float = 32,
) -> int:
    """Draw the colours of a table (256, 3) as a bar at the right of the place, between its two ends.

    Return its width, 0 where the place is too narrow for it.
    """
    points, gap, length = 11, text.px(4), text.px(length)
    low, high = ends
    width = text.width(low, points) + text.width(high, points) + length + 2 * gap
    if width > place.width:
        return 0
    x = place.right - width
    x += text.put(surface, low, x, place.y, points, DIM) + gap
    height = text.px(8)
    bar_place = Rect(x, place.y + (text.line(points) - height) // 2, length, height)
    surface.blit(enlarged(table[None], bar_place, surface), (bar_place.x, bar_place.y))
    pygame.draw.rect(surface, EDGE, area(bar_place), 1)
    text.put(surface, high, place.right, place.y, points, DIM, align="right")
    return width
