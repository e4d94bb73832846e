"""What a program prints, and what it says where a package is missing. Standard library alone."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterator

from diffusion_toy.errors import MissingExtraError

OWN_PACKAGES = ("diffusion_toy", "inference_server", "training", "viewer_client")
STATUS_PACKAGE_MISSING = 1


def escape_what_cannot_be_shown() -> None:
    """Let the program print any file name: what the terminal cannot show is written as an escape."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@contextlib.contextmanager
def packages_of(extra: str) -> Iterator[None]:
    """Import a program's packages in this block; where one is missing, the program says how to install it.

    Args:
        extra: the optional part of Diffusion Toy that brings the packages.

    Raises:
        SystemExit: status 1, after one sentence on stderr.
        ModuleNotFoundError: a module of our own is missing, which no installation mends.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in OWN_PACKAGES:
            raise
        print(f"error: {MissingExtraError(missing, extra)}", file=sys.stderr)
        raise SystemExit(STATUS_PACKAGE_MISSING) from None
