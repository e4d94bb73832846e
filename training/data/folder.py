"""A folder of the user's own pictures as training images.

One subfolder for each class, named as the class is; or pictures without subfolders, which make one
class. Every tenth picture of a class is kept back as the test split.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

from diffusion_toy.errors import InvalidValueError
from training.data.images import DataError, ImageSet, Splits

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm")
TEST_EVERY = 10
CLASSES_MAX = 1000
SKIPPED_SHOWN = 5
BORDER_TOLERANCE = 2  # grey values that pixels of a constant border may differ by


def _report(count: int, classes: int, kept_back: int, skipped: list[str]) -> str:
    lines = [f"{count} pictures of {classes} classes, {kept_back} of them kept back as a test"]
    if skipped:
        lines += [f"skipped {len(skipped)}:", *(f"  {what}" for what in skipped[:SKIPPED_SHOWN])]
    if len(skipped) > SKIPPED_SHOWN:
        lines.append(f"  and {len(skipped) - SKIPPED_SHOWN} more")
    return "\n".join(lines)


def read_folder(root: Path, channels: int, size: int) -> Splits:
    """Read all pictures, cut to a square about the middle and resized to `size` × `size`.

    Args:
        root: the folder.
        channels: 1 (grey) or 3 (red, green, blue).
        size: pixels, a multiple of 4.

    Returns:
        Both parts; the classes are called as the subfolders are, ("any",) without any.

    Raises:
        DataError: no folder, no pictures, or a class with fewer than two.
        InvalidValueError: more classes than 1000.
    """
    if not root.is_dir():
        raise DataError(f"{root} is not a folder; give --data the folder of your pictures")
    subfolders = sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    groups = subfolders or [root]
    names = tuple(p.name for p in subfolders) or ("any",)
    if len(names) > CLASSES_MAX:
        raise InvalidValueError(f"classes in {root}", len(names), f"1…{CLASSES_MAX}")
    skipped: list[str] = []
    if subfolders:
        skipped += [f"{p.name}: outside the subfolders" for p in sorted(root.iterdir()) if p.is_file()]
    images: list[np.ndarray] = []
    labels: list[int] = []
    is_test: list[bool] = []
    for label, group in enumerate(groups):
        found = 0
        for path in sorted(p for p in group.rglob("*") if p.is_file()):
            try:
                images.append(_read(path, channels, size))
            except (
                UnidentifiedImageError,
                OSError,
                ValueError,
                SyntaxError,
                Image.DecompressionBombError,
            ) as e:
                skipped.append(f"{path.relative_to(root)}: {_reason(path, e)}")
                continue
            found += 1
            labels.append(label)
            is_test.append(found % TEST_EVERY == 2)  # the second, the twelfth, …
        if found < 2:
            what = f"class {group.name}" if subfolders else str(root)
            raise DataError(
                f"{what} has {found} pictures that can be read, and two are the least "
                f"({', '.join(ENDINGS)})"
                + (f"; skipped: {'; '.join(skipped[:SKIPPED_SHOWN])}" if skipped else "")
            )
    pixels, classes = torch.from_numpy(np.stack(images)), torch.tensor(labels)
    test = torch.tensor(is_test)
    return Splits(
        training=ImageSet(pixels[~test], classes[~test]),
        test=ImageSet(pixels[test], classes[test]),
        label_names=names,
        border_value=constant_border(pixels),
        report=_report(len(pixels), len(names), int(test.sum()), skipped),
    )


def _read(path: Path, channels: int, size: int) -> np.ndarray:
    """(channels, size, size) uint8; transparency is laid over black."""
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image)
        if upright.has_transparency_data:
            rgba = upright.convert("RGBA")
            upright = Image.alpha_composite(Image.new("RGBA", rgba.size, (0, 0, 0, 255)), rgba)
        plain = upright.convert("L" if channels == 1 else "RGB")
    square = ImageOps.fit(plain, (size, size), Image.Resampling.LANCZOS)
    pixels = np.asarray(square)
    return pixels[None] if channels == 1 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _reason(path: Path, error: Exception) -> str:
    if path.suffix.lower() not in ENDINGS:
        return "not a picture"
    return f"damaged ({type(error).__name__})"


def constant_border(images: torch.Tensor) -> float | None:
    """The value in [−1, 1] of the outermost pixels of (N, C, H, W) uint8 images, None if they vary."""
    edges = [images[..., 0, :], images[..., -1, :], images[..., :, 0], images[..., :, -1]]
    border = torch.cat([edge.flatten() for edge in edges])
    least, most = int(border.min()), int(border.max())
    return (least + most) / 255 - 1 if most - least <= BORDER_TOLERANCE else None
