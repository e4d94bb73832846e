"""Key presses from PyGame: which modifiers count as what, and which key is at which place."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pygame

from viewer_client.core.keymap import KeyPress, is_of_other_script

UNICODE_MAX = 0x10FFFF  # key codes beyond it are of keys that type nothing
SIGNS = {
    pygame.KSCAN_MINUS: "-",
    pygame.KSCAN_EQUALS: "=",
    pygame.KSCAN_LEFTBRACKET: "[",
    pygame.KSCAN_RIGHTBRACKET: "]",
    pygame.KSCAN_COMMA: ",",
    pygame.KSCAN_PERIOD: ".",
}


def _places() -> Iterator[tuple[int, str]]:
    """Yield scan codes, which name places on the keyboard, and what a US keyboard has there."""
    for number in range(26):
        yield pygame.KSCAN_A + number, chr(ord("a") + number)
    for number in range(10):  # 1 … 9, 0
        yield pygame.KSCAN_1 + number, str((number + 1) % 10)
    yield from SIGNS.items()


PLACES = dict(_places())


def press_of(
    event: pygame.event.Event, platform: str = sys.platform, *, other_script: bool = False
) -> KeyPress:
    """Return what a KEYDOWN event says.

    Args:
        platform: as `sys.platform` names it.
        other_script: other keys have shown that the layout's letters are not Latin ones.
    """
    mod, mac = event.mod, platform == "darwin"
    ctrl, alt, meta = (bool(mod & mask) for mask in (pygame.KMOD_CTRL, pygame.KMOD_ALT, pygame.KMOD_META))
    # Windows reports AltGr as Ctrl and the right Alt key; X11 has a modifier of its own for it, or none.
    level3 = bool(mod & (pygame.KMOD_MODE | pygame.KMOD_RALT)) or (ctrl and alt) or (mac and alt)
    return KeyPress(
        name=pygame.key.name(event.key),
        character=event.unicode,
        letter=chr(event.key) if 0 < event.key <= UNICODE_MAX else "",
        place=PLACES.get(event.scancode, ""),
        shift=bool(mod & pygame.KMOD_SHIFT),
        command=ctrl or (mac and meta),
        alt=alt,
        level3=level3,
        system=meta and not mac,
        other_script=other_script,
    )


class Keyboard:
    """Remembers what a single press does not say: which keys are held, and the script of the letters."""

    def __init__(self) -> None:
        self._held: set[int] = set()
        self._other_script = False

    def down(self, event: pygame.event.Event) -> tuple[KeyPress, bool]:
        """Return the press of a KEYDOWN event, and whether it repeats one that is held."""
        again = event.scancode in self._held
        self._held.add(event.scancode)
        press = press_of(event, other_script=self._other_script)
        if is_of_other_script(press.letter):
            self._other_script = True
        elif press.letter.isalpha():
            self._other_script = False
        return press, again

    def up(self, event: pygame.event.Event) -> None:
        """Take notice of a KEYUP event."""
        self._held.discard(event.scancode)

    def leave(self) -> None:
        """Forget what is held, since the window does not hear of keys that go up elsewhere."""
        self._held.clear()
