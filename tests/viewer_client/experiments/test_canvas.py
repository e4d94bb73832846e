"""Strokes become a picture that looks like the data, and the picture a session's beginning."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
import pygame

from diffusion_toy.contract import messages as m
from tests.viewer_client.frames import MODEL, SCHEDULE, WELCOME, live_model
from tests.viewer_client.recorded_text import RecordedText
from viewer_client.core.appearance import Appearance
from viewer_client.core.view_model import ViewModel
from viewer_client.experiments.canvas import WIDTH_MAX, WIDTH_MIN, Canvas
from viewer_client.link.status import Phase, Statistics, Status
from viewer_client.overlays.canvas import CanvasOverlay
from viewer_client.ui.overlay import Button, MouseEvent, MouseKind
from viewer_client.window.screen import Screen

SIZE = (1100, 720)


def line(canvas: Canvas, *points: tuple[float, float], erase: bool = False) -> None:
    for point in points:
        canvas.stroke(point, erase=erase)
    canvas.lift()


@pytest.fixture
def canvas() -> Canvas:
    return Canvas(1, 28, 28)


# --- the drawing ---


def test_a_stroke_is_as_wide_and_as_soft_as_those_of_the_data(canvas: Canvas) -> None:
    line(canvas, (0.2, 0.5), (0.8, 0.5))
    profile = canvas.ink[:, 14]
    assert profile.sum() == pytest.approx(canvas.width, abs=0.15)
    assert profile.max() == 1
    assert ((profile > 0) & (profile < 1)).sum() == 2  # one soft pixel on either side


def test_a_stroke_has_no_gaps_however_few_points_the_mouse_tells(canvas: Canvas) -> None:
    few, many = canvas, Canvas(1, 28, 28)
    line(few, (0.2, 0.2), (0.7, 0.6))
    line(many, *[(0.2 + 0.5 * i / 40, 0.2 + 0.4 * i / 40) for i in range(41)])
    np.testing.assert_allclose(few.ink, many.ink, atol=0.02)


def test_a_lifted_brush_leaves_a_gap_and_a_click_a_dot(canvas: Canvas) -> None:
    line(canvas, (0.2, 0.5))
    line(canvas, (0.8, 0.5))
    assert canvas.ink[14, 5] > 0.9
    assert canvas.ink[14, 22] > 0.9
    assert canvas.ink[14, 14] == 0


def test_going_over_a_stroke_again_does_not_make_it_thicker(canvas: Canvas) -> None:
    line(canvas, (0.2, 0.5), (0.8, 0.5))
    once = canvas.ink.copy()
    line(canvas, (0.8, 0.5), (0.2, 0.5))
    np.testing.assert_allclose(canvas.ink, once, atol=1e-6)


def test_rubbing_out_takes_away_what_is_under_it_only(canvas: Canvas) -> None:
    line(canvas, (0.2, 0.5), (0.8, 0.5))
    line(canvas, (0.5, 0.4), (0.5, 0.6), erase=True)
    assert canvas.ink[14, 13:15].max() < 0.01
    assert canvas.ink[14, 7] == 1


def test_a_stroke_may_leave_the_picture_and_come_back(canvas: Canvas) -> None:
    line(canvas, (0.5, 0.5), (1.5, 0.5))
    assert canvas.ink[14, 27] == 1
    assert canvas.ink.max() <= 1


def test_the_width_follows_the_wheel_within_limits(canvas: Canvas) -> None:
    for change, limit in ((canvas.widen, WIDTH_MAX), (canvas.narrow, WIDTH_MIN)):
        for _ in range(60):
            change()
        assert canvas.width == limit


def test_the_width_is_of_the_pictures_size() -> None:
    assert Canvas(1, 56, 56).width == 2 * Canvas(1, 28, 28).width


def test_clearing_leaves_nothing(canvas: Canvas) -> None:
    line(canvas, (0.2, 0.5), (0.8, 0.5))
    assert not canvas.blank
    canvas.clear()
    assert canvas.blank


def test_the_content_is_bytes_of_every_channel() -> None:
    canvas = Canvas(3, 20, 28)
    line(canvas, (0.5, 0.5))
    content = np.frombuffer(canvas.content(), np.uint8).reshape(3, 20, 28)
    assert content[0, 9, 14] > 128
    assert content[:, 0, 0].tolist() == [0, 0, 0]
    assert (content == content[0]).all()


def test_the_preview_is_the_forward_process_with_the_same_noise_at_every_level(canvas: Canvas) -> None:
    line(canvas, (0.2, 0.5), (0.8, 0.5))
    noise = []
    for t in (30, 150, 299):
        canvas.set_share(t / 300)
        a = math.cos(t / 300 * math.pi / 2)
        noise.append((canvas.noised(SCHEDULE) - a * canvas.image()) / math.sqrt(1 - a * a))
    np.testing.assert_allclose(noise[0], noise[1], atol=1e-4)
    np.testing.assert_allclose(noise[1], noise[2], atol=1e-4)
    assert float(np.std(noise[2])) == pytest.approx(1, abs=0.1)


def test_the_level_is_a_share_of_any_number_of_time_steps(canvas: Canvas) -> None:
    assert (canvas.time_step(300), canvas.time_step(1000)) == (150, 500)
    canvas.set_share(-0.4)
    assert canvas.time_step(300) == 1  # from 0 there would be nothing to denoise
    canvas.set_share(1.7)
    assert canvas.time_step(300) == 300


# --- the overlay ---


@pytest.fixture(autouse=True)
def _fonts() -> Iterator[None]:
    pygame.font.init()
    yield
    pygame.font.quit()


@pytest.fixture
def model() -> ViewModel:
    return live_model()


def drawn(
    view: CanvasOverlay, model: ViewModel, appearance: Appearance, size: tuple[int, int] = SIZE
) -> tuple[Screen, pygame.Surface, int]:
    """The screen with the overlay, and how many texts are the header's."""
    surface, screen = pygame.Surface(size), Screen(RecordedText(), appearance)
    screen.draw(surface, model, Statistics(), 60.0, now=0.0)
    before = len(screen.text.placed)
    view.draw(surface, screen.text, 0.0)
    return screen, surface, before


def mouse(
    view: CanvasOverlay, kind: MouseKind, position: tuple[float, float], button: Button | None = None
) -> None:
    assert view.mouse(MouseEvent(kind, position, button), SIZE)


@pytest.fixture
def view(model: ViewModel, canvas: Canvas) -> CanvasOverlay:
    view = CanvasOverlay(model, canvas, Appearance())
    drawn(view, model, Appearance())
    return view


def test_the_mouse_draws_with_the_left_button_and_rubs_out_with_the_right(
    view: CanvasOverlay, canvas: Canvas
) -> None:
    for button, ink in ((Button.LEFT, 1), (Button.RIGHT, 0)):
        mouse(view, MouseKind.PRESS, (200, 300), button)
        mouse(view, MouseKind.MOVE, (400, 300), button)
        mouse(view, MouseKind.RELEASE, (400, 300), button)
        assert canvas.ink[:, 14].max() == ink
    mouse(view, MouseKind.MOVE, (200, 300))
    assert canvas.blank


def test_a_button_let_go_outside_the_window_draws_no_more(view: CanvasOverlay, canvas: Canvas) -> None:
    mouse(view, MouseKind.PRESS, (200, 300), Button.LEFT)
    mouse(view, MouseKind.MOVE, (400, 300))  # no button is held any more
    mouse(view, MouseKind.MOVE, (400, 400))
    assert canvas.ink[:, 18].max() == 0


def test_the_slider_and_the_arrows_choose_the_level(view: CanvasOverlay, canvas: Canvas) -> None:
    slider = view.slider_rect
    assert slider is not None
    y = slider.y + slider.height / 2
    mouse(view, MouseKind.PRESS, (slider.x + slider.width / 4, y), Button.LEFT)
    assert canvas.time_step(300) == pytest.approx(225, abs=1)  # noise is at the left, as on the time line
    mouse(view, MouseKind.MOVE, (slider.right + 50, y + 300), Button.LEFT)
    assert canvas.time_step(300) == 1
    mouse(view, MouseKind.RELEASE, (slider.right, y), Button.LEFT)
    mouse(view, MouseKind.MOVE, (slider.x, y))
    assert canvas.time_step(300) == 1
    canvas.set_share(0.5)
    assert view.key("left", "")
    assert canvas.time_step(300) == 155
    view.key("right", "")
    view.key("right", "")
    assert canvas.time_step(300) == 145


@pytest.mark.parametrize("key", ["c", "backspace"])
def test_keys_clear_and_the_wheel_changes_the_width(view: CanvasOverlay, canvas: Canvas, key: str) -> None:
    line(canvas, (0.5, 0.5))
    width = canvas.width
    view.key("wheel up", "")
    assert canvas.width > width
    view.key("wheel down", "")
    assert canvas.width == pytest.approx(width)
    view.key(key, "")
    assert canvas.blank


def test_enter_denoises_from_the_chosen_level(view: CanvasOverlay, canvas: Canvas, model: ViewModel) -> None:
    line(canvas, (0.2, 0.5), (0.8, 0.5))
    view.key("return", "\r")
    origin = m.Origin(m.Pixels(canvas.content()), 150.0)
    assert model.take_commands() == [m.Restart(42, origin)]
    assert view.closed
    assert model.next_start().origin == origin  # also after a loss of the session


def test_f_watches_the_forward_process(view: CanvasOverlay, canvas: Canvas, model: ViewModel) -> None:
    view.key("f", "f")
    origin = m.Origin(m.Pixels(canvas.content()), 0.0)
    assert model.take_commands() == [m.Restart(42, origin), m.Play(m.Motion.FORWARD)]


def test_without_a_connection_nothing_is_lost(view: CanvasOverlay, canvas: Canvas, model: ViewModel) -> None:
    line(canvas, (0.5, 0.5))
    model.pass_time(Status(Phase.LOST, "gone", 1), now=1.0)
    view.key("return", "\r")
    assert not view.closed
    assert "connection" in model.notice
    assert not canvas.blank


def test_the_keys_of_the_screen_below_do_nothing_but_quit_and_size(view: CanvasOverlay) -> None:
    assert all(view.key(key, "") for key in ("r", "n", "space", "h", "7", "ctrl+v"))
    assert not any(view.key(key, "") for key in ("ctrl+q", "ctrl+=", "ctrl+-"))
    assert view.key("x", "x")
    assert view.closed


@pytest.mark.parametrize("scale", [1.0, 2.0])
@pytest.mark.parametrize("size", [(640, 480), (1100, 720), (1920, 1080), (720, 1280)])
def test_nothing_is_cut_or_covered_and_the_time_step_stays(
    model: ViewModel, size: tuple[int, int], scale: float
) -> None:
    appearance = Appearance(text_scale=scale)
    if (size, scale) == ((720, 1280), 2.0):
        appearance = Appearance(text_scale=1.6)
    view = CanvasOverlay(model, Canvas(1, 28, 28), appearance)
    screen, surface, _ = drawn(view, model, appearance, size)
    header = screen.layout_of(surface).header
    screen.text.begin(screen.layout_of(surface).scale)
    view.draw(surface, screen.text, 0.0)
    assert not screen.text.shortened
    own = [(text, place) for text, place in screen.text.placed]
    assert any("denoise it from here" in text for text, _ in own)
    assert view.drawing_rect is not None
    for i, (text, place) in enumerate(own):
        assert surface.get_rect().contains(place), text
        assert place.top >= header.bottom, text  # the time step is in the header
        for other, elsewhere in own[:i]:
            assert min(place.clip(elsewhere).size) <= 4, (text, other)
    assert view.drawing_rect.bottom <= size[1]


def test_other_sizes_keep_their_proportions(model: ViewModel) -> None:
    shaped = replace(WELCOME, model=replace(MODEL, channels=3, height=16, width=32))
    model.receive(shaped)
    view = CanvasOverlay(model, Canvas(3, 16, 32), Appearance())
    drawn(view, model, Appearance())
    assert view.drawing_rect is not None
    assert view.drawing_rect.width == pytest.approx(2 * view.drawing_rect.height, abs=1)
