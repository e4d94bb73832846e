"""Draws the view model into a PyGame surface; changes nothing."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pygame

from diffusion_toy.messages import Image
from viewer_client import wording
from viewer_client.colormaps import Pixels, dimmed, grey, heat
from viewer_client.dosing import MouseMode
from viewer_client.geometry import Layout, Point, Rect, layout
from viewer_client.link import Statistics
from viewer_client.look import Look
from viewer_client.overlays import draw_banner, draw_help
from viewer_client.view_model import ViewModel
from viewer_client.widgets import (
    ACCENT,
    AREA,
    BACKGROUND,
    BAND,
    CURVE,
    DIM,
    EDGE,
    FAINT,
    PANEL,
    TEXT,
    WARNING,
    Pane,
    Typesetter,
    area,
    bar,
    curve,
    curve_points,
    keycap,
    surface_of,
)

SPECKLE_ALPHA = 120
FIGURES_PERIOD_S = 0.25  # numbers that change faster cannot be read
KEY_HINTS = (
    ("H", "help"),
    ("Space", "play"),
    ("R", "restart"),
    ("N", "new seed"),
    ("M", "mouse"),
    ("0-9", "class"),
    ("Left Right", "step"),
    ("F", "forward"),
    ("E", "real picture"),
)


class Screen:
    """Everything that is drawn. `draw` is called once for each picture of the window."""

    def __init__(self, text: Typesetter | None = None, look: Look | None = None) -> None:
        self.text, self.look = text or Typesetter(), look or Look()
        self._panes = {name: Pane() for name in ("noisy", "clean", "levels")}
        self._random = np.random.default_rng(0)
        self._figures: list[tuple[str, str]] = []
        self._figures_until = -math.inf

    def layout_of(self, surface: pygame.Surface) -> Layout:
        """Where everything is on this surface."""
        return layout(*surface.get_size())

    def draw(
        self,
        surface: pygame.Surface,
        model: ViewModel,
        statistics: Statistics,
        render_fps: float,
        now: float,
    ) -> None:
        """Draw it all; `now` in seconds."""
        places = self.layout_of(surface)
        self.text.begin(places.scale)
        surface.fill(BACKGROUND)
        if model.help_open:
            draw_help(surface, self.text, model)
            return
        if now >= self._figures_until:
            self._figures = wording.status_parts(model, statistics, render_fps, now)
            self._figures_until = now + FIGURES_PERIOD_S
        self._draw_header(surface, places.header, model)
        self._draw_panes(surface, places, model)
        self._draw_rail(surface, places.rail, model)
        self._draw_timeline(surface, places.timeline, model)
        self._draw_status(surface, places.status, model)
        if not model.status.live:
            draw_banner(surface, self.text, places.noisy, model)

    # --- header and status ---

    def _draw_header(self, surface: pygame.Surface, place: Rect, model: ViewModel) -> None:
        text = self.text
        x = place.x + text.put(surface, wording.time_step(model), place.x, place.y - text.px(2), 34, ACCENT)
        if spread := wording.time_step_range(model):
            x += text.px(12)
            x += text.put(surface, spread, x, place.y + text.px(15), 17, DIM)
        room = place.right - x - text.px(20)
        line = text.fit(wording.session_parts(model), wording.SEPARATOR, room, 15)
        text.put(surface, line, place.right, place.y, 15, align="right")
        sentence = model.notice or wording.state_sentence(model)
        color = WARNING if model.notice else DIM
        y = place.y + text.line(15)
        text.put(surface, sentence, place.right, y, 13, color, width=room, align="right")

    def _draw_status(self, surface: pygame.Surface, place: Rect, model: ViewModel) -> None:
        text, gap = self.text, self.text.px(16)
        x = place.x
        for name, value in self._figures if model.status.live else []:
            width = text.width(f"{name} {value}", 12) + gap
            if x + width > place.right:
                break
            text.put(surface, name, x, place.y, 12, DIM)
            text.put(surface, value, x + text.width(f"{name} ", 12), place.y, 12)
            x += width
        if not model.status.live:
            text.put(surface, wording.connection_title(model), x, place.y, 12, WARNING)
        x, y = place.x, place.y + text.line(12) + text.px(3)
        for key, meaning in KEY_HINTS:
            width = max(text.width(key, 11) + 2 * text.px(5), text.line(11)) + text.px(5)
            width += text.width(meaning, 11)
            if x + width > place.right:
                break
            used = keycap(surface, text, key, x, y, 11) + text.px(5)
            text.put(surface, meaning, x + used, y + text.px(1), 11, DIM)
            x += width + text.px(12)

    # --- the panes ---

    def _draw_panes(self, surface: pygame.Surface, places: Layout, model: ViewModel) -> None:
        frame, lost = model.frame, not model.status.live
        key = (frame, lost)  # the frame itself: numbers begin again with every stream
        self._title(surface, places, places.noisy, "x", "t", "the noisy picture: touch it")
        self._title(surface, places, places.clean, "x", "0", "the network's guess", hat=True)
        for name, place in (("noisy", places.noisy), ("clean", places.clean)):
            image = None if frame is None else frame.x_t if name == "noisy" else frame.x0_hat
            pixels = None if image is None else partial(self._shaded, grey, image, lost=lost)
            self._panes[name].draw(surface, place, key, pixels)
        if frame is not None and (levels := frame.level_map) is not None:
            self._title(surface, places, places.levels, "t", "", "of each pixel")
            pixels = partial(self._shaded, heat, levels, lost=lost)
            self._panes["levels"].draw(surface, places.levels, key, pixels)
        else:
            self._title(surface, places, places.levels, "x", "t", "is taken to be")
            self._draw_mixture(surface, places.levels, model)
        if not lost:
            self._draw_speckle(surface, places.noisy, model)
            self._draw_pointer(surface, places.noisy, model)

    @staticmethod
    def _shaded(colors: Callable[[Image], Pixels], image: Image, *, lost: bool) -> Pixels:
        return dimmed(colors(image)) if lost else colors(image)

    def _title(
        self,
        surface: pygame.Surface,
        places: Layout,
        pane: Rect,
        letter: str,
        index: str,
        words: str,
        *,
        hat: bool = False,
    ) -> None:
        y = pane.y - places.title
        x = self.text.symbol(surface, letter, index, pane.x, y, 14, hat=hat) + self.text.px(7)
        self.text.put(surface, words, x, y + self.text.px(1), 12, DIM, width=pane.right - x)

    def _draw_mixture(self, surface: pygame.Surface, place: Rect, model: ViewModel) -> None:
        """While the whole picture has one level: how much signal and how much noise it is made of."""
        text = self.text
        pygame.draw.rect(surface, PANEL, area(place))
        pygame.draw.rect(surface, EDGE, area(place), 1)
        if model.schedule is None or model.frame is None:
            return
        pad = text.px(10)
        line = text.line(12)
        plot = Rect(place.x + pad, place.y + pad, place.width - 2 * pad, place.height - 3 * pad - 2 * line)
        alphas_cumprod = model.schedule.alphas_cumprod
        level = model.frame.claimed.mean * math.pi / 2
        rows = (
            (np.sqrt(alphas_cumprod), math.cos(level), CURVE, "of the clean picture"),
            (np.sqrt(1 - alphas_cumprod), math.sin(level), ACCENT, "of Gaussian noise"),
        )
        share = model.frame.time_step.max / (len(alphas_cumprod) - 1)
        x = plot.right - plot.width * min(share, 1)
        pygame.draw.line(surface, EDGE, (plot.x, plot.bottom), (plot.right, plot.bottom))
        pygame.draw.line(surface, FAINT, (x, plot.y), (x, plot.bottom))
        y = plot.bottom + pad
        for values, now, color, words in rows:
            curve(surface, plot, values, color)
            pygame.draw.circle(surface, color, (x, plot.bottom - now * plot.height), text.px(4))
            number = f"{now:.2f}"
            text.put(surface, number, plot.x, y, 12, color)
            after = plot.x + text.width("0.00", 12) + text.px(6)
            text.put(surface, words, after, y, 12, DIM, width=plot.right - after)
            y += line

    def _draw_speckle(self, surface: pygame.Surface, place: Rect, model: ViewModel) -> None:
        """Show where noise has just been added, before the server answers."""
        if not model.speckles or model.frame is None:
            return
        height, width = model.frame.x_t.shape[1:]
        rows = ((np.arange(height) + 0.5) / height)[:, None]
        columns = ((np.arange(width) + 0.5) / width)[None, :]
        inside = np.zeros((height, width), bool)
        for speckle in model.speckles:
            if speckle.dab.center is None:
                inside[:] = True
                break
            x, y = speckle.dab.center
            inside |= (columns - x) ** 2 + (rows - y) ** 2 <= speckle.dab.radius**2
        noise = np.repeat(self._random.integers(0, 256, (height, width, 1), np.uint8), 4, axis=2)
        noise[..., 3] = np.where(inside, SPECKLE_ALPHA, 0)
        surface.blit(pygame.transform.scale(surface_of(noise), area(place).size), (place.x, place.y))

    def _draw_pointer(self, surface: pygame.Surface, place: Rect, model: ViewModel) -> None:
        if model.pointer is None:
            return
        clip = surface.get_clip()
        surface.set_clip(area(place))
        x, y = place.x + model.pointer[0] * place.width, place.y + model.pointer[1] * place.height
        radius = float(self.text.px(7))
        if model.mode is MouseMode.WHOLE_IMAGE:
            pygame.draw.rect(surface, ACCENT, area(place), 2)
        else:
            radius = model.radius * min(place.width, place.height)
        pygame.draw.circle(surface, (0, 0, 0), (x, y), radius + 1, 3)
        pygame.draw.circle(surface, ACCENT, (x, y), radius, 1)
        surface.set_clip(clip)

    # --- the rail and the time line ---

    def _draw_rail(self, surface: pygame.Surface, place: Rect, model: ViewModel) -> None:
        text = self.text
        pygame.draw.rect(surface, PANEL, area(place))
        inner = place.inset(text.px(10))
        y = inner.y
        frame = model.frame
        if frame is not None:
            wrong = abs(wording.noise_difference(frame)) >= wording.LEVEL_TOLERANCE
            line = Rect(inner.x, y, inner.width, 0)
            y = text.wrap(surface, wording.gauge_sentence(model), line, 13, WARNING if wrong else TEXT)
            y += text.px(4)
            for name, level in (("told", frame.claimed), ("really", frame.bookkept)):
                bar(surface, text, Rect(inner.x, y, inner.width, 0), name, (level.mean, level.max))
                y += text.line(12)
            measured = wording.measured_level(frame)
            bar(surface, text, Rect(inner.x, y, inner.width, 0), "measured", measured)
            y += text.line(12)
            words, odd = wording.noise_shape(frame)
            text.put(surface, words, inner.x, y, 11, WARNING if odd else DIM, width=inner.width)
            y += text.line(11) + text.px(4)
            pygame.draw.line(surface, EDGE, (inner.x, y), (inner.right, y))
            y += text.px(10)
        y = self._draw_rows(
            surface, Rect(inner.x, y, inner.width, inner.bottom - y), wording.mouse_rows(model)
        )
        sentence = wording.mouse_sentence(model)
        height = len(text.lines(sentence, inner.width, 12)) * text.line(12)
        if y + height > inner.bottom:
            return
        y = text.wrap(surface, sentence, Rect(inner.x, y, inner.width, 0), 12, DIM) + text.px(8)
        rows = wording.network_rows(model)
        if y + len(rows) * (text.line(12) + text.px(6)) < inner.bottom:
            pygame.draw.line(surface, EDGE, (inner.x, y), (inner.right, y))
            y += text.px(10)
            self._draw_rows(surface, Rect(inner.x, y, inner.width, inner.bottom - y), rows)

    def _draw_rows(self, surface: pygame.Surface, place: Rect, rows: list[tuple[str, str, str]]) -> int:
        """Settings as key, name and value, as many as fit; returns the y below them."""
        text, y = self.text, place.y
        keys = max(text.width(key, 11) + 2 * text.px(5) for key, _, _ in rows) + text.px(8)
        names = max(text.width(name, 12) for _, name, _ in rows) + text.px(10)
        values = max(text.width(value, 12) for _, _, value in rows)
        stacked = keys + names + values > place.width
        height = (2 if stacked else 1) * text.line(12) + text.px(6)
        for key, name, value in rows:
            if y + height > place.bottom:
                break
            keycap(surface, text, key, place.x, y, 11)
            text.put(surface, name, place.x + keys, y, 12, DIM)
            x, below = (place.x + keys, text.line(12)) if stacked else (place.x + keys + names, 0)
            text.put(surface, value, x, y + below, 12, width=place.right - x)
            y += height
        return y

    def _timeline_plot(self, place: Rect) -> Rect:
        text = self.text
        pad, top = text.px(10), place.y + text.px(8)
        return Rect(
            place.x + pad, top, place.width - 2 * pad, place.bottom - text.line(11) - text.px(7) - top
        )

    def time_step_at(self, surface: pygame.Surface, position: Point, num_time_steps: int) -> float | None:
        """The time step under a point of the time line, None elsewhere."""
        point = self._timeline_plot(self.layout_of(surface).timeline).fraction(position)
        return None if point is None else (1 - point[0]) * num_time_steps

    def _draw_timeline(self, surface: pygame.Surface, place: Rect, model: ViewModel) -> None:
        text = self.text
        pygame.draw.rect(surface, PANEL, area(place))
        if model.schedule is None:
            return
        plot = self._timeline_plot(place)
        alphas_cumprod = model.schedule.alphas_cumprod
        steps = len(alphas_cumprod) - 1

        def x_of(t: float) -> float:
            return plot.right - plot.width * min(max(t / steps, 0), 1)

        points = curve_points(plot, alphas_cumprod)
        pygame.draw.polygon(surface, AREA, [(plot.right, plot.bottom), *points, (plot.x, plot.bottom)])
        if model.frame is not None:
            t = model.frame.time_step
            left, right = round(x_of(t.max)), round(x_of(t.min))
            pygame.draw.rect(surface, BAND, (left, plot.y, max(right - left, 1), plot.height))
        pygame.draw.aalines(surface, CURVE, False, points)
        pygame.draw.line(surface, EDGE, (plot.x, plot.bottom), (plot.right, plot.bottom))
        for mark in model.marks:
            x = x_of(mark)
            pygame.draw.line(surface, WARNING, (x, plot.bottom - text.px(6)), (x, plot.bottom))
        y = plot.bottom + text.px(4)
        self._draw_ticks(surface, plot, steps, y)
        if model.frame is not None:
            x = x_of(model.frame.time_step.max)
            pygame.draw.line(surface, ACCENT, (x, plot.y - text.px(4)), (x, plot.bottom), 2)
            pygame.draw.circle(surface, ACCENT, (x, plot.y - text.px(2)), text.px(4))

    def _draw_ticks(self, surface: pygame.Surface, plot: Rect, steps: int, y: int) -> None:
        """Time steps below the time line, what its ends mean, and what the curve is."""
        text = self.text
        ends = text.put(surface, f"noise  {steps}", plot.x, y, 11, DIM)
        text.put(surface, "0  clean", plot.right, y, 11, DIM, align="right")
        period = next(p for p in (1, 5, 10, 25, 50, 100, 200, 500) if steps / p <= 8)
        for t in range(period, steps, period):
            x = plot.right - plot.width * t / steps
            pygame.draw.line(surface, FAINT, (x, plot.bottom), (x, plot.bottom + text.px(3)))
            if min(x - plot.x, plot.right - x) > ends + text.px(16):
                text.put(surface, str(t), x, y, 11, FAINT, align="center")
