"""Files that are written whole or not at all, and whether a place can be written to. No torch."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from diffusion_toy.errors import InvalidValueError

PARTIAL = ".partial"  # is added to the name of a file while it is being written


class UnwritableError(InvalidValueError):
    """A result could not be written where a flag says; the text says why, before any work is done."""

    def __init__(self, flag: str, path: Path, reason: str, remedy: str) -> None:
        super().__init__(flag, path, "the places that can be written to")
        self.args = (f"{flag} {path} cannot be written ({reason}); {remedy}",)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: a full disk leaves the previous one in place.

    A link is followed. What is no file, such as `/dev/stdout`, is written to as it is.

    Raises:
        OSError: it cannot be written.
    """
    if path.exists() and not path.is_file():
        path.write_bytes(content)
        return
    target = Path(os.path.realpath(path))
    temporary = target.with_name(target.name + PARTIAL)
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def check_file(flag: str, path: Path, make_folder: bool = False) -> None:
    """Check that a file can be written at this path, by trying; nothing is left there.

    With `make_folder` its folder may be missing, and whether it could be made is seen instead.

    Raises:
        UnwritableError: it cannot.
    """
    # os.path, whose questions a name that is too long answers with no, and not with an error
    if os.path.isdir(path):
        raise UnwritableError(flag, path, "it is a folder", "name a file in it")
    if not os.path.isdir(path.parent):
        if make_folder:
            check_new_folder(flag, path.parent)
            return
        raise UnwritableError(flag, path, f"there is no folder {path.parent}", f"make {path.parent} first")
    if os.path.exists(path) and not os.path.isfile(path):
        return  # a device or a pipe
    probe = path.with_name(path.name + PARTIAL)
    try:
        probe.open("xb").close()
    except FileExistsError:
        return
    except OSError as error:
        reason = error.strerror or str(error)
        raise UnwritableError(flag, path, reason, "choose another place") from error
    probe.unlink(missing_ok=True)


def check_folder(flag: str, path: Path) -> None:
    """Check that files can be written to this folder, by trying; nothing is left there.

    Raises:
        UnwritableError: they cannot.
    """
    if not os.path.isdir(path):
        reason = "it is no folder" if os.path.exists(path) else "there is no such folder"
        raise UnwritableError(flag, path, reason, f"make {path} first")
    try:
        tempfile.TemporaryFile(dir=path).close()
    except OSError as error:
        reason = error.strerror or str(error)
        raise UnwritableError(flag, path, reason, "choose another folder") from error


def check_new_folder(flag: str, path: Path) -> None:
    """See that this folder can be made, or written to if it exists, by trying; nothing is left there.

    Raises:
        UnwritableError: it cannot.
    """
    place = path.absolute()
    while not os.path.lexists(place) and place != place.parent:
        place = place.parent
    if not os.path.isdir(place):
        raise UnwritableError(flag, path, f"{place} is no folder", "choose another folder")
    check_folder(flag, place)
