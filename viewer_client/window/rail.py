"""The rail: what goes on in words and figures, and the settings with their keys."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pygame

from diffusion_toy.contract import messages as m
from viewer_client.core import gauge, labels
from viewer_client.core.appearance import Appearance
from viewer_client.core.geometry import Rect
from viewer_client.core.palette import ACCENT, AREA, CURVE, DIM, EDGE, FAINT, PANEL, TEXT, WARNING
from viewer_client.core.residual import BINS, LIMIT, Residual, density, normal_density
from viewer_client.core.view_model import ViewModel
from viewer_client.ui.widgets import CachedSurface, Text, area, keycap

Row = tuple[str, str, str]  # key, name, value

TWO_COLUMNS = 370  # points of width from which the settings stand beside the gauge
GAUGE_SHARE, GAUGE_MOST = 0.44, 330  # of the width, and at most so many points
PLOT_LEAST, PLOT_MOST = 34, 190  # points: height of the histogram
VALUE_LEAST = 100  # points of width for the values of settings, else they stand below their names
DENSITY_MAX = 0.55  # of the histogram's height; the normal curve goes up to 0.4


class Rail:
    """Draws the rail: the gauge and the histogram of ε̂, and beside or below them the settings."""

    def __init__(self, text: Text, appearance: Appearance) -> None:
        self._text, self._appearance = text, appearance
        self._settings = CachedSurface()

    def draw(self, surface: pygame.Surface, place: Rect, model: ViewModel, residual: Residual | None) -> None:
        """Draw as much of the rail as fits, the most important first; `residual` is of the model's frame."""
        text = self._text
        pygame.draw.rect(surface, PANEL, area(place))
        inner = place.inset(text.px(10))
        sections = (
            labels.mouse_rows(model),
            labels.network_rows(model),
            labels.appearance_rows(self._appearance),
        )
        columns = self._columns([row for rows in sections for row in rows])
        if inner.width >= text.px(TWO_COLUMNS):
            width = min(round(inner.width * GAUGE_SHARE), text.px(GAUGE_MOST))
            gauge = Rect(inner.x, inner.y, width, inner.height)
            left = gauge.right + text.px(18)
            settings = Rect(left, inner.y, inner.right - left, inner.height)
            self._draw_gauge(surface, gauge, model, residual)
            x = (gauge.right + left) // 2
            pygame.draw.line(surface, EDGE, (x, inner.y), (x, inner.bottom))
        else:
            room = inner.height - len(sections[0]) * self._row_height(inner.width, columns) - text.px(18)
            below = self._draw_gauge(surface, Rect(inner.x, inner.y, inner.width, room), model, residual)
            if below + text.px(9) + self._row_height(inner.width, columns) > inner.bottom:
                return
            pygame.draw.line(surface, EDGE, (inner.x, below), (inner.right, below))
            below += text.px(9)
            settings = Rect(inner.x, below, inner.width, inner.bottom - below)
        sentence = labels.mouse_sentence(model)
        key = (repr(sections), sentence)
        self._settings.draw(
            surface,
            text,
            settings,
            key,
            lambda: self._draw_settings(surface, settings, sections, columns, sentence),
        )

    # --- the gauge ---

    def _draw_gauge(
        self, surface: pygame.Surface, place: Rect, model: ViewModel, residual: Residual | None
    ) -> int:
        """Draw the sentence, the three levels and, if it fits, the histogram; return the y below."""
        text, frame = self._text, model.frame
        if frame is None or residual is None:
            return place.y
        color = WARNING if gauge.warns(frame) else TEXT
        below = text.wrap(surface, gauge.sentence(model), place, 13, color)
        usual = len(text.lines(gauge.UNEVEN_TRUTH, place.width, 13)) * text.line(13)
        y = max(below, place.y + usual) + text.px(3)  # so that nothing below it jumps
        for name, level in (("told", frame.nominal), ("actual", frame.actual)):
            self._draw_level(surface, Rect(place.x, y, place.width, 0), name, level)
            y += text.line(12)
        by_pixels = gauge.measured_level(frame)
        measured = None if by_pixels is None else m.Range(by_pixels, by_pixels, by_pixels)
        self._draw_level(surface, Rect(place.x, y, place.width, 0), "measured", measured)
        y += text.line(12) + text.px(6)
        badge, figure = text.line(11) + text.px(6), text.line(11)
        axis = text.line(11) + text.px(4)
        height = min(place.bottom - y - badge - figure - axis, text.px(PLOT_MOST))
        if height >= text.px(PLOT_LEAST):
            self._draw_histogram(surface, Rect(place.x, y, place.width, height), residual)
            y += height + axis
        if y + badge > place.bottom:
            return y
        y = self._draw_badge(surface, Rect(place.x, y, place.width, 0), frame, residual)
        if y + figure > place.bottom:
            return y
        text.put(surface, gauge.kurtosis_text(frame), place.x, y, 11, DIM, width=place.width)
        return y + figure

    def _draw_level(self, surface: pygame.Surface, place: Rect, name: str, level: m.Range | None) -> None:
        """Draw a level in 0…1 as a bar up to its mean, with a line from the least to the greatest."""
        text, points = self._text, 12
        text.put(surface, name, place.x, place.y, points, DIM)
        left = place.x + text.width("measured", points) + text.px(8)
        if level is None:
            text.put(surface, "–", place.right, place.y, points, FAINT, align="right")
            return
        text.put(surface, f"{level.mean:.2f}", place.right, place.y, points, align="right")
        width = place.right - text.width("0.00", points) - text.px(8) - left
        height = text.px(7)
        top = place.y + (text.line(points) - height) // 2

        def x_of(value: float) -> int:
            return left + round((width - 1) * min(max(value, 0), 1))

        pygame.draw.rect(surface, AREA, (left, top, width, height))
        pygame.draw.rect(surface, CURVE, (left, top, x_of(level.mean) - left + 1, height))
        if level.max - level.min >= gauge.LEVEL_TOLERANCE:
            low, high, middle = x_of(level.min), x_of(level.max), top + height // 2
            pygame.draw.line(surface, ACCENT, (low, middle), (high, middle))
            for x in (low, high):
                pygame.draw.line(surface, ACCENT, (x, top - 1), (x, top + height))

    # --- the shape of the noise ---

    def _draw_histogram(self, surface: pygame.Surface, place: Rect, residual: Residual) -> None:
        """Draw the values of ε̂ as bars, the standard normal curve over them, and the axis below."""
        text = self._text
        pygame.draw.rect(surface, AREA, area(place))
        edges = np.linspace(place.x, place.right, BINS + 1).round().astype(int).tolist()
        heights = (np.minimum(density(residual) / DENSITY_MAX, 1) * place.height).round().astype(int).tolist()
        for left, right, height in zip(edges, edges[1:], heights, strict=False):
            surface.fill(CURVE, (left, place.bottom - height, max(right - left - 1, 1), height))
        z = np.linspace(-LIMIT, LIMIT, 65)
        xs = place.x + (z + LIMIT) / (2 * LIMIT) * (place.width - 1)
        ys = place.bottom - normal_density(z) / DENSITY_MAX * place.height
        pygame.draw.aalines(surface, ACCENT, False, np.stack([xs, ys], 1).tolist())
        y = place.bottom + text.px(1)
        for value in range(-2, 3, 2):
            x = place.x + place.width * (value + LIMIT) / (2 * LIMIT)
            text.put(surface, f"{value}".replace("-", "−"), x, y, 11, FAINT, align="center")
        text.put(surface, "ε̂", place.right, y, 11, FAINT, align="right")

    def _draw_badge(self, surface: pygame.Surface, place: Rect, frame: m.Frame, residual: Residual) -> int:
        """Write whether ε̂ is Gaussian; return the y below."""
        text = self._text
        words, odd = gauge.noise_shape(frame, residual.count)
        color, pad = WARNING if odd else TEXT, text.px(6)
        shown = text.longest((f"ε̂: {words}", words), place.width - 2 * pad, 11) or words
        width = min(text.width(shown, 11) + 2 * pad, place.width)
        box = pygame.Rect(place.x, place.y, width, text.line(11) + text.px(2))
        pygame.draw.rect(surface, color if odd else EDGE, box, 2 if odd else 1, border_radius=text.px(4))
        text.put(surface, shown, box.x + pad, box.y + text.px(1), 11, color, width=box.width - 2 * pad)
        return place.y + text.line(11) + text.px(6)

    # --- the settings ---

    def _draw_settings(
        self,
        surface: pygame.Surface,
        place: Rect,
        sections: Sequence[Sequence[Row]],
        columns: tuple[int, int],
        sentence: str,
    ) -> None:
        """Draw the first section, the sentence about it, and the other sections as far as there is room."""
        text = self._text
        pygame.draw.rect(surface, PANEL, area(place))
        first, *others = sections
        y = self._draw_rows(surface, place, first, columns)
        height = len(text.lines(sentence, place.width, 12)) * text.line(12)
        if y + height > place.bottom:
            return
        y = text.wrap(surface, sentence, Rect(place.x, y, place.width, 0), 12, DIM) + text.px(8)
        for rows in others:
            room = place.bottom - y - text.px(10)
            if room < min(len(rows), 2) * self._row_height(place.width, columns):
                return
            pygame.draw.line(surface, EDGE, (place.x, y), (place.right, y))
            y = self._draw_rows(
                surface, Rect(place.x, y + text.px(10), place.width, room), rows, columns
            ) + text.px(2)

    def _columns(self, rows: Sequence[Row]) -> tuple[int, int]:
        """Return the widths of the keys and of the names, px."""
        text = self._text
        keys = max(text.width(key, 11) + 2 * text.px(5) for key, _, _ in rows) + text.px(6)
        return keys, max(text.width(name, 12) for _, name, _ in rows) + text.px(9)

    def _beside(self, width: int, columns: tuple[int, int]) -> bool:
        """Return whether there is room for values beside their names, whatever the values are."""
        return width - sum(columns) >= self._text.px(VALUE_LEAST)

    def _row_height(self, width: int, columns: tuple[int, int]) -> int:
        return (1 if self._beside(width, columns) else 2) * self._text.line(12) + self._text.px(6)

    def _draw_rows(
        self, surface: pygame.Surface, place: Rect, rows: Sequence[Row], columns: tuple[int, int]
    ) -> int:
        """Draw as many settings as fit, each with key, name and value; return the y below them."""
        text, y = self._text, place.y
        keys, names = columns
        height = self._row_height(place.width, columns)
        x, below = place.x + keys, text.line(12)
        if self._beside(place.width, columns):
            x, below = x + names, 0
        for key, name, value in rows:
            if y + height > place.bottom:
                break
            keycap(surface, text, key, place.x, y, 11)
            text.put(surface, name, place.x + keys, y, 12, DIM, width=place.width - keys)
            text.put(surface, value, x, y + below, 12, width=place.right - x)
            y += height
        return y
