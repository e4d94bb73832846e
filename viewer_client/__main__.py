"""`python -m viewer_client`: look at a session and touch it."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from diffusion_toy import __version__
from diffusion_toy import messages as m
from diffusion_toy.errors import DiffusionToyError, InvalidValueError
from viewer_client.geometry import MIN_HEIGHT_PX, MIN_WIDTH_PX

SERVER_VARIABLE = "DIFFUSION_TOY_SERVER"
DEFAULT_SERVER = "127.0.0.1:50051"
SECONDS_MIN, SECONDS_MAX = 2.0, 120.0
SIZE_MAX_PX = 16384


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog="python -m viewer_client",
        description="Look at a live diffusion model and touch it with the mouse; H lists the keys.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    p.add_argument(
        "--server",
        default=os.environ.get(SERVER_VARIABLE, DEFAULT_SERVER),
        metavar="HOST:PORT",
        help=f"address of the server (from the variable {SERVER_VARIABLE} if that is set)",
    )
    p.add_argument("--model", default="", help="name of the model to use (without it: the server's first)")
    p.add_argument("--seed", type=int, help="seed of the noise, 0…2^63−1 (without it: drawn by the server)")
    p.add_argument("--label", type=int, default=m.NO_LABEL, help="class to draw, from 0; −1 for any")
    p.add_argument("--size", default="1100x720", metavar="WxH", help="size of the window, pixels")
    p.add_argument("--list-models", action="store_true", help="print the server's models and end")
    p.add_argument("--headless", action="store_true", help="open no window; play a scripted session")
    p.add_argument("--record", type=Path, metavar="FILE.gif", help="with --headless: where to record it")
    p.add_argument(
        "--seconds", type=float, default=18.0, help="with --headless: length of the session, seconds"
    )
    p.add_argument("--version", action="version", version=__version__)
    return p


def window_size(text: str) -> tuple[int, int]:
    """Parse WxH.

    Raises:
        InvalidValueError: not of that form, or out of range.
    """
    found = re.fullmatch(r"(\d+)x(\d+)", text)
    if found:
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
    return m.Start(model=args.model, seed=args.seed, settings=m.SettingsChange(label=args.label))


def run(args: argparse.Namespace) -> None:
    """Do what the flags say.

    Raises:
        DiffusionToyError: bad flags, or nothing can be shown.
    """
    from viewer_client.connection import Connection, list_models, parse_address
    from viewer_client.view_model import ViewModel

    address = parse_address(args.server)
    size, start = window_size(args.size), start_of(args)
    if args.headless != (args.record is not None):
        raise InvalidValueError("--headless", "without --record, or the other way round,", "their joint use")
    m.check_range("--seconds", args.seconds, SECONDS_MIN, SECONDS_MAX)
    if args.list_models:
        for model in list_models(address):
            size_text = f"{model.channels}×{model.height}×{model.width}"
            print(f"{model.name}  {model.fingerprint}  {size_text}  trained on {model.dataset}")
        return
    view_model = ViewModel(start=start)
    connection = Connection(address, view_model.start_again)
    if args.headless:
        from viewer_client.recorder import record

        connection.open()
        try:
            print(record(connection, view_model, args.record, args.seconds))
        finally:
            connection.close()
        return
    from viewer_client.app import App

    app = App(view_model, connection, size)
    connection.open()
    try:
        app.run()
    finally:
        connection.close()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the viewer; the exit status: 0, 1 where nothing can be shown, 2 for a bad flag."""
    args = parser().parse_args(argv)
    try:
        run(args)
    except InvalidValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except DiffusionToyError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
