"""The viewer's command line."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from diffusion_toy import __version__
from diffusion_toy.contract import messages as m
from diffusion_toy.errors import DiffusionToyError, InvalidValueError
from viewer_client import preferences
from viewer_client.core.appearance import TEXT_SCALE_MAX, TEXT_SCALE_MIN, Appearance
from viewer_client.core.geometry import DEFAULT_HEIGHT_PX, DEFAULT_WIDTH_PX, MIN_HEIGHT_PX, MIN_WIDTH_PX
from viewer_client.core.view_model import ViewModel
from viewer_client.files.saving import read_recipe
from viewer_client.link.address import Endpoint, parse_address
from viewer_client.load.scripted_input import Mouse
from viewer_client.recipes.recipe import Recipe
from viewer_client.recipes.replay import Replay

SERVER_VARIABLE, TOKEN_VARIABLE = "DIFFUSION_TOY_SERVER", "DIFFUSION_TOY_TOKEN"
DEFAULT_SERVER = "127.0.0.1:50051"
SECONDS_DEFAULT, SECONDS_MIN, SECONDS_MAX = 18.0, 4.0, 120.0
LOAD_SECONDS_DEFAULT, LOAD_SECONDS_MAX = 10.0, 3600.0
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


def endpoint_of(args: argparse.Namespace) -> Endpoint:
    """The server that the flags name.

    Raises:
        InvalidValueError: a bad address, file, token or proxy.
    """
    tls = args.tls or args.tls_ca is not None
    return Endpoint(parse_address(args.server), tls, args.tls_ca, args.token, args.proxy)


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
    settings = m.SettingsChange(label=label)
    return m.Start(model=args.model, seed=args.seed, settings=settings, watch=args.watch)


def check_flags(args: argparse.Namespace) -> None:
    """See that the flags go together.

    Raises:
        InvalidValueError: two that do not, or one that lacks another.
    """
    recording, loading = args.record is not None, args.viewers is not None
    if args.headless and not (recording or loading):
        raise InvalidValueError("--headless", "alone", "its use", "add --record FILE.gif or --viewers N")
    if recording and not args.headless:
        raise InvalidValueError("--record", str(args.record), "the use with a window", "add --headless")
    if loading and not args.headless:
        raise InvalidValueError("--viewers", args.viewers, "the use with a window", "add --headless")
    if recording and loading:
        raise InvalidValueError("--record", str(args.record), "the use with --viewers", "choose one of them")
    _check_keeping(args)
    if args.watch and args.headless:
        raise InvalidValueError("--watch", args.watch, "the use without a window", "leave out --headless")
    for flag, value in (("--ramp", args.ramp), ("--mouse", args.mouse), ("--json", args.json)):
        if value is not None and not loading:
            raise InvalidValueError(flag, value, "its use without --viewers", "add --headless --viewers N")
    if args.tour and args.headless:
        raise InvalidValueError("--tour", "given", "the use with a window", "leave out --headless")
    if args.tour and args.watch:
        raise InvalidValueError("--tour", "given", "the use with a session of your own", "leave out --watch")
    if args.json is not None and not args.json.parent.is_dir():
        raise InvalidValueError("--json", args.json, "a folder that exists", f"make {args.json.parent} first")
    if args.seconds is not None and loading:
        m.check_range("--seconds", args.seconds, 0, LOAD_SECONDS_MAX, open_low=True)
    elif args.seconds is not None:
        m.check_range("--seconds", args.seconds, SECONDS_MIN, SECONDS_MAX)


def _check_keeping(args: argparse.Namespace) -> None:
    if args.replay is not None:
        for flag, value, remedy in (
            ("--viewers", args.viewers, "a recipe is one session"),
            ("--watch", args.watch or None, "a recipe is a session of your own"),
            ("--seed", args.seed, "the recipe has one"),
            ("--label", None if args.label == m.NO_LABEL else args.label, "the recipe has one"),
            ("--seconds", args.seconds, "the recipe has its own length"),
        ):
            if value is not None:
                raise InvalidValueError(flag, value, "its use without --replay", remedy)
    if args.out is not None:
        if args.headless:
            raise InvalidValueError("--out", args.out, "the use with a window", "--record names its own file")
        if not args.out.is_dir():
            raise InvalidValueError("--out", args.out, "a folder that exists", f"make {args.out} first")
        if not os.access(args.out, os.W_OK):
            raise InvalidValueError("--out", args.out, "a folder that you may write to", "choose another one")


def show(
    endpoint: Endpoint,
    start: m.Start,
    size: tuple[int, int] | None,
    until: Callable[[], bool] = lambda: False,
    appearance: Appearance | None = None,
    recipe: Recipe | None = None,
    out: Path = Path(),
    tour: bool | None = None,
) -> None:
    """Open a window on a session, until the user closes it or `until` says so.

    With a recipe, the session is its replay; `out` is the folder for what the user keeps; `tour` begins
    with the tour, None does so where it has not been seen and the session is not a recipe's or another's.

    Raises:
        DisplayError: no window can be opened.
        MissingExtraError: PyGame is not installed.
    """
    from viewer_client.link.connection import Connection
    from viewer_client.window.app import App

    model = ViewModel(start=start, replay=None if recipe is None else Replay(recipe))
    connection = Connection(endpoint, model.next_start)
    app = App(model, connection, size, appearance, out)
    if tour is None:
        own = recipe is None and not start.watch
        tour = own and not preferences.load(preferences.folder()).tour_seen
    if tour:
        app.begin_tour()
    connection.open()
    try:
        app.run(until)
    finally:
        connection.close()


def record(
    endpoint: Endpoint, start: m.Start, path: Path, seconds: float, recipe: Recipe | None = None
) -> str:
    """Record the scripted session, or the replay of a recipe; the summary for the user.

    Raises:
        RecordingError: there was nothing to record.
        MissingExtraError: Pillow is not installed.
    """
    from viewer_client.files.recorder import Recorder
    from viewer_client.link.connection import Connection

    model = ViewModel(start=start, replay=None if recipe is None else Replay(recipe))
    connection = Connection(endpoint, model.next_start)
    recorder = Recorder(connection, model, seconds)
    connection.open()
    try:
        return str(recorder.record(path) if recipe is None else recorder.record_replay(path))
    finally:
        connection.close()


def load(args: argparse.Namespace, endpoint: Endpoint, start: m.Start) -> str:
    """Put load on the server; what it showed.

    Raises:
        InvalidValueError: a flag out of range.
        DiffusionToyError: no viewer got a picture.
    """
    from viewer_client.load.generator import LoadOptions, run_load

    options = LoadOptions(
        endpoint,
        viewers=args.viewers,
        seconds=LOAD_SECONDS_DEFAULT if args.seconds is None else args.seconds,
        ramp_s=args.ramp or 0.0,
        mouse=Mouse(args.mouse or Mouse.REALISTIC.value),
        seed=args.seed or 0,
        start=start,
    )
    report = asyncio.run(run_load(options))
    if args.json is not None:
        try:
            args.json.write_text(report.to_json(), encoding="utf-8")
        except OSError as error:
            raise DiffusionToyError(f"{args.json} cannot be written ({error.strerror})") from error
    if not report.viewers_with_frames:
        raise DiffusionToyError(f"no viewer got a picture: {report.last_failure or 'the server sends none'}")
    return str(report)


def run(args: argparse.Namespace) -> None:
    """Do what the flags say.

    Raises:
        DiffusionToyError: bad flags, or nothing can be shown.
    """
    endpoint = endpoint_of(args)
    size, start = None if args.size is None else window_size(args.size), start_of(args)
    m.check_range("--text-scale", args.text_scale, TEXT_SCALE_MIN, TEXT_SCALE_MAX)
    check_flags(args)
    recipe = None if args.replay is None else read_recipe(args.replay)
    if recipe is not None:
        start = replace(recipe.start, model=args.model or recipe.start.model)
    if args.list_models:
        from viewer_client.link.transport import list_models

        for model in list_models(endpoint):
            shape = f"{model.channels}×{model.height}×{model.width}"
            classes = f"{len(model.label_names)} classes"
            print(f"{model.name}  {model.fingerprint}  {shape}  {classes}  trained on {model.dataset}")
    elif args.viewers is not None:
        print(load(args, endpoint, start))
    elif args.headless:
        print(record(endpoint, start, args.record, args.seconds or SECONDS_DEFAULT, recipe))
    else:
        appearance = Appearance(text_scale=args.text_scale)
        show(
            endpoint,
            start,
            size,
            appearance=appearance,
            recipe=recipe,
            out=args.out or Path(),
            tour=args.tour,
        )


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
