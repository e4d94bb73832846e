"""Arrays of NumPy and tensors of torch under one set of names: the Python Array API standard.

Everything in this package is written once and runs on both; torch is never imported here. What the
standard does not have, or has too slowly for small arrays, stands below.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = Any  # numpy.ndarray or torch.Tensor; the standard has no type of its own yet
_NUMPY = (np.ndarray, np.generic)


def namespace(array: Array) -> Any:
    """Return the module whose functions work on this array."""
    if isinstance(array, _NUMPY):
        return np  # it follows the standard itself
    return _compat().array_namespace(array)


def _compat() -> Any:
    """Return array_api_compat; its import takes a tenth of a second, and only torch needs it."""
    return importlib.import_module("array_api_compat")


def is_torch(array: Array) -> bool:
    """Tell whether this is a tensor of torch."""
    return not isinstance(array, _NUMPY) and bool(_compat().is_torch_array(array))


def clip(array: Array, low: float | None = None, high: float | None = None) -> Array:
    """Return the array with every element within low…high."""
    xp = namespace(array)
    if low is not None:
        array = xp.maximum(array, low)
    return array if high is None else xp.minimum(array, high)


def like(values: Any, array: Array, dtype: Any = None) -> Array:
    """Return values as an array of the same kind and on the same device as `array`.

    Args:
        values: anything that NumPy takes, or an array of this kind.
        array: says the kind and the device.
        dtype: a NumPy type; the values' own if None.
    """
    host = np.asarray(values, dtype)
    if not is_torch(array):
        return host
    return namespace(array).asarray(host if host.flags.writeable else host.copy(), device=array.device)


def zeros(shape: Sequence[int], device: Any = None) -> Array:
    """Return float32 zeros: of NumPy, or of torch where a `torch.device` is given."""
    if device is None:
        return np.zeros(tuple(shape), np.float32)
    torch = importlib.import_module("torch")
    return torch.zeros(tuple(shape), device=device)


def on_host(array: Array) -> NDArray[Any]:
    """Return the array as NumPy's; without a copy where it is in this computer's memory already."""
    if is_torch(array):
        host: NDArray[Any] = array.detach().cpu().numpy()
        return host
    return np.asarray(array)


def flat(array: Array) -> Array:
    """Return (R, ...) as (R, N)."""
    return array.reshape(array.shape[0], -1)


def column(rows: Array, dimensions: int = 4) -> Array:
    """Return (R,) as (R, 1, 1, 1), or of fewer dimensions, to go with arrays of R rows."""
    return rows.reshape(-1, *[1] * (dimensions - 1))


def constant(shape: Sequence[int], value: float, array: Array) -> Array:
    """Return an array of this shape that holds one value, of the kind and type of `array`."""
    xp = namespace(array)
    return xp.full(tuple(shape), value, dtype=array.dtype, device=array.device)


def where(condition: Array, values: Array, others: Array) -> Array:
    """Return the values where the condition holds, and the others elsewhere.

    Args:
        condition: bool, of a shape that broadcasts to that of the values.
        values, others: of one shape and type; the values themselves are returned where all are chosen.
    """
    if isinstance(values, np.ndarray) and condition.all():
        return values  # as in nearly every tick; choosing them one by one takes longer than computing them
    return namespace(values).where(condition, values, others)


def mean_of_rows(values: Array) -> Array:
    """Return the mean of each row of (R, N): (R,)."""
    if isinstance(values, np.ndarray):
        return np.add.reduce(values, axis=1) / values.shape[1]  # what `mean` does, in half the time
    return namespace(values).mean(values, axis=1)


def take_in_rows(values: Array, places: Array) -> Array:
    """Return the entry at each place of its own row: (R, M), from (R, N) and (R, M) int64."""
    if isinstance(values, np.ndarray):
        return values[np.arange(len(values))[:, None], places]
    return namespace(values).take_along_axis(values, places, axis=1)


def place_in_rows(table: Array, values: Array) -> Array:
    """Return how many of its row's sorted entries lie below each value: (R, N) int64.

    Args:
        table: (R, K), each row rising.
        values: (R, N).
    """
    xp = namespace(table)
    if values.shape[1] == 1:
        return xp.count_nonzero(table < values, axis=1)[:, None]
    if is_torch(table):
        return xp.searchsorted(table, values.contiguous())
    return np.stack([np.searchsorted(row, mine) for row, mine in zip(table, values, strict=True)])
