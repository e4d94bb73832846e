"""How many of something still hold a rate."""

from __future__ import annotations

from collections.abc import Callable

HELD_STEPS_PER_SECOND = 57.0  # what counts as 60


def most_that_hold(holds: Callable[[int], bool], least: int, greatest: int) -> int:
    """The greatest number in least…greatest that holds, by bisection; `least - 1` if none does.

    Takes it that whatever holds for some number holds for every smaller one.
    """
    low, high = least - 1, greatest + 1  # low holds, high does not
    while high - low > 1:
        middle = (low + high) // 2
        if holds(middle):
            low = middle
        else:
            high = middle
    return low
