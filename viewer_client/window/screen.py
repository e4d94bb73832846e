"""Draws the view model into a PyGame surface; changes nothing."""

from __future__ import annotations

import math
from dataclasses import astuple

import pygame

from diffusion_toy.contract.messages import Frame
from viewer_client.core import labels
from viewer_client.core.appearance import Appearance
from viewer_client.core.geometry import Layout, Point, Rect, layout
from viewer_client.core.residual import Residual, residual_of
from viewer_client.core.view_model import ViewModel
from viewer_client.link.status import Statistics
from viewer_client.overlays.help import draw_banner, draw_help
from viewer_client.ui.widgets import (
    ACCENT,
    BACKGROUND,
    DIM,
    FAINT,
    TEXT,
    WARNING,
    CachedSurface,
    Text,
    keycap,
)
from viewer_client.window.panes import Panes
from viewer_client.window.rail import Rail
from viewer_client.window.timeline import FilmStrip, TimeLine

FIGURES_PERIOD_S = 0.25  # numbers that change faster cannot be read
UNCHANGED_S = 0.1  # a picture in which nothing has changed is drawn again after this, all the same
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
    ("P", "colours"),
    ("O", "time steps"),
)


class Screen:
    """Everything that is drawn. `draw` is called once for each picture of the window."""

    def __init__(self, text: Text | None = None, appearance: Appearance | None = None) -> None:
        self.text, self.appearance = text or Text(), appearance or Appearance()
        self._panes, self._rail = Panes(self.text, self.appearance), Rail(self.text, self.appearance)
        self._timeline, self._strip = TimeLine(self.text), FilmStrip(self.text, self.appearance)
        self._status = CachedSurface()
        self._figures: list[tuple[str, str]] = []
        self._figures_until = -math.inf
        self._seen: Frame | None = None
        self._residual: Residual | None = None
        self._moment: object = None
        self._drawn_at = -math.inf

    def layout_of(self, surface: pygame.Surface) -> Layout:
        """Where everything is on this surface."""
        return layout(*surface.get_size(), self.appearance.text_scale)

    def time_step_at(self, surface: pygame.Surface, position: Point, num_time_steps: int) -> float | None:
        """The time step under a point of the time line, None elsewhere."""
        places = self.layout_of(surface)
        point = self._timeline.plot(places.timeline).fraction(position)
        return None if point is None else (1 - point[0]) * num_time_steps

    def step_at(self, surface: pygame.Surface, position: Point) -> int | None:
        """The step of the still under a point of the film, None elsewhere."""
        if self.layout_of(surface).film is None:
            return None
        still = self._strip.still_at(position)
        return None if still is None else still.step

    def forget(self) -> None:
        """Something else was drawn over the surface: the next picture is drawn whatever it shows."""
        self._moment = None

    def draw(
        self,
        surface: pygame.Surface,
        model: ViewModel,
        statistics: Statistics,
        render_fps: float,
        now: float,
    ) -> bool:
        """Draw it all, if it has changed or is a tenth of a second old; whether it was drawn.

        `now` is in seconds.
        """
        if now >= self._figures_until:
            self._figures = labels.status_parts(model, statistics, render_fps, now)
            self._figures_until = now + FIGURES_PERIOD_S
        moment = self._moment_of(surface, model)
        if moment == self._moment and not model.feedback.speckles and now - self._drawn_at < UNCHANGED_S:
            return False
        self._moment, self._drawn_at = moment, now
        places = self.layout_of(surface)
        self.text.begin(places.scale)
        surface.fill(BACKGROUND)
        if model.help_open:
            draw_help(surface, self.text, model)
            return True
        frame = model.frame
        if frame is not self._seen:
            self._seen, self._residual = frame, None if frame is None else residual_of(frame)
        self._draw_header(surface, places.header, model)
        self._panes.draw(surface, places, model, self._residual)
        self._rail.draw(surface, places.rail, model, self._residual)
        if places.film is not None:
            self._strip.draw(surface, places.film, model)
        self._timeline.draw(surface, places.timeline, model)
        key = (tuple(self._figures), model.status)
        self._status.draw(
            surface, self.text, places.status, key, lambda: self._draw_status(surface, places.status, model)
        )
        if not model.status.live:
            draw_banner(surface, self.text, places.noisy, model)
        return True

    def _moment_of(self, surface: pygame.Surface, model: ViewModel) -> object:
        """All that a picture shows, to be compared with what the last one showed."""
        appearance = self.appearance
        return (
            (
                surface.get_size(),
                appearance.color_map,
                appearance.heat,
                appearance.text_scale,
                tuple(self._figures),
            ),
            (model.frame, model.welcome, model.schedule, model.status, model.settings, model.motion),
            (model.pointer, model.healing, astuple(model.brush), tuple(model.feedback.marks)),
            (model.notice, model.help_open, len(model.feedback.speckles), model.start.seed),
        )

    # --- header and status ---

    def _draw_header(self, surface: pygame.Surface, place: Rect, model: ViewModel) -> None:
        text = self.text
        large = min(34, place.height / text.scale * 0.75)
        x = place.x + text.put(surface, labels.time_step(model), place.x, place.y - text.px(2), large, ACCENT)
        if spread := labels.time_step_range(model):
            x += text.px(12)
            x += text.put(surface, spread, x, place.y + text.px(15), 17, DIM)
        room = place.right - x - text.px(20)
        self._draw_parts(surface, Rect(place.right - room, place.y, room, 0), model)
        sentence = model.notice or labels.state_sentence(model)
        color = WARNING if model.notice else DIM
        y = place.y + text.line(15)
        text.put(surface, sentence, place.right, y, 13, color, width=room, align="right")

    def _draw_parts(self, surface: pygame.Surface, place: Rect, model: ViewModel) -> None:
        """The head-up line, at the right, as many of its parts as fit."""
        text = self.text
        between = text.width(labels.SEPARATOR, 15)
        chosen: list[str] = []
        used = -between
        for part in labels.head_up_parts(model):
            width = text.width(part, 15) + between
            if used + width > place.width:
                break
            chosen.append(part)
            used += width
        x = place.right - used
        for number, part in enumerate(chosen):
            if number:
                x += text.put(surface, labels.SEPARATOR, x, place.y, 15, FAINT)
            x += text.put(surface, part, x, place.y, 15, TEXT)

    def _draw_status(self, surface: pygame.Surface, place: Rect, model: ViewModel) -> None:
        text, gap = self.text, self.text.px(16)
        pygame.draw.rect(surface, BACKGROUND, (place.x, place.y, place.width, place.height))
        x = place.x
        for name, value in self._figures if model.status.live else []:
            width = text.width(f"{name} {value}", 12) + gap
            if x + width > place.right:
                break
            text.put(surface, name, x, place.y, 12, DIM)
            text.put(surface, value, x + text.width(f"{name} ", 12), place.y, 12)
            x += width
        if not model.status.live:
            text.put(surface, labels.connection_title(model), x, place.y, 12, WARNING)
        x, y = place.x, place.y + text.line(12) + text.px(3)
        if y + text.line(11) > place.bottom:
            return
        for key, meaning in KEY_HINTS:
            width = max(text.width(key, 11) + 2 * text.px(5), text.line(11)) + text.px(5)
            width += text.width(meaning, 11)
            if x + width > place.right:
                break
            used = keycap(surface, text, key, x, y, 11) + text.px(5)
            text.put(surface, meaning, x + used, y + text.px(1), 11, DIM)
            x += width + text.px(12)
