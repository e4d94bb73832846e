"""Copies of a tick's results for the host, from a CUDA device all at once."""

from __future__ import annotations

import importlib
from typing import Any

from numpy.typing import NDArray

from diffusion_toy.diffusion.arrays import Array, is_torch


def to_host(*arrays: Array) -> list[NDArray[Any]]:
    """Return NumPy arrays of these values; NumPy's own are returned as they are.

    Args:
        arrays: all of one kind; torch's lie on one CUDA device.
    """
    if not is_torch(arrays[0]):
        return list(arrays)
    torch = importlib.import_module("torch")
    # Fresh pinned blocks come from torch's cache: those of the tick before may still be being sent.
    copies = [torch.empty(array.shape, dtype=array.dtype, pin_memory=True) for array in arrays]
    for copied, array in zip(copies, arrays, strict=True):
        copied.copy_(array, non_blocking=True)
    torch.cuda.current_stream(arrays[0].device).synchronize()
    return [copied.numpy() for copied in copies]
