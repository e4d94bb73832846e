"""What can lie over the screen and take the keys and the mouse while it does: free of PyGame but to draw."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from diffusion_toy.errors import DiffusionToyError
from viewer_client.core import keymap
from viewer_client.core.appearance import Appearance
from viewer_client.core.geometry import Point
from viewer_client.core.view_model import ViewModel
from viewer_client.experiments.canvas import Canvas
from viewer_client.link.session_link import OpenLink, SessionLink

if TYPE_CHECKING:
    import pygame

    from viewer_client.ui.widgets import Text


class MouseKind(Enum):
    """What the mouse did: moved, or had a button pressed or released."""

    MOVE = auto()
    PRESS = auto()
    RELEASE = auto()


class Button(Enum):
    """A button of the mouse."""

    LEFT = 1
    MIDDLE = 2
    RIGHT = 3


@dataclass(frozen=True)
class MouseEvent:
    """One movement or click.

    Attributes:
        kind: what happened.
        position: px from the window's top left corner.
        button: pressed or released; of a move, the one that is held, None without.
    """

    kind: MouseKind
    position: Point
    button: Button | None = None


class CannotOpenError(DiffusionToyError):
    """An overlay cannot be opened now; the message is for the user."""


@dataclass(eq=False)
class Surroundings:
    """What an overlay can be opened with.

    Attributes:
        model: of the window.
        connection: of the window's session.
        appearance: of the window.
        open_link: opens one more session on the same server.
        paste: the clipboard's text; it may raise a `DiffusionToyError` where there is none.
        drawing: what was drawn on the canvas, kept while that is closed; None before it was opened.
    """

    model: ViewModel
    connection: SessionLink
    appearance: Appearance
    open_link: OpenLink
    paste: Callable[[], str]
    drawing: Canvas | None = None


class Overlay(ABC):
    """Lies over the screen, which goes on below it, until `closed`.

    Esc closes any overlay before it sees the key.
    """

    closed = False

    @abstractmethod
    def key(self, key: str, character: str) -> bool:
        """Take a key, named as by `keymap.key_of`, and what it types; return whether it was meant for this.

        What is not goes to the screen below.
        """

    def repeats(self, key: str) -> bool:
        """Return whether a key acts again and again while it is held; else it acts once a press."""
        return keymap.repeats(key)

    @abstractmethod
    def mouse(self, event: MouseEvent, size: tuple[int, int]) -> bool:
        """Take a mouse event in a window of this size, px; return whether it was meant for the overlay."""

    def update(self, now: float) -> None:  # noqa: B027, most overlays have nothing to do
        """Take notice of the time, seconds; called once before each picture of the window."""

    def close(self) -> None:
        """Close the overlay and release what it holds."""
        self.closed = True

    @abstractmethod
    def draw(self, surface: pygame.Surface, text: Text, now: float) -> None:
        """Draw the overlay over the screen."""
