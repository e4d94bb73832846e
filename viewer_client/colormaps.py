"""From values to colours; numpy only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffusion_toy.messages import Image

Pixels = NDArray[np.uint8]  # (H, W, 3)

# Anchors of a map from clean (dark) to noisy (light), readable without colour vision as well.
_HEAT = np.array([(22, 24, 36), (52, 44, 110), (146, 56, 130), (228, 102, 82), (252, 206, 120)], np.float32)


def grey(image: Image) -> Pixels:
    """A picture (C, H, W) in [−1, 1] as (H, W, 3): black to white; one channel or three.

    What lies outside [−1, 1] is cut off.
    """
    scaled = np.clip((image + 1) * 127.5 + 0.5, 0, 255).astype(np.uint8)
    if len(scaled) == 1:
        scaled = np.repeat(scaled, 3, axis=0)
    return np.ascontiguousarray(scaled[:3].transpose(1, 2, 0))


def heat(levels: Image) -> Pixels:
    """Levels (H, W) in [0, 1] as (H, W, 3): dark is clean, light is noise.

    By the root of the level, so that a light stroke can be told from none.
    """
    place = np.sqrt(np.clip(levels, 0, 1)) * (len(_HEAT) - 1)
    below = np.minimum(place.astype(int), len(_HEAT) - 2)
    share = (place - below)[..., None]
    colors: Pixels = (_HEAT[below] * (1 - share) + _HEAT[below + 1] * share + 0.5).astype(np.uint8)
    return colors


def dimmed(pixels: Pixels) -> Pixels:
    """Greyed: what is shown while the connection is lost."""
    return (pixels // 3 + 40).astype(np.uint8)
