"""What is drawn over the screen, or instead of it: the help, and what is wrong."""

from __future__ import annotations

import pygame

from viewer_client import wording
from viewer_client.geometry import Rect
from viewer_client.keymap import SECTIONS
from viewer_client.view_model import ViewModel
from viewer_client.widgets import ACCENT, BACKGROUND, DIM, TEXT, WARNING, Typesetter, keycap

WIDE_PX = 1000
COLUMNS_NARROW, COLUMNS_WIDE = ((0, 1), (2, 3, 4)), ((0, 3), (1, 4), (2,))  # sections of the key map
INTRODUCTION = (
    "The picture begins as Gaussian noise; the network takes out a little of it at every step. "
    "Move the mouse over the large picture to put noise back in, and watch what becomes of it."
)


def draw_banner(surface: pygame.Surface, text: Typesetter, pane: Rect, model: ViewModel) -> None:
    """Over the pane: that there is no connection, why, and how often it was tried."""
    pad = text.px(14)
    lines = text.lines(wording.connection_sentence(model), pane.width - 4 * pad, 14)
    height = text.line(20) + len(lines) * text.line(14) + 2 * pad
    box = Rect(pane.x + pad, pane.y + (pane.height - height) // 2, pane.width - 2 * pad, height)
    pygame.draw.rect(surface, BACKGROUND, (box.x, box.y, box.width, box.height), border_radius=text.px(6))
    pygame.draw.rect(surface, WARNING, (box.x, box.y, box.width, box.height), 1, border_radius=text.px(6))
    inner = box.inset(pad)
    text.put(surface, wording.connection_title(model), inner.x, inner.y, 20, WARNING, width=inner.width)
    text.wrap(
        surface,
        wording.connection_sentence(model),
        Rect(inner.x, inner.y + text.line(20), inner.width, 0),
        14,
    )


def draw_help(surface: pygame.Surface, text: Typesetter, model: ViewModel) -> None:
    """All keys, from the key map."""
    width, height = surface.get_size()
    pad = text.px(22)
    used = text.put(surface, "Keys", pad, pad // 2, 24, ACCENT)
    text.put(surface, wording.time_step(model), width - pad, pad // 2, 24, ACCENT, align="right")
    text.put(surface, "H or Esc closes this", pad + used + text.px(16), pad // 2 + text.px(10), 12, DIM)
    top = pad // 2 + text.line(24)
    top = text.wrap(surface, INTRODUCTION, Rect(pad, top, width - 2 * pad, 0), 13, TEXT) + text.px(8)
    columns = COLUMNS_WIDE if width >= WIDE_PX else COLUMNS_NARROW
    rows = max(sum(len(SECTIONS[i][1]) + 2 for i in column) for column in columns)
    line = min((height - top - pad // 2) / rows, text.line(13) * 1.5)
    keys = max(text.width(b.shown, 12) for _, bindings in SECTIONS for b in bindings) + text.px(22)
    column_width = (width - 2 * pad) // len(columns)
    for number, column in enumerate(columns):
        x, y = pad + number * column_width, float(top)
        for index in column:
            title, bindings = SECTIONS[index]
            text.put(surface, title, x, y, 14, DIM)
            y += line
            for binding in bindings:
                keycap(surface, text, binding.shown, x, round(y), 12)
                room = column_width - keys - text.px(8)
                text.put(surface, binding.help, x + keys, round(y), 13, width=room)
                y += line
            y += line * 0.5
