"""The tour on the screen: where it lies, what goes past it, and when it is shown again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
import pygame

from diffusion_toy.contract import messages as m
from diffusion_toy.errors import InvalidValueError
from tests.viewer_client.frames import WELCOME, frame, live_model
from tests.viewer_client.recorded_text import RecordedText
from viewer_client import checks, flags, preferences, runners
from viewer_client.core.appearance import Appearance
from viewer_client.core.view_model import ViewModel
from viewer_client.experiments.tour import CAPTIONS, Stage, Tour
from viewer_client.link.status import Phase, Statistics, Status
from viewer_client.overlays.canvas import CanvasOverlay
from viewer_client.overlays.seed_entry import SeedEntry
from viewer_client.overlays.tour import ENDS, TourOverlay
from viewer_client.ui.overlay import Button, MouseEvent, MouseKind
from viewer_client.window.app import App
from viewer_client.window.screen import Screen

SIZE = (1100, 720)


@pytest.fixture(autouse=True)
def _config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(preferences.CONFIG_VARIABLE, str(tmp_path))


@pytest.fixture(autouse=True)
def _fonts() -> Iterator[None]:
    pygame.font.init()
    yield
    pygame.quit()


@pytest.fixture
def model() -> ViewModel:
    return live_model()


@pytest.fixture
def remembered() -> list[bool]:
    return []


@pytest.fixture
def view(model: ViewModel, remembered: list[bool]) -> TourOverlay:
    return TourOverlay(model, Appearance(), lambda: remembered.append(True))


def heard(model: ViewModel, sequence: int = 2) -> list[m.Command]:
    """What the model sends now."""
    commands = model.take_commands()
    for number, command in enumerate(commands, start=sequence):
        model.sent(command, number, now=0.0)
    return commands


# --- what it does ---


def test_it_looks_on_at_what_is_sent_and_seen(model: ViewModel, view: TourOverlay) -> None:
    view.update(0.0)
    model.receive(frame(0.0, idle=True))
    view.update(0.1)
    assert view.tour.stage is Stage.HEAL
    model.mouse_at((0.2, 0.5))
    model.mouse_at((0.6, 0.5))
    assert heard(model)
    for t in (48.0, 0.0):
        model.receive(frame(t, applied_sequence=2))
        view.update(0.2)
    assert view.tour.stage is Stage.MISTELL


def test_keys_and_mouse_go_past_it_but_for_the_dose_and_clicks_on_the_panel(
    model: ViewModel, view: TourOverlay
) -> None:
    view.update(0.0)
    assert not any(view.key(key, "") for key in ("r", "space", "return", "t", "h", "f2"))
    surface, screen = pygame.Surface(SIZE), Screen(RecordedText(), Appearance())
    screen.draw(surface, model, Statistics(), 60.0, now=0.0)
    view.draw(surface, screen.text, 0.0)
    assert view.panel is not None
    inside = (view.panel.x + 5.0, view.panel.y + 5.0)
    assert view.mouse(MouseEvent(MouseKind.PRESS, inside, Button.LEFT), SIZE)
    assert not view.mouse(MouseEvent(MouseKind.RELEASE, inside, Button.LEFT), SIZE)
    assert not view.mouse(MouseEvent(MouseKind.MOVE, inside), SIZE)
    assert not view.mouse(MouseEvent(MouseKind.PRESS, (100, 200), Button.LEFT), SIZE)


def test_its_key_gives_one_dose_as_kind_and_rule_are_chosen(model: ViewModel, view: TourOverlay) -> None:
    view.tour.stage = Stage.SHAPE
    model.brush.kind = m.NoiseKind.CONSTANT
    model.receive(frame(0.0, idle=True))
    view.update(0.0)
    assert view.key("return", "\r")
    assert model.take_commands() == [m.Inject(None, 150.0, m.NoiseKind.CONSTANT)]


def test_it_is_remembered_when_it_is_skipped_or_gone_through(
    model: ViewModel, view: TourOverlay, remembered: list[bool]
) -> None:
    view.update(0.0)
    assert not remembered
    view.close()
    assert remembered
    assert view.tour not in model.observers
    remembered.clear()
    through = TourOverlay(model, Appearance(), lambda: remembered.append(True))
    through.tour.stage = Stage.SHAPE
    model.receive(frame(0.0))
    through.update(0.0)
    through.tour.sent(m.Inject(None, 150.0, m.NoiseKind.SMOOTH), 2, 0.0, ahead=False)
    for t in (150.0, 0.0):
        model.receive(frame(t, applied_sequence=2))
        through.update(1.0)
    assert through.tour.stage is Stage.OVER
    assert remembered


# --- where it is ---


@pytest.mark.parametrize("scale", [1.0, 2.0])
@pytest.mark.parametrize("size", [(640, 480), (800, 600), (1100, 720), (1920, 1080)])
def test_no_stage_is_cut_or_covers_a_picture_or_the_time_step(
    model: ViewModel, size: tuple[int, int], scale: float
) -> None:
    surface, screen = pygame.Surface(size), Screen(RecordedText(), Appearance(text_scale=scale))
    places = screen.layout_of(surface)
    found = set()
    for stage in Stage:
        view = TourOverlay(model, screen.appearance, lambda: None)
        view.tour.stage = stage
        model.brush.kind = m.NoiseKind.SIGN  # which takes most to be put right
        view.update(0.0)
        screen.text.begin(places.scale)
        view.draw(surface, screen.text, 0.0)
        assert not screen.text.shortened
        assert view.panel is not None
        found.add(view.panel)
        texts = [text for text, _ in screen.text.placed]
        assert CAPTIONS[stage].title in texts
        assert (ENDS in texts) == (stage is not Stage.OVER)
        panel = pygame.Rect(view.panel.x, view.panel.y, view.panel.width, view.panel.height)
        for i, (text, place) in enumerate(screen.text.placed):
            assert panel.contains(place), text
            for other, elsewhere in screen.text.placed[:i]:
                assert min(place.clip(elsewhere).size) <= 4, (text, other)
        for part in (
            places.header,
            places.panes["noisy"],
            places.panes["clean"],
            places.panes["noise"],
            places.rail,
        ):
            assert not panel.colliderect((part.x, part.y, part.width, part.height))
    assert len(found) == 1  # it does not jump on the way


# --- in the window ---


class NoConnection:
    """Stands for a connection that brings nothing."""

    status = Status(Phase.LIVE)
    statistics = Statistics()


@pytest.fixture
def app(model: ViewModel, monkeypatch: pytest.MonkeyPatch) -> App:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    return App(model, NoConnection(), SIZE)  # type: ignore[arg-type]


def press(app: App, *keys: str) -> None:
    for key in keys:
        app.press(key, key if len(key) == 1 else "")


def test_escape_closes_what_lies_on_top_then_the_help_then_the_tour(app: App, tmp_path: Path) -> None:
    press(app, "f2", "x")
    assert isinstance(app.overlay, CanvasOverlay)
    press(app, "escape")
    assert app.overlay is None
    press(app, "h", "escape")
    assert not app.model.help_open
    assert app.tour is not None
    press(app, "escape")
    assert app.tour is None
    assert preferences.load(tmp_path).tour_seen


def test_the_tour_can_be_begun_again(app: App) -> None:
    press(app, "f2")
    assert app.tour is not None
    app.tour.tour.stage = Stage.SHAPE
    press(app, "f2")
    assert app.tour.tour.stage is Stage.FORM
    assert sum(isinstance(one, Tour) for one in app.model.observers) == 1


def test_the_drawing_is_kept_while_the_canvas_is_closed(app: App) -> None:
    press(app, "x")
    assert app.surroundings.drawing is not None
    app.surroundings.drawing.stroke((0.5, 0.5))
    press(app, "x", "x")
    assert isinstance(app.overlay, CanvasOverlay)
    assert not app.overlay.canvas.blank


def test_another_model_gets_a_canvas_of_its_own_size(app: App) -> None:
    press(app, "x", "x")
    app.surroundings.drawing.stroke((0.5, 0.5))  # type: ignore[union-attr]
    larger = m.ModelInfo("larger", "1" * 16, 3, 32, 32, (), "", None, False)
    app.model.receive(m.Welcome("id", 7, larger, WELCOME.schedule, m.Limits(), m.Settings(), 4, "0"))
    press(app, "x")
    assert app.surroundings.drawing is not None
    assert app.surroundings.drawing.shape == (3, 32, 32)


def test_before_the_server_has_answered_there_is_no_canvas(app: App) -> None:
    app.model.welcome = None
    press(app, "x")
    assert app.overlay is None
    assert "wait for the server" in app.model.notice


def test_a_seed_is_typed_over_the_screen(app: App) -> None:
    press(app, "h", "i", "4", "2", "return")
    assert app.overlay is None
    assert m.Restart(42, m.Origin()) in app.model.take_commands()


def test_typing_a_seed_hides_the_help(app: App) -> None:
    press(app, "h", "i")
    assert isinstance(app.overlay, SeedEntry)
    assert not app.model.help_open


# --- the command line ---


@pytest.mark.parametrize("given", [["--tour", "--watch=id"], ["--tour", "--headless", "--record", "a.gif"]])
def test_the_tour_is_refused_where_there_is_nothing_to_do(given: list[str]) -> None:
    with pytest.raises(InvalidValueError, match="--tour"):
        checks.check_flags(flags.parse_flags(given))


@pytest.mark.parametrize(
    ("seen", "asked", "watch", "shown"),
    [
        (False, None, "", True),
        (True, None, "", False),
        (True, True, "", True),
        (False, False, "", False),
        (False, None, "somebody", False),
    ],
)
def test_the_first_window_begins_with_the_tour(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    seen: bool,
    asked: bool | None,
    watch: str,
    shown: bool,
) -> None:
    begun: list[bool] = []
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setattr(App, "run", lambda app, until: begun.append(app.tour is not None))
    preferences.save(tmp_path, preferences.Preferences(tour_seen=seen))
    endpoint = checks.endpoint_of(flags.parse_flags(["--server", "127.0.0.1:1"]))
    runners.show(endpoint, m.Start(watch=watch), SIZE, tour=asked)
    assert begun == [shown]
