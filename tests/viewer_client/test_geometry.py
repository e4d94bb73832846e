"""The layout fits every window; only the picture can be touched."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from viewer_client.geometry import MIN_HEIGHT_PX, MIN_WIDTH_PX, Rect, layout

sizes = st.tuples(st.integers(MIN_WIDTH_PX, 4000), st.integers(MIN_HEIGHT_PX, 2400))


def overlap(a: Rect, b: Rect) -> bool:
    return a.x < b.right and b.x < a.right and a.y < b.bottom and b.y < a.bottom


@given(sizes)
def test_parts_lie_within_the_window_and_apart(size: tuple[int, int]) -> None:
    places = layout(*size)
    rects = [v for v in vars(places).values() if isinstance(v, Rect)]
    assert len(rects) == 7
    for rect in rects:
        assert rect.x >= 0
        assert rect.y >= 0
        assert rect.right <= size[0]
        assert rect.bottom <= size[1]
        assert rect.width > 0
        assert rect.height > 0
    assert not any(overlap(a, b) for a, b in combinations(rects, 2))


@given(sizes)
def test_the_pictures_are_square_and_the_noisy_one_is_the_largest(size: tuple[int, int]) -> None:
    places = layout(*size)
    for pane in (places.noisy, places.clean, places.levels):
        assert pane.width == pane.height
    assert places.noisy.width > places.clean.width >= places.levels.width


def test_a_point_reads_as_fractions_and_outside_as_nothing() -> None:
    rect = Rect(100, 50, 200, 200)
    assert rect.fraction((200, 150)) == (0.5, 0.5)
    assert rect.fraction((100, 50)) == (0, 0)
    assert rect.fraction((99, 100)) is None
    assert rect.fraction((150, 251)) is None


def test_a_window_smaller_than_the_least_is_laid_out_as_the_least() -> None:
    assert layout(100, 100) == layout(MIN_WIDTH_PX, MIN_HEIGHT_PX)
