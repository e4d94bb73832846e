"""Text of any kind can be drawn: names of files and of models are not ours."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
import pygame

from viewer_client.ui.widgets import Text, drawable


@pytest.fixture(autouse=True)
def _fonts() -> Iterator[None]:
    pygame.font.init()
    yield
    pygame.font.quit()


@pytest.mark.parametrize(
    "text", ["caf\udce9", "a\0b", "two\nlines", "\x1b[31m", "\U0001f600", "x\N{NO-BREAK SPACE}y"]
)
def test_any_text_is_drawn_measured_and_shortened(text: str) -> None:
    surface, writer = pygame.Surface((400, 50)), Text()
    assert writer.put(surface, text, 0, 0) == writer.width(text, 13) > 0
    assert writer.put(surface, text * 40, 0, 0, width=100) <= 100


def test_only_what_cannot_be_drawn_is_replaced() -> None:
    assert drawable("saved /tmp/caf\udce9/x.png") == "saved /tmp/caf\N{REPLACEMENT CHARACTER}/x.png"
    assert drawable("t 3/300 · σ told") == "t 3/300 · σ told"
