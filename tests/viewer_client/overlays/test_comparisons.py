"""Branches and twin over the screen, into a surface in memory, of sessions of the real engine."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
import pygame

from diffusion_toy.contract import messages as m
from tests.viewer_client.experiments.scene import Scene
from tests.viewer_client.recorded_text import RecordedText
from viewer_client.core.appearance import Appearance, ColorMap
from viewer_client.core.geometry import Rect, layout
from viewer_client.experiments.branches import Branches, Progress
from viewer_client.experiments.difference import Difference
from viewer_client.experiments.twin import Twin
from viewer_client.overlays.branches import BranchesOverlay
from viewer_client.overlays.twin import TwinOverlay, places_of
from viewer_client.ui.overlay import Button, MouseEvent, MouseKind, Overlay

SIZES = [(640, 480), (800, 600), (1100, 720), (1920, 1080), (720, 1280)]
SHAPES = [(1, 28, 28), (3, 32, 48)]


@pytest.fixture(autouse=True)
def _fonts() -> Iterator[None]:
    pygame.font.init()
    yield
    pygame.font.quit()


class Stand(Scene):
    """A window without a window: a session, those beside it, and an overlay on top."""

    def __init__(self, shape: tuple[int, int, int] = SHAPES[0], seed: int = 7, room: int = 8) -> None:
        self.text, self.appearance = RecordedText(), Appearance()
        self.overlay: Overlay | None = None
        super().__init__(shape=shape, seed=seed, room=room)

    def branches(self, stage: Progress = Progress.RUNNING) -> tuple[Branches, BranchesOverlay]:
        branches = Branches(self.model, self.own, self.open_link)
        self.overlay = view = BranchesOverlay(branches, self.appearance)
        self.run(lambda: branches.stage is stage)
        return branches, view

    def twin(self, what: Difference = Difference.KIND) -> tuple[Twin, TwinOverlay]:
        twin = Twin(self.model, self.own, self.open_link, what)
        self.overlay = view = TwinOverlay(twin, self.model, self.appearance)
        self.run(lambda: twin.pair is not None)
        return twin, view

    def tick(self) -> None:
        super().tick()
        if self.overlay is not None:
            self.overlay.update(self.now)

    def drawn(self, size: tuple[int, int] = (1100, 720)) -> pygame.Surface:
        assert self.overlay is not None
        surface = pygame.Surface(size)
        self.text.begin(layout(*size).scale)
        self.overlay.draw(surface, self.text, 0.0)
        return surface

    @property
    def texts(self) -> list[str]:
        return [text for text, _ in self.text.placed]


def check_texts(text: RecordedText, surface: pygame.Surface) -> None:
    assert not text.shortened
    assert len(text.placed) > 8
    for words, place in text.placed:
        assert surface.get_rect().contains(place), words
    for (one, a), (other, b) in itertools.combinations(text.placed, 2):
        overlap = a.clip(b)
        assert min(overlap.width, overlap.height) <= 4, (one, other)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("room", [8, 5, 1])
def test_branches_are_not_cut_and_say_their_seeds_and_time_steps(
    size: tuple[int, int], shape: tuple[int, int, int], room: int
) -> None:
    stand = Stand(shape, seed=99_990, room=room)
    branches, _ = stand.branches()
    for stage in (Progress.RUNNING, Progress.FINISHED):
        stand.run(lambda: branches.stage is stage)  # noqa: B023
        check_texts(stand.text, stand.drawn(size))
        for branch in branches.branches:
            assert f"seed {branch.seed}" in stand.texts
    assert stand.texts.count("t 0") == room
    assert branches.title in stand.texts
    assert ("the server has room for 5 of 8" in " ".join(stand.texts)) == (room == 5)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("what", list(Difference))
def test_a_twin_is_not_cut_and_says_what_differs(
    size: tuple[int, int], shape: tuple[int, int, int], what: Difference
) -> None:
    stand = Stand(shape)
    welcome = stand.model.welcome
    assert welcome is not None
    model = replace(welcome.model, label_names=("a coat",) * 10)
    stand.model.welcome = replace(welcome, model=model)
    twin, _ = stand.twin(what)
    for _ in range(7):
        check_texts(stand.text, stand.drawn(size))
        words = " ".join(stand.texts)
        assert twin.treatment.name(what, twin.label_names) in words
        assert twin.other.name(what, twin.label_names) in words
        assert twin.figure in stand.texts
        twin.change(what)
    twin.diverged = True
    check_texts(stand.text, stand.drawn(size))


@pytest.mark.parametrize("size", SIZES)
def test_both_are_drawn_before_there_is_anything_to_see(size: tuple[int, int]) -> None:
    stand = Stand()
    stand.overlay = TwinOverlay(Twin(stand.model, stand.own, stand.open_link), stand.model, stand.appearance)
    check_texts(stand.text, stand.drawn(size))
    stand = Stand()
    stand.overlay = BranchesOverlay(Branches(stand.model, stand.own, stand.open_link), stand.appearance)
    surface = stand.drawn(size)
    assert all(surface.get_rect().contains(place) for _, place in stand.text.placed)


@pytest.mark.parametrize("size", SIZES)
def test_the_places_of_a_twin_lie_apart_and_in_their_room(size: tuple[int, int]) -> None:
    room = Rect(5, 40, size[0] - 10, size[1] - 70)
    places = vars(places_of(room, 9, 20)).values()
    for place in places:
        assert place.x >= room.x
        assert place.y >= room.y
        assert place.right <= room.right
        assert place.bottom <= room.bottom
    for a, b in itertools.combinations(places, 2):
        assert a.right <= b.x or b.right <= a.x or a.bottom <= b.y or b.bottom <= a.y


def test_the_difference_is_neutral_where_there_is_none_and_warm_where_the_twin_is_lighter() -> None:
    stand = Stand()
    twin, _ = stand.twin()
    assert twin.pair is not None
    first, second = twin.pair
    lighter = second.x0_hat.copy()
    lighter[:, :14] += 0.8
    twin.pair = first, replace(second, x0_hat=lighter)
    surface = stand.drawn()
    place = _place_titled(stand, "difference of the guesses")
    warm = surface.get_at((place.x + 40, place.bottom + 40))
    neutral = surface.get_at((place.x + 40, place.bottom + 300))
    assert warm.r > warm.b + 60
    assert abs(neutral.r - neutral.b) < 12


def _place_titled(stand: Stand, words: str) -> pygame.Rect:
    return next(place for text, place in stand.text.placed if text == words)


def test_tab_shows_the_noisy_pictures_and_colours_go_to_the_window() -> None:
    stand = Stand()
    branches, view = stand.branches()
    branch = branches.branches[0]
    assert branch.frame is not None
    branch.frame = replace(
        branch.frame, x_t=np.ones((1, 28, 28), np.float32), x0_hat=np.full((1, 28, 28), -1, np.float32)
    )

    def light() -> int:
        surface = stand.drawn()
        place = _place_titled(stand, f"seed {branch.seed}")
        return int(surface.get_at((place.right - 20, place.y - 40)).r)

    assert light() == 0
    assert view.key("tab", "")
    assert light() == 255
    assert not view.key("p", "p")
    stand.appearance.color_map = ColorMap.INK
    assert light() == 20
    assert view.key("space", " ")  # does not reach the session that rests


def test_b_and_a_click_close_the_branches_and_the_click_goes_on_with_one() -> None:
    stand = Stand()
    branches, view = stand.branches()
    stand.run(lambda: all(bool(session.recent) and not session.idle for session in stand.opened))
    stand.drawn((1100, 720))
    view.mouse(MouseEvent(MouseKind.PRESS, (3.0, 3.0), Button.LEFT), (1100, 720))
    assert not branches.closed  # beside the pictures
    place = _place_titled(stand, "seed 8")
    view.mouse(MouseEvent(MouseKind.PRESS, (place.x, place.y - 30.0), Button.LEFT), (1100, 720))
    stand.run(lambda: view.closed)
    stand.run(lambda: bool(stand.own.recent) and stand.own.recent[-1].seed == 8)
    stand = Stand()
    branches, view = stand.branches()
    assert view.key("b", "b")
    assert view.closed
    assert branches.closed


def test_keys_choose_what_differs_and_what_the_twin_does() -> None:
    stand = Stand()
    twin, view = stand.twin()

    def press(key: str) -> tuple[Difference, int]:
        assert view.key(key, key)
        return twin.what, twin.other.value(twin.what)

    assert press("2") == (Difference.RULE, m.InjectionRule.NAIVE)
    assert press("t") == (Difference.RULE, m.InjectionRule.LIE)
    assert press("d") == (Difference.SAMPLER, m.Sampler.DDIM)
    assert press("d") == (Difference.SAMPLER, m.Sampler.DPMPP)
    assert press("k") == (Difference.KIND, m.NoiseKind.CONSTANT)
    assert press("tab") == (Difference.RULE, m.InjectionRule.NAIVE)
    assert press("4") == (Difference.LABEL, 7)
    assert press("3") == (Difference.LABEL, 3)  # now it is a class
    assert press("1") == (Difference.LABEL, 1)
    assert press("-") == (Difference.LABEL, 1)  # the session itself draws any
    assert press("8") == (Difference.LABEL, 8)
    assert stand.model.brush.kind is m.NoiseKind.GAUSSIAN
    assert stand.model.settings.label == m.NO_LABEL
    for key in ("e", "c", "v", "left", "z", "b", "x", "."):
        assert view.key(key, key)  # would part the two
    for key in ("m", "[", "up", "p", "ctrl+q"):
        assert not view.key(key, "")
    assert view.key("j", "j")
    assert view.closed


def test_space_and_n_act_on_both() -> None:
    stand = Stand()
    stand.model.draw_seed = lambda: 4711
    twin, view = stand.twin()
    view.key("space", " ")
    stand.run(lambda: all(link.idle and not link.under_way for link in (stand.own, stand.opened[0])))
    assert stand.own.step == stand.opened[0].step
    view.key("n", "n")
    stand.run(lambda: twin.pair is not None and twin.pair[0].seed == twin.pair[1].seed == 4711)
    assert stand.model.start.seed == 4711


def test_strokes_are_taken_from_the_left_picture_only() -> None:
    stand = Stand()
    stand.model.key("m")
    twin, view = stand.twin()
    stand.drawn((1100, 720))
    for x in (900, 950, 1000):
        view.mouse(MouseEvent(MouseKind.MOVE, (x, 200.0)), (1100, 720))
    assert not twin.waiting
    for x in (100, 150, 200):
        view.mouse(MouseEvent(MouseKind.MOVE, (x, 200.0)), (1100, 720))
    stand.run(lambda: any(isinstance(command, m.Inject) for command, _ in stand.own.sent))
    view.mouse(MouseEvent(MouseKind.MOVE, (-1.0, -1.0)), (1100, 720))
    stand.drawn((1100, 720))


@pytest.mark.parametrize("kind", ["branches", "twin"])
@pytest.mark.parametrize(("size", "text_scale"), [((1100, 720), 1.4), ((640, 480), 1.2), ((1920, 1080), 2.0)])
def test_a_larger_text_stays_in_the_window(kind: str, size: tuple[int, int], text_scale: float) -> None:
    stand = Stand()
    stand.twin() if kind == "twin" else stand.branches(Progress.FINISHED)
    assert stand.overlay is not None
    surface = pygame.Surface(size)
    stand.text.begin(layout(*size, text_scale).scale)
    stand.overlay.draw(surface, stand.text, 0.0)
    for words, place in stand.text.placed:
        assert surface.get_rect().contains(place), words


@pytest.mark.parametrize("kind", ["branches", "twin"])
def test_the_largest_text_in_the_smallest_window_leaves_no_room_but_is_drawn(kind: str) -> None:
    stand = Stand()
    stand.twin() if kind == "twin" else stand.branches(Progress.FINISHED)
    assert stand.overlay is not None
    stand.text.begin(layout(640, 480, 2.0).scale)
    stand.overlay.draw(pygame.Surface((640, 480)), stand.text, 0.0)
