"""Strokes are dosed by distance, whatever the events."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viewer_client.core.strokes import Dab, MouseMode, Stroke, merged

coordinates = st.floats(0, 1)
points = st.tuples(coordinates, coordinates)


def stroke(path: list[tuple[float, float]], mode: MouseMode, radius: float = 0.1) -> list[Dab]:
    follower = Stroke()
    return [dab for point in path for dab in follower.move(point, mode, radius, 20.0)]


def subdivided(path: list[tuple[float, float]], pieces: int) -> list[tuple[float, float]]:
    fine = [path[0]]
    for a, b in itertools.pairwise(path):
        fine += [
            (a[0] + (b[0] - a[0]) * i / pieces, a[1] + (b[1] - a[1]) * i / pieces)
            for i in range(1, pieces + 1)
        ]
    return fine


@given(st.lists(points, min_size=2, max_size=5), st.integers(2, 7))
def test_a_brush_stroke_does_not_depend_on_how_often_the_mouse_reports(
    path: list[tuple[float, float]], pieces: int
) -> None:
    coarse, fine = (stroke(p, MouseMode.BRUSH) for p in (path, subdivided(path, pieces)))
    assert abs(len(coarse) - len(fine)) <= 1  # a dab at the very end may fall to either side
    for a, b in zip(coarse, fine, strict=False):
        assert a.center is not None
        assert b.center is not None
        assert math.dist(a.center, b.center) < 1e-6
        assert a.amount == b.amount


@given(st.lists(points, min_size=2, max_size=5), st.integers(2, 7))
def test_the_dose_of_the_whole_image_is_that_of_the_distance(
    path: list[tuple[float, float]], pieces: int
) -> None:
    length = sum(math.dist(a, b) for a, b in itertools.pairwise(path))
    for p in (path, subdivided(path, pieces)):
        dabs = stroke(p, MouseMode.WHOLE_IMAGE)
        assert all(dab.center is None for dab in dabs)
        assert sum(dab.amount for dab in dabs) == pytest.approx(length / 0.25 * 20.0, abs=1e-6)


def test_dabs_are_half_a_radius_apart() -> None:
    dabs = stroke([(0.1, 0.5), (0.9, 0.5)], MouseMode.BRUSH)
    assert [round(dab.center[0], 3) for dab in dabs if dab.center][:3] == [0.15, 0.2, 0.25]
    assert {dab.amount for dab in dabs} == {10.0}


def test_a_held_brush_leaves_a_mark_at_the_first_touch() -> None:
    assert len(stroke([(0.5, 0.5)], MouseMode.BRUSH_HELD)) == 1
    assert not stroke([(0.5, 0.5)], MouseMode.BRUSH)
    assert not stroke([(0.5, 0.5)], MouseMode.WHOLE_IMAGE)


def test_a_lifted_stroke_does_not_jump_to_where_it_comes_down() -> None:
    follower = Stroke()
    follower.move((0.1, 0.1), MouseMode.BRUSH, 0.1, 20.0)
    follower.lift()
    assert not follower.move((0.9, 0.9), MouseMode.BRUSH, 0.1, 20.0)


def test_modes_cycle_through_three() -> None:
    mode, seen = MouseMode.WHOLE_IMAGE, []
    for _ in range(3):
        seen.append(mode)
        mode = mode.next
    assert len(set(seen)) == 3
    assert mode is MouseMode.WHOLE_IMAGE


@given(st.lists(st.tuples(st.none() | points, st.floats(0.1, 50)), max_size=60), st.integers(2, 30))
def test_thinning_keeps_the_dose_and_the_limit(
    dabs: list[tuple[tuple[float, float] | None, float]], limit: int
) -> None:
    before = [Dab(center, 0.1, amount) for center, amount in dabs]
    after = merged(before, limit)
    assert len(after) <= limit
    assert sum(dab.amount for dab in after) == pytest.approx(sum(dab.amount for dab in before))
    assert {dab.center for dab in after} <= {dab.center for dab in before}
