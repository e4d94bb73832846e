"""What is drawn over the screen, or instead of it: the help, and what is wrong."""

from __future__ import annotations

import pygame

from viewer_client.core import labels
from viewer_client.core.geometry import Rect
from viewer_client.core.keymap import SECTIONS, Action, cap
from viewer_client.core.palette import ACCENT, BACKGROUND, DIM, TEXT, WARNING
from viewer_client.core.view_model import ViewModel
from viewer_client.ui.widgets import Text, keycap, shrunk

WIDE_PX = 1000
SECTIONS_NARROW = (("Time", "Picture", "Network"), ("Mouse", "Compare", "Save", "Window"))
SECTIONS_WIDE = (("Time", "Network", "Compare"), ("Picture", "Save"), ("Mouse", "Window"))
SCALE_LEAST = 0.5  # of the help's text, until all of it fits
INTRODUCTION = (
    "The picture begins as Gaussian noise; the network takes out a little of it at every step. "
    "Move the mouse over the large picture to put noise back in, and watch what becomes of it."
)


def draw_banner(surface: pygame.Surface, text: Text, pane: Rect, model: ViewModel) -> None:
    """Draw over the pane that there is no connection, why, and how often it was tried."""
    pad = text.px(14)
    lines = text.lines(labels.connection_sentence(model), pane.width - 4 * pad, 14)
    height = text.line(20) + len(lines) * text.line(14) + 2 * pad
    box = Rect(pane.x + pad, pane.y + (pane.height - height) // 2, pane.width - 2 * pad, height)
    pygame.draw.rect(surface, BACKGROUND, (box.x, box.y, box.width, box.height), border_radius=text.px(6))
    pygame.draw.rect(surface, WARNING, (box.x, box.y, box.width, box.height), 1, border_radius=text.px(6))
    inner = box.inset(pad)
    text.put(surface, labels.connection_title(model), inner.x, inner.y, 20, WARNING, width=inner.width)
    text.wrap(
        surface,
        labels.connection_sentence(model),
        Rect(inner.x, inner.y + text.line(20), inner.width, 0),
        14,
    )


def draw_help(surface: pygame.Surface, text: Text, model: ViewModel) -> None:
    """Draw all keys of the key map in the largest text, up to the present scale, that cuts nothing."""
    width, height = surface.get_size()
    sections = dict(SECTIONS)
    columns = SECTIONS_WIDE if width >= WIDE_PX else SECTIONS_NARROW
    rows = max(sum(len(sections[title]) + 1.5 for title in column) for column in columns) - 0.5

    def fits(scale: float) -> bool:
        text.begin(scale)
        return _fits(text, width, height, columns, rows)

    text.begin(shrunk(text.scale, SCALE_LEAST, fits))
    pad = text.px(22)
    used = text.put(surface, "Keys", pad, pad // 2, 24, ACCENT)
    text.put(surface, labels.time_step(model), width - pad, pad // 2, 24, ACCENT, align="right")
    text.put(
        surface,
        f"{cap(Action.HELP)} or {cap(Action.CLOSE_OVERLAY)} closes this",
        pad + used + text.px(16),
        pad // 2 + text.line(24) - text.line(12) - text.px(4),
        12,
        DIM,
    )
    top = pad // 2 + text.line(24)
    if _introduction_height(text, width) + _least_height(text, rows) <= height:
        top = text.wrap(surface, INTRODUCTION, Rect(pad, top, width - 2 * pad, 0), 13, TEXT) + text.px(8)
    line = min((height - top - pad // 2) / rows, text.line(13) * 1.5)
    keys, column_width = _keys_width(text), (width - 2 * pad) // len(columns)
    for number, column in enumerate(columns):
        x, y = pad + number * column_width, float(top)
        for title in column:
            text.put(surface, title, x, y, 14, DIM)
            y += line
            for binding in sections[title]:
                keycap(surface, text, binding.shown, x, round(y), 12)
                text.put(
                    surface, binding.help, x + keys, round(y), 13, width=column_width - keys - text.px(8)
                )
                y += line
            y += line * 0.5


def _keys_width(text: Text) -> int:
    return max(text.width(b.shown, 12) for _, bindings in SECTIONS for b in bindings) + text.px(22)


def _least_height(text: Text, rows: float) -> int:
    """Return the height of the help without its introduction, px."""
    return text.px(22) + text.line(24) + round(rows * (text.line(13) + 1))


def _introduction_height(text: Text, width: int) -> int:
    return len(text.lines(INTRODUCTION, width - 2 * text.px(22), 13)) * text.line(13) + text.px(8)


def _fits(text: Text, width: int, height: int, columns: tuple[tuple[str, ...], ...], rows: float) -> bool:
    room = (width - 2 * text.px(22)) // len(columns) - _keys_width(text) - text.px(8)
    widest = max(text.width(b.help, 13) for _, bindings in SECTIONS for b in bindings)
    return widest <= room and _least_height(text, rows) <= height
