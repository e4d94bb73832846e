"""Pictures as floats and as bytes; numpy only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffusion_toy.contract.messages import Image

Bytes = NDArray[np.uint8]  # (C, H, W), 0 black … 255 white


def to_bytes(image: Image) -> Bytes:
    """Return values in [−1, 1] as 0…255; what lies outside is cut off."""
    pixels: Bytes = np.clip((image + 1) * 127.5 + 0.5, 0, 255).astype(np.uint8)
    return pixels


def to_image(pixels: Bytes) -> Image:
    """Return bytes 0…255 as values in [−1, 1]."""
    image: Image = pixels.astype(np.float32) / np.float32(127.5) - 1
    return image
