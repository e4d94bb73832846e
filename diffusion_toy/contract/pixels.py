"""Pictures as bytes and as values in [−1, 1]: one mapping for server and viewer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]  # (C, H, W), 0 black … 255 white


def to_bytes(values: NDArray[np.float32] | NDArray[np.float16]) -> Bytes:
    """Return values in [−1, 1] as 0 (black) … 255 (white), of the same shape, cut off outside."""
    scaled = (np.asarray(values, np.float32) + np.float32(1)) * np.float32(127.5) + np.float32(0.5)
    cut: Bytes = np.clip(scaled, 0, 255).astype(np.uint8)
    return cut


def to_unit_range(pixels: Bytes) -> NDArray[np.float32]:
    """Return bytes 0…255 as float32 in [−1, 1], of the same shape."""
    return pixels.astype(np.float32) / np.float32(127.5) - 1
