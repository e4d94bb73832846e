"""A folder of the user's own pictures as training images.

One subfolder for each class, named as the class is; or pictures without subfolders, which make one
class. Every tenth picture of a class is kept back as the test split.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from diffusion_toy.errors import InvalidValueError
from training.data.images import DataError, ImageSet, Splits
from training.data.pictures import BLACK, WHITE, Picture, UnusablePictureError, read_picture

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm")
# What systems and programs leave behind; a name that begins with a dot is hidden as well.
SYSTEM_FOLDERS = (
    "__MACOSX", "@eaDir", "@Recycle", "#recycle", "#snapshot", "$RECYCLE.BIN", "System Volume Information",
    "lost+found", "__pycache__",
)  # fmt: skip
TEST_EVERY = 10
CLASSES_MAX = 1000
SHOWN = 5  # skipped files in the short report
BORDER_TOLERANCE = 2  # grey values that pixels of a constant border may differ by
ESCAPED = ("Cc", "Cs", "Zl", "Zp")  # control characters, surrogates, ends of lines and paragraphs
CONTRAST_MIN = 16  # grey values between the darkest and the brightest pixel of a picture


@dataclass
class Notes:
    """What a user should know about how a folder was read; each entry is "file: reason"."""

    skipped: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)  # of pictures that are used

    def lines(self, shown: int | None) -> list[str]:
        """Return the lists, with at most `shown` entries of each; all of them for None."""
        lines = []
        for title, entries in (("skipped", self.skipped), ("used, but look at", self.remarks)):
            if entries:
                lines += [f"{title} {len(entries)}:", *(f"  {printable(what)}" for what in entries[:shown])]
            if shown is not None and len(entries) > shown:
                lines.append(f"  and {len(entries) - shown} more")
        return lines


def printable(text: str) -> str:
    """Escape what a terminal cannot show or would obey: control characters, bytes that are not UTF-8."""
    return "".join(
        c.encode("unicode_escape").decode() if unicodedata.category(c) in ESCAPED else c for c in text
    )


def read_folder(root: Path, channels: int, size: int) -> Splits:
    """Read all pictures of a folder, cut to a square about the middle and resized to `size` × `size`.

    Transparent parts are laid over black, or over white where the visible parts of the folder's
    transparent pictures are dark on the whole.

    Args:
        root: the folder.
        channels: 1 (grey) or 3 (red, green, blue).
        size: pixels, a multiple of 4.

    Returns:
        Both parts; the classes are called as the subfolders are, ("any",) without any.

    Raises:
        DataError: no folder, no pictures, a class with fewer than two, or a class whose name is not
            valid UTF-8.
        InvalidValueError: more classes than 1000.
    """
    if not root.is_dir():
        raise DataError(f"{root} is not a folder; give --data the folder of your pictures")
    notes = Notes()
    subfolders, files = _classes(root, notes)
    groups = subfolders or [root]
    names = tuple(p.name for p in subfolders) or ("any",)
    if len(names) > CLASSES_MAX:
        raise InvalidValueError(f"classes in {root}", len(names), f"1…{CLASSES_MAX}")
    if subfolders:
        notes.skipped += [f"{p.name}: outside the subfolders" for p in files]
    pictures: list[Picture] = []
    labels: list[int] = []
    is_test: list[bool] = []
    paths: list[Path] = []
    for label, group in enumerate(groups):
        found = 0
        candidates = list(_files_of(group, root, notes))
        for path in tqdm(candidates, desc=printable(group.name), unit="img", disable=not sys.stderr.isatty()):
            try:
                pictures.append(read_picture(path, channels, size))
            except Exception as error:  # Pillow raises any kind for a damaged file
                notes.skipped.append(f"{path.relative_to(root)}: {_reason(path, error)}")
                continue
            found += 1
            paths.append(path)
            labels.append(label)
            is_test.append(found % TEST_EVERY == 2)  # the second, the twelfth, …
        if found < 2:
            what = f"class {group.name}" if subfolders else str(root)
            skipped = "; ".join(map(printable, notes.skipped[:SHOWN]))
            raise DataError(
                f"{what} has {found} pictures that can be read, and two are the least "
                f"({', '.join(ENDINGS)})" + (f"; skipped: {skipped}" if skipped else "")
            )
    ground = _ground(pictures)
    images = [p.over_white if ground == WHITE else p.over_black for p in pictures]
    notes.remarks += _remarks(root, paths, pictures, images)
    pixels, classes = torch.from_numpy(np.stack(images)), torch.tensor(labels)
    test = torch.tensor(is_test)
    summary = [
        f"{len(pixels)} pictures of {len(names)} classes, {int(test.sum())} of them kept back as a test"
    ]
    if any(p.transparent for p in pictures):
        name, strokes = ("white", "dark") if ground == WHITE else ("black", "bright")
        summary.append(f"transparent parts are {name}, since what is visible is {strokes}")
    return Splits(
        training=ImageSet(pixels[~test], classes[~test]),
        test=ImageSet(pixels[test], classes[test]),
        label_names=names,
        border_value=constant_border(pixels),
        report="\n".join([*summary, *notes.lines(SHOWN)]),
        details="\n".join([*summary, *notes.lines(None)]),
    )


def _classes(root: Path, notes: Notes) -> tuple[list[Path], list[Path]]:
    """Return the class folders and the other entries of `root`; hidden ones are noted.

    Raises:
        DataError: a class name that is not valid UTF-8, or has control characters.
    """
    folders, others = [], []
    for path in sorted(root.iterdir()):
        if _hidden(path.name):
            notes.skipped.append(f"{path.name}: hidden, or left by the system")
        elif path.is_dir():
            folders.append(path)
        else:
            others.append(path)
    for folder in folders:
        if printable(folder.name) != folder.name:
            raise DataError(
                f"the class folder {printable(folder.name)} has a name that is no plain UTF-8 text; rename it"
            )
    return folders, others


def _hidden(name: str) -> bool:
    return name.startswith(".") or name in SYSTEM_FOLDERS


def _files_of(folder: Path, root: Path, notes: Notes) -> Iterator[Path]:
    """Yield the files below a folder, sorted; what is not followed or not readable is noted."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        notes.skipped.append(f"{folder.relative_to(root)}: {_of_system(error)}")
        return
    for path in entries:
        name = path.relative_to(root)
        if _hidden(path.name):
            notes.skipped.append(f"{name}: hidden, or left by the system")
        elif path.is_file():
            yield path
        elif path.is_symlink():
            to = "a folder, which is not followed" if path.is_dir() else "nothing"
            notes.skipped.append(f"{name}: a link to {to}")
        elif path.is_dir():
            yield from _files_of(path, root, notes)
        else:
            notes.skipped.append(f"{name}: neither a file nor a folder")


def _of_system(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _reason(path: Path, error: Exception) -> str:
    if isinstance(error, UnusablePictureError):
        return str(error)
    if isinstance(error, OSError) and error.errno is not None:
        return _of_system(error)  # e.g. permission denied
    if path.suffix.lower() not in ENDINGS:
        return "not a picture that can be read"
    if isinstance(error, Image.DecompressionBombError):
        return f"too large, it has more than {2 * (Image.MAX_IMAGE_PIXELS or 0)} pixels"
    kind = type(error)
    return f"damaged ({kind.__module__}.error)" if kind.__name__ == "error" else f"damaged ({kind.__name__})"


def _ground(pictures: list[Picture]) -> int:
    """Choose black or white for what is transparent: whichever is further from what is visible."""
    drawn = [(p.ink, p.brightness) for p in pictures if p.transparent]
    ink = sum(weight for weight, _ in drawn)
    bright = sum(weight * brightness for weight, brightness in drawn)
    return WHITE if ink and bright < ink * (BLACK + WHITE) / 2 else BLACK


def _remarks(
    root: Path, paths: list[Path], pictures: list[Picture], images: list[NDArray[np.uint8]]
) -> Iterator[str]:
    for path, picture, image in zip(paths, pictures, images, strict=True):
        name = path.relative_to(root)
        if picture.pages > 1:
            yield f"{name}: only the first of its {picture.pages} frames or pages counts"
        spread = int((image.max((1, 2)) - image.min((1, 2))).max())
        if spread < CONTRAST_MIN:
            yield f"{name}: hardly any contrast ({spread} of 255 grey values)"


def constant_border(images: torch.Tensor) -> float | None:
    """Return the value in [−1, 1] of the outermost pixels of (N, C, H, W) uint8 images, None if they vary."""
    edges = [images[..., 0, :], images[..., -1, :], images[..., :, 0], images[..., :, -1]]
    border = torch.cat([edge.flatten() for edge in edges])
    least, most = int(border.min()), int(border.max())
    return (least + most) / 255 - 1 if most - least <= BORDER_TOLERANCE else None
