"""What several tests of the window need."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
import pygame


@pytest.fixture
def fonts() -> Iterator[None]:
    """Load PyGame's fonts, which need no display."""
    pygame.font.init()
    yield
    pygame.font.quit()
