"""The flags of `python -m viewer_client`: names, defaults, ranges and help."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import NoReturn

from diffusion_toy import __version__
from diffusion_toy.contract import messages as m
from viewer_client.core.appearance import TEXT_SCALE_MAX, TEXT_SCALE_MIN
from viewer_client.core.geometry import DEFAULT_HEIGHT_PX, DEFAULT_WIDTH_PX, MIN_HEIGHT_PX, MIN_WIDTH_PX
from viewer_client.load.scripted_input import Mouse

SERVER_VARIABLE, TOKEN_VARIABLE = "DIFFUSION_TOY_SERVER", "DIFFUSION_TOY_TOKEN"
DEFAULT_SERVER = "127.0.0.1:50051"
SECONDS_DEFAULT, SECONDS_MIN, SECONDS_MAX = 18.0, 4.0, 120.0
LOAD_SECONDS_DEFAULT, LOAD_SECONDS_MAX = 10.0, 3600.0
WAIT_DEFAULT, WAIT_MAX = 30.0, 3600.0
SIZE_MAX_PX = 16384
STATUS_FAILURE, STATUS_BAD_FLAG, STATUS_INTERRUPTED = 1, 2, 130


class Parser(argparse.ArgumentParser):
    """Answers a bad flag with one sentence."""

    def error(self, message: str) -> NoReturn:
        self.exit(STATUS_BAD_FLAG, f"error: {message}; --help explains the flags\n")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = Parser(
        prog="python -m viewer_client",
        description="Look at a live diffusion model and touch it with the mouse; H lists the keys.",
        allow_abbrev=False,
    )
    p.add_argument(
        "--server",
        default=os.environ.get(SERVER_VARIABLE) or DEFAULT_SERVER,
        metavar="HOST:PORT",
        help=f"address of the server (default: the variable {SERVER_VARIABLE}, else {DEFAULT_SERVER})",
    )
    p.add_argument(
        "--proxy",
        default="",
        metavar="URL",
        help="reach the server by this HTTP proxy, http://[NAME:PASSWORD@]HOST:PORT (default: go straight to "
        "the server, also where the environment names a proxy)",
    )
    p.add_argument("--model", default="", metavar="NAME", help="model to use (default: the server's first)")
    p.add_argument(
        "--seed",
        type=int,
        metavar="N",
        help="seed of the noise, 0…2^63−1 (default: the server draws one); "
        "with --viewers of all that they do (default: 0)",
    )
    p.add_argument(
        "--label",
        type=int,
        default=m.NO_LABEL,
        metavar="N",
        help="class to draw, from 0; −1 for any (default)",
    )
    p.add_argument(
        "--size",
        metavar="WxH",
        help=f"size of the window, pixels, from {MIN_WIDTH_PX}x{MIN_HEIGHT_PX} "
        f"(default: {DEFAULT_WIDTH_PX}x{DEFAULT_HEIGHT_PX}, up to twice that on a display with many pixels)",
    )
    p.add_argument(
        "--text-scale",
        type=float,
        default=1.0,
        metavar="N",
        help=f"size of the text, {TEXT_SCALE_MIN:g}…{TEXT_SCALE_MAX:g} times the one that follows the window "
        "(default: 1); Ctrl + and Ctrl − change it",
    )
    p.add_argument(
        "--replay",
        type=Path,
        metavar="FILE",
        help="make the picture of a recipe again, in the window or in the recording: a file that Ctrl+S has "
        "saved, or a PNG that S has (default: none)",
    )
    p.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder for what the keys S, G and Ctrl+S save (default: the one you are in)",
    )
    p.add_argument(
        "--tour",
        action=argparse.BooleanOptionalAction,
        help="begin with the tour, or do not (default: until it has been seen; F2 begins it at any time)",
    )
    p.add_argument("--list-models", action="store_true", help="print the server's models and end")
    p.add_argument(
        "--watch",
        default="",
        metavar="SESSION",
        help="look at somebody else's session without touching it; its name is in the owner's window "
        "and in the server's log (write --watch=SESSION where it begins with a dash)",
    )
    p.add_argument("--version", action="version", version=__version__)
    _add_security(p.add_argument_group("a server that is not open to all"))
    _add_headless(p.add_argument_group("without a window"))
    return p


def _add_security(p: argparse._ArgumentGroup) -> None:
    p.add_argument(
        "--tls",
        action="store_true",
        help="encrypt, and trust the certificates that this system trusts (default: no encryption)",
    )
    p.add_argument(
        "--tls-ca",
        type=Path,
        metavar="FILE",
        help="encrypt, and trust what this authority has signed instead; a PEM file",
    )
    p.add_argument(
        "--token",
        default=os.environ.get(TOKEN_VARIABLE, ""),
        metavar="TEXT",
        help=f"bearer token that the server asks for (default: the variable {TOKEN_VARIABLE}, which is the "
        "better place: others on this machine can read command lines). Without --tls it travels in the clear",
    )


def _add_headless(p: argparse._ArgumentGroup) -> None:
    p.add_argument(
        "--headless",
        action="store_true",
        help="open no window; --record or --viewers says what to do",
    )
    p.add_argument(
        "--record",
        type=Path,
        metavar="FILE.gif",
        help="record a scripted session, or with --replay that of the recipe; an existing file is kept, a "
        "number is added",
    )
    p.add_argument(
        "--wait",
        type=float,
        metavar="N",
        help=f"with --record: how long to wait for a server that does not answer, seconds, 0…{WAIT_MAX:g} "
        f"(default: {WAIT_DEFAULT:g}; 0 tries once)",
    )
    p.add_argument(
        "--viewers",
        type=int,
        metavar="N",
        help="put load on the server: so many viewers, 1…2000, each with a connection of its own; "
        "prints what they saw, and ends with 1 if no viewer got a picture",
    )
    p.add_argument(
        "--seconds",
        type=float,
        metavar="N",
        help=f"length, seconds: of the recording {SECONDS_MIN:g}…{SECONDS_MAX:g} (default: "
        f"{SECONDS_DEFAULT:g}), of the measurement, after ramp and 2 s of warm-up, above 0 up to "
        f"{LOAD_SECONDS_MAX:g} (default: {LOAD_SECONDS_DEFAULT:g})",
    )
    p.add_argument(
        "--ramp",
        type=float,
        metavar="N",
        help="viewers come evenly over these seconds, 0…3600 (default: 0)",
    )
    p.add_argument(
        "--mouse",
        choices=[mouse.value for mouse in Mouse],
        help="whether the viewers add noise, in strokes of a brush with pauses (default: realistic)",
    )
    p.add_argument("--json", type=Path, metavar="FILE", help="also write what the viewers saw to this file")
