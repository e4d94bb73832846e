"""The time line from noise (left) to clean (right), and above it the film of x̂0. Both are clicked."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pygame
from numpy.typing import NDArray

from diffusion_toy.contract.pixels import to_unit_range
from viewer_client.core import labels
from viewer_client.core.appearance import Appearance
from viewer_client.core.colormaps import colored
from viewer_client.core.geometry import Point, Rect
from viewer_client.core.history import Moment
from viewer_client.core.palette import (
    ACCENT,
    AREA,
    BACKGROUND,
    CURVE,
    DIM,
    EDGE,
    FAINT,
    KEPT,
    PANEL,
    TEXT,
    WARNING,
)
from viewer_client.core.view_model import ViewModel
from viewer_client.ui.widgets import CachedSurface, Text, area, enlarged

LABELS_MOST = 8  # between the ends of the time line
FORGOTTEN_LIGHT = 0.35  # of a still that the server no longer keeps


class TimeLine:
    """Draws the curve of ᾱ with the play head, the strokes and the kept states."""

    def __init__(self, text: Text) -> None:
        self._text = text
        self._ground = CachedSurface()

    def plot(self, place: Rect) -> Rect:
        """Return where the curve is; a click there goes to a time step."""
        text = self._text
        pad, top = text.px(10), place.y + text.px(9)
        return Rect(
            place.x + pad, top, place.width - 2 * pad, place.bottom - text.line(11) - text.px(7) - top
        )

    def draw(self, surface: pygame.Surface, place: Rect, model: ViewModel) -> None:
        """Draw the time line of a model within a place."""
        schedule, frame = model.schedule, model.frame
        if schedule is None:
            pygame.draw.rect(surface, PANEL, area(place))
            return
        text, plot = self._text, self.plot(place)
        alphas_cumprod = schedule.alphas_cumprod
        self._ground.draw(
            surface, text, place, schedule, lambda: self._draw_ground(surface, place, alphas_cumprod)
        )
        steps = len(alphas_cumprod) - 1

        def x_of(t: float) -> int:
            return round(plot.right - plot.width * min(max(t / steps, 0), 1))

        if frame is not None:
            t = frame.time_step
            if t.max > t.min:  # from the noisiest pixel to the cleanest
                y, low = plot.y - text.px(3), x_of(t.min)
                pygame.draw.line(surface, ACCENT, (x_of(t.max), y), (low, y))
                pygame.draw.line(surface, ACCENT, (low, y - text.px(2)), (low, y + text.px(2)))
            kept = {x_of(t) for t in model.history.film.time_steps_since(frame.first_kept_step)}
            _ticks(surface, kept, plot.bottom + 1, text.px(3), KEPT)
        height = text.px(5)
        for x in {x_of(t) for t in model.feedback.marks}:
            points = [(x - height // 2, plot.y), (x + height // 2, plot.y), (x, plot.y + height)]
            pygame.draw.polygon(surface, WARNING, points)
        if frame is not None:
            x = x_of(frame.time_step.max)
            pygame.draw.line(surface, ACCENT, (x, plot.y - text.px(4)), (x, plot.bottom), 2)
            pygame.draw.circle(surface, ACCENT, (x, plot.y - text.px(3)), text.px(4))

    def _draw_ground(self, surface: pygame.Surface, place: Rect, alphas_cumprod: NDArray[np.float64]) -> None:
        text, plot = self._text, self.plot(place)
        pygame.draw.rect(surface, PANEL, area(place))
        points = _curve(plot, alphas_cumprod)
        pygame.draw.polygon(surface, AREA, [(plot.right, plot.bottom), *points, (plot.x, plot.bottom)])
        pygame.draw.aalines(surface, CURVE, False, points)
        pygame.draw.line(surface, EDGE, (plot.x, plot.bottom), (plot.right, plot.bottom))
        self._draw_ticks(surface, plot, len(alphas_cumprod) - 1)
        if plot.height >= text.line(11) + text.px(10):
            self._draw_key(surface, plot)

    def _draw_ticks(self, surface: pygame.Surface, plot: Rect, steps: int) -> None:
        """Write time steps below the time line, and what its ends mean."""
        text = self._text
        y = plot.bottom + text.px(5)
        ends = text.put(surface, f"noise  {steps}", plot.x, y, 11, DIM)
        text.put(surface, "0  clean", plot.right, y, 11, DIM, align="right")
        period = next(p for p in (1, 5, 10, 25, 50, 100, 200, 500) if steps / p <= LABELS_MOST)
        wide = text.width(str(steps), 11) + text.px(8)
        for t in range(period, steps, period):
            x = plot.right - plot.width * t / steps
            pygame.draw.line(surface, FAINT, (x, plot.bottom), (x, plot.bottom + text.px(3)))
            apart = plot.width * period / steps >= wide
            if apart and min(x - plot.x, plot.right - x) > ends + text.px(16):
                text.put(surface, str(t), x, y, 11, FAINT, align="center")

    def _draw_key(self, surface: pygame.Surface, plot: Rect) -> None:
        """Draw the key to the colours where the curve leaves room."""
        text = self._text
        x, y = plot.x + text.px(4), plot.y + text.px(6)
        middle, size, gap = y + text.line(11) // 2, text.px(5), text.px(5)
        limit = plot.x + plot.width * 0.4
        for name, color in (("ᾱ, the signal's share", CURVE), ("noise added", WARNING), ("kept", KEPT)):
            width = text.width(name, 11) + 2 * gap + 3 * size
            if x + width > limit:
                break
            if color is CURVE:
                pygame.draw.line(surface, color, (x, middle), (x + 2 * size, middle), 2)
            elif color is WARNING:
                left = x + size // 2
                points = [(left, middle - size // 2), (left + size, middle - size // 2)]
                pygame.draw.polygon(surface, color, [*points, (left + size // 2, middle + size // 2)])
            else:
                _ticks(surface, range(x, x + 2 * size, 3), middle - size // 2, size, color)
            text.put(surface, name, x + 2 * size + gap, y, 11, FAINT)
            x += width + gap


class FilmStrip:
    """Draws a row of stills with their time steps; a line is under those that a click can go back to."""

    def __init__(self, text: Text, appearance: Appearance) -> None:
        self._text, self._appearance = text, appearance
        self._earlier = CachedSurface()
        self._cells: list[tuple[Rect, Moment]] = []

    def draw(self, surface: pygame.Surface, place: Rect, model: ViewModel) -> None:
        """Draw the stills of a model, the newest at the end of the row."""
        text, frame = self._text, model.frame
        self._cells = []
        if frame is None or not model.history.film.stills:
            text.put(surface, "what the network guesses will be kept here", place.x, place.y, 11, FAINT)
            return
        side = place.height - text.line(11) - text.px(3)
        label, gap = text.width(f"{model.num_time_steps}", 11), text.px(5)
        width, left = max(side, label) + gap, place.x + max(label - side, 0) // 2
        stills = model.history.film.shown(max((place.width + gap) // width, 1))
        cells = [Rect(left + i * width, place.y, side, place.height) for i in range(len(stills))]
        self._cells = list(zip(cells, stills, strict=True))
        *earlier, (cell, newest) = self._cells
        kept = [still.step >= frame.first_kept_step for still in stills]
        key = (tuple(still for _, still in earlier), sum(kept), self._appearance.color_map)
        self._earlier.draw(
            surface, text, place, key, lambda: self._draw_earlier(surface, place, earlier, kept)
        )
        self._draw_still(surface, cell, newest, kept=True)
        pygame.draw.rect(surface, ACCENT, (cell.x - 1, cell.y - 1, side + 2, side + 2), 1)

    def still_at(self, position: Point) -> Moment | None:
        """Return the still under a point of the window, None elsewhere."""
        return next((still for cell, still in self._cells if cell.fraction(position) is not None), None)

    def _draw_earlier(
        self, surface: pygame.Surface, place: Rect, cells: list[tuple[Rect, Moment]], kept: Iterable[bool]
    ) -> None:
        pygame.draw.rect(surface, BACKGROUND, area(place))
        for (cell, still), keep in zip(cells, kept, strict=False):
            self._draw_still(surface, cell, still, kept=keep)

    def _draw_still(self, surface: pygame.Surface, cell: Rect, still: Moment, *, kept: bool) -> None:
        text, side = self._text, cell.width
        x0_hat = to_unit_range(still.x0_hat)
        pixels = colored(x0_hat, self._appearance.color_map)
        if not kept:
            pixels = (pixels * FORGOTTEN_LIGHT).astype(np.uint8)
        surface.blit(enlarged(pixels, Rect(0, 0, side, side), surface), (cell.x, cell.y))
        if kept:
            pygame.draw.rect(surface, KEPT, (cell.x, cell.y + side + 1, side, 2))
        label = labels.whole(still.time_step)
        y = cell.y + side + text.px(3)
        text.put(surface, label, cell.x + side / 2, y, 11, TEXT if kept else FAINT, align="center")


def _ticks(
    surface: pygame.Surface, xs: Iterable[int], y: int, height: int, color: tuple[int, int, int]
) -> None:
    for x in xs:
        surface.fill(color, (x, y, 1, height))


def _curve(place: Rect, values: NDArray[np.float64]) -> list[tuple[float, float]]:
    """Return the points of a curve of values in 0…1, the last at the left, at most one for each px."""
    chosen = np.unique(np.linspace(0, len(values) - 1, min(len(values), place.width)).astype(int))
    last = len(values) - 1
    return [
        (place.right - place.width * i / last, place.bottom - float(values[i]) * place.height)
        for i in chosen.tolist()
    ]
