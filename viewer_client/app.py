"""The window: poll, update, draw, flip, tick."""

from __future__ import annotations

import os
import time

from diffusion_toy import messages as m
from diffusion_toy.errors import DiffusionToyError, MissingExtraError

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
os.environ.setdefault("SDL_VIDEO_X11_WMCLASS", "diffusion-toy")
try:
    import pygame
except ModuleNotFoundError as error:
    raise MissingExtraError("pygame", "viewer") from error

from viewer_client.connection import Connection, Phase
from viewer_client.geometry import MIN_HEIGHT_PX, MIN_WIDTH_PX
from viewer_client.screen import Screen, Speckle
from viewer_client.view_model import ViewModel

RENDER_RATE_HZ = 60
SPECKLE_S = 0.25  # a speckle that no frame answers fades after this
KEY_REPEAT_MS = (350, 60)
TITLE = "Diffusion Toy"


class DisplayError(DiffusionToyError):
    """No window can be opened."""


def key_name(event: pygame.event.Event) -> str:
    """A key event's name as `keymap` writes it, for instance "ctrl+q" or "["."""
    name: str = pygame.key.name(event.key)
    if event.mod & pygame.KMOD_CTRL:
        return f"ctrl+{name}"
    if event.mod & pygame.KMOD_SHIFT and name.isalpha() and len(name) == 1:
        return f"shift+{name}"
    if name.startswith("[") and name.endswith("]") and len(name) == 3:
        return name[1]  # the number pad's "[7]"
    return name


class App:
    """One window on one connection."""

    def __init__(self, model: ViewModel, connection: Connection, size: tuple[int, int]) -> None:
        try:
            pygame.display.init()
            pygame.font.init()
            self.surface = pygame.display.set_mode(size, pygame.RESIZABLE)
        except pygame.error as error:
            raise DisplayError(
                f"no window can be opened ({error}); run where there is a display, "
                "or record a session with --headless --record FILE.gif"
            ) from error
        pygame.display.set_caption(TITLE)
        pygame.key.set_repeat(*KEY_REPEAT_MS)
        self.model, self.connection = model, connection
        self.screen = Screen()
        self.clock = pygame.time.Clock()
        self._speckles: dict[int, Speckle] = {}  # by the command's sequence

    def run(self) -> None:
        """Until the user closes the window."""
        try:
            while not self.model.quit:
                for event in pygame.event.get():
                    self._handle(event)
                self._update()
                self._draw()
                pygame.display.flip()
                if self._fresh is not None:
                    self.connection.drawn(self._fresh)
                self.clock.tick(RENDER_RATE_HZ)
        finally:
            pygame.quit()

    def _handle(self, event: pygame.event.Event) -> None:
        model = self.model
        match event.type:
            case pygame.QUIT:
                model.quit = True
            case pygame.KEYDOWN:
                model.key(key_name(event))
            case pygame.MOUSEMOTION:
                model.mouse_at(self._fraction(event.pos))
            case pygame.MOUSEBUTTONDOWN | pygame.MOUSEBUTTONUP if event.button == 1:
                model.mouse_at(self._fraction(event.pos))
                model.mouse_button(event.type == pygame.MOUSEBUTTONDOWN)
            case pygame.MOUSEWHEEL:
                model.key("wheel up" if event.y > 0 else "wheel down")
            case pygame.WINDOWLEAVE | pygame.WINDOWFOCUSLOST:
                model.mouse_at(None)
            case pygame.VIDEORESIZE if event.w < MIN_WIDTH_PX or event.h < MIN_HEIGHT_PX:
                size = max(event.w, MIN_WIDTH_PX), max(event.h, MIN_HEIGHT_PX)
                self.surface = pygame.display.set_mode(size, pygame.RESIZABLE)
            case pygame.VIDEORESIZE:
                self.surface = pygame.display.get_surface()

    def _fraction(self, position: tuple[int, int]) -> tuple[float, float] | None:
        return self.screen.layout_of(self.surface).noisy.fraction(position)

    def _update(self) -> None:
        now = time.monotonic()
        self._fresh: m.Frame | None = None
        for response in self.connection.take():
            self.model.receive(response)
            if isinstance(response, m.Frame):
                self._fresh = response
                landed = response.landed_sequence
                self._speckles = {s: v for s, v in self._speckles.items() if s > landed}
        self._speckles = {s: v for s, v in self._speckles.items() if v.expires > now}
        for command in self.model.take_commands():
            sequence = self.connection.send(command)
            if sequence is not None and isinstance(command, m.Inject):
                center = (command.disc.x, command.disc.y) if command.disc else None
                radius = command.disc.radius if command.disc else 1.0
                self._speckles[sequence] = Speckle(center, radius, now + SPECKLE_S)

    def _draw(self) -> None:
        status = self.connection.status
        if status.phase is not Phase.LIVE:
            self._speckles.clear()
        self.screen.draw(
            self.surface, self.model, status, self.connection.statistics, self.clock.get_fps(),
            list(self._speckles.values()), time.monotonic(),
        )  # fmt: skip
