"""What a program prints. Standard library alone."""

from __future__ import annotations

import io
import sys


def escape_what_cannot_be_shown() -> None:
    """Let the program print any file name: what the terminal cannot show is written as an escape."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
