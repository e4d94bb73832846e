"""A seed is typed, pasted, refused in words, and begins a picture."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
import pygame

from diffusion_toy.contract import messages as m
from diffusion_toy.errors import DiffusionToyError
from tests.viewer_client.frames import live_model
from tests.viewer_client.recorded_text import RecordedText
from viewer_client.core.appearance import Appearance
from viewer_client.core.view_model import ViewModel
from viewer_client.link.status import Phase, Status
from viewer_client.overlays.seed_entry import (
    DIGITS_ONLY,
    NO_CONNECTION,
    NOTHING_TO_PASTE,
    TOO_LARGE,
    SeedEntry,
)
from viewer_client.ui.overlay import MouseEvent, MouseKind


@pytest.fixture
def model() -> ViewModel:
    return live_model()


def entry(model: ViewModel, clipboard: str = "") -> SeedEntry:
    return SeedEntry(model, Appearance(), lambda: clipboard)


def typed(box: SeedEntry, text: str) -> SeedEntry:
    for character in text:
        assert box.key(character, character)
    return box


def test_enter_restarts_from_noise_with_what_was_typed(model: ViewModel) -> None:
    box = typed(entry(model), "1234")
    box.key("return", "\r")
    assert model.take_commands() == [m.Restart(1234, m.Origin())]
    assert box.closed


def test_the_largest_seed_is_taken_and_the_next_one_refused_in_words(model: ViewModel) -> None:
    box = typed(entry(model), str(2**63))
    assert box.trouble == TOO_LARGE
    box.key("return", "\r")
    assert box.trouble == TOO_LARGE
    assert not box.closed
    box.key("backspace", "\b")
    typed(box, "7")
    assert not box.trouble
    box.key("enter", "\r")
    assert model.take_commands() == [m.Restart(2**63 - 1, m.Origin())]


@pytest.mark.parametrize("character", ["a", "-", ".", "²", "三", " "])
def test_only_digits_are_taken(model: ViewModel, character: str) -> None:
    box = typed(entry(model), "4" + character)
    assert (box.typed, box.trouble) == ("4", DIGITS_ONLY)
    typed(box, "2")
    assert (box.typed, box.trouble) == ("42", "")


def test_digits_of_other_scripts_are_taken_by_their_value(model: ViewModel) -> None:
    assert typed(entry(model), "۴2٣८").typed == "4238"


def test_a_seed_can_be_pasted_and_other_text_cannot(model: ViewModel) -> None:
    box = entry(model, " 98765\n")
    box.key("ctrl+v", "")
    assert box.typed == "98765"
    box = entry(model, '{"seed": 7}')
    box.key("ctrl+v", "")
    assert (box.typed, box.trouble) == ("", DIGITS_ONLY)


def test_an_empty_clipboard_is_said(model: ViewModel) -> None:
    def nothing() -> str:
        raise DiffusionToyError("there is none")

    box = SeedEntry(model, Appearance(), nothing)
    box.key("ctrl+v", "")
    assert box.trouble == NOTHING_TO_PASTE


def test_enter_on_nothing_does_nothing(model: ViewModel) -> None:
    box = entry(model)
    box.key("return", "\r")
    assert not box.closed
    assert model.take_commands() == []


def test_without_a_connection_the_seed_stays_in_the_box(model: ViewModel) -> None:
    model.pass_time(Status(Phase.LOST, "gone", 1), now=1.0)
    box = typed(entry(model), "5")
    box.key("return", "\r")
    assert (box.typed, box.trouble, box.closed) == ("5", NO_CONNECTION, False)


def test_only_quitting_goes_past_it_and_the_mouse_adds_no_noise(model: ViewModel) -> None:
    box = entry(model)
    assert all(box.key(key, "") for key in ("r", "left", "wheel up", "f1"))
    assert not box.key("ctrl+q", "")
    assert box.mouse(MouseEvent(MouseKind.MOVE, (200, 200)), (1100, 720))


@pytest.fixture
def _fonts() -> Iterator[None]:
    pygame.font.init()
    yield
    pygame.font.quit()


@pytest.mark.usefixtures("_fonts")
@pytest.mark.parametrize("scale", [0.76, 1.52, 3.0])
def test_the_present_seed_is_shown_and_nothing_is_cut(model: ViewModel, scale: float) -> None:
    surface, text = pygame.Surface((1920, 1080) if scale > 2 else (640, 480)), RecordedText()
    for digits in ("", "9" * 40):
        text.begin(scale)
        typed(entry(model), digits).draw(surface, text, 0.0)
        written = [words for words, _ in text.placed]
        assert "now: 7" in written
        assert not text.shortened
        assert all(surface.get_rect().contains(place) for _, place in text.placed)
