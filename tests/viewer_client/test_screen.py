"""What is drawn, into a surface in memory: nothing overlaps, nothing is cut, whatever the size."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

import numpy as np
import pytest

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
import pygame

from diffusion_toy import messages as m
from tests.viewer_client.frames import WELCOME, frame
from viewer_client.link import Phase, Statistics, Status
from viewer_client.screen import Screen
from viewer_client.view_model import ViewModel

SIZES = [(640, 480), (800, 600), (1100, 720), (1920, 1080), (720, 1280)]


@pytest.fixture(autouse=True)
def _fonts() -> Iterator[None]:
    pygame.font.init()
    yield
    pygame.font.quit()


def model_with(**changes: object) -> ViewModel:
    model = ViewModel()
    model.pass_time(Status(Phase.LIVE), now=0.0)
    model.receive(WELCOME)
    model.receive(frame(**changes))
    return model


def drawn(model: ViewModel, size: tuple[int, int]) -> tuple[Screen, pygame.Surface]:
    surface, screen = pygame.Surface(size), Screen()
    screen.draw(surface, model, Statistics(), 60.0, now=0.0)
    return screen, surface


def busy() -> ViewModel:
    levels = np.linspace(0, 1, 28 * 28, dtype=np.float32).reshape(28, 28)
    settings = m.Settings(label=3, guidance=7.5, sampler=m.Sampler.DDIM, steps_per_second=10.0)
    bookkept, time_step = m.Range(0.2, 0.6, 1.0), m.Range(0.0, 100.0, 300.0)
    return model_with(level_map=levels, settings=settings, bookkept=bookkept, time_step=time_step)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("make", [model_with, busy])
def test_texts_stay_inside_the_window_and_apart(make: type, size: tuple[int, int]) -> None:
    screen, surface = drawn(make(), size)
    placed = screen.text.placed
    assert len(placed) > 20
    for text, place in placed:
        assert surface.get_rect().contains(place), text
    for (one, a), (other, b) in itertools.combinations(placed, 2):
        overlap = a.clip(b)
        assert min(overlap.width, overlap.height) <= 4, (one, other)


@pytest.mark.parametrize("size", SIZES)
def test_the_time_step_is_in_sight_with_and_without_the_help(size: tuple[int, int]) -> None:
    model = model_with()
    for _ in range(2):
        screen, _surface = drawn(model, size)
        assert "t 150/300" in [text for text, _ in screen.text.placed]
        model.key("h")


def test_the_help_is_not_cut_at_the_smallest_size() -> None:
    model = model_with()
    model.key("h")
    screen, _surface = drawn(model, (640, 480))
    assert not screen.text.shortened


def test_pictures_have_hard_pixels_in_their_own_greys() -> None:
    rng = np.random.default_rng(0)
    image = rng.uniform(-1, 1, (1, 28, 28)).astype(np.float32)
    screen, surface = drawn(model_with(x_t=image), (1100, 720))
    pane = screen.layout_of(surface).noisy
    pixels = pygame.surfarray.array3d(surface)[:, :, 0].T
    for row, column in ((0, 1), (5, 9), (27, 20)):
        y = pane.y + round((row + 0.5) * pane.height / 28)
        x = pane.x + round((column + 0.5) * pane.width / 28)
        assert abs(int(pixels[y, x]) - (float(image[0, row, column]) + 1) * 127.5) < 1


def test_a_lost_connection_is_said_over_a_grey_picture() -> None:
    model = model_with(x_t=np.ones((1, 28, 28), np.float32))
    model.pass_time(Status(Phase.LOST, "no server at box:1", 3), now=0.0)
    screen, surface = drawn(model, (1100, 720))
    texts = [text for text, _ in screen.text.placed]
    assert "reconnecting … attempt 3" in texts
    assert "no server at box:1" in texts
    pane = screen.layout_of(surface).noisy
    assert max(surface.get_at((pane.x + 5, pane.y + 5))[:3]) < 200


def test_before_the_first_frame_there_is_a_picture_too() -> None:
    screen, _surface = drawn(ViewModel(), (1100, 720))
    assert "connecting …" in [text for text, _ in screen.text.placed]
