"""The layout fits every window and every size of text; only the picture can be touched."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viewer_client.core.appearance import TEXT_SCALE_MAX, TEXT_SCALE_MIN
from viewer_client.core.geometry import (
    DEFAULT_HEIGHT_PX,
    DEFAULT_WIDTH_PX,
    MIN_HEIGHT_PX,
    MIN_WIDTH_PX,
    Rect,
    default_size,
    grid,
    layout,
    line_px,
)

sizes = st.tuples(st.integers(MIN_WIDTH_PX, 4000), st.integers(MIN_HEIGHT_PX, 2400))
text_scales = st.floats(TEXT_SCALE_MIN, TEXT_SCALE_MAX)


def overlap(a: Rect, b: Rect) -> bool:
    return a.x < b.right and b.x < a.right and a.y < b.bottom and b.y < a.bottom


@given(sizes, text_scales)
def test_parts_lie_within_the_window_and_apart(size: tuple[int, int], text_scale: float) -> None:
    places = layout(*size, text_scale)
    rects = [v for v in vars(places).values() if isinstance(v, Rect)] + list(places.panes.values())
    assert len(rects) == (8 if places.film else 7)
    for rect in rects:
        assert rect.x >= 0
        assert rect.y >= 0
        assert rect.right <= size[0]
        assert rect.bottom <= size[1]
        assert rect.width > 0
        assert rect.height > 0
    assert not any(overlap(a, b) for a, b in combinations(rects, 2))


@given(sizes, text_scales)
def test_the_pictures_are_square_and_the_noisy_one_is_the_largest(
    size: tuple[int, int], text_scale: float
) -> None:
    places = layout(*size, text_scale)
    for pane in (places.panes["noisy"], places.panes["clean"], places.panes["noise"]):
        assert pane.width == pane.height
    assert places.panes["noisy"].width > places.panes["clean"].width == places.panes["noise"].width


@given(sizes, text_scales)
def test_the_lines_of_text_have_room(size: tuple[int, int], text_scale: float) -> None:
    places = layout(*size, text_scale)
    assert places.title >= line_px(14, places.scale)
    assert places.header.height >= line_px(15, places.scale) + line_px(13, places.scale)
    assert places.status.height >= line_px(12, places.scale)
    for pane in (places.panes["noisy"], places.panes["clean"], places.panes["noise"]):
        above = Rect(pane.x, pane.y - places.title, pane.width, places.title)
        others = (
            places.header,
            places.panes["noisy"],
            places.panes["clean"],
            places.panes["noise"],
            places.rail,
        )
        assert not any(overlap(above, other) for other in others)


@pytest.mark.parametrize("size", [(640, 480), (800, 600), (1100, 720), (1920, 1080), (720, 1280)])
def test_there_is_a_film_wherever_the_text_is_not_very_large(size: tuple[int, int]) -> None:
    assert layout(*size).film is not None
    assert layout(*size, 1.3).film is not None


def test_the_film_goes_before_the_picture_becomes_too_small() -> None:
    assert layout(640, 480, 2.0).film is None
    assert layout(1100, 720, 2.0).film is not None


def test_a_point_reads_as_fractions_and_outside_as_nothing() -> None:
    rect = Rect(100, 50, 200, 200)
    assert rect.fraction((200, 150)) == (0.5, 0.5)
    assert rect.fraction((100, 50)) == (0, 0)
    assert rect.fraction((99, 100)) is None
    assert rect.fraction((150, 251)) is None


def test_a_window_smaller_than_the_least_is_laid_out_as_the_least() -> None:
    assert layout(100, 100) == layout(MIN_WIDTH_PX, MIN_HEIGHT_PX)


def test_the_first_window_is_larger_where_pixels_are_small() -> None:
    default = (DEFAULT_WIDTH_PX, DEFAULT_HEIGHT_PX)
    assert default_size((1366, 768)) == default_size((1920, 1080)) == default
    assert default_size((3840, 2160)) == (2 * DEFAULT_WIDTH_PX, 2 * DEFAULT_HEIGHT_PX)
    assert default_size((3000, 1600)) == (1650, 1080)
    assert default_size((640, 480)) == default


@pytest.mark.parametrize("count", range(1, 9))
@pytest.mark.parametrize("size", [(600, 300), (1076, 520), (1880, 800), (690, 1000), (200, 40)])
def test_the_grid_fills_its_room_and_no_two_places_overlap(count: int, size: tuple[int, int]) -> None:
    room, gap, caption = Rect(10, 20, *size), 9, 18
    places = grid(count, room, gap, caption)
    assert len(places) == count
    assert len({place.width for place in places} | {place.height for place in places}) == 1
    for place in places:
        assert place.x >= room.x
        assert place.y >= room.y
        assert place.right <= room.right
        assert place.bottom + caption <= room.bottom
    for number, place in enumerate(places):
        for other in places[:number]:
            apart_x = place.x >= other.right + gap or other.x >= place.right + gap
            apart_y = place.y >= other.bottom + caption + gap or other.y >= place.bottom + caption + gap
            assert apart_x or apart_y


def test_no_room_has_no_places() -> None:
    assert grid(8, Rect(0, 0, 10, 10), 9, 18) == []
