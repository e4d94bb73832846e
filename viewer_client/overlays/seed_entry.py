"""A small box over the screen in which a seed is typed."""

from __future__ import annotations

from collections.abc import Callable

import pygame

from diffusion_toy.contract import messages as m
from diffusion_toy.errors import DiffusionToyError
from viewer_client.core.appearance import Appearance
from viewer_client.core.geometry import Rect, layout
from viewer_client.core.keymap import Action, cap
from viewer_client.core.palette import ACCENT, BACKGROUND, DIM, EDGE, FAINT, TEXT, WARNING
from viewer_client.core.view_model import ViewModel
from viewer_client.ui.overlay import MouseEvent, Overlay, Surroundings
from viewer_client.ui.widgets import Text, area

LENGTH_MAX = 40  # digits that can be typed; more than any seed has
WIDTH = 420  # points
CARET_PERIOD_S = 1.0
HINT = f"Enter restarts with it. {cap(Action.PASTE_RECIPE)} pastes. {cap(Action.CLOSE_OVERLAY)} closes."
DIGITS_ONLY = "A seed has digits only."
TOO_LARGE = f"A seed is at most {m.SEED_MAX} (2^63 − 1)."
NOTHING_TO_PASTE = "The clipboard holds no text."
NO_CONNECTION = "There is no connection: try again once it is back."


class SeedEntry(Overlay):
    """Takes digits, and restarts the picture from noise with the seed that they are.

    Args:
        paste: the clipboard's text; it may raise a DiffusionToyError where there is none.
    """

    def __init__(self, model: ViewModel, appearance: Appearance, paste: Callable[[], str]) -> None:
        self._model, self._appearance, self._paste = model, appearance, paste
        self.typed = ""
        self.trouble = ""  # what is wrong with what was typed

    @classmethod
    def open(cls, surroundings: Surroundings) -> SeedEntry:
        return cls(surroundings.model, surroundings.appearance, surroundings.paste)

    def key(self, key: str, character: str) -> bool:
        self.trouble = ""
        match key:
            case "ctrl+q":
                return False
            case "return" | "enter":
                self._restart()
            case "backspace":
                self.typed = self.typed[:-1]
            case "delete":
                self.typed = ""
            case "ctrl+v":
                self._add_pasted()
            case _ if character and character.isprintable():
                self._add(character)
        if not self.trouble and self.typed and int(self.typed) > m.SEED_MAX:
            self.trouble = TOO_LARGE
        return True

    def repeats(self, key: str) -> bool:
        return key not in ("return", "enter", "ctrl+v", "ctrl+q")

    def mouse(self, event: MouseEvent, size: tuple[int, int]) -> bool:
        return True  # no noise by accident while one types

    def _add(self, text: str) -> None:
        if text and not text.isdecimal():
            self.trouble = DIGITS_ONLY
        else:  # keyboards of other scripts type digits of their own
            self.typed = (self.typed + "".join(str(int(digit)) for digit in text))[:LENGTH_MAX]

    def _add_pasted(self) -> None:
        try:
            self._add(self._paste().strip())
        except DiffusionToyError:
            self.trouble = NOTHING_TO_PASTE

    def _restart(self) -> None:
        if not self._model.status.live:
            self.trouble = NO_CONNECTION
        elif self.typed and int(self.typed) <= m.SEED_MAX:
            self._model.restart(int(self.typed), m.Origin())
            self.close()

    def draw(self, surface: pygame.Surface, text: Text, now: float) -> None:
        """Draw the box in the middle of the window, below the header."""
        width, height = surface.get_size()
        top = layout(width, height, self._appearance.text_scale).header.bottom
        pad = text.px(14)
        inner_width = min(text.px(WIDTH), width - 4 * pad) - 2 * pad
        note = self.trouble or HINT
        note_height = max(len(text.lines(words, inner_width, 12)) for words in (HINT, TOO_LARGE)) * text.line(
            12
        )
        field = text.line(20) + text.px(8)
        box_height = text.line(14) + text.px(6) + field + text.px(8) + note_height + 2 * pad
        x = (width - inner_width) // 2 - pad
        y = max(top, (height - box_height) // 2)
        box = Rect(x, y, inner_width + 2 * pad, box_height)
        pygame.draw.rect(surface, BACKGROUND, area(box), border_radius=text.px(6))
        pygame.draw.rect(surface, EDGE, area(box), 1, border_radius=text.px(6))
        inner = box.inset(pad)
        self._draw_title(surface, text, inner)
        place = Rect(inner.x, inner.y + text.line(14) + text.px(6), inner.width, field)
        self._draw_field(surface, text, place, now)
        below = Rect(inner.x, place.bottom + text.px(8), inner.width, 0)
        text.wrap(surface, note, below, 12, WARNING if self.trouble else DIM)

    def _draw_title(self, surface: pygame.Surface, text: Text, place: Rect) -> None:
        used = text.put(surface, "Seed", place.x, place.y, 14, TEXT)
        model = self._model
        seed = model.start.seed if model.frame is None else model.frame.seed
        words = "" if seed is None else f"now: {seed}"
        now = text.longest([words], place.width - used - text.px(12), 12)
        text.put(surface, now, place.right, place.y + text.px(1), 12, DIM, align="right")

    def _draw_field(self, surface: pygame.Surface, text: Text, place: Rect, now: float) -> None:
        """Draw what was typed, its end in sight, and the caret."""
        pygame.draw.rect(surface, ACCENT, area(place), 1, border_radius=text.px(3))
        pad = text.px(8)
        x, y, room = place.x + pad, place.y + text.px(4), place.width - 2 * pad - text.px(3)
        shown = self.typed
        while text.width(shown, 20) > room:
            shown = shown[1:]
        if shown:
            x += text.put(surface, shown, x, y, 20, WARNING if self.trouble == TOO_LARGE else TEXT)
        else:
            text.put(surface, "0 … 2^63 − 1", x + text.px(5), y, 20, FAINT)
        if now % CARET_PERIOD_S < CARET_PERIOD_S / 2:
            pygame.draw.line(surface, ACCENT, (x + 1, y), (x + 1, place.bottom - text.px(5)), 2)
