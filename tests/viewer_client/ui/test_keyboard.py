"""Key events of PyGame on several systems and keyboards, as they become keys of the table."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
import pygame

from viewer_client.core.keymap import key_of, typed_by
from viewer_client.ui.keyboard import Keyboard, press_of

LINUX, MAC, WINDOWS = "linux", "darwin", "win32"


@pytest.fixture(autouse=True)
def _display(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    pygame.display.init()  # or keys have no names
    yield
    pygame.quit()


def key(code: int, scancode: int, character: str = "", mod: int = 0, platform: str = LINUX) -> str:
    event = pygame.event.Event(pygame.KEYDOWN, key=code, scancode=scancode, unicode=character, mod=mod)
    return key_of(press_of(event, platform))


@pytest.mark.parametrize("platform", [LINUX, MAC, WINDOWS])
def test_a_russian_keyboard_works_by_place(platform: str) -> None:
    assert key(ord("р"), pygame.KSCAN_H, "р", platform=platform) == "h"
    assert key(ord("ы"), pygame.KSCAN_S, "\x13", pygame.KMOD_LCTRL, platform) == "ctrl+s"
    assert key(ord("ц"), pygame.KSCAN_W, "Ц", pygame.KMOD_LSHIFT, platform) == "shift+w"
    assert key(ord("х"), pygame.KSCAN_LEFTBRACKET, "х", platform=platform) == "["
    assert key(pygame.K_SPACE, pygame.KSCAN_SPACE, " ", platform=platform) == "space"


def test_a_latin_keyboard_works_by_what_its_keys_say() -> None:
    assert key(pygame.K_a, pygame.KSCAN_Q, "a") == "a"  # French
    assert key(pygame.K_q, pygame.KSCAN_A, "", pygame.KMOD_LCTRL) == "ctrl+q"
    assert key(ord("ü"), pygame.KSCAN_LEFTBRACKET, "ü") == ""  # German


@pytest.mark.parametrize("modifier", [pygame.KMOD_LMETA, pygame.KMOD_RMETA])
def test_cmd_works_as_ctrl_on_a_mac_and_super_does_nothing_elsewhere(modifier: int) -> None:
    assert key(pygame.K_c, pygame.KSCAN_C, "c", modifier, MAC) == "ctrl+c"
    assert key(pygame.K_q, pygame.KSCAN_Q, "q", modifier, MAC) == "ctrl+q"
    assert key(pygame.K_c, pygame.KSCAN_C, "\x03", pygame.KMOD_LCTRL, MAC) == "ctrl+c"
    for platform in (LINUX, WINDOWS):
        assert key(pygame.K_c, pygame.KSCAN_C, "c", modifier, platform) == ""
        assert key(pygame.K_LEFT, pygame.KSCAN_LEFT, "", modifier, platform) == ""


@pytest.mark.parametrize("platform", [LINUX, MAC, WINDOWS])
@pytest.mark.parametrize(
    "modifier", [pygame.KMOD_LALT, pygame.KMOD_RALT, pygame.KMOD_LALT | pygame.KMOD_LCTRL]
)
def test_alt_with_a_letter_does_nothing(platform: str, modifier: int) -> None:
    assert key(pygame.K_n, pygame.KSCAN_N, "n", modifier, platform) == ""
    assert key(ord("т"), pygame.KSCAN_N, "т", modifier, platform) == ""


@pytest.mark.parametrize(
    ("platform", "modifier"),
    [
        (WINDOWS, pygame.KMOD_LCTRL | pygame.KMOD_RALT),
        (LINUX, pygame.KMOD_MODE),
        (LINUX, pygame.KMOD_RALT),
        (MAC, pygame.KMOD_LALT),
        (MAC, pygame.KMOD_RALT),
    ],
)
def test_signs_of_a_german_keyboard_that_take_alt_gr(platform: str, modifier: int) -> None:
    code, scancode = (pygame.K_5, pygame.KSCAN_5) if platform == MAC else (pygame.K_8, pygame.KSCAN_8)
    event = pygame.event.Event(pygame.KEYDOWN, key=code, scancode=scancode, unicode="[", mod=modifier)
    press = press_of(event, platform)
    assert key_of(press) == typed_by(press) == "["


def test_locks_change_nothing() -> None:
    assert key(pygame.K_s, pygame.KSCAN_S, "S", pygame.KMOD_CAPS | pygame.KMOD_NUM) == "s"


def down(code: int, scancode: int, character: str = "", mod: int = 0) -> pygame.event.Event:
    return pygame.event.Event(pygame.KEYDOWN, key=code, scancode=scancode, unicode=character, mod=mod)


def test_a_key_that_stays_down_is_told_from_one_that_is_pressed_again() -> None:
    keyboard, a, b = Keyboard(), down(pygame.K_a, 4), down(pygame.K_b, 5)
    assert [keyboard.down(event)[1] for event in (a, a, b, a)] == [False, True, False, True]
    keyboard.up(a)
    keyboard.up(down(pygame.K_z, 29))
    assert not keyboard.down(a)[1]
    keyboard.leave()
    assert not keyboard.down(b)[1]


@pytest.mark.parametrize("letter", ["σ", "ד"])
def test_a_sign_at_the_place_of_q_is_q_where_letters_are_not_latin(letter: str) -> None:
    keyboard, q = Keyboard(), down(ord(";"), pygame.KSCAN_Q, ";", pygame.KMOD_LCTRL)
    assert key_of(keyboard.down(q)[0]) == "ctrl+;"  # nothing is known of the layout yet: it could be Dvorak's
    keyboard.down(down(ord(letter), pygame.KSCAN_S, letter))
    assert key_of(keyboard.down(q)[0]) == "ctrl+q"
    w = down(ord("'"), pygame.KSCAN_W, "'")
    assert key_of(keyboard.down(w)[0]) == "w"
    assert key_of(keyboard.down(down(pygame.K_COMMA, pygame.KSCAN_COMMA, ","))[0]) == ","
    keyboard.down(down(pygame.K_s, pygame.KSCAN_S, "s"))  # the user has changed the layout
    assert key_of(keyboard.down(q)[0]) == "ctrl+;"
