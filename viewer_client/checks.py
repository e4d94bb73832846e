"""What the flags of the viewer mean, and which of them go together."""

from __future__ import annotations

import argparse
import re

from diffusion_toy.contract import messages as m
from diffusion_toy.errors import InvalidValueError
from diffusion_toy.files import check_file, check_folder
from viewer_client.core.appearance import TEXT_SCALE_MAX, TEXT_SCALE_MIN
from viewer_client.core.geometry import MIN_HEIGHT_PX, MIN_WIDTH_PX
from viewer_client.flags import LOAD_SECONDS_MAX, SECONDS_MAX, SECONDS_MIN, SIZE_MAX_PX, WAIT_MAX
from viewer_client.link.address import Endpoint, parse_address


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
    _check_replay(args)
    if args.out is not None and args.headless:
        raise InvalidValueError("--out", args.out, "the use with a window", "--record names its own file")
    if args.watch and args.headless:
        raise InvalidValueError("--watch", args.watch, "the use without a window", "leave out --headless")
    for flag, value in (("--ramp", args.ramp), ("--mouse", args.mouse), ("--json", args.json)):
        if value is not None and not loading:
            raise InvalidValueError(flag, value, "its use without --viewers", "add --headless --viewers N")
    if args.tour and args.headless:
        raise InvalidValueError("--tour", "given", "the use with a window", "leave out --headless")
    if args.tour and args.watch:
        raise InvalidValueError("--tour", "given", "the use with a session of your own", "leave out --watch")
    if args.wait is not None:
        m.check_range("--wait", args.wait, 0, WAIT_MAX)
        if not recording:
            raise InvalidValueError(
                "--wait", args.wait, "its use without --record", "add --headless --record FILE.gif"
            )
    if args.seconds is not None and loading:
        m.check_range("--seconds", args.seconds, 0, LOAD_SECONDS_MAX, open_low=True)
    elif args.seconds is not None:
        m.check_range("--seconds", args.seconds, SECONDS_MIN, SECONDS_MAX)
    m.check_range("--text-scale", args.text_scale, TEXT_SCALE_MIN, TEXT_SCALE_MAX)
    _check_files(args)


def _check_files(args: argparse.Namespace) -> None:
    """See that results can be written, before any work is done for them."""
    if args.record is not None:
        check_file("--record", args.record)
    if args.json is not None:
        check_file("--json", args.json)
    if args.out is not None:
        check_folder("--out", args.out)


def _check_replay(args: argparse.Namespace) -> None:
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
