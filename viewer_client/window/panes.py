"""The three pictures: x_t, which is touched, the guess x̂0, and the noise ε̂ that is between them."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pygame

from diffusion_toy.contract.messages import Frame, Image
from viewer_client.core import labels, schedules
from viewer_client.core.appearance import Appearance, ColorMap
from viewer_client.core.colormaps import TABLES, Pixels, Table, colored, dimmed, heat_legend, heated, signed
from viewer_client.core.geometry import Layout, Rect
from viewer_client.core.residual import Residual
from viewer_client.core.strokes import MouseMode
from viewer_client.core.view_model import ViewModel
from viewer_client.ui.widgets import (
    ACCENT,
    BACKGROUND,
    DIM,
    EDGE,
    PANEL,
    TEXT,
    CachedSurface,
    ScaledImage,
    Text,
    area,
    legend,
)

SPECKLE_SHARE = 0.47  # of the noise that stands for what was just added
NOISE_LIMIT = 3.0  # of the colours of ε̂
DASHES = 14  # of the ring that heals
TOUCH = ("the noisy picture: touch it", "touch it")
TOUCH_UNEVEN = (
    "the noisy picture: touch it · O shows where t is what",
    "touch it · O: t of each pixel",
    *TOUCH,
)
GUESS = ("the network's guess", "guess")
NOISE = ("the noise it sees", "noise")


class Panes:
    """Draws them, with what lies over x_t: heat, speckle, pointer."""

    def __init__(self, text: Text, appearance: Appearance) -> None:
        self._text, self._appearance = text, appearance
        self._pictures = {name: ScaledImage() for name in ("noisy", "clean", "noise")}
        self._title_of_clean, self._title_of_noise = CachedSurface(), CachedSurface()
        self._random = np.random.default_rng(0)

    def draw(
        self, surface: pygame.Surface, places: Layout, model: ViewModel, residual: Residual | None
    ) -> None:
        """Draw them; `residual` is of the model's frame."""
        frame, lost, appearance = model.frame, not model.status.live, self._appearance
        hot = appearance.heat and frame is not None and frame.level_map is not None
        self._title_noisy(surface, places, model, hot=hot)
        self._title_clean(surface, places)
        self._title_noise(surface, places)
        for name, place in (("noisy", places.noisy), ("clean", places.clean), ("noise", places.noise)):
            if frame is None or residual is None:
                pygame.draw.rect(surface, PANEL, area(place))
            else:
                # the frame itself: numbers begin again with every stream; speckle is never the same
                key = (
                    frame,
                    lost,
                    appearance.color_map,
                    hot,
                    object() if name == "noisy" and model.feedback.speckles else 0,
                )
                make = partial(self._pixels, name, model, frame, residual)
                self._pictures[name].draw(surface, place, key, make)
            pygame.draw.rect(surface, EDGE, area(place), 1)
        if not lost:
            self._draw_pointer(surface, places.noisy, model)

    def _pixels(self, name: str, model: ViewModel, frame: Frame, residual: Residual) -> Pixels:
        if name == "noise":
            pixels = signed(residual.eps, NOISE_LIMIT, residual.known)
        else:
            image: Image = frame.x_t if name == "noisy" else frame.x0_hat
            pixels = colored(image, self._appearance.color_map)
            if (
                name == "noisy"
                and self._appearance.heat
                and frame.level_map is not None
                and model.schedule is not None
            ):
                t = schedules.time_steps_of(model.schedule, frame.level_map)
                pixels = heated(pixels, t / model.num_time_steps)
        if not model.status.live:
            return dimmed(pixels)
        return self._speckled(pixels, model) if name == "noisy" and model.feedback.speckles else pixels

    def _speckled(self, pixels: Pixels, model: ViewModel) -> Pixels:
        """With other noise where noise has just been added, before the server answers."""
        height, width = pixels.shape[:2]
        rows = ((np.arange(height) + 0.5) / height)[:, None]
        columns = ((np.arange(width) + 0.5) / width)[None, :]
        inside = np.zeros((height, width), bool)
        for speckle in model.feedback.speckles:
            if speckle.dab.center is None:
                inside[:] = True
                break
            x, y = speckle.dab.center
            inside |= (columns - x) ** 2 + (rows - y) ** 2 <= speckle.dab.radius**2
        noise = self._random.integers(0, 256, (height, width, 1), np.uint8)
        mixed = (pixels * (1 - SPECKLE_SHARE) + noise * SPECKLE_SHARE).astype(np.uint8)
        return np.where(inside[..., None], mixed, pixels)

    # --- what stands above them ---

    def _title_noisy(self, surface: pygame.Surface, places: Layout, model: ViewModel, *, hot: bool) -> None:
        """With what x_t is made of, or with the colours of the time steps that lie over it."""
        text, pane = self._text, places.noisy
        y = pane.y - places.title
        x = text.symbol(surface, "x", "t", pane.x, y, 14, hat=False) + text.px(7)
        y += text.px(1)
        room = Rect(x, y, pane.right - x, 0)
        uneven = model.frame is not None and model.frame.level_map is not None
        words = text.longest(TOUCH_UNEVEN if uneven and not hot else TOUCH, room.width, 12)
        used = text.put(surface, words, x, y, 12, DIM) + text.px(12)
        rest = Rect(x + used, y, room.width - used, 0)
        if hot:
            legend(surface, text, rest, heat_legend(), ("t 0", str(model.num_time_steps)), 48)
        else:
            mixture = text.longest([labels.mixture(model)], rest.width, 12)
            text.put(surface, mixture, rest.right, y, 12, TEXT, align="right")

    def _title_clean(self, surface: pygame.Surface, places: Layout) -> None:
        colors = self._appearance.color_map
        place = _above(places.clean, places.title)
        table = None if colors is ColorMap.GREY else TABLES[colors]
        paint = partial(self._title_small, surface, place, ("x", "0"), GUESS, table, ("−1", "1"))
        self._title_of_clean.draw(surface, self._text, place, colors, paint)

    def _title_noise(self, surface: pygame.Surface, places: Layout) -> None:
        place = _above(places.noise, places.title)
        limits = (f"−{NOISE_LIMIT:g}", f"{NOISE_LIMIT:g}")
        paint = partial(
            self._title_small, surface, place, ("ε", ""), NOISE, TABLES[ColorMap.DIVERGING], limits
        )
        self._title_of_noise.draw(surface, self._text, place, None, paint)

    def _title_small(
        self,
        surface: pygame.Surface,
        place: Rect,
        symbol: tuple[str, str],
        words: tuple[str, ...],
        table: Table | None,
        ends: tuple[str, str],
    ) -> None:
        text = self._text
        x = text.symbol(surface, *symbol, place.x, place.y, 14, hat=True) + text.px(7)
        y = place.y + text.px(1)
        x += text.put(surface, text.longest(words, place.right - x, 12), x, y, 12, DIM) + text.px(8)
        if table is not None and x < place.right:
            legend(surface, text, Rect(x, y, place.right - x, 0), table, ends)

    # --- what lies over x_t ---

    def _draw_pointer(self, surface: pygame.Surface, place: Rect, model: ViewModel) -> None:
        """The ring of the brush, dashed while it denoises, and the time step under it."""
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
        """Beside the ring, at its right where there is room, within the pane."""
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


def _above(pane: Rect, height: int) -> Rect:
    return Rect(pane.x, pane.y - height, pane.width, height)
