"""Key presses from PyGame: which modifiers count as what, and which key is at which place."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pygame

from viewer_client.core.keymap import KeyPress

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


def press_of(event: pygame.event.Event, platform: str = sys.platform) -> KeyPress:
    """Return what a KEYDOWN event says, on this platform (as `sys.platform` names it)."""
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
    )


class HeldKeys:
    """Tells a press from the repetitions that follow it while the key is held."""

    def __init__(self) -> None:
        self._held: set[int] = set()

    def down(self, scancode: int) -> bool:
        """Note a key that goes down; return whether it was down already."""
        again = scancode in self._held
        self._held.add(scancode)
        return again

    def up(self, scancode: int) -> None:
        """Note a key that goes up."""
        self._held.discard(scancode)

    def clear(self) -> None:
        """Forget what is held: the window no longer hears of keys that go up."""
        self._held.clear()
