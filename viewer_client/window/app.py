"""The window: poll, update, draw, flip, tick."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from diffusion_toy.contract import messages as m
from diffusion_toy.errors import DiffusionToyError, MissingExtraError

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
os.environ.setdefault("SDL_VIDEO_X11_WMCLASS", "diffusion-toy")
os.environ.setdefault("SDL_MOUSE_FOCUS_CLICKTHROUGH", "1")
# Straight to the X server: by way of OpenGL the same pixels take twice the processor where there is no GPU.
os.environ.setdefault("SDL_FRAMEBUFFER_ACCELERATION", "0")
os.environ.setdefault("SDL_WINDOWS_DPI_AWARENESS", "permonitorv2")  # one px of ours is one of the screen's
try:
    import pygame
except ModuleNotFoundError as error:
    raise MissingExtraError("pygame", "viewer") from error

from viewer_client import preferences
from viewer_client.core import labels
from viewer_client.core.appearance import Appearance
from viewer_client.core.geometry import Point, default_size
from viewer_client.core.keymap import Action, action_of, key_of, repeats, typed_by
from viewer_client.core.sync import synchronize
from viewer_client.core.view_model import RENDER_RATE_HZ, ViewModel
from viewer_client.files.saving import Saver
from viewer_client.link.connection import Connection
from viewer_client.overlays.registry import OVERLAYS
from viewer_client.overlays.tour import TourOverlay
from viewer_client.ui import clipboard
from viewer_client.ui.keyboard import Keyboard
from viewer_client.ui.overlay import Button, CannotOpenError, MouseEvent, MouseKind, Overlay, Surroundings
from viewer_client.window.screen import Hit, Screen

INVISIBLE_DRIVERS = ("offscreen", "dummy")  # what SDL falls back to where it reaches no display
KEY_REPEAT_MS = (350, 60)
TITLE = "Diffusion Toy"
OUTSIDE: Point = (-1.0, -1.0)  # where the mouse is that has left the window


class DisplayError(DiffusionToyError):
    """No window can be opened."""


class App:
    """One window that shows one connection's session.

    Args:
        size: of the window, px; None takes one that suits the display.
        out: the folder for what the user saves.
        now: seconds of a clock that never goes back.

    Raises:
        DisplayError: no window can be opened.
    """

    def __init__(
        self,
        model: ViewModel,
        connection: Connection,
        size: tuple[int, int] | None,
        appearance: Appearance | None = None,
        out: Path = Path(),
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        try:
            pygame.display.init()
            driver = pygame.display.get_driver()
            if driver in INVISIBLE_DRIVERS and "SDL_VIDEODRIVER" not in os.environ:
                raise pygame.error("there is no display, or it does not answer")
            pygame.font.init()
            size = size or default_size(pygame.display.get_desktop_sizes()[0])
            self.surface = pygame.display.set_mode(size, pygame.RESIZABLE)
        except pygame.error as error:
            pygame.quit()
            raise DisplayError(
                f"no window can be opened ({error}); run where there is a display, "
                "or record a session with --headless --record FILE.gif"
            ) from error
        pygame.display.set_caption(TITLE)
        pygame.key.set_repeat(*KEY_REPEAT_MS)
        self.model, self.connection, self._now = model, connection, now
        self.screen = Screen(appearance=appearance)
        self.overlay: Overlay | None = None
        self.tour: TourOverlay | None = None
        self.surroundings = Surroundings(
            model, connection, self.screen.appearance, self._open_extra_session, clipboard.get_text
        )
        self.saver = Saver(model, out)
        self._keyboard = Keyboard()
        self.clock, self.pictures = pygame.time.Clock(), pygame.time.Clock()  # of the loop, of what is drawn

    def run(self, until: Callable[[], bool] = lambda: False) -> None:
        """Run until the user closes the window, or until `until` says so."""
        try:
            while not (self.model.quit or until()):
                for event in pygame.event.get():
                    self._handle(event)
                fresh = self._update()
                self._draw()
                if fresh is not None:
                    self.connection.drawn(fresh)
                self.clock.tick(RENDER_RATE_HZ)
        finally:
            self._close_overlay()
            pygame.quit()
            for answer in self.saver.close():
                print(answer)

    def _handle(self, event: pygame.event.Event) -> None:
        model = self.model
        match event.type:
            case pygame.QUIT:
                model.quit = True
            case pygame.KEYDOWN:
                press, again = self._keyboard.down(event)
                self.press(key_of(press), typed_by(press), again=again)
            case pygame.KEYUP:
                self._keyboard.up(event)
            case pygame.MOUSEMOTION:
                held = next(
                    (button for button, down in zip(Button, event.buttons, strict=True) if down), None
                )
                self._mouse(MouseEvent(MouseKind.MOVE, event.pos, held))
            case pygame.MOUSEBUTTONDOWN | pygame.MOUSEBUTTONUP if event.button <= 3:
                kind = MouseKind.PRESS if event.type == pygame.MOUSEBUTTONDOWN else MouseKind.RELEASE
                self._mouse(MouseEvent(kind, event.pos, Button(event.button)))
            case pygame.MOUSEWHEEL if event.y:
                self.press("wheel up" if event.y > 0 else "wheel down")
            case pygame.WINDOWLEAVE | pygame.WINDOWFOCUSLOST:
                self._lift()
                if event.type == pygame.WINDOWFOCUSLOST:
                    self._keyboard.leave()
                if self.overlay is not None:
                    self.overlay.mouse(MouseEvent(MouseKind.MOVE, OUTSIDE), self.surface.get_size())
            case pygame.WINDOWEXPOSED | pygame.WINDOWSIZECHANGED:
                self.screen.forget()

    def press(self, key: str, character: str = "", *, again: bool = False) -> None:
        """Let a key act, named as in the key map; `again` where it is held and has acted already."""
        top = self._on_top
        if again and not (top.repeats(key) if top is not None else repeats(key)):
            return
        if top is not None and action_of(key) is Action.CLOSE_OVERLAY:
            top.close()
        elif top is None or not top.key(key, character):
            self.model.key(key)
            self._do_window_actions()
        self._drop_closed()

    def _mouse(self, event: MouseEvent) -> None:
        model = self.model
        top = self._on_top
        if top is not None and top.mouse(event, self.surface.get_size()):
            return
        hit = self.screen.hit(self.surface, event.position, model.num_time_steps)
        pressed = event.kind is MouseKind.PRESS
        if pressed and event.button is Button.LEFT and self._go_back(hit):
            return
        model.mouse_at(hit.point)
        if event.kind is MouseKind.MOVE:
            return
        if event.button is Button.RIGHT:
            model.heal_button(pressed)
        else:
            model.mouse_button(pressed)

    def _go_back(self, hit: Hit) -> bool:
        """Go to what was clicked in the film or on the time line; return whether either was."""
        if hit.step is not None:
            self.model.jump_to_step(hit.step)
        elif hit.time_step is not None:
            self.model.jump_to(hit.time_step)
        else:
            return False
        return True

    def _lift(self) -> None:
        self.model.mouse_button(False)
        self.model.heal_button(False)
        self.model.mouse_at(None)

    def show_overlay(self, overlay: Overlay) -> None:
        """Lay this over the screen; what lay there before is closed."""
        self._close_overlay()
        self._lift()
        self.model.help_open = False
        self.overlay = overlay

    def begin_tour(self) -> None:
        """Begin the tour at its first stage; one who ends it does not see it again unasked."""
        if self.tour is not None:
            self.tour.close()
        self.model.help_open = False
        seen = preferences.Preferences(tour_seen=True)
        remember = partial(preferences.save, preferences.folder(), seen)
        self.tour = TourOverlay(self.model, self.screen.appearance, remember)

    def _open_overlay(self, make: Callable[[Surroundings], Overlay]) -> None:
        """Lay an overlay over the screen, or say why it cannot be opened now."""
        try:
            self.show_overlay(make(self.surroundings))
        except CannotOpenError as error:
            self.model.notice = str(error)

    def _open_extra_session(self, start: m.Start) -> Connection:
        """Open one more session on the server, beside the window's own."""
        connection = Connection(self.connection.endpoint, lambda: start)
        connection.open()
        return connection

    @property
    def _on_top(self) -> Overlay | None:
        """Return what gets keys and mouse first: an overlay, else the tour, unless the help hides that."""
        return self.overlay if self.overlay is not None or self.model.help_open else self.tour

    def _drop_closed(self) -> None:
        if self.overlay is not None and self.overlay.closed:
            self.overlay = None
            self.screen.forget()
        if self.tour is not None and self.tour.closed:
            self.tour = None
            self.screen.forget()

    def _close_overlay(self) -> None:
        if self.overlay is not None:
            self.overlay.close()
            self.overlay = None
            self.screen.forget()

    def _do_window_actions(self) -> None:
        while self.model.window_actions:
            self._do(self.model.window_actions.popleft())

    def _do(self, action: Action) -> None:
        """Do what a key has asked the window for."""
        appearance = self.screen.appearance
        if (make := OVERLAYS.get(action)) is not None:
            self._open_overlay(make)
            return
        match action:
            case Action.COLORS:
                appearance.next_colors()
                self.model.notice = f"colours: {appearance.color_map.value}"
            case Action.HEAT:
                appearance.heat = not appearance.heat
                self.model.notice = labels.heat_notice(appearance)
            case Action.LARGER_TEXT:
                appearance.larger_text()
            case Action.SMALLER_TEXT:
                appearance.smaller_text()
            case Action.TOUR:
                self.begin_tour()
            case Action.SAVE:
                self.saver.save_picture(appearance.color_map)
            case Action.SAVE_GIF:
                self.saver.save_run()
            case Action.SAVE_RECIPE:
                self.saver.save_recipe()
            case Action.COPY_RECIPE:
                self.saver.copy_recipe(clipboard.put_text)
            case Action.PASTE_RECIPE:
                self.saver.paste_recipe(clipboard.get_text)

    def _update(self) -> m.Frame | None:
        self.surface = pygame.display.get_surface()  # another one after the window was resized
        pygame.mouse.set_visible(self.model.pointer is None or self.model.help_open)
        fresh = synchronize(self.connection, self.model)
        for answer in self.saver.update():
            self.model.notice = answer
            print(answer, flush=True)  # a long path is in full at least there
        self._do_window_actions()
        for overlay in (self.overlay, self.tour):
            if overlay is not None:
                overlay.update(self._now())
        self._drop_closed()
        return fresh

    def _draw(self) -> None:
        figures, now = self.connection.statistics, self._now()
        if self.overlay is not None:
            self.screen.forget()
        if not self.screen.draw(self.surface, self.model, figures, self.pictures.get_fps(), now):
            return  # the window shows it already
        self.pictures.tick()
        if (top := self._on_top) is not None:
            top.draw(self.surface, self.screen.text, now)
        pygame.display.flip()
