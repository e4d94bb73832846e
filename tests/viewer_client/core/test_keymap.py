"""Key presses as the table of keys writes them, on keyboards of several countries."""

from __future__ import annotations

import pytest

from diffusion_toy.contract import messages as m
from viewer_client.core.keymap import BINDINGS, Action, action_of, cap, key_of


@pytest.mark.parametrize(
    ("name", "character", "ctrl", "shift", "key"),
    [
        ("r", "r", False, False, "r"),
        ("R", "R", False, True, "r"),
        ("w", "W", False, True, "shift+w"),
        ("q", "\x11", True, False, "ctrl+q"),
        ("space", " ", False, False, "space"),
        ("8", "[", False, False, "["),  # AltGr+8 on a German keyboard
        ("&", "1", False, True, "1"),  # Shift and the first key on a French one
        ("[7]", "7", False, False, "7"),  # the number pad
        ("left", "", False, False, "left"),
        ("escape", "\x1b", False, False, "escape"),
        ("f1", "", False, False, "f1"),
    ],
)
def test_a_press_is_named_by_what_it_types_or_by_its_key(
    name: str, character: str, ctrl: bool, shift: bool, key: str
) -> None:
    assert key_of(name, character, ctrl=ctrl, shift=shift) == key
    assert action_of(key) is not None


def test_ctrl_with_a_letter_is_not_the_letter() -> None:
    assert action_of(key_of("r", "\x12", ctrl=True)) is None
    assert action_of(key_of("q", "q")) is None
    assert action_of("ctrl+q") is Action.QUIT


@pytest.mark.parametrize("action", [a for a in Action if len(cap(a)) == 1])
def test_a_text_names_the_key_that_does_it(action: Action) -> None:
    assert action_of(cap(action).lower()) is action


def test_a_text_can_name_several_keys() -> None:
    assert cap(Action.SMALLER_BRUSH, Action.LARGER_BRUSH) == "[ ]"


def test_the_help_counts_and_names_what_the_contract_has() -> None:
    texts = {binding.action: binding.help for binding in BINDINGS}
    assert str(len(m.NoiseKind)) in texts[Action.NOISE_KIND]
    assert all(sampler.words in texts[Action.SAMPLER] for sampler in m.Sampler)
