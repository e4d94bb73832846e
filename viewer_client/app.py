"""The window: poll, update, draw, flip, tick."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from diffusion_toy import messages as m
from diffusion_toy.errors import DiffusionToyError, MissingExtraError

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
os.environ.setdefault("SDL_VIDEO_X11_WMCLASS", "diffusion-toy")
os.environ.setdefault("SDL_MOUSE_FOCUS_CLICKTHROUGH", "1")
try:
    import pygame
except ModuleNotFoundError as error:
    raise MissingExtraError("pygame", "viewer") from error

from viewer_client.connection import Connection
from viewer_client.exchange import exchange
from viewer_client.geometry import Point
from viewer_client.keymap import Action, action_of, key_of
from viewer_client.look import Look
from viewer_client.overlay import Button, MouseEvent, MouseKind, Overlay
from viewer_client.screen import Screen
from viewer_client.view_model import RENDER_RATE_HZ, ViewModel

INVISIBLE_DRIVERS = ("offscreen", "dummy")  # what SDL falls back to where it reaches no display
KEY_REPEAT_MS = (350, 60)
TITLE = "Diffusion Toy"


class DisplayError(DiffusionToyError):
    """No window can be opened."""


class App:
    """One window on one connection.

    Raises:
        DisplayError: no window can be opened.
    """

    def __init__(self, model: ViewModel, connection: Connection, size: tuple[int, int]) -> None:
        try:
            pygame.display.init()
            driver = pygame.display.get_driver()
            if driver in INVISIBLE_DRIVERS and "SDL_VIDEODRIVER" not in os.environ:
                raise pygame.error("there is no display, or it does not answer")
            pygame.font.init()
            self.surface = pygame.display.set_mode(size, pygame.RESIZABLE)
        except pygame.error as error:
            pygame.quit()
            raise DisplayError(
                f"no window can be opened ({error}); run where there is a display, "
                "or record a session with --headless --record FILE.gif"
            ) from error
        pygame.display.set_caption(TITLE)
        pygame.key.set_repeat(*KEY_REPEAT_MS)
        self.model, self.connection = model, connection
        self.screen = Screen(look=Look())
        self.overlay: Overlay | None = None
        self.clock = pygame.time.Clock()

    def run(self, until: Callable[[], bool] = lambda: False) -> None:
        """Until the user closes the window, or until `until` says so."""
        try:
            while not (self.model.quit or until()):
                for event in pygame.event.get():
                    self._handle(event)
                fresh = self._update()
                self._draw()
                pygame.display.flip()
                if fresh is not None:
                    self.connection.drawn(fresh)
                self.clock.tick(RENDER_RATE_HZ)
        finally:
            self._close_overlay()
            pygame.quit()

    def _handle(self, event: pygame.event.Event) -> None:
        model = self.model
        match event.type:
            case pygame.QUIT:
                model.quit = True
            case pygame.KEYDOWN:
                ctrl, shift = bool(event.mod & pygame.KMOD_CTRL), bool(event.mod & pygame.KMOD_SHIFT)
                key = key_of(pygame.key.name(event.key), event.unicode, ctrl=ctrl, shift=shift)
                self._key(key, event.unicode if not ctrl else "")
            case pygame.MOUSEMOTION:
                held = next(
                    (button for button, down in zip(Button, event.buttons, strict=True) if down), None
                )
                self._mouse(MouseEvent(MouseKind.MOVE, event.pos, held))
            case pygame.MOUSEBUTTONDOWN | pygame.MOUSEBUTTONUP if event.button <= 3:
                kind = MouseKind.PRESS if event.type == pygame.MOUSEBUTTONDOWN else MouseKind.RELEASE
                self._mouse(MouseEvent(kind, event.pos, Button(event.button)))
            case pygame.MOUSEWHEEL if event.y:
                self._key("wheel up" if event.y > 0 else "wheel down", "")
            case pygame.WINDOWLEAVE | pygame.WINDOWFOCUSLOST:
                self._lift()

    def _key(self, key: str, character: str) -> None:
        if self.overlay is not None and action_of(key) is Action.CLOSE_OVERLAY:
            self._close_overlay()
        elif self.overlay is None or not self.overlay.key(key, character):
            self.model.key(key)

    def _mouse(self, event: MouseEvent) -> None:
        model = self.model
        if self.overlay is not None and self.overlay.mouse(event, self.surface.get_size()):
            return
        point, pressed = self._fraction(event.position), event.kind is MouseKind.PRESS
        if pressed and event.button is Button.LEFT and (t := self._time_step(event.position)) is not None:
            model.jump_to(t)
            return
        model.mouse_at(point)
        if event.kind is MouseKind.MOVE:
            return
        if event.button is Button.RIGHT:
            model.heal_button(pressed)
        else:
            model.mouse_button(pressed)

    def _lift(self) -> None:
        self.model.mouse_button(False)
        self.model.heal_button(False)
        self.model.mouse_at(None)

    def show_overlay(self, overlay: Overlay) -> None:
        """Lay this over the screen; what lay there before is closed."""
        self._close_overlay()
        self._lift()
        self.overlay = overlay

    def _close_overlay(self) -> None:
        if self.overlay is not None:
            self.overlay.close()
            self.overlay = None

    def _do(self, action: Action) -> None:
        """What a key has asked the window for."""
        look = self.screen.look
        match action:
            case Action.COLORS:
                look.next_colors()
                self.model.notice = f"colours: {look.color_map.value}"
            case Action.HEAT:
                look.heat = not look.heat
            case Action.LARGER_TEXT:
                look.larger_text()
            case Action.SMALLER_TEXT:
                look.smaller_text()

    def _fraction(self, position: Point) -> Point | None:
        return self.screen.layout_of(self.surface).noisy.fraction(position)

    def _time_step(self, position: Point) -> float | None:
        return self.screen.time_step_at(self.surface, position, self.model.num_time_steps)

    def _update(self) -> m.Frame | None:
        self.surface = pygame.display.get_surface()  # another one after the window was resized
        pygame.mouse.set_visible(self.model.pointer is None or self.model.help_open)
        fresh = exchange(self.connection, self.model)
        while self.model.asked:
            self._do(self.model.asked.popleft())
        if self.overlay is not None:
            self.overlay.update(time.monotonic())
            if self.overlay.closed:
                self.overlay = None
        return fresh

    def _draw(self) -> None:
        figures, now = self.connection.statistics, time.monotonic()
        self.screen.draw(self.surface, self.model, figures, self.clock.get_fps(), now)
        if self.overlay is not None:
            self.overlay.draw(self.surface, self.screen.text, now)
