"""Key presses as the table of keys writes them, on keyboards of several countries and systems."""

from __future__ import annotations

import pytest

from diffusion_toy.contract import messages as m
from viewer_client.core.keymap import (
    BINDINGS,
    REPEATED,
    Action,
    KeyPress,
    action_of,
    cap,
    key_of,
    repeats,
    typed_by,
)


@pytest.mark.parametrize(
    ("press", "key"),
    [
        (KeyPress("r", "r", "r", "r"), "r"),
        (KeyPress("r", "R", "r", "r", shift=True), "r"),
        (KeyPress("w", "W", "w", "w", shift=True), "shift+w"),
        (KeyPress("q", "\x11", "q", "q", command=True), "ctrl+q"),
        (KeyPress("space", " "), "space"),
        (KeyPress("space", "\xa0", shift=True), "space"),  # French: a space that does not break
        (KeyPress("&", "1", "&", "1", shift=True), "1"),  # French: Shift and the first key
        (KeyPress("a", "a", "a", "q"), "a"),  # French: the key at the place of Q is A
        (KeyPress("[7]", "7"), "7"),  # the number pad
        (KeyPress("[+]", "", command=True), "ctrl++"),
        (KeyPress("=", "", command=True, shift=True), "ctrl+="),  # US: + takes Shift
        (KeyPress("left"), "left"),
        (KeyPress("escape", "\x1b", "\x1b"), "escape"),
        (KeyPress("f1"), "f1"),
        (KeyPress("/", "?", "/", shift=True), "?"),
    ],
)
def test_a_press_is_named_by_what_it_types_or_by_its_key(press: KeyPress, key: str) -> None:
    assert key_of(press) == key
    assert action_of(key) is not None or key == "a"


@pytest.mark.parametrize(
    ("letter", "place"),
    [
        ("ы", "s"),  # Russian
        ("р", "h"),
        ("х", "["),
        ("б", ","),
        ("σ", "s"),  # Greek
        ("ש", "a"),  # Hebrew
        ("س", "s"),  # Arabic
        ("ㄴ", "s"),  # Korean
        ("ह", "u"),  # Hindi
        ("ा", "e"),  # its vowels are marks, not letters
        ("ภ", "4"),  # Thai has letters at the places of digits
    ],
)
def test_letters_of_other_scripts_count_by_their_place_alone_and_with_ctrl(letter: str, place: str) -> None:
    assert key_of(KeyPress("", letter, letter, place)) == place
    assert key_of(KeyPress("", letter.upper(), letter, place, shift=True)) == (
        f"shift+{place}" if action_of(f"shift+{place}") else place
    )
    for typed in ("", "\x13", letter):  # what Ctrl leaves of the character differs from system to system
        assert key_of(KeyPress("", typed, letter, place, command=True)) == f"ctrl+{place}"


@pytest.mark.parametrize(("letter", "place"), [("é", "2"), ("ü", "["), ("ß", "-"), ("ö", ";"), ("´", "=")])
def test_latin_letters_with_accents_and_signs_do_not_count_by_their_place(letter: str, place: str) -> None:
    assert action_of(key_of(KeyPress("", letter, letter, place))) is None


def test_digits_of_other_scripts_are_digits() -> None:
    assert key_of(KeyPress("", "۷", "۷", "7")) == "7"


@pytest.mark.parametrize("name", ["c", "v", "n", "s", "g", "space", "left", "q", "1", "-"])
def test_combinations_that_belong_to_the_desktop_or_to_nobody_do_nothing(name: str) -> None:
    character = name if len(name) == 1 else ""
    for held in ("system", "alt", "alt command", "system command", "alt level3", "system alt level3"):
        press = KeyPress(name, character, character, character, **dict.fromkeys(held.split(), True))
        assert key_of(press) == "", held
        assert typed_by(press) == "", held


def test_a_letter_with_ctrl_is_not_the_letter_nor_is_it_with_shift_as_well() -> None:
    assert action_of(key_of(KeyPress("r", "\x12", "r", "r", command=True))) is None
    assert action_of(key_of(KeyPress("z", "", "z", "z", command=True, shift=True))) is None  # elsewhere: redo
    assert action_of("q") is None
    assert action_of("ctrl+q") is Action.QUIT


@pytest.mark.parametrize("action", [a for a in Action if len(cap(a)) == 1])
def test_a_text_names_the_key_that_does_it(action: Action) -> None:
    assert action_of(cap(action).lower()) is action


def test_a_text_can_name_several_keys() -> None:
    assert cap(Action.SMALLER_BRUSH, Action.LARGER_BRUSH) == "[ ]"


def test_the_help_counts_and_names_what_the_contract_has() -> None:
    texts = {binding.action: binding.help for binding in BINDINGS}
    assert str(len(m.NoiseKind)) in texts[Action.NOISE_KIND]
    assert str(len(m.Sampler)) in texts[Action.SAMPLER]


@pytest.mark.parametrize(
    "held",
    [
        {"level3": True},  # X11
        {"level3": True, "alt": True},  # the right Alt key, or Option on a Mac
        {"level3": True, "alt": True, "command": True},  # Windows: AltGr is Ctrl and Alt
    ],
)
def test_signs_that_take_alt_gr_count_and_are_typed(held: dict[str, bool]) -> None:
    press = KeyPress("8", "[", "8", "8", **held)
    assert key_of(press) == typed_by(press) == "["
    assert key_of(KeyPress("s", "ſ", "s", "s", **held)) == ""  # what AltGr makes of letters is none of ours


def test_only_steps_and_the_brush_repeat_while_a_key_is_held() -> None:
    held = {
        action
        for action in Action
        if any(repeats(key) for b in BINDINGS if b.action is action for key in b.keys)
    }
    assert held == REPEATED
    assert not repeats("s")
    assert not repeats("space")
    assert not repeats("")
