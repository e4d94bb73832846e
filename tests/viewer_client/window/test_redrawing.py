"""What is drawn when: whatever changes at once, and nothing for nothing."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np
import pytest

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
import pygame

from diffusion_toy.contract import messages as m
from tests.viewer_client.frames import WELCOME, frame, live_model
from tests.viewer_client.window.screens import (
    LOST,
    SIZES,
    busy,
    drawn,
)
from viewer_client.core import geometry
from viewer_client.core.appearance import Appearance
from viewer_client.core.feedback import Feedback, Speckle
from viewer_client.core.geometry import Rect
from viewer_client.core.history import History
from viewer_client.core.keymap import Action
from viewer_client.core.view_model import ViewModel
from viewer_client.link.status import Statistics
from viewer_client.recipes.command_log import CommandLog
from viewer_client.recipes.recipe import Recipe
from viewer_client.recipes.replay import Replay
from viewer_client.window import panes
from viewer_client.window.screen import NOT_DRAWN, Hit, Screen

pytestmark = pytest.mark.usefixtures("fonts")


def redrawn(screen: Screen, surface: pygame.Surface, model: ViewModel, now: float = 0.0) -> bool:
    return screen.draw(surface, model, Statistics(), 60.0, now)


def test_a_picture_in_which_nothing_has_changed_is_drawn_ten_times_a_second_at_most() -> None:
    model = live_model()
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
    model, appearance = live_model(), Appearance()
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
    model = live_model()
    screen, surface = drawn(model)
    assert not redrawn(screen, surface, model)
    setattr(model, name, CHANGES[name](model))
    assert redrawn(screen, surface, model)


@pytest.mark.parametrize("name", NOT_SHOWN)
def test_a_field_that_is_not_drawn_changes_no_picture(name: str) -> None:
    model = live_model()
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
    model = live_model()
    screen, surface = drawn(model)
    assert redrawn(screen, pygame.Surface((800, 600)), model)
    screen.draw(surface, model, Statistics(), 60.0, now=0.0)
    screen.forget()
    assert redrawn(screen, surface, model)


def test_speckle_moves_in_every_picture() -> None:
    model = live_model()
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
