"""From values to colours; numpy only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffusion_toy.contract.messages import Image
from diffusion_toy.contract.pixels import to_bytes
from viewer_client.core.appearance import ColorMap

Pixels = NDArray[np.uint8]  # (H, W, 3)
Table = NDArray[np.uint8]  # (256, 3), from the least value to the greatest

NOISE_LIMIT = 3.0  # standard deviations of ε̂ at the ends of its colours
HEAT_WEIGHT_LEAST, HEAT_WEIGHT_MOST = 0.25, 0.7  # of the layer over the picture, where t is least and most
UNKNOWN = (30, 32, 39)  # where there is nothing to show a value of


def _table(*anchors: tuple[int, int, int]) -> Table:
    """Return the colours between evenly spaced anchors."""
    places = np.linspace(0, 255, len(anchors))
    columns = [np.interp(np.arange(256), places, channel) for channel in np.array(anchors, float).T]
    return np.round(np.stack(columns, 1)).astype(np.uint8)


# Each rises (INK falls) in lightness from end to end, so that it is read without colour vision as well.
TABLES: dict[ColorMap, Table] = {
    ColorMap.GREY: _table((0, 0, 0), (255, 255, 255)),
    ColorMap.INK: _table((244, 239, 228), (20, 28, 60)),
    ColorMap.VIRIDIS: _table(
        (68, 1, 84), (71, 44, 122), (59, 81, 139), (44, 113, 142), (33, 144, 141),
        (39, 173, 129), (92, 200, 99), (170, 220, 50), (253, 231, 37),
    ),
    ColorMap.DIVERGING: _table(
        (14, 36, 104), (54, 98, 178), (132, 134, 140), (232, 160, 84), (255, 230, 178),
    ),
}  # fmt: skip
HEAT = _table((38, 40, 92), (104, 48, 130), (176, 62, 122), (232, 106, 80), (252, 206, 120))


def colored(image: Image, color_map: ColorMap) -> Pixels:
    """Return a picture (C, H, W) in [−1, 1] as (H, W, 3); what lies outside [−1, 1] is cut off.

    One channel takes the colours of the map. Three are colours already: only INK changes them, to
    their negative.
    """
    scaled = to_bytes(image)
    if len(scaled) == 1:
        colors: Pixels = TABLES[color_map][scaled[0]]
        return colors
    picture = np.ascontiguousarray(scaled[:3].transpose(1, 2, 0))
    return 255 - picture if color_map is ColorMap.INK else picture


def grey(image: Image) -> Pixels:
    """Return a picture (C, H, W) in [−1, 1] of one channel or three as (H, W, 3), black to white."""
    return colored(image, ColorMap.GREY)


def signed(values: Image, limit: float, known: NDArray[np.bool_]) -> Pixels:
    """Return values (C, H, W) around 0, cut off at ±`limit`, as (H, W, 3); neutral where not `known`."""
    pixels = colored(values / limit, ColorMap.DIVERGING)
    if not known.all():
        pixels[~known] = UNKNOWN
    return pixels


def heated(picture: Pixels, shares: NDArray[np.floating]) -> Pixels:
    """Return the picture under a translucent layer of time steps.

    Args:
        picture: (H, W, 3).
        shares: t/T of each pixel, (H, W) in [0, 1]. Where it is 0 there is no layer; its colour goes by
            the root, so that a light stroke can be told from none.
    """
    place = np.sqrt(np.clip(shares, 0, 1))
    weight = np.where(place > 0, HEAT_WEIGHT_LEAST + (HEAT_WEIGHT_MOST - HEAT_WEIGHT_LEAST) * place, 0)
    colors = HEAT[(place * 255 + 0.5).astype(np.uint8)].astype(np.float32)
    mixed: Pixels = np.round(picture + weight[..., None] * (colors - picture)).astype(np.uint8)
    return mixed


def heat_legend() -> Table:
    """Return the colours of `heated` for shares that rise evenly from 0 to 1."""
    return np.take(HEAT, np.sqrt(np.linspace(0, 255 * 255, 256)).astype(np.uint8), axis=0)


def dimmed(pixels: Pixels) -> Pixels:
    """Return a picture greyed, as it is shown while the connection is lost."""
    return (pixels // 3 + 40).astype(np.uint8)
