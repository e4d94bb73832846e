"""The canvas over the screen: a drawing, from which noise level to begin, and what that looks like."""

from __future__ import annotations

import pygame

from diffusion_toy.contract import messages as m
from viewer_client.core.appearance import Appearance
from viewer_client.core.colormaps import colored
from viewer_client.core.geometry import Point, Rect, layout
from viewer_client.core.keymap import Action, cap
from viewer_client.core.palette import ACCENT, BACKGROUND, DIM, EDGE, FAINT, PANEL, TEXT
from viewer_client.core.view_model import ViewModel
from viewer_client.experiments.canvas import SHARE_STEP, Canvas
from viewer_client.ui.overlay import Button, CannotOpenError, MouseEvent, MouseKind, Overlay, Surroundings
from viewer_client.ui.widgets import ScaledImage, Text, area, keycap, shrunk

DRAWING_SHARE = 0.56  # of the window's width
DRAWING_SHARE_HIGH = 0.6  # of the height, where the window is higher than wide
MARGIN_SHARE = 1 / 7  # of the side: real digits keep to the 20 px in the middle of 28
PREVIEW_LEAST_PX = 56
PREVIEW_MOST = 250  # points
SCALE_LEAST = 0.5  # of the text, until all of it fits
WINDOW_KEYS = ("ctrl+q", "ctrl+=", "ctrl++", "ctrl+-")  # what stays the window's own
NO_CONNECTION = "there is no connection: the drawing is kept, try again once it is back"
MIDDLE = "real ones mostly keep to the frame"

Rows = tuple[tuple[str, str], ...]


class CanvasOverlay(Overlay):
    """Draws in `canvas`, which outlives it, and begins the session's picture from there."""

    def __init__(self, model: ViewModel, canvas: Canvas, appearance: Appearance) -> None:
        self._model, self.canvas, self._appearance = model, canvas, appearance
        self.drawing_rect: Rect | None = None  # where it was drawn last
        self.slider_rect: Rect | None = None
        self._button: Button | None = None  # what is held: it draws or rubs out
        self._sliding = False
        self._pointer: Point | None = None
        self._pictures = ScaledImage(), ScaledImage()

    @classmethod
    def open(cls, surroundings: Surroundings) -> CanvasOverlay:
        welcome = surroundings.model.welcome
        if welcome is None:
            raise CannotOpenError("the canvas takes its size from the model: wait for the server")
        shape = (welcome.model.channels, welcome.model.height, welcome.model.width)
        canvas = surroundings.drawing
        if canvas is None or canvas.shape != shape:
            canvas = surroundings.drawing = Canvas(*shape)
        return cls(surroundings.model, canvas, surroundings.appearance)

    # --- keys ---

    def key(self, key: str, character: str) -> bool:
        canvas = self.canvas
        match key:
            case "return" | "enter":
                self._begin(float(canvas.time_step(self._model.num_time_steps)))
            case "f":
                self._begin(0.0)
            case "left":
                canvas.set_share(canvas.share + SHARE_STEP)
            case "right":
                canvas.set_share(canvas.share - SHARE_STEP)
            case "wheel up" | "]":
                canvas.widen()
            case "wheel down" | "[":
                canvas.narrow()
            case "c" | "backspace" | "delete":
                canvas.clear()
            case "x":
                self.close()
            case _:
                return key not in WINDOW_KEYS
        return True

    def _begin(self, time_step: float) -> None:
        """Let the session begin with the drawing, at this time step; from 0 it runs forward."""
        model = self._model
        if not model.status.live:
            model.notice = NO_CONNECTION
            return
        model.notice = ""
        model.restart(model.draw_seed(), m.Origin(m.Pixels(self.canvas.content()), time_step))
        self.close()

    # --- mouse ---

    def mouse(self, event: MouseEvent, size: tuple[int, int]) -> bool:
        self._pointer = event.position
        match event.kind:
            case MouseKind.PRESS:
                self._press(event.position, event.button)
            case MouseKind.MOVE if event.button is None:  # it was let go outside the window
                self._release()
            case MouseKind.MOVE:
                self._drag(event.position)
            case MouseKind.RELEASE if event.button is self._button or self._sliding:
                self._release()
        return True

    def _press(self, position: Point, button: Button | None) -> None:
        self._release()
        if self.drawing_rect is not None and self.drawing_rect.fraction(position) is not None:
            if button in (Button.LEFT, Button.RIGHT):
                self._button = button
                self._drag(position)
        elif self.slider_rect is not None and self.slider_rect.fraction(position) is not None:
            self._sliding = button is Button.LEFT
            self._drag(position)

    def _drag(self, position: Point) -> None:
        if self._button is not None and self.drawing_rect is not None:
            place = self.drawing_rect
            point = ((position[0] - place.x) / place.width, (position[1] - place.y) / place.height)
            self.canvas.stroke(point, erase=self._button is Button.RIGHT)
        elif self._sliding and self.slider_rect is not None:
            self.canvas.set_share((self.slider_rect.right - position[0]) / self.slider_rect.width)

    def _release(self) -> None:
        self._button, self._sliding = None, False
        self.canvas.lift()

    def close(self) -> None:
        self._release()
        super().close()

    # --- drawing ---

    def draw(self, surface: pygame.Surface, text: Text, now: float) -> None:
        """Draw the canvas below the header, in which the session's time step stays in sight."""
        width, height = surface.get_size()
        places = layout(width, height, self._appearance.text_scale)
        ground, gap = Rect(0, places.header.bottom, width, height), places.header.x
        pygame.draw.rect(surface, BACKGROUND, area(ground))
        top = places.largest.y
        room = Rect(gap, top, width - 2 * gap, height - gap - top)
        if height > width:
            box = Rect(room.x, room.y, room.width, round(height * DRAWING_SHARE_HIGH))
        else:
            box = Rect(room.x, room.y, round(room.width * DRAWING_SHARE), room.height)
        self.drawing_rect = place = self._fitting(box)
        if height > width:
            side = Rect(room.x, place.bottom + 2 * gap, room.width, room.bottom - place.bottom - 2 * gap)
        else:
            side = Rect(place.right + 2 * gap, room.y, room.right - place.right - 2 * gap, room.height)
        y = top - places.title
        used = text.put(surface, "your own picture", place.x, y, 14, TEXT)
        middle = text.longest((MIDDLE,), place.width - used - text.px(16), 12)
        if self._has_margin:
            text.put(surface, middle, place.right, y + text.px(1), 12, FAINT, align="right")
        self._draw_picture(surface, place)
        self._draw_side(surface, text, side)

    def _fitting(self, box: Rect) -> Rect:
        """Return a place at the top left of the box, as large as whole pixels of the picture allow."""
        _, rows, columns = self.canvas.shape
        cell = min(box.width / columns, box.height / rows)
        return Rect(box.x, box.y, round(cell * columns), round(cell * rows))

    @property
    def _has_margin(self) -> bool:
        """Return whether the data has an empty border, so that its pictures lie in the middle."""
        welcome = self._model.welcome
        return welcome is not None and welcome.model.border_value is not None

    def _draw_picture(self, surface: pygame.Surface, place: Rect) -> None:
        canvas, colors = self.canvas, self._appearance.color_map
        key = (canvas.version, colors)
        self._pictures[0].draw(surface, place, key, lambda: colored(canvas.image(), colors))
        pygame.draw.rect(surface, EDGE, area(place), 1)
        if self._has_margin:
            pygame.draw.rect(surface, EDGE, area(place.inset(round(place.width * MARGIN_SHARE))), 1)
        if self._pointer is not None and place.fraction(self._pointer) is not None:
            width = canvas.width_of(erase=self._button is Button.RIGHT)
            radius = width / 2 * place.width / canvas.shape[2]
            clip = surface.get_clip()
            surface.set_clip(area(place))
            pygame.draw.circle(surface, (0, 0, 0), self._pointer, radius + 1, 3)
            pygame.draw.circle(surface, ACCENT, self._pointer, radius, 1)
            surface.set_clip(clip)

    def _draw_side(self, surface: pygame.Surface, text: Text, place: Rect) -> None:
        """Draw the level, what it makes of the drawing, and the keys; smaller where there is little room."""
        canvas, T = self.canvas, self._model.num_time_steps
        rows: Rows = (
            ("Enter", "denoise it from here"),
            ("F", "watch it turn to noise"),
            ("Left  Right", "more noise, less noise"),
            ("Mouse", "left button draws, right rubs out"),
            ("Wheel", f"stroke {canvas.width:.1f} px wide"),
            ("C", "clear"),
            (cap(Action.CLOSE_OVERLAY), "close; the drawing is kept"),
        )

        def fits(scale: float) -> bool:
            text.begin(scale)
            return _fits(text, place, rows)

        text.begin(shrunk(text.scale, SCALE_LEAST, fits))
        text.put(surface, f"start at t {canvas.time_step(T)}/{T}", place.x, place.y, 16, ACCENT)
        y = self._draw_slider(surface, text, place, place.y + text.line(16), T)
        y = self._draw_preview(surface, text, Rect(place.x, y, place.width, place.bottom - y), rows)
        keys = _keys_width(text, rows)
        for key, meaning in rows:
            keycap(surface, text, key, place.x, y, 12)
            text.put(surface, meaning, place.x + keys, y, 13, width=place.width - keys)
            y += _row_height(text)

    def _draw_slider(self, surface: pygame.Surface, text: Text, place: Rect, y: int, T: int) -> int:
        """Draw the slider from noise at the left to clean at the right; return the y below."""
        knob, height = text.px(6), text.px(22)
        track = Rect(place.x + knob, y, max(place.width - 2 * knob, 1), height)
        self.slider_rect = track
        middle, x = y + height // 2, round(track.right - track.width * self.canvas.share)
        pygame.draw.line(surface, EDGE, (track.x, middle), (track.right, middle), 2)
        pygame.draw.line(surface, ACCENT, (x, middle), (track.right, middle), 2)
        pygame.draw.circle(surface, ACCENT, (x, middle), knob)
        y += height
        text.put(surface, f"noise  {T}", place.x, y, 11, DIM)
        text.put(surface, "0  clean", place.right, y, 11, DIM, align="right")
        return y + text.line(11) + text.px(8)

    def _draw_preview(self, surface: pygame.Surface, text: Text, place: Rect, rows: Rows) -> int:
        """Draw the drawing with its noise, as large as the keys below it allow; return the y below."""
        canvas, schedule = self.canvas, self._model.schedule
        label, gap = text.line(12), text.px(10)
        room = place.height - label - gap - len(rows) * _row_height(text)
        side = min(place.width, room, text.px(PREVIEW_MOST))
        if schedule is None or side < PREVIEW_LEAST_PX:
            return place.y
        a, s = canvas.mixture(schedule)
        words = (f"{a:.2f} × drawing + {s:.2f} × noise", "with that noise")
        text.put(surface, text.longest(words, place.width, 12), place.x, place.y, 12, DIM)
        square = self._fitting(Rect(place.x, place.y + label, side, side))
        key = (canvas.version, canvas.share, schedule, self._appearance.color_map)
        self._pictures[1].draw(
            surface, square, key, lambda: colored(canvas.noised(schedule), self._appearance.color_map)
        )
        pygame.draw.rect(surface, PANEL, area(square), 1)
        return square.bottom + gap


def _fits(text: Text, place: Rect, rows: Rows) -> bool:
    """Return whether the meanings of the keys and a preview have room."""
    wide = _keys_width(text, rows) + max(text.width(meaning, 13) for _, meaning in rows)
    head = text.line(16) + text.px(22) + text.line(11) + text.px(8)
    preview = text.line(12) + text.px(10) + PREVIEW_LEAST_PX
    return wide <= place.width and head + preview + len(rows) * _row_height(text) <= place.height


def _keys_width(text: Text, rows: Rows) -> int:
    return max(text.width(key, 12) for key, _ in rows) + text.px(20)


def _row_height(text: Text) -> int:
    return text.line(12) + text.px(5)
