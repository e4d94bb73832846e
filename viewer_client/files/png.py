"""A picture of a moment as a PNG that carries its recipe; Pillow, no window."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from diffusion_toy import __version__
from diffusion_toy.contract import messages as m
from diffusion_toy.errors import MissingExtraError
from viewer_client.core.appearance import ColorMap
from viewer_client.core.colormaps import NOISE_LIMIT, Pixels, colored, signed
from viewer_client.core.residual import residual_of

try:
    from PIL import Image, PngImagePlugin
except ModuleNotFoundError as error:
    raise MissingExtraError("Pillow", "viewer") from error

RECIPE_KEY = "diffusion-toy-recipe"
SCALE, GAP_PX = 8, 8
GAP_GREY = 72


def picture(frame: m.Frame, color_map: ColorMap) -> Pixels:
    """Return x_t, x̂0 and ε̂ side by side, each pixel 8 × 8: (8·H, 24·W + gaps, 3)."""
    residual = residual_of(frame)
    panes = (
        colored(frame.x_t, color_map),
        colored(frame.x0_hat, color_map),
        signed(residual.eps, NOISE_LIMIT, residual.known),
    )
    large = [pane.repeat(SCALE, 0).repeat(SCALE, 1) for pane in panes]
    gap = np.full((large[0].shape[0], GAP_PX, 3), GAP_GREY, np.uint8)
    return np.concatenate([large[0], gap, large[1], gap, large[2]], 1)


def encode(pixels: Pixels, description: str, recipe: str) -> bytes:
    """Return a PNG with description and recipe in its metadata; a recipe of "" is none."""
    info = PngImagePlugin.PngInfo()
    info.add_text("Software", f"Diffusion Toy {__version__}")
    info.add_itxt("Description", description)
    if recipe:
        info.add_itxt(RECIPE_KEY, recipe, zip=True)
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, "PNG", pnginfo=info)
    return target.getvalue()


def recipe_in(path: Path) -> str:
    """Return the text of the recipe in a PNG, "" where there is none.

    Raises:
        OSError, ValueError: it cannot be read as a PNG.
    """
    with Image.open(path, formats=("PNG",)) as image:
        image.load()
        text = image.text.get(RECIPE_KEY, "") if isinstance(image, PngImagePlugin.PngImageFile) else ""
    return str(text)
