"""Any number of rows through programs of fixed batch sizes: cut into parts, which may be padded."""

from __future__ import annotations

from functools import lru_cache
from operator import itemgetter

from diffusion_toy.diffusion.arrays import Array, constant, namespace

CALL_ROWS = 2.5  # what a call costs beside its rows, in rows; measured with OpenVINO and torch on a CPU


@lru_cache(maxsize=1024)
def parts_of(rows: int, sizes: tuple[int, ...]) -> tuple[int, ...]:
    """Return the batch sizes, in their order, that run so many rows the fastest; the last may be padded.

    Args:
        rows: how many there are, 1 and above.
        sizes: those that there are programs for, rising.
    """
    fitting = [size for size in sizes if size <= rows]
    above = next((size for size in sizes if size >= rows), None)
    choices: list[tuple[int, ...]] = [] if above is None else [(above,)]
    if fitting and fitting[-1] < rows:
        choices.append((fitting[-1], *parts_of(rows - fitting[-1], sizes)))
    return min(choices, key=lambda parts: sum(parts) + CALL_ROWS * len(parts))


def padded(array: Array, size: int) -> Array:
    """Return (R, ...) with rows of zeros appended up to `size` rows."""
    missing = size - array.shape[0]
    if not missing:
        return array
    return namespace(array).concat([array, constant((missing, *array.shape[1:]), 0, array)], axis=0)


@lru_cache(maxsize=1024)
def shared_out(rows: int, sizes: tuple[int, ...], threads: int) -> tuple[tuple[int, int], ...]:
    """Return the parts of a batch that threads compute at once: the rows of each, and its batch size.

    Every thread has the same number of rows, give or take one of the least size; the large parts come first,
    so that what is left at the end is small.

    Args:
        rows: how many there are, 1 and above.
        sizes: those that there are programs for, rising.
        threads: how many compute.
    """
    units = -(-rows // sizes[0])
    parts, left = [], rows
    for thread in range(threads):
        share = min(left, (units * (thread + 1) // threads - units * thread // threads) * sizes[0])
        left -= share
        if share:
            for size in parts_of(share, sizes):
                parts.append((min(share, size), size))
                share -= min(share, size)
    return tuple(sorted(parts, key=itemgetter(1), reverse=True))
