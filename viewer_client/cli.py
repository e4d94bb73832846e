"""The viewer's command line."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from diffusion_toy import __version__
from diffusion_toy import messages as m
from diffusion_toy.errors import DiffusionToyError, InvalidValueError
from viewer_client.address import parse_address
from viewer_client.geometry import DEFAULT_HEIGHT_PX, DEFAULT_WIDTH_PX, MIN_HEIGHT_PX, MIN_WIDTH_PX
from viewer_client.view_model import ViewModel

SERVER_VARIABLE = "DIFFUSION_TOY_SERVER"
DEFAULT_SERVER = "127.0.0.1:50051"
SECONDS_DEFAULT, SECONDS_MIN, SECONDS_MAX = 18.0, 4.0, 120.0
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
    p.add_argument("--model", default="", metavar="NAME", help="model to use (default: the server's first)")
    p.add_argument(
        "--seed", type=int, metavar="N", help="seed of the noise, 0…2^63−1 (default: the server draws one)"
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
        default=f"{DEFAULT_WIDTH_PX}x{DEFAULT_HEIGHT_PX}",
        metavar="WxH",
        help=f"size of the window, pixels, from {MIN_WIDTH_PX}x{MIN_HEIGHT_PX} (default: %(default)s)",
    )
    p.add_argument("--list-models", action="store_true", help="print the server's models and end")
    p.add_argument(
        "--headless", action="store_true", help="open no window: play a scripted session; needs --record"
    )
    p.add_argument(
        "--record",
        type=Path,
        metavar="FILE.gif",
        help="with --headless: where to record the session; an existing file is kept, a number is added",
    )
    p.add_argument(
        "--seconds",
        type=float,
        default=SECONDS_DEFAULT,
        metavar="N",
        help=f"with --headless: length, seconds, {SECONDS_MIN:g}…{SECONDS_MAX:g} (default: %(default)g)",
    )
    p.add_argument("--version", action="version", version=__version__)
    return p


def window_size(text: str) -> tuple[int, int]:
    """Parse WxH.

    Raises:
        InvalidValueError: not of that form, or out of range.
    """
    if found := re.fullmatch(r"(\d{1,5})[x×](\d{1,5})", text):
        width, height = int(found[1]), int(found[2])
        if MIN_WIDTH_PX <= width <= SIZE_MAX_PX and MIN_HEIGHT_PX <= height <= SIZE_MAX_PX:
            return width, height
    limit = f"{MIN_WIDTH_PX}x{MIN_HEIGHT_PX} … {SIZE_MAX_PX}x{SIZE_MAX_PX}"
    raise InvalidValueError("--size", repr(text), limit, "for example 1100x720")


def start_of(args: argparse.Namespace) -> m.Start:
    """The session that the flags ask for.

    Raises:
        InvalidValueError: a flag out of range.
    """
    if args.seed is not None:
        m.check_range("--seed", args.seed, 0, m.SEED_MAX)
    if args.label < m.NO_LABEL:
        raise InvalidValueError("--label", args.label, "−1 (any) and the model's classes from 0")
    label = None if args.label == m.NO_LABEL else args.label
    return m.Start(model=args.model, seed=args.seed, settings=m.SettingsChange(label=label))


def show(
    address: str, start: m.Start, size: tuple[int, int], until: Callable[[], bool] = lambda: False
) -> None:
    """Open a window on a session, until the user closes it or `until` says so.

    Raises:
        DisplayError: no window can be opened.
        MissingExtraError: PyGame is not installed.
    """
    from viewer_client.app import App
    from viewer_client.connection import Connection

    model = ViewModel(start=start)
    connection = Connection(address, model.start_again)
    app = App(model, connection, size)
    connection.open()
    try:
        app.run(until)
    finally:
        connection.close()


def record(address: str, start: m.Start, path: Path, seconds: float) -> str:
    """Record the scripted session; the summary for the user.

    Raises:
        RecordingError: there was nothing to record.
        MissingExtraError: Pillow is not installed.
    """
    from viewer_client.connection import Connection
    from viewer_client.recorder import Recorder

    model = ViewModel(start=start)
    connection = Connection(address, model.start_again)
    recorder = Recorder(connection, model, seconds)
    connection.open()
    try:
        return str(recorder.record(path))
    finally:
        connection.close()


def run(args: argparse.Namespace) -> None:
    """Do what the flags say.

    Raises:
        DiffusionToyError: bad flags, or nothing can be shown.
    """
    address = parse_address(args.server)
    size, start = window_size(args.size), start_of(args)
    m.check_range("--seconds", args.seconds, SECONDS_MIN, SECONDS_MAX)
    if args.headless and args.record is None:
        raise InvalidValueError("--headless", "alone", "its use", "add --record FILE.gif")
    if args.record is not None and not args.headless:
        raise InvalidValueError("--record", str(args.record), "the use with a window", "add --headless")
    if args.list_models:
        from viewer_client.connection import list_models

        for model in list_models(address):
            shape = f"{model.channels}×{model.height}×{model.width}"
            classes = f"{len(model.label_names)} classes"
            print(f"{model.name}  {model.fingerprint}  {shape}  {classes}  trained on {model.dataset}")
    elif args.headless:
        print(record(address, start, args.record, args.seconds))
    else:
        show(address, start, size)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the viewer; the exit status: 0, 1 where nothing can be shown, 2 for a bad flag."""
    args = parser().parse_args(argv)
    try:
        run(args)
    except DiffusionToyError as error:
        print(f"error: {error}", file=sys.stderr)
        return STATUS_BAD_FLAG if isinstance(error, InvalidValueError) else STATUS_FAILURE
    except KeyboardInterrupt:
        return STATUS_INTERRUPTED
    return 0
