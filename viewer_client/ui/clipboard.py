"""Text to and from the system's clipboard, by PyGame, whose window must be open."""

from __future__ import annotations

import pygame
import pygame.scrap

from diffusion_toy.errors import DiffusionToyError
from viewer_client.core.keymap import Action, cap

KINDS = ("text/plain;charset=utf-8", "text/plain")  # the first is SDL's own


class ClipboardError(DiffusionToyError):
    """The clipboard does not answer, or holds no text."""


def put_text(text: str) -> None:
    """Put text into the clipboard.

    Raises:
        ClipboardError: it does not take it.
    """
    try:
        if hasattr(pygame.scrap, "put_text"):  # pygame-ce
            pygame.scrap.put_text(text)
        else:
            _ready()
            pygame.scrap.put(KINDS[0], text.encode())
    except pygame.error as error:
        raise ClipboardError(
            f"the clipboard does not take it ({error}); {cap(Action.SAVE_RECIPE)} saves a file"
        ) from error


def get_text() -> str:
    """Return the text of the clipboard.

    Raises:
        ClipboardError: there is none.
    """
    try:
        if hasattr(pygame.scrap, "get_text"):
            text = str(pygame.scrap.get_text())
        else:
            _ready()
            found = next((content for kind in KINDS if (content := pygame.scrap.get(kind))), b"")
            text = found.rstrip(b"\0").decode(errors="replace")
    except (pygame.error, SystemError) as error:  # what PyGame 2 raises for a kind that is not there
        raise ClipboardError(f"the clipboard cannot be read ({error}); --replay FILE reads a file") from error
    if not text:
        raise ClipboardError(f"the clipboard holds no text; {cap(Action.COPY_RECIPE)} copies a recipe")
    return text


def _ready() -> None:
    if not pygame.scrap.get_init():
        pygame.scrap.init()
