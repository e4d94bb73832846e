"""The tour as a slim panel over the time line: it covers neither a picture nor the time step in figures."""

from __future__ import annotations

from collections.abc import Callable

import pygame

from viewer_client.core.appearance import Appearance
from viewer_client.core.geometry import Rect, layout
from viewer_client.core.keymap import Action, cap
from viewer_client.core.palette import ACCENT, DIM, EDGE, PANEL, TEXT
from viewer_client.core.view_model import ViewModel
from viewer_client.experiments.tour import CAPTIONS, Situation, Stage, Todo, Tour
from viewer_client.ui.overlay import MouseEvent, MouseKind, Overlay
from viewer_client.ui.widgets import Text, area, shrunk

LEFT_SHARE = 0.36  # of the width: what to do; the rest says what it is about
POINTS, POINTS_LEAST = 13.0, 6.0  # of the text, until all of it fits
SMALL = 0.85  # of it: how to end
GLOW_S = 1.5  # after each stage
ENDS = f"{cap(Action.CLOSE_OVERLAY)} skips the tour, {cap(Action.TOUR)} begins it again."


class TourOverlay(Overlay):
    """Shows a tour, which looks on at what the user does; all keys but one go to the screen below.

    Args:
        remember: called when the tour has been gone through or skipped.
    """

    def __init__(self, model: ViewModel, appearance: Appearance, remember: Callable[[], None]) -> None:
        self._model, self._appearance, self._remember = model, appearance, remember
        self.tour = Tour()
        self._glows_until: float | None = None
        self.panel: Rect | None = None  # where it was drawn last
        self._found: tuple[object, tuple[Rect, float]] | None = None
        model.observers.append(self.tour)

    def key(self, key: str, character: str) -> bool:
        """Take the key that gives the tour's single dose; any other goes to the screen below."""
        dose = self.tour.dose
        if key not in ("return", "enter") or dose is None:
            return False
        self._model.dose(dose)
        return True

    def mouse(self, event: MouseEvent, size: tuple[int, int]) -> bool:
        """Take clicks on the panel, so that they do not reach what lies behind it."""
        inside = self.panel is not None and self.panel.fraction(event.position) is not None
        return inside and event.kind is MouseKind.PRESS

    def update(self, now: float) -> None:
        model, stage = self._model, self.tour.stage
        self.tour.observe(
            Situation(
                frame=model.frame,
                motion=model.motion,
                kind=model.brush.kind,
                rule=model.brush.rule,
                session="" if model.welcome is None else model.welcome.session_id,
                live=model.status.live,
            )
        )
        if self.tour.stage is not stage:
            self._glows_until = now + GLOW_S
            if self.tour.stage is Stage.OVER:
                self._remember()

    def close(self) -> None:
        if not self.closed:
            self._model.observers.remove(self.tour)
            self._remember()
        super().close()

    # --- drawing ---

    def draw(self, surface: pygame.Surface, text: Text, now: float) -> None:
        """Draw the panel over the time line, and over the figures below it where that is not enough."""
        tour = self.tour
        place, points = self._find_place(surface, text)
        self.panel = place
        glows = self._glows_until is not None and now < self._glows_until
        pygame.draw.rect(surface, PANEL, area(place))
        pygame.draw.rect(surface, ACCENT if glows else EDGE, area(place), 1)
        left, right = _columns(text, place)
        x = left.x + text.put(surface, tour.progress, left.x, left.y, points, ACCENT) + text.px(8)
        text.put(surface, tour.caption.title, x, left.y, points, TEXT, width=left.right - x)
        below = Rect(left.x, left.y + text.line(points), left.width, 0)
        text.wrap(surface, tour.todo, below, points, ACCENT)
        if tour.stage is not Stage.OVER:
            text.put(surface, ENDS, left.x, left.bottom - text.line(SMALL * points), SMALL * points, DIM)
        text.wrap(surface, tour.caption.text, right, points, TEXT)

    def _find_place(self, surface: pygame.Surface, text: Text) -> tuple[Rect, float]:
        """Return the place of the panel and the size of its text, points: the time line, or that and below.

        The text becomes smaller only where both places are too little for any moment of the tour, so that
        neither changes on the way.
        """
        places = layout(*surface.get_size(), self._appearance.text_scale)
        line = places.timeline
        key = (line, text.scale)
        if self._found is None or self._found[0] != key:
            larger = Rect(line.x, line.y, line.width, places.status.bottom - line.y)
            points, place = POINTS, line
            if not _fits(text, line, points):
                place = larger
                points = shrunk(points, POINTS_LEAST, lambda points: _fits(text, larger, points))
            self._found = (key, (place, points))
        return self._found[1]


def _columns(text: Text, place: Rect) -> tuple[Rect, Rect]:
    """Return the columns for what to do and for what it is about."""
    inner = place.inset(text.px(7))
    width, gap = round(inner.width * LEFT_SHARE), text.px(16)
    right = inner.x + width + gap
    return (
        Rect(inner.x, inner.y, width, inner.height),
        Rect(right, inner.y, inner.right - right, inner.height),
    )


def _fits(text: Text, place: Rect, points: float) -> bool:
    """Return whether all that the tour says fits, whatever stage it is at."""
    left, right = _columns(text, place)
    titles = max(text.width(caption.title, points) for caption in CAPTIONS.values())
    titles += text.width("4/4", points) + text.px(8)
    todo = max(len(text.lines(todo, left.width, points)) for todo in Todo) + 1
    about = max(len(text.lines(caption.text, right.width, points)) for caption in CAPTIONS.values())
    small = text.line(SMALL * points)
    return (
        max(titles, text.width(ENDS, SMALL * points)) <= left.width
        and todo * text.line(points) + small <= left.height
        and about * text.line(points) <= right.height
    )
