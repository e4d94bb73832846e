"""What is drawn, into a surface in memory: nothing overlaps, nothing is cut, whatever the size."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable

import numpy as np
import pytest

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
import pygame

from diffusion_toy.contract import messages as m
from tests.viewer_client.frames import frame, live_model
from tests.viewer_client.window.screens import (
    LEVELS,
    LOST,
    SIZE,
    SIZES,
    busy,
    drawn,
    pixels,
    plain,
    texts,
)
from viewer_client.core.appearance import Appearance, ColorMap
from viewer_client.core.feedback import Speckle
from viewer_client.core.geometry import Rect
from viewer_client.core.keymap import BINDINGS
from viewer_client.core.palette import KEPT
from viewer_client.core.strokes import MouseMode
from viewer_client.core.view_model import ViewModel
from viewer_client.link.status import Statistics

pytestmark = pytest.mark.usefixtures("fonts")


def wrong() -> ViewModel:
    """The longest sentences."""
    model = live_model(actual=m.Range(0.7, 0.7, 0.7), measured_by_residual=0.3, excess_kurtosis=2.5)
    model.pass_time(LOST, now=0.0)
    return model


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("text_scale", [0.8, 1.0, 1.5, 2.0])
@pytest.mark.parametrize("make", [plain, busy, wrong, ViewModel])
def test_texts_stay_inside_the_window_and_apart(
    make: Callable[[], ViewModel], text_scale: float, size: tuple[int, int]
) -> None:
    for heat in (False, True):
        screen, surface = drawn(make(), size, Appearance(text_scale=text_scale, heat=heat))
        placed = screen.text.placed
        assert len(placed) > 8
        for text, place in placed:
            assert surface.get_rect().contains(place), text
        for (one, a), (other, b) in itertools.combinations(placed, 2):
            overlap = a.clip(b)
            assert min(overlap.width, overlap.height) <= 4, (one, other)


@pytest.mark.parametrize(("size", "text_scale"), [*((size, 1.0) for size in SIZES), (SIZE, 2.0)])
@pytest.mark.parametrize("make", [plain, busy])
def test_nothing_is_cut(make: Callable[[], ViewModel], size: tuple[int, int], text_scale: float) -> None:
    screen, _surface = drawn(make(), size, Appearance(text_scale=text_scale))
    assert not screen.text.shortened


@pytest.mark.parametrize("size", SIZES)
def test_the_time_step_is_in_sight_with_and_without_the_help(size: tuple[int, int]) -> None:
    model = live_model()
    for _ in range(2):
        screen, _surface = drawn(model, size)
        assert "t 150/300" in texts(screen)
        model.key("h")


@pytest.mark.parametrize("text_scale", [1.0, 2.0])
@pytest.mark.parametrize("size", SIZES)
def test_the_help_has_every_key_and_none_is_cut(size: tuple[int, int], text_scale: float) -> None:
    model = live_model()
    model.key("h")
    screen, surface = drawn(model, size, Appearance(text_scale=text_scale))
    assert not screen.text.shortened
    assert {binding.help for binding in BINDINGS} <= set(texts(screen))
    placed = screen.text.placed
    assert all(surface.get_rect().contains(place) for _, place in placed)
    for (one, a), (other, b) in itertools.combinations(placed, 2):
        overlap = a.clip(b)
        assert min(overlap.width, overlap.height) <= 4, (one, other)


def test_pictures_have_hard_pixels_in_their_own_greys() -> None:
    rng = np.random.default_rng(0)
    image = rng.uniform(-1, 1, (1, 28, 28)).astype(np.float32)
    screen, surface = drawn(live_model(x_t=image), (1100, 720))
    pane = screen.layout_of(surface).panes["noisy"]
    pixels = pygame.surfarray.array3d(surface)[:, :, 0].T
    for row, column in ((0, 1), (5, 9), (27, 20)):
        y = pane.y + round((row + 0.5) * pane.height / 28)
        x = pane.x + round((column + 0.5) * pane.width / 28)
        assert abs(int(pixels[y, x]) - (float(image[0, row, column]) + 1) * 127.5) < 1


def test_the_colours_are_of_both_pictures() -> None:
    model = live_model(x_t=np.ones((1, 28, 28), np.float32), x0_hat=-np.ones((1, 28, 28), np.float32))
    screen, surface = drawn(model, appearance=Appearance(ColorMap.INK))
    places = screen.layout_of(surface)
    assert pixels(surface, places.panes["noisy"]).max() < 80
    assert pixels(surface, places.panes["clean"]).min() > 200


def test_the_noise_is_shown_where_there_is_some() -> None:
    levels = np.zeros((28, 28), np.float32)
    levels[:, 14:] = 0.5
    model = live_model(level_map=levels, x_t=np.full((1, 28, 28), 2.0, np.float32))
    screen, surface = drawn(model)
    shown = pixels(surface, screen.layout_of(surface).panes["noise"])
    left, right = np.array_split(shown, 2, axis=1)
    assert left.max() < 60
    assert right[:, 4:].min() > 100  # far above zero: light, and orange
    assert (right[:, 4:, 0] > right[:, 4:, 2]).all()


def test_heat_lies_over_noisy_pixels_only_and_only_where_time_steps_differ() -> None:
    levels = np.zeros((28, 28), np.float32)
    levels[:, 14:] = 0.5
    uneven, even = live_model(level_map=levels), live_model()
    cold, hot = (drawn(uneven, appearance=Appearance(heat=heat)) for heat in (False, True))
    pane = cold[0].layout_of(cold[1]).panes["noisy"]
    before, after = (np.array_split(pixels(surface, pane), 2, axis=1) for _, surface in (cold, hot))
    assert (before[0][:, :-4] == after[0][:, :-4]).all()
    assert (before[1][:, 4:] != after[1][:, 4:]).any(axis=2).all()
    assert "t 0" in texts(hot[0])  # the legend
    same = [pixels(drawn(even, appearance=Appearance(heat=heat))[1], pane) for heat in (False, True)]
    assert (same[0] == same[1]).all()


def test_the_time_step_under_the_pointer_stands_beside_it_within_the_picture() -> None:
    for point in ((0.02, 0.02), (0.5, 0.5), (0.99, 0.99)):
        model = live_model(level_map=LEVELS)
        model.brush.mode, model.pointer = MouseMode.BRUSH, point
        screen, surface = drawn(model)
        pane = screen.layout_of(surface).panes["noisy"]
        inside = [
            text
            for text, place in screen.text.placed
            if pygame.Rect(pane.x, pane.y, pane.width, pane.height).contains(place)
        ]
        assert len(inside) == 1
        assert inside[0].startswith("t ")
    model.pointer = None
    assert not any(text == inside[0] for text in texts(drawn(model)[0]))


def test_the_ring_that_heals_has_gaps() -> None:
    model = live_model()
    model.brush.mode, model.pointer, model.brush.radius = MouseMode.BRUSH, (0.5, 0.5), 0.25

    def share_of_ring() -> float:
        """How much of the circle is as light as the ring."""
        screen, surface = drawn(model)
        pane = screen.layout_of(surface).panes["noisy"]
        reds = pygame.surfarray.array3d(surface)[:, :, 0]
        radii = pane.width / 4 + np.arange(-3, 4)
        angles = np.linspace(0, 2 * np.pi, 720, endpoint=False)[:, None]
        xs = np.round(pane.x + pane.width / 2 + radii * np.cos(angles)).astype(int)
        ys = np.round(pane.y + pane.height / 2 + radii * np.sin(angles)).astype(int)
        return float((reds[xs, ys] > 200).any(axis=1).mean())

    whole = share_of_ring()
    model.heal_button(True)
    assert share_of_ring() < 0.8 < whole


def test_what_was_just_added_is_seen_before_the_server_answers() -> None:
    model = live_model()
    screen, surface = drawn(model)
    pane = screen.layout_of(surface).panes["noisy"]
    before = pixels(surface, pane)
    model.feedback.speckles.append(Speckle(9, m.Inject(m.Disc(0.25, 0.25, 0.1), 5.0), 1.0))
    assert screen.draw(surface, model, Statistics(), 60.0, now=0.0)
    changed = (pixels(surface, pane) != before).any(axis=2)
    half = len(changed) // 2
    assert changed[:half, :half].mean() > 0.05
    assert not changed[half:].any()
    assert not changed[:, half:].any()


def test_the_badge_says_in_words_what_the_shape_is() -> None:
    for kurtosis, words in ((0.0, "Gaussian"), (2.8, "heavier tails"), (-1.2, "flatter")):
        screen, _surface = drawn(live_model(excess_kurtosis=kurtosis))
        assert any(words in text for text in texts(screen))


def test_the_film_is_clicked_where_its_stills_are() -> None:
    model = busy()
    screen, surface = drawn(model)
    film = screen.layout_of(surface).film
    assert film is not None
    found = [screen.hit(surface, (x, film.y + 5), 300).step for x in range(film.x, film.right)]
    steps = [step for step, _ in itertools.groupby(step for step in found if step is not None)]
    assert steps == [still.step for still in model.history.film.shown(len(steps))]
    assert steps[-1] == 199
    assert len(steps) > 10
    assert screen.hit(surface, (film.x + 5, film.bottom + 1), 300).step is None


def test_stills_that_are_kept_have_a_line_under_them_and_the_others_are_dark() -> None:
    model = live_model(t=300.0, x0_hat=np.ones((1, 28, 28), np.float32))
    for step in range(1, 100):
        bright = np.ones((1, 28, 28), np.float32)
        model.receive(frame(300.0 - step, step=step, x0_hat=bright, first_kept_step=max(step - 50, 0)))
    screen, surface = drawn(model)
    film = screen.layout_of(surface).film
    assert film is not None
    lines = (pixels(surface, film) == np.array(KEPT)).all(axis=2).any(axis=0)
    for x in range(film.x, film.right):
        step = screen.hit(surface, (x + 1, film.y + 10), 300).step
        if step is not None and screen.hit(surface, (x, film.y + 10), 300).step == step:
            assert lines[x - film.x] == (step >= 49), step
            light = surface.get_at((x, film.y + 10))[0]
            assert (light > 200) == (step >= 49)


def test_without_room_for_a_film_there_is_nothing_to_click() -> None:
    model, appearance = busy(), Appearance()
    screen, surface = drawn(model, (640, 480), appearance)
    film = screen.layout_of(surface).film
    assert film is not None
    assert screen.hit(surface, (film.x + 5, film.y + 5), 300).step is not None
    appearance.text_scale = 2.0
    screen.draw(surface, model, Statistics(), 60.0, now=0.0)
    assert screen.hit(surface, (film.x + 5, film.y + 5), 300).step is None


def test_the_time_line_shows_which_states_are_kept() -> None:
    model = live_model(t=300.0)
    for step in range(1, 101):
        model.receive(frame(300.0 - step, step=step, first_kept_step=max(step - 40, 0)))
    screen, surface = drawn(model)
    place = screen.layout_of(surface).timeline
    below = Rect(place.x, place.y + place.height * 6 // 10, place.width, place.height * 4 // 10)
    ticks = (np.abs(pixels(surface, below) - np.array(KEPT)).max(axis=2) == 0).any(axis=0)
    on_line = [(below.x + 1 + x, place.y + place.height // 3) for x in np.flatnonzero(ticks).tolist()]
    found = {round(screen.hit(surface, point, 300).time_step or -1) for point in on_line}
    assert found == set(range(200, 241))


def test_a_lost_connection_is_said_over_a_grey_picture() -> None:
    model = live_model(x_t=np.ones((1, 28, 28), np.float32))
    model.pass_time(LOST, now=0.0)
    screen, surface = drawn(model)
    assert "reconnecting … attempt 3" in texts(screen)
    assert "no server at box:1" in texts(screen)
    pane = screen.layout_of(surface).panes["noisy"]
    assert max(surface.get_at((pane.x + 5, pane.y + 5))[:3]) < 200


def test_before_the_first_frame_there_is_a_picture_too() -> None:
    screen, _surface = drawn(ViewModel())
    assert "connecting …" in texts(screen)
