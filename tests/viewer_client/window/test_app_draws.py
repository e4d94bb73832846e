"""The window's loop without a display: what is clicked, and that nothing is drawn in vain."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, cast

import pytest

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
import pygame

from diffusion_toy.contract import messages as m
from tests.viewer_client.frames import WELCOME, frame
from viewer_client.cli import main
from viewer_client.core.appearance import Appearance
from viewer_client.core.view_model import ViewModel
from viewer_client.link.connection import Connection
from viewer_client.link.status import Phase, Statistics, Status
from viewer_client.ui.overlay import MouseEvent, Overlay
from viewer_client.window.app import App

SIZE = (1100, 720)


class Line:
    """A connection that lives and says what it is given."""

    def __init__(self, *responses: m.Welcome | m.Frame) -> None:
        self.status, self.statistics = Status(Phase.LIVE), Statistics()
        self.responses, self.sent, self.acknowledged = list(responses), list[m.Command](), 0

    def take(self) -> list[m.Response]:
        taken, self.responses = list[m.Response](self.responses), []
        return taken

    def send(self, command: m.Command) -> int:
        self.sent.append(command)
        return len(self.sent)

    def drawn(self, _frame: m.Frame) -> None:
        self.acknowledged += 1


class Blank(Overlay):
    """An overlay that lets everything through."""

    def key(self, key: str, character: str) -> bool:
        return False

    def mouse(self, event: MouseEvent, size: tuple[int, int]) -> bool:
        return False

    def draw(self, surface: Any, text: Any, now: float) -> None:
        surface.fill((1, 2, 3), (0, 0, 9, 9))


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Line:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    run = [frame(300.0 - step, number=step + 1, step=step, first_kept_step=max(step - 60, 0))
           for step in range(121)]  # fmt: skip
    return Line(WELCOME, *run)


@pytest.fixture
def app(line: Line) -> Iterator[App]:
    yield App(ViewModel(), cast(Connection, line), SIZE)
    pygame.quit()


@pytest.fixture
def flips(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    counted: list[int] = []
    monkeypatch.setattr(pygame.display, "flip", lambda: counted.append(1))
    return counted


def turns(app: App, count: int) -> None:
    """Let the loop go round so often; the window stays open for a look at it."""
    left = iter(range(count))
    app.run(lambda: next(left, None) is None)


def click(app: App, x: float, y: float) -> None:
    position = (round(x), round(y))
    pygame.event.post(pygame.event.Event(pygame.MOUSEBUTTONDOWN, pos=position, button=1))
    pygame.event.post(pygame.event.Event(pygame.MOUSEBUTTONUP, pos=position, button=1))


def press(key: int, scancode: int, times: int = 1, release: bool = True) -> None:
    """Press a key; `times` counts the press and its repetitions while it is held."""
    for _ in range(times):
        pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=key, scancode=scancode, unicode="", mod=0))
    if release:
        pygame.event.post(pygame.event.Event(pygame.KEYUP, key=key, scancode=scancode, mod=0))


def when_drawn(app: App, then: Any) -> None:
    """Go round until there is a picture, then do this, then go round twice more."""
    done = 0

    def until() -> bool:
        nonlocal done
        if app.model.frame is not None:
            done += 1
            if done == 2:
                then()
        return done > 4

    app.run(until)


def test_a_still_of_the_film_is_gone_back_to(app: App, line: Line) -> None:
    film = app.screen.layout_of(app.surface).film
    assert film is not None

    def go() -> None:
        found = {app.screen.hit(app.surface, (x, film.y + 5), 300).step: x for x in range(film.x, film.right)}
        assert 100 in found
        click(app, found[100], film.y + 5)

    when_drawn(app, go)
    assert line.sent == [m.Jump(step=100)]


def test_a_still_that_is_not_kept_is_said_to_be_lost(app: App, line: Line) -> None:
    film = app.screen.layout_of(app.surface).film
    assert film is not None
    when_drawn(app, lambda: click(app, film.x + 3, film.y + 3))
    assert line.sent == []
    assert "no longer keeps" in app.model.notice


def test_a_place_on_the_time_line_is_gone_to(app: App, line: Line) -> None:
    place = app.screen.layout_of(app.surface).timeline
    when_drawn(app, lambda: click(app, place.x + place.width / 2, place.y + place.height / 3))
    (jump,) = line.sent
    assert isinstance(jump, m.Jump)
    assert jump.time_step == pytest.approx(150, abs=1)


def test_every_frame_is_acknowledged_but_only_a_changed_picture_is_shown(
    line: Line, flips: list[int]
) -> None:
    app = App(ViewModel(), cast(Connection, line), SIZE, now=lambda: 5.0)  # time alone changes nothing
    turn, shown = 0, list[int]()

    def until() -> bool:
        nonlocal turn
        turn += 1
        shown.append(len(flips))
        if turn in (4, 6):
            line.responses.append(frame(200.0 - turn, number=200 + turn, step=200 + turn))
        return turn > 8

    app.run(until)
    assert shown == [0, 1, 1, 1, 2, 2, 3, 3, 3]
    assert line.acknowledged == 3  # of those of the first turn, the newest


def test_under_an_overlay_all_is_drawn_each_time(app: App, flips: list[int]) -> None:
    app.show_overlay(Blank())
    turns(app, 6)
    assert len(flips) == 6


def test_the_layer_of_time_steps_is_switched_with_a_word(app: App) -> None:
    app.model.key("o")
    assert not app.screen.appearance.heat
    turns(app, 2)
    assert app.screen.appearance.heat
    assert "time step of each pixel" in app.model.notice


def test_the_size_of_the_text_is_chosen_on_the_command_line(line: Line) -> None:
    app = App(ViewModel(), cast(Connection, line), None, Appearance(text_scale=1.5))
    try:
        assert app.screen.layout_of(app.surface).scale == pytest.approx(
            1.5 * min(app.surface.get_width() / 1100, app.surface.get_height() / 720)
        )
    finally:
        pygame.quit()


def test_a_size_of_text_out_of_range_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--text-scale", "3"]) == 2
    assert "--text-scale 3 is outside 0.8…2" in capsys.readouterr().err


def test_a_held_key_acts_once_but_steps_and_brush_go_on(app: App, line: Line) -> None:
    def hold() -> None:
        press(pygame.K_SPACE, pygame.KSCAN_SPACE, times=3)
        press(pygame.K_n, pygame.KSCAN_N, times=5)
        press(pygame.K_n, pygame.KSCAN_N)
        press(pygame.K_RIGHT, pygame.KSCAN_RIGHT, times=4)

    when_drawn(app, hold)
    assert [type(command) for command in line.sent] == [m.Pause, m.Restart, m.Restart, *[m.Step] * 4]


def test_a_key_whose_release_went_elsewhere_acts_again(app: App, line: Line) -> None:
    def leave() -> None:
        press(pygame.K_n, pygame.KSCAN_N, release=False)
        pygame.event.post(pygame.event.Event(pygame.WINDOWFOCUSLOST))
        press(pygame.K_n, pygame.KSCAN_N)

    when_drawn(app, leave)
    assert [type(command) for command in line.sent] == [m.Restart] * 2
