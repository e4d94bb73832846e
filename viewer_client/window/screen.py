"""Draws the view model into a PyGame surface; changes nothing."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import astuple, dataclass, fields
from typing import TYPE_CHECKING

import pygame

from diffusion_toy.contract.messages import Frame
from viewer_client.core import labels
from viewer_client.core.appearance import Appearance
from viewer_client.core.brush import Brush
from viewer_client.core.feedback import Feedback
from viewer_client.core.geometry import Layout, Point, Rect, layout
from viewer_client.core.history import History
from viewer_client.core.keymap import Action, cap
from viewer_client.core.palette import ACCENT, BACKGROUND, DIM, FAINT, TEXT, WARNING
from viewer_client.core.residual import Residual, residual_of
from viewer_client.core.view_model import ViewModel
from viewer_client.link.status import Statistics
from viewer_client.overlays.help import draw_banner, draw_help
from viewer_client.ui.widgets import CachedSurface, Text, keycap
from viewer_client.window.panes import Panes
from viewer_client.window.rail import Rail
from viewer_client.window.timeline import FilmStrip, TimeLine

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

FIGURES_PERIOD_S = 0.25  # numbers that change faster cannot be read
UNCHANGED_S = 0.1  # a picture in which nothing has changed is drawn again after this, all the same
KEY_HINTS = (
    (cap(Action.HELP), "help"),
    (cap(Action.TOGGLE_PLAY), "play"),
    (cap(Action.RESTART), "restart"),
    (cap(Action.NEW_SEED), "new seed"),
    (cap(Action.MOUSE_MODE), "mouse"),
    (cap(Action.LABEL), "class"),
    (cap(Action.STEP_FORWARD, Action.STEP_REVERSE), "step"),
    (cap(Action.TOGGLE_DIRECTION), "forward"),
    (cap(Action.EXAMPLE), "real picture"),
    (cap(Action.COLORS), "colours"),
    (cap(Action.HEAT), "time steps"),
)

# Fields of the view model that no picture shows. Any other field counts as drawn.
NOT_DRAWN = frozenset({"draw_seed", "quit", "window_actions", "try_again", "command_log", "observers"})


def drawn_state(model: ViewModel) -> tuple[object, ...]:
    """Return what pictures show of a model, to be compared: its public fields but those named above."""
    names = [name for name in _public_fields(model) if name not in NOT_DRAWN]
    return (*(_frozen(getattr(model, name)) for name in names), model.settings, model.motion)


def _public_fields(value: DataclassInstance) -> list[str]:
    return [field.name for field in fields(value) if not field.name.startswith("_")]


def _frozen(value: object) -> object:
    """Return a value that stays as it is while the model goes on."""
    if isinstance(value, History):
        return tuple(value.film.stills)
    if isinstance(value, list | deque):
        return tuple(value)
    if isinstance(value, Brush | Feedback):
        return tuple(_frozen(getattr(value, name)) for name in _public_fields(value))
    return value  # frozen itself


@dataclass(frozen=True)
class Hit:
    """What of the screen is under the mouse; at most one of these.

    Attributes:
        point: in fractions of the pane that can be touched.
        step: of the still of the film.
        time_step: of the place on the time line.
    """

    point: Point | None = None
    step: int | None = None
    time_step: float | None = None


class Screen:
    """Draws everything; `draw` is called once for each picture of the window."""

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
        """Return where everything is on this surface."""
        return layout(*surface.get_size(), self.appearance.text_scale)

    def hit(self, surface: pygame.Surface, position: Point, num_time_steps: int) -> Hit:
        """Return what of the screen is at a position, px, while the schedule has so many time steps."""
        places = self.layout_of(surface)
        if (point := places.largest.fraction(position)) is not None:
            return Hit(point=point)
        if places.film is not None and (still := self._strip.still_at(position)) is not None:
            return Hit(step=still.step)
        if (on_line := self._timeline.plot(places.timeline).fraction(position)) is not None:
            return Hit(time_step=(1 - on_line[0]) * num_time_steps)
        return Hit()

    def forget(self) -> None:
        """Draw the next picture whatever it shows, since something else was drawn over the surface."""
        self._moment = None

    def draw(
        self,
        surface: pygame.Surface,
        model: ViewModel,
        statistics: Statistics,
        render_fps: float,
        now: float,
    ) -> bool:
        """Draw the screen if it has changed or is a tenth of a second old; return whether it was drawn.

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
            draw_banner(surface, self.text, places.largest, model)
        return True

    def _moment_of(self, surface: pygame.Surface, model: ViewModel) -> object:
        """Return all that a picture shows, to be compared with what the last one showed."""
        return surface.get_size(), astuple(self.appearance), tuple(self._figures), drawn_state(model)

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
        color = ACCENT if model.notice else DIM  # an answer is not always bad news
        y = place.y + text.line(15)
        text.put(surface, sentence, place.right, y, 13, color, width=room, align="right")

    def _draw_parts(self, surface: pygame.Surface, place: Rect, model: ViewModel) -> None:
        """Write the head-up line at the right, as many of its parts as fit."""
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
