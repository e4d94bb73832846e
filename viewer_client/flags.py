"""The flags of `python -m viewer_client`: names, defaults, ranges and help."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from diffusion_toy import __version__
from diffusion_toy.contract import messages as m
from diffusion_toy.options import option, parse
from viewer_client.core.appearance import TEXT_SCALE_MAX, TEXT_SCALE_MIN
from viewer_client.core.geometry import DEFAULT_HEIGHT_PX, DEFAULT_WIDTH_PX, MIN_HEIGHT_PX, MIN_WIDTH_PX
from viewer_client.load.scripted_input import VIEWERS_MAX, Mouse

SECONDS_DEFAULT, SECONDS_MIN, SECONDS_MAX = 18.0, 4.0, 120.0
LOAD_SECONDS_DEFAULT, LOAD_SECONDS_MAX = 10.0, 3600.0
WAIT_DEFAULT_S = 30.0
SIZE_MAX_PX = 16384
PROTECTED, HEADLESS = "a server that is not open to all", "without a window"
STATUS_FAILURE, STATUS_BAD_FLAG, STATUS_INTERRUPTED = 1, 2, 130


class Parser(argparse.ArgumentParser):
    """Answer a bad flag with one sentence."""

    def error(self, message: str) -> NoReturn:
        """Print the sentence and end the program."""
        self.exit(STATUS_BAD_FLAG, f"error: {message}; --help explains the flags\n")


@dataclass(frozen=True)
class Flags:
    """What the command line says; `checks` says what it means."""

    server: str = option(
        "127.0.0.1:50051", "address of the server", metavar="HOST:PORT", variable="DIFFUSION_TOY_SERVER"
    )
    proxy: str = option(
        "",
        "reach the server by this HTTP proxy, http://[NAME:PASSWORD@]HOST:PORT",
        metavar="URL",
        told="go straight to the server, also where the environment names a proxy",
    )
    model: str = option("", "model to use", metavar="NAME", told="the server's first")
    seed: int | None = option(
        None,
        "seed of the noise; with --viewers of all that they do",
        low=0,
        high=m.SEED_MAX,
        metavar="N",
        told="the server draws one; with --viewers 0",
    )
    label: int = option(m.NO_LABEL, "class to draw, from 0; −1 for any", metavar="N", told="−1")
    size: str | None = option(
        None,
        f"size of the window, pixels, from {MIN_WIDTH_PX}x{MIN_HEIGHT_PX}",
        metavar="WxH",
        told=f"{DEFAULT_WIDTH_PX}x{DEFAULT_HEIGHT_PX}, up to twice that on a display with many pixels",
    )
    text_scale: float = option(
        1.0,
        "size of the text, times the one that follows the window; Ctrl + and Ctrl − change it",
        low=TEXT_SCALE_MIN,
        high=TEXT_SCALE_MAX,
        metavar="N",
    )
    replay: Path | None = option(
        None,
        "make the picture of a recipe again, in the window or in the recording: a file that Ctrl+S has "
        "saved, or a PNG that S has",
        metavar="FILE",
    )
    out: Path | None = option(
        None, "folder for what the keys S, G and Ctrl+S save", metavar="DIR", told="the one you are in"
    )
    tour: bool | None = option(
        None, "begin with the tour, or do not; F2 begins it at any time", told="until it has been seen"
    )
    list_models: bool = option(False, "print the server's models and end")
    watch: str = option(
        "",
        "look at somebody else's session without touching it; its name is in the owner's window and in the "
        "server's log (write --watch=SESSION where it begins with a dash)",
        metavar="SESSION",
    )
    tls: bool = option(
        False,
        "encrypt, and trust the certificates that this system trusts (default: no encryption)",
        group=PROTECTED,
    )
    tls_ca: Path | None = option(
        None,
        "encrypt, and trust what this authority has signed instead; a PEM file",
        metavar="FILE",
        group=PROTECTED,
    )
    token: str = option(
        "",
        "bearer token that the server asks for; without --tls it travels in the clear. The variable is the "
        "better place: others on this machine can read command lines",
        metavar="TEXT",
        variable="DIFFUSION_TOY_TOKEN",
        group=PROTECTED,
    )
    headless: bool = option(False, "open no window; --record or --viewers says what to do", group=HEADLESS)
    record: Path | None = option(
        None,
        "record a scripted session, or with --replay that of the recipe; an existing file is kept, a number "
        "is added",
        metavar="FILE.gif",
        group=HEADLESS,
    )
    wait: float | None = option(
        None,
        "with --record: how long to wait for a server that does not answer; 0 tries once",
        low=0,
        high=3600,
        unit="s",
        metavar="N",
        told=f"{WAIT_DEFAULT_S:g}",
        group=HEADLESS,
    )
    viewers: int | None = option(
        None,
        "put load on the server: so many viewers, each with a connection of its own; prints what they saw, "
        "and ends with 1 if no viewer got a picture",
        low=1,
        high=VIEWERS_MAX,
        metavar="N",
        group=HEADLESS,
    )
    seconds: float | None = option(
        None,
        f"length, seconds: of the recording {SECONDS_MIN:g}…{SECONDS_MAX:g} (default: {SECONDS_DEFAULT:g}), "
        "of the measurement, after ramp and 2 s of warm-up, above 0 up to "
        f"{LOAD_SECONDS_MAX:g} (default: {LOAD_SECONDS_DEFAULT:g})",
        metavar="N",
        group=HEADLESS,
    )
    ramp: float | None = option(
        None,
        "viewers come evenly over this time",
        low=0,
        high=3600,
        unit="s",
        metavar="N",
        told="0",
        group=HEADLESS,
    )
    mouse: Mouse | None = option(
        None,
        "whether the viewers add noise, in strokes of a brush with pauses",
        told=Mouse.REALISTIC.value,
        group=HEADLESS,
    )
    json: Path | None = option(
        None, "also write what the viewers saw to this file", metavar="FILE", group=HEADLESS
    )


def parse_flags(argv: Sequence[str] | None = None) -> Flags:
    """Return what the command line and the environment say.

    Raises:
        InvalidValueError: a number outside its range.
        SystemExit: an unknown flag, or a value that is not of its type; one sentence has said so.
    """
    parser = Parser(
        prog="python -m viewer_client",
        description="Look at a live diffusion model and touch it with the mouse; H lists the keys.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=__version__)
    return parse(Flags, parser, argv)
