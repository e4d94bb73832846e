"""The twin over the screen: both pictures, their guesses, and the difference of these."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import pygame

from diffusion_toy.contract.messages import NO_LABEL
from viewer_client.core.appearance import Appearance, ColorMap
from viewer_client.core.colormaps import TABLES, Pixels, colored, signed
from viewer_client.core.geometry import Point, Rect
from viewer_client.core.keymap import Action, action_of, cap
from viewer_client.core.palette import ACCENT, BACKGROUND, DIM, EDGE, FAINT, PANEL, TEXT, WARNING
from viewer_client.core.strokes import MouseMode
from viewer_client.core.view_model import ViewModel
from viewer_client.experiments.difference import Difference
from viewer_client.experiments.twin import Pair, Twin, obstacle
from viewer_client.ui.overlay import Button, CannotOpenError, MouseEvent, MouseKind, Overlay, Surroundings
from viewer_client.ui.widgets import ScaledImage, Text, area, keycap, legend

LIMIT = 1.0  # of the colours of the difference; the guesses are in [−1, 1]
LARGE_SHARE = 0.6  # of the height, which the upper row has
PASSED_ON = (
    Action.QUIT,
    Action.COLORS,
    Action.LARGER_TEXT,
    Action.SMALLER_TEXT,
    Action.MOUSE_MODE,
    Action.SMALLER_BRUSH,
    Action.LARGER_BRUSH,
    Action.WEAKER,
    Action.STRONGER,
)
CHANGES = {
    Action.NOISE_KIND: Difference.KIND,
    Action.RULE: Difference.RULE,
    Action.SAMPLER: Difference.SAMPLER,
}
NUMBERS = {str(number): what for number, what in enumerate(Difference, 1)}
CHANGE_KEYS = {
    Difference.KIND: "K: another",
    Difference.RULE: "T: another",
    Difference.SAMPLER: "D: another",
    Difference.LABEL: "0-9: another",
}
UNITS = (
    "root mean square; from black to white it is 2",
    "root mean square; black to white: 2",
    "root mean square",
    "r.m.s.",
)
PLAY, STEP, AGAIN, NEW, TWIN, ESCAPE = (
    cap(action)
    for action in (
        Action.TOGGLE_PLAY,
        Action.STEP_REVERSE,
        Action.RESTART,
        Action.NEW_SEED,
        Action.TWIN,
        Action.CLOSE_OVERLAY,
    )
)
KEYS = (
    f"stroke the left picture: both get it  ·  {PLAY}, {STEP}, {AGAIN} and {NEW} act on both  ·  "
    f"{TWIN} or {ESCAPE} closes",
    f"stroke the left picture  ·  {PLAY}, {STEP}, {AGAIN}, {NEW}: both  ·  {ESCAPE} closes",
    f"stroke the left  ·  {PLAY}, {AGAIN}, {NEW}: both  ·  {ESCAPE} closes",
    f"{PLAY}, {AGAIN}, {NEW}  ·  {ESCAPE} closes",
)


@dataclass(frozen=True)
class Places:
    """The places of the pictures above, of their guesses below, and of their difference at the right."""

    own: Rect
    twin: Rect
    difference: Rect
    own_guess: Rect
    twin_guess: Rect
    words: Rect


def places_of(room: Rect, gap: int, title: int) -> Places:
    """Return two rows of squares in the middle of the room, each with a title above."""
    heights = room.height - 2 * title - gap
    widest = (room.width - 2 * gap) // 3
    large = max(min(widest, round(heights * LARGE_SHARE)), 1)
    small = max(min(large, heights - large), 1)
    left = room.x + (room.width - 3 * large - 2 * gap) // 2
    columns = [left + number * (large + gap) for number in range(3)]
    top = room.y + title
    low = top + large + gap + title
    return Places(
        own=Rect(columns[0], top, large, large),
        twin=Rect(columns[1], top, large, large),
        difference=Rect(columns[2], top, large, large),
        own_guess=Rect(columns[0], low, small, small),
        twin_guess=Rect(columns[1], low, small, small),
        words=Rect(columns[2], low - title, large, room.bottom - low + title),
    )


class TwinOverlay(Overlay):
    """Shows a twin, and takes the strokes that both get."""

    def __init__(self, twin: Twin, model: ViewModel, appearance: Appearance) -> None:
        self._twin, self._model, self._appearance = twin, model, appearance
        self._pictures = [ScaledImage() for _ in range(5)]
        self._touchable: Rect | None = None  # the window's own picture, when it was last drawn
        self._pointer: Point | None = None

    @classmethod
    def open(cls, surroundings: Surroundings) -> TwinOverlay:
        model = surroundings.model
        if reason := obstacle(model):
            raise CannotOpenError(reason)
        twin = Twin(model, surroundings.connection, surroundings.open_link)
        return cls(twin, model, surroundings.appearance)

    # --- keys and mouse ---

    def key(self, key: str, character: str) -> bool:
        twin, action = self._twin, action_of(key)
        match action:
            case Action.TWIN:
                self.close()
            case Action.TOGGLE_PLAY:
                twin.toggle_play()
            case Action.STEP_REVERSE:
                twin.step()
            case Action.RESTART:
                twin.restart()
            case Action.NEW_SEED:
                twin.new_seed()
            case Action.NOISE_KIND | Action.RULE | Action.SAMPLER:
                twin.change(CHANGES[action])
            case Action.LABEL if key in NUMBERS and twin.what is not Difference.LABEL:
                twin.choose(NUMBERS[key])
            case Action.LABEL:
                twin.choose_label(int(key))
            case Action.NO_LABEL:
                twin.choose_label(NO_LABEL)
            case None if key == "tab":
                twin.next_difference()
        return action not in PASSED_ON

    def mouse(self, event: MouseEvent, size: tuple[int, int]) -> bool:
        self._pointer = None if self._touchable is None else self._touchable.fraction(event.position)
        if event.kind is MouseKind.MOVE:
            self._twin.mouse_at(self._pointer)
        elif event.button is Button.LEFT:
            self._twin.mouse_button(self._pointer, event.kind is MouseKind.PRESS)
        return True

    def update(self, now: float) -> None:
        self._twin.update(now)
        self.closed = self.closed or self._twin.closed

    def close(self) -> None:
        self._twin.close()
        super().close()

    # --- drawing ---

    def draw(self, surface: pygame.Surface, text: Text, now: float) -> None:
        text.begin(text.scale)
        surface.fill(BACKGROUND)
        width, height = surface.get_size()
        pad = text.px(12)
        top = self._draw_bar(surface, text, Rect(pad, pad, width - 2 * pad, 0))
        bottom = height - pad // 2 - text.line(12)
        keys = text.longest(KEYS, width - 2 * pad, 12)
        text.put(surface, keys, width / 2, bottom, 12, DIM, align="center")
        title = text.line(13) + text.px(2)
        room = Rect(pad, top, width - 2 * pad, bottom - top - pad // 2)
        places = places_of(room, pad, title)
        self._touchable = places.own
        self._draw_titles(surface, text, places, title)
        self._draw_pictures(surface, places)
        self._draw_words(surface, text, places)
        self._draw_pointer(surface, text, places)

    def _draw_bar(self, surface: pygame.Surface, text: Text, place: Rect) -> int:
        """Draw what can differ, and by which key; return the y below."""
        x, twin = place.x, self._twin
        x += text.put(surface, "a twin that differs in one thing", x, place.y, 16, ACCENT) + text.px(16)
        y = place.y
        chips = [(key, what.value) for key, what in NUMBERS.items()]
        gap, apart = text.px(5), text.px(14)
        needed = sum(text.width(key, 12) + text.width(name, 14) + 4 * gap + apart for key, name in chips)
        if x + needed > place.right:  # on a line of their own
            x, y = place.x, place.y + text.line(16)
        for key, what in NUMBERS.items():
            chosen = what is twin.what
            x += keycap(surface, text, key, x, y + text.px(2), 12) + gap
            color = ACCENT if chosen else DIM
            width = text.put(surface, what.value, x, y, 14, color)
            if chosen:  # also for those who do not see the colour
                line = y + text.line(14)
                pygame.draw.line(surface, ACCENT, (x, line), (x + width, line), max(text.px(2), 2))
            x += width + apart
        text.put(surface, text.longest(["Tab: the next"], place.right - x, 12), x, y + text.px(2), 12, FAINT)
        return y + text.line(16) + text.px(9)

    def _draw_titles(self, surface: pygame.Surface, text: Text, places: Places, title: int) -> None:
        twin = self._twin
        own, other = (one.name(twin.what, twin.label_names) for one in (twin.treatment, twin.other))
        change = CHANGE_KEYS[twin.what]
        own_t, other_t = twin.time_steps()
        rows = (
            (places.own, [f"as it is · {own}", own], own_t),
            (places.twin, [f"twin · {other} ({change})", f"twin · {other}", other], other_t),
            (places.difference, ["difference of the guesses", "difference"], ""),
        )
        for place, names, t in rows:
            y, apart = place.y - title, text.width(t, 13) + text.px(6) if t else 0
            name = text.longest(names, place.width - apart, 13) or names[-1]
            text.put(surface, name, place.x, y, 13, TEXT, width=place.width - apart)
            text.put(surface, t, place.right, y, 13, ACCENT, align="right")
        for place in (places.own_guess, places.twin_guess):
            y = place.y - title
            x = place.x + text.symbol(surface, "x", "0", place.x, y, 13, hat=True) - place.x + text.px(6)
            text.put(surface, text.longest(["the guess"], place.right - x, 13), x, y, 13, DIM)

    def _draw_pictures(self, surface: pygame.Surface, places: Places) -> None:
        order = (places.own, places.twin, places.own_guess, places.twin_guess, places.difference)
        for number, (picture, place) in enumerate(zip(self._pictures, order, strict=True)):
            if self._twin.pair is None:
                pygame.draw.rect(surface, PANEL, area(place))
            else:
                pair, colors = self._twin.pair, self._appearance.color_map
                picture.draw(surface, place, (*pair, colors), partial(_pixels, number, pair, colors))
            pygame.draw.rect(surface, EDGE, area(place), 1)

    def _draw_words(self, surface: pygame.Surface, text: Text, places: Places) -> None:
        """Write what the difference is, below its picture."""
        place, twin = places.words, self._twin
        limits = f"twin darker −{LIMIT:g}", f"{LIMIT:g} lighter"
        y = place.y
        legend(surface, text, Rect(place.x, y, place.width, 0), TABLES[ColorMap.DIVERGING], limits)
        y += text.line(11) + text.px(4)
        x = place.x + text.put(surface, twin.figure, place.x, y, 20, TEXT) + text.px(8)
        unit = text.longest(UNITS, place.right - x, 12)
        text.put(surface, unit, x, y + text.line(20) - text.line(12) - text.px(3), 12, DIM)
        y += text.line(20) + text.px(2)
        color = WARNING if twin.diverged else ACCENT
        text.wrap(surface, twin.sentence, Rect(place.x, y, place.width, 0), 14, color)

    def _draw_pointer(self, surface: pygame.Surface, text: Text, places: Places) -> None:
        """Draw the ring of the brush on both pictures, at the same place."""
        if self._pointer is None:
            return
        whole = self._model.brush.mode is MouseMode.WHOLE_IMAGE
        radius = text.px(7) if whole else self._model.brush.radius * places.own.width
        for place, color in ((places.own, ACCENT), (places.twin, DIM)):
            clip = surface.get_clip()
            surface.set_clip(area(place))
            x, y = place.x + self._pointer[0] * place.width, place.y + self._pointer[1] * place.height
            pygame.draw.circle(surface, (0, 0, 0), (x, y), radius + 1, 3)
            pygame.draw.circle(surface, color, (x, y), radius, 1)
            surface.set_clip(clip)


def _pixels(number: int, pair: Pair, colors: ColorMap) -> Pixels:
    """Return the pixels of one of the two pictures, the two guesses, or the difference of the guesses."""
    first, second = pair
    if number == 4:
        difference = second.x0_hat - first.x0_hat
        return signed(difference, LIMIT, np.ones(difference.shape[1:], bool))
    image = (first.x_t, second.x_t, first.x0_hat, second.x0_hat)[number]
    return colored(image, colors)
