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


def namespace(array: Array) -> Any:
    """Return the module whose functions work on this array."""
    if isinstance(array, np.ndarray | np.generic):
        return np  # it follows the standard itself
    return _compat().array_namespace(array)


def _compat() -> Any:
    """Return array_api_compat; its import takes a tenth of a second, and only torch needs it."""
    return importlib.import_module("array_api_compat")


def is_torch(array: Array) -> bool:
    """Tell whether this is a tensor of torch."""
    return not isinstance(array, np.ndarray | np.generic) and bool(_compat().is_torch_array(array))


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
