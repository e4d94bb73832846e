"""What is drawn, into a surface in memory: nothing overlaps, nothing is cut, whatever the size."""

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import fields, replace

import numpy as np
import pytest

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
import pygame

from diffusion_toy.contract import messages as m
from tests.viewer_client.frames import WELCOME, frame
from tests.viewer_client.recorded_text import RecordedText
from viewer_client.core import geometry
from viewer_client.core.appearance import Appearance, ColorMap
from viewer_client.core.feedback import Feedback, Speckle
from viewer_client.core.geometry import Rect
from viewer_client.core.history import History
from viewer_client.core.keymap import BINDINGS, Action
from viewer_client.core.palette import KEPT
from viewer_client.core.strokes import MouseMode
from viewer_client.core.view_model import ViewModel
from viewer_client.link.status import Phase, Statistics, Status
from viewer_client.recipes.command_log import CommandLog
from viewer_client.recipes.recipe import Recipe
from viewer_client.recipes.replay import Replay
from viewer_client.window import panes
from viewer_client.window.screen import NOT_DRAWN, Hit, Screen

SIZES = [(640, 480), (800, 600), (1100, 720), (1920, 1080), (720, 1280)]
SIZE = (1100, 720)
LEVELS = np.linspace(0, 1, 28 * 28, dtype=np.float32).reshape(28, 28)
LOST = Status(Phase.LOST, "no server at box:1", 3)


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


def drawn(
    model: ViewModel, size: tuple[int, int] = SIZE, appearance: Appearance | None = None
) -> tuple[Screen, pygame.Surface]:
    surface, screen = pygame.Surface(size), Screen(RecordedText(), appearance)
    assert screen.draw(surface, model, Statistics(), 60.0, now=0.0)
    return screen, surface


def texts(screen: Screen) -> list[str]:
    return [text for text, _ in screen.text.placed]


def pixels(surface: pygame.Surface, place: Rect) -> np.ndarray:
    """The colours of a part of the surface, (H, W, 3), without its border."""
    colors = pygame.surfarray.array3d(surface).transpose(1, 0, 2).astype(int)
    return colors[place.y + 1 : place.bottom - 1, place.x + 1 : place.right - 1]


def plain() -> ViewModel:
    return model_with(measured_by_residual=0.5, excess_kurtosis=0.1)


def busy() -> ViewModel:
    """Much to say, with the pointer on the picture."""
    settings = m.Settings(label=3, guidance=7.5, sampler=m.Sampler.DPMPP, steps_per_second=10.0)
    actual, time_step = m.Range(0.2, 0.6, 1.0), m.Range(0.0, 100.0, 300.0)
    model = model_with(
        level_map=LEVELS, settings=settings, actual=actual, time_step=time_step, excess_kurtosis=-1.2
    )
    for step in range(1, 200):
        model.receive(replace(model.frame, step=step, first_kept_step=max(step - 120, 0)))  # type: ignore[type-var]
    model.feedback.marks.extend([20.0, 250.0])
    brush = model.brush
    brush.kind, brush.rule, brush.mode = m.NoiseKind.CONSTANT, m.InjectionRule.NAIVE, MouseMode.BRUSH_HELD
    model.pointer = (0.97, 0.5)
    return model


def wrong() -> ViewModel:
    """The longest sentences."""
    model = model_with(actual=m.Range(0.7, 0.7, 0.7), measured_by_residual=0.3, excess_kurtosis=2.5)
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
    model = model_with()
    for _ in range(2):
        screen, _surface = drawn(model, size)
        assert "t 150/300" in texts(screen)
        model.key("h")


@pytest.mark.parametrize("text_scale", [1.0, 2.0])
@pytest.mark.parametrize("size", SIZES)
def test_the_help_has_every_key_and_none_is_cut(size: tuple[int, int], text_scale: float) -> None:
    model = model_with()
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
    screen, surface = drawn(model_with(x_t=image), (1100, 720))
    pane = screen.layout_of(surface).panes["noisy"]
    pixels = pygame.surfarray.array3d(surface)[:, :, 0].T
    for row, column in ((0, 1), (5, 9), (27, 20)):
        y = pane.y + round((row + 0.5) * pane.height / 28)
        x = pane.x + round((column + 0.5) * pane.width / 28)
        assert abs(int(pixels[y, x]) - (float(image[0, row, column]) + 1) * 127.5) < 1


def test_the_colours_are_of_both_pictures() -> None:
    model = model_with(x_t=np.ones((1, 28, 28), np.float32), x0_hat=-np.ones((1, 28, 28), np.float32))
    screen, surface = drawn(model, appearance=Appearance(ColorMap.INK))
    places = screen.layout_of(surface)
    assert pixels(surface, places.panes["noisy"]).max() < 80
    assert pixels(surface, places.panes["clean"]).min() > 200


def test_the_noise_is_shown_where_there_is_some() -> None:
    levels = np.zeros((28, 28), np.float32)
    levels[:, 14:] = 0.5
    model = model_with(level_map=levels, x_t=np.full((1, 28, 28), 2.0, np.float32))
    screen, surface = drawn(model)
    shown = pixels(surface, screen.layout_of(surface).panes["noise"])
    left, right = np.array_split(shown, 2, axis=1)
    assert left.max() < 60
    assert right[:, 4:].min() > 100  # far above zero: light, and orange
    assert (right[:, 4:, 0] > right[:, 4:, 2]).all()


def test_heat_lies_over_noisy_pixels_only_and_only_where_time_steps_differ() -> None:
    levels = np.zeros((28, 28), np.float32)
    levels[:, 14:] = 0.5
    uneven, even = model_with(level_map=levels), model_with()
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
        model = model_with(level_map=LEVELS)
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
    model = model_with()
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
    model = model_with()
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
        screen, _surface = drawn(model_with(excess_kurtosis=kurtosis))
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
    model = model_with(t=300.0, x0_hat=np.ones((1, 28, 28), np.float32))
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
    model = model_with(t=300.0)
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
    model = model_with(x_t=np.ones((1, 28, 28), np.float32))
    model.pass_time(LOST, now=0.0)
    screen, surface = drawn(model)
    assert "reconnecting … attempt 3" in texts(screen)
    assert "no server at box:1" in texts(screen)
    pane = screen.layout_of(surface).panes["noisy"]
    assert max(surface.get_at((pane.x + 5, pane.y + 5))[:3]) < 200


def test_before_the_first_frame_there_is_a_picture_too() -> None:
    screen, _surface = drawn(ViewModel())
    assert "connecting …" in texts(screen)


# --- what is drawn when ---


def redrawn(screen: Screen, surface: pygame.Surface, model: ViewModel, now: float = 0.0) -> bool:
    return screen.draw(surface, model, Statistics(), 60.0, now)


def test_a_picture_in_which_nothing_has_changed_is_drawn_ten_times_a_second_at_most() -> None:
    model = model_with()
    screen, surface = drawn(model)
    assert sum(redrawn(screen, surface, model, now=i / 60) for i in range(1, 61)) <= 10
    before = pygame.surfarray.array3d(surface)
    assert not redrawn(screen, surface, model, now=1.0)
    assert (pygame.surfarray.array3d(surface) == before).all()


@pytest.mark.parametrize(
    "change",
    [
        lambda model, appearance: model.receive(frame(149.0)),
        lambda model, appearance: model.mouse_at((0.5, 0.5)),
        lambda model, appearance: model.heal_button(True),
        lambda model, appearance: setattr(model, "notice", "told"),
        lambda model, appearance: model.key("h"),
        lambda model, appearance: model.key("m"),
        lambda model, appearance: model.key("k"),
        lambda model, appearance: model.key("t"),
        lambda model, appearance: model.key("up"),
        lambda model, appearance: model.key("]"),
        lambda model, appearance: model.key("7"),
        lambda model, appearance: model.key("space"),
        lambda model, appearance: model.feedback.marks.append(12.0),
        lambda model, appearance: model.pass_time(LOST, 0.0),
        lambda model, appearance: appearance.next_colors(),
        lambda model, appearance: appearance.larger_text(),
        lambda model, appearance: setattr(appearance, "heat", True),
    ],
)
def test_whatever_changes_is_drawn_at_once(change: Callable[[ViewModel, Appearance], None]) -> None:
    model, appearance = model_with(), Appearance()
    screen, surface = drawn(model, appearance=appearance)
    assert not redrawn(screen, surface, model)
    change(model, appearance)
    assert redrawn(screen, surface, model)
    assert not redrawn(screen, surface, model)


CHANGES: dict[str, Callable[[ViewModel], object]] = {
    "start": lambda model: m.Start(seed=99),
    "status": lambda model: LOST,
    "brush": lambda model: replace(model.brush, radius=model.brush.radius * 2),
    "pointer": lambda model: (0.3, 0.3),
    "healing": lambda model: True,
    "help_open": lambda model: True,
    "notice": lambda model: "told",
    "welcome": lambda model: replace(WELCOME, session_id="another"),
    "schedule": lambda model: replace(WELCOME.schedule),
    "frame": lambda model: frame(149.0),
    "history": lambda model: History(),
    "replay": lambda model: Replay(Recipe(m.Start(seed=1), "", (), 3)),
    "feedback": lambda model: Feedback(marks=deque([12.0])),
}
NOT_SHOWN: dict[str, object] = {
    "draw_seed": lambda: 5,
    "quit": True,
    "window_actions": deque([Action.SAVE]),
    "try_again": True,
    "command_log": CommandLog(),
    "observers": [History()],
}


def test_a_field_of_the_model_is_either_watched_or_named_as_one_that_no_picture_shows() -> None:
    public = {field.name for field in fields(ViewModel) if not field.name.startswith("_")}
    assert public == set(CHANGES) | set(NOT_SHOWN), "say here what changes it, or that it is not drawn"
    assert set(NOT_SHOWN) == NOT_DRAWN


@pytest.mark.parametrize("name", CHANGES)
def test_a_field_that_is_drawn_is_drawn_at_once(name: str) -> None:
    model = model_with()
    screen, surface = drawn(model)
    assert not redrawn(screen, surface, model)
    setattr(model, name, CHANGES[name](model))
    assert redrawn(screen, surface, model)


@pytest.mark.parametrize("name", NOT_SHOWN)
def test_a_field_that_is_not_drawn_changes_no_picture(name: str) -> None:
    model = model_with()
    screen, surface = drawn(model)
    before = pygame.surfarray.array3d(surface)
    setattr(model, name, NOT_SHOWN[name])
    assert not redrawn(screen, surface, model)
    screen.forget()
    assert redrawn(screen, surface, model)
    assert (pygame.surfarray.array3d(surface) == before).all()


def test_the_panes_of_the_layout_are_those_that_are_drawn() -> None:
    assert [pane.name for pane in panes.PANES] == list(geometry.PANES)


@pytest.mark.parametrize("size", SIZES)
def test_only_the_noisy_pane_the_film_and_the_time_line_are_hit(size: tuple[int, int]) -> None:
    screen, surface = drawn(busy(), size)
    places = screen.layout_of(surface)

    def middle(place: Rect) -> Hit:
        return screen.hit(surface, (place.x + place.width / 2, place.y + place.height / 2), 300)

    assert middle(places.panes["noisy"]) == Hit(point=pytest.approx((0.5, 0.5), abs=0.01))  # type: ignore[arg-type]
    assert middle(places.timeline).time_step == pytest.approx(150, abs=1)
    for place in (places.panes["clean"], places.panes["noise"], places.rail, places.header, places.status):
        assert middle(place) == Hit()


def test_another_size_and_what_was_drawn_over_are_drawn_at_once() -> None:
    model = model_with()
    screen, surface = drawn(model)
    assert redrawn(screen, pygame.Surface((800, 600)), model)
    screen.draw(surface, model, Statistics(), 60.0, now=0.0)
    screen.forget()
    assert redrawn(screen, surface, model)


def test_speckle_moves_in_every_picture() -> None:
    model = model_with()
    screen, surface = drawn(model)
    model.feedback.speckles.append(Speckle(9, m.Inject(None, 5.0), 1.0))
    assert redrawn(screen, surface, model)
    before = pygame.surfarray.array3d(surface)
    assert redrawn(screen, surface, model)
    assert (pygame.surfarray.array3d(surface) != before).any()


def test_what_is_kept_between_pictures_is_not_what_was_there_before() -> None:
    """After any row of changes, the same is drawn as by a screen that has drawn nothing before."""
    appearance, model = Appearance(), busy()
    screen, surface = drawn(model, appearance=appearance)
    changes: list[Callable[[], object]] = [
        lambda: model.key("p"),
        appearance.next_colors,
        lambda: model.receive(frame(40.0, step=240, x0_hat=np.ones((1, 28, 28), np.float32))),
        lambda: model.receive(frame(60.0, step=220, motion=m.Motion.PAUSED)),
        appearance.larger_text,
        lambda: model.key("d"),
        lambda: model.receive(m.Schedule(m.ScheduleName.LINEAR, WELCOME.schedule.alphas_cumprod**2)),
        lambda: model.pass_time(LOST, 0.0),
        appearance.smaller_text,
    ]
    for now, change in enumerate(changes, start=1):
        change()
        screen.draw(surface, model, Statistics(), 60.0, now)
        _, again = drawn(model, appearance=appearance)
        assert (pygame.surfarray.array3d(surface) == pygame.surfarray.array3d(again)).all()
