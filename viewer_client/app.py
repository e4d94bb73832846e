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
from viewer_client.keymap import key_of
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
        self.screen = Screen()
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
            pygame.quit()

    def _handle(self, event: pygame.event.Event) -> None:
        model = self.model
        match event.type:
            case pygame.QUIT:
                model.quit = True
            case pygame.KEYDOWN:
                ctrl, shift = bool(event.mod & pygame.KMOD_CTRL), bool(event.mod & pygame.KMOD_SHIFT)
                model.key(key_of(pygame.key.name(event.key), event.unicode, ctrl=ctrl, shift=shift))
            case pygame.MOUSEMOTION:
                model.mouse_at(self._fraction(event.pos))
            case pygame.MOUSEBUTTONDOWN if (
                event.button == 1 and (t := self._time_step(event.pos)) is not None
            ):
                model.jump_to(t)
            case pygame.MOUSEBUTTONDOWN | pygame.MOUSEBUTTONUP if event.button <= 3:
                model.mouse_at(self._fraction(event.pos))
                model.mouse_button(event.type == pygame.MOUSEBUTTONDOWN)
            case pygame.MOUSEWHEEL if event.y:
                model.key("wheel up" if event.y > 0 else "wheel down")
            case pygame.WINDOWLEAVE | pygame.WINDOWFOCUSLOST:
                model.mouse_button(False)
                model.mouse_at(None)

    def _fraction(self, position: tuple[int, int]) -> Point | None:
        return self.screen.layout_of(self.surface).noisy.fraction(position)

    def _time_step(self, position: Point) -> float | None:
        return self.screen.time_step_at(self.surface, position, self.model.num_time_steps)

    def _update(self) -> m.Frame | None:
        self.surface = pygame.display.get_surface()  # another one after the window was resized
        pygame.mouse.set_visible(self.model.pointer is None or self.model.help_open)
        return exchange(self.connection, self.model)

    def _draw(self) -> None:
        figures = self.connection.statistics
        self.screen.draw(self.surface, self.model, figures, self.clock.get_fps(), time.monotonic())
