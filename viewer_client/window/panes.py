"""The pictures: x_t, which is touched, the guess x̂0, and the noise ε̂ that is between them.

`PANES` is the list of them. A new pane is one more entry here, and its name in `geometry.PANES`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pygame

from diffusion_toy.contract.messages import Frame
from viewer_client.core import labels, schedules
from viewer_client.core.appearance import Appearance, ColorMap
from viewer_client.core.colormaps import (
    NOISE_LIMIT,
    TABLES,
    Pixels,
    Table,
    colored,
    dimmed,
    heat_legend,
    heated,
    signed,
)
from viewer_client.core.feedback import Speckle
from viewer_client.core.geometry import Layout, Rect
from viewer_client.core.keymap import Action, cap
from viewer_client.core.palette import ACCENT, BACKGROUND, DIM, EDGE, PANEL, TEXT
from viewer_client.core.residual import Residual
from viewer_client.core.strokes import MouseMode
from viewer_client.core.view_model import ViewModel
from viewer_client.ui.widgets import CachedSurface, ScaledImage, Text, area, legend

SPECKLE_SHARE = 0.47  # of the noise that stands for what was just added
DASHES = 14  # of the ring that heals
TOUCH = ("the noisy picture: touch it", "touch it")
TOUCH_UNEVEN = (
    f"the noisy picture: touch it · {cap(Action.HEAT)} shows where t is what",
    f"touch it · {cap(Action.HEAT)}: t of each pixel",
    *TOUCH,
)
GUESS = ("the network's guess", "guess")
NOISE = ("the noise it sees", "noise")


@dataclass(frozen=True, eq=False)
class View:
    """What the panes are drawn from.

    Attributes:
        model: the state of the viewer.
        appearance: colours and layers, as the user has chosen.
        residual: of the model's frame; None before the first.
    """

    model: ViewModel
    appearance: Appearance
    residual: Residual | None

    @property
    def frame(self) -> Frame | None:
        """Return the newest frame, None before the first."""
        return self.model.frame

    @property
    def uneven(self) -> bool:
        """Return whether the time step differs from pixel to pixel."""
        return self.frame is not None and self.frame.level_map is not None

    @property
    def hot(self) -> bool:
        """Return whether the time step of each pixel lies over x_t."""
        return self.appearance.heat and self.uneven


@dataclass(frozen=True)
class Legend:
    """The colours of a table as a bar, between what its ends stand for; `length` in points."""

    table: Table
    ends: tuple[str, str]
    length: float = 32


@dataclass(frozen=True)
class Pane:
    """One picture and the line above it.

    Attributes:
        name: under which `Layout.panes` has its place.
        symbol: a letter with an index, and whether it has a hat.
        words: what it is called, from long to short; the longest that fits is shown.
        legend: what stands at the right of the words: colours, a text, or nothing.
        key: whatever the pixels depend on beside frame, colours and connection.
        pixels: (H, W, 3), of a view that has a frame and its residual.
    """

    name: str
    symbol: tuple[str, str, bool]
    words: Callable[[View], tuple[str, ...]]
    legend: Callable[[View], Legend | str | None]
    key: Callable[[View], object]
    pixels: Callable[[View, Frame, Residual], Pixels]


# --- x_t ---


def _noisy_legend(view: View) -> Legend | str:
    if view.hot:
        return Legend(heat_legend(), ("t 0", str(view.model.num_time_steps)), 48)
    return labels.mixture(view.model)


def _noisy_key(view: View) -> object:
    # the same speckle never looks the same twice
    return view.hot, object() if view.model.feedback.speckles else None


def _noisy_pixels(view: View, frame: Frame, _residual: Residual) -> Pixels:
    pixels = colored(frame.x_t, view.appearance.color_map)
    if view.hot and frame.level_map is not None and view.model.schedule is not None:
        t = schedules.time_steps_of(view.model.schedule, frame.level_map)
        pixels = heated(pixels, t / view.model.num_time_steps)
    speckles = view.model.feedback.speckles
    return _speckled(pixels, tuple(speckles)) if speckles and view.model.status.live else pixels


def _speckled(pixels: Pixels, speckles: tuple[Speckle, ...]) -> Pixels:
    """Return the picture with other noise where noise has just been added, before the server answers."""
    height, width = pixels.shape[:2]
    inside = np.zeros((height, width), bool)
    for speckle in speckles:
        disc = speckle.inject.disc
        inside |= True if disc is None else disc.covers(height, width)
    noise = _random.integers(0, 256, (height, width, 1), np.uint8)
    mixed = (pixels * (1 - SPECKLE_SHARE) + noise * SPECKLE_SHARE).astype(np.uint8)
    return np.where(inside[..., None], mixed, pixels)


_random = np.random.default_rng(0)

# --- x̂0 ---


def _clean_legend(view: View) -> Legend | None:
    colors = view.appearance.color_map
    return None if colors is ColorMap.GREY else Legend(TABLES[colors], ("−1", "1"))


def _clean_pixels(view: View, frame: Frame, _residual: Residual) -> Pixels:
    return colored(frame.x0_hat, view.appearance.color_map)


# --- ε̂ ---


def _noise_legend(_view: View) -> Legend:
    return Legend(TABLES[ColorMap.DIVERGING], (f"−{NOISE_LIMIT:g}", f"{NOISE_LIMIT:g}"))


def _noise_pixels(_view: View, _frame: Frame, residual: Residual) -> Pixels:
    return signed(residual.eps, NOISE_LIMIT, residual.known)


def _nothing(_view: View) -> None:
    return None


PANES = (
    Pane(
        "noisy", ("x", "t", False), lambda view: TOUCH_UNEVEN if view.uneven and not view.hot else TOUCH,
        _noisy_legend, _noisy_key, _noisy_pixels,
    ),
    Pane("clean", ("x", "0", True), lambda _: GUESS, _clean_legend, _nothing, _clean_pixels),
    Pane("noise", ("ε", "", True), lambda _: NOISE, _noise_legend, _nothing, _noise_pixels),
)  # fmt: skip


class Panes:
    """Draws the panes, and over x_t the pointer."""

    def __init__(self, text: Text, appearance: Appearance) -> None:
        self._text, self._appearance = text, appearance
        self._images = {pane.name: ScaledImage() for pane in PANES}
        self._titles = {pane.name: CachedSurface() for pane in PANES}

    def draw(
        self, surface: pygame.Surface, places: Layout, model: ViewModel, residual: Residual | None
    ) -> None:
        """Draw the panes; `residual` is of the model's frame."""
        view = View(model, self._appearance, residual)
        for pane in PANES:
            place = places.panes[pane.name]
            self._draw_title(
                surface, Rect(place.x, place.y - places.title, place.width, places.title), pane, view
            )
            self._draw_picture(surface, place, pane, view)
        if model.status.live:
            self._draw_pointer(surface, places.largest, model)

    def _draw_picture(self, surface: pygame.Surface, place: Rect, pane: Pane, view: View) -> None:
        frame, residual, live = view.frame, view.residual, view.model.status.live
        if frame is None or residual is None:
            pygame.draw.rect(surface, PANEL, area(place))
        else:

            def pixels() -> Pixels:
                made = pane.pixels(view, frame, residual)
                return made if live else dimmed(made)

            # the frame itself, not its number: numbers begin again with every stream
            key = (frame, live, view.appearance.color_map, pane.key(view))
            self._images[pane.name].draw(surface, place, key, pixels)
        pygame.draw.rect(surface, EDGE, area(place), 1)

    # --- the line above a pane ---

    def _draw_title(self, surface: pygame.Surface, place: Rect, pane: Pane, view: View) -> None:
        words, end = pane.words(view), pane.legend(view)
        shown = end if isinstance(end, str | None) else (end.table.tobytes(), end.ends)
        paint = partial(self._paint_title, surface, place, pane.symbol, words, end)
        self._titles[pane.name].draw(surface, self._text, place, (words, shown), paint)

    def _paint_title(
        self,
        surface: pygame.Surface,
        place: Rect,
        symbol: tuple[str, str, bool],
        words: tuple[str, ...],
        end: Legend | str | None,
    ) -> None:
        text, points = self._text, 12
        letter, index, hat = symbol
        x = text.symbol(surface, letter, index, place.x, place.y, 14, hat=hat) + text.px(7)
        y = place.y + text.px(1)
        x += text.put(surface, text.longest(words, place.right - x, points), x, y, points, DIM) + text.px(8)
        room = Rect(x, y, place.right - x, 0)
        if isinstance(end, Legend):
            legend(surface, text, room, end.table, end.ends, end.length)
        elif end is not None:
            end = text.longest((end,), room.width - text.px(4), points)
            text.put(surface, end, room.right, y, points, TEXT, align="right")

    # --- what lies over x_t ---

    def _draw_pointer(self, surface: pygame.Surface, place: Rect, model: ViewModel) -> None:
        """Draw the ring of the brush, dashed while it denoises, and the time step under it."""
        if model.pointer is None:
            return
        clip = surface.get_clip()
        surface.set_clip(area(place))
        x, y = place.x + model.pointer[0] * place.width, place.y + model.pointer[1] * place.height
        radius = model.brush.radius * min(place.width, place.height)
        if model.healing:
            self._draw_dashes(surface, x, y, radius)
        else:
            if model.brush.mode is MouseMode.WHOLE_IMAGE:
                radius = self._text.px(7)
                pygame.draw.rect(surface, ACCENT, area(place), 2)
            pygame.draw.circle(surface, (0, 0, 0), (x, y), radius + 1, 3)
            pygame.draw.circle(surface, ACCENT, (x, y), radius, 1)
        surface.set_clip(clip)
        self._draw_time_step(surface, place, labels.time_step_here(model), x, y, radius)

    @staticmethod
    def _draw_dashes(surface: pygame.Surface, x: float, y: float, radius: float) -> None:
        turn = math.tau / DASHES
        for dash in range(DASHES):
            points = [
                (x + radius * math.cos(angle), y + radius * math.sin(angle))
                for angle in (turn * (dash + share) for share in (0, 0.2, 0.4, 0.6))
            ]
            pygame.draw.lines(surface, (0, 0, 0), False, points, 5)
            pygame.draw.lines(surface, ACCENT, False, points, 2)

    def _draw_time_step(
        self, surface: pygame.Surface, place: Rect, words: str, x: float, y: float, radius: float
    ) -> None:
        """Write the time step beside the ring, at its right where there is room, within the pane."""
        text = self._text
        if not words:
            return
        pad, height = text.px(4), text.line(12)
        width, reach = text.width(words, 12) + 2 * pad, radius + text.px(6)
        left = x + reach if x + reach + width <= place.right - pad else x - reach - width
        left = min(max(left, place.x + pad), place.right - pad - width)
        top = min(max(y - height / 2, place.y + pad), place.bottom - pad - height)
        box = pygame.Rect(round(left), round(top), width, height)
        pygame.draw.rect(surface, BACKGROUND, box, border_radius=text.px(3))
        text.put(surface, words, box.x + pad, box.y + text.px(1), 12, ACCENT)
