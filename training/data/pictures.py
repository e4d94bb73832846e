"""One picture file of any kind that Pillow reads, as a square of bytes."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, TiffImagePlugin

DEEP_MAX = 65535  # white of 16 bits; Pillow scales PGM files of any depth to it
FLOAT_TOLERANCE = 1e-3
TIFF_WHITE_IS_ZERO = 0
PAGES_IGNORED_IN = ("MPO",)  # a photograph whose second picture is a preview or another view
BLACK, WHITE = 0, 255


class UnusablePictureError(Exception):
    """A file that is a picture but cannot be used; its text is the reason."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture, cut to a square and resized.

    Attributes:
        over_black: (C, size, size) uint8, with transparent parts laid over black.
        over_white: the same over white; `over_black` itself where nothing is transparent.
        ink: how many of its pixels are visible, 0…1; 1 where nothing is transparent.
        brightness: the mean brightness of what is visible, 0…255.
        pages: the number of frames or pages of the file, of which this is the first.
    """

    over_black: NDArray[np.uint8]
    over_white: NDArray[np.uint8]
    ink: float
    brightness: float
    pages: int

    @property
    def transparent(self) -> bool:
        """Tell whether the ground shows through."""
        return self.over_white is not self.over_black


def read_picture(path: Path, channels: int, size: int) -> Picture:
    """Read the first frame of a picture, upright, in grey or colour, cut to a square about its middle.

    Args:
        path: the file.
        channels: 1 (grey) or 3 (red, green, blue).
        size: height and width of the result, pixels.

    Raises:
        UnusablePictureError: its values have no known white, e.g. floats beyond 0…1.
        Exception: of any kind, where the file is damaged; Pillow promises none in particular.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of damage that Pillow works around
        with Image.open(path) as image:
            pages = 1 if image.format in PAGES_IGNORED_IN else getattr(image, "n_frames", 1)
            image.seek(0)
            upright = _shallow(ImageOps.exif_transpose(image), *_black_and_white(image))
        return _over_grounds(upright, channels, size, pages)


def _over_grounds(image: Image.Image, channels: int, size: int, pages: int) -> Picture:
    if image.mode in ("La", "RGBa"):
        image = image.convert(image.mode.upper())
    rgba = image.convert("RGBA") if image.has_transparency_data else None
    if rgba is None or rgba.getchannel("A").getextrema() == (255, 255):
        pixels = _square(image, channels, size)
        return Picture(pixels, pixels, 1.0, float(pixels.mean()), pages)
    over = [
        _square(Image.alpha_composite(Image.new("RGBA", rgba.size, (g, g, g, 255)), rgba), channels, size)
        for g in (BLACK, WHITE)
    ]
    alpha = np.asarray(rgba.getchannel("A"), np.float64) / 255
    grey = np.asarray(rgba.convert("L"), np.float64)
    visible = float(alpha.sum())
    brightness = float((grey * alpha).sum()) / visible if visible else 0.0
    return Picture(over[0], over[1], visible / alpha.size, brightness, pages)


def _black_and_white(image: Image.Image) -> tuple[float, float]:
    """Return the values that stand for black and for white in a file of more than 8 bits."""
    white = 1.0 if image.mode == "F" else float(DEEP_MAX)
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        bits = image.tag_v2.get(ExifTags.Base.BitsPerSample, (16,))[0]
        if image.mode != "F" and bits < 16:  # 12: Pillow does not scale them
            white = float(2**bits - 1)
        if image.tag_v2.get(ExifTags.Base.PhotometricInterpretation) == TIFF_WHITE_IS_ZERO:
            return white, 0.0  # Pillow inverts those of 8 bits and fewer by itself
    return 0.0, white


def _shallow(image: Image.Image, black: float, white: float) -> Image.Image:
    """Scale pictures of 16 bits and of floats to 8 bits; `Image.convert` would cut them off at 255.

    Args:
        image: of any mode; one of 8 bits is returned as it is.
        black, white: the values that stand for them.

    Raises:
        UnusablePictureError: values outside 0…65535, or floats outside 0…1: nobody knows their white.
    """
    if image.mode != "F" and not image.mode.startswith("I"):  # I, I;16, I;16B, …
        return image
    tolerance = FLOAT_TOLERANCE if image.mode == "F" else 0.0
    most = max(black, white)
    values = np.asarray(image).astype(np.float64)
    if not np.isfinite(values).all():
        raise UnusablePictureError("it holds values that are not finite")
    if values.min() < -tolerance or values.max() > most + tolerance:
        raise UnusablePictureError(
            f"values from {values.min():g} to {values.max():g} have no known white, only 0 to {most:g} has; "
            "save it with 8 or 16 bits"
        )
    scaled = Image.fromarray(
        np.rint((values.clip(0, most) - black) * (255 / (white - black))).astype(np.uint8)
    )
    clear = image.info.get("transparency")
    if isinstance(clear, int):  # the one value that is transparent, in the picture's own depth
        scaled.putalpha(Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8)))
    return scaled


def _square(image: Image.Image, channels: int, size: int) -> NDArray[np.uint8]:
    if image.mode == "LAB":  # Pillow converts it to RGB alone
        image = image.convert("RGB")
    plain = image.convert("L" if channels == 1 else "RGB")
    pixels = np.asarray(ImageOps.fit(plain, (size, size), Image.Resampling.LANCZOS))
    return pixels[None] if channels == 1 else np.ascontiguousarray(pixels.transpose(2, 0, 1))
