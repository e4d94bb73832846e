"""What the flags of the viewer mean, and which of them go together."""

from __future__ import annotations

import re

from diffusion_toy.contract import messages as m
from diffusion_toy.errors import InvalidValueError
from diffusion_toy.files import check_file, check_folder
from viewer_client.core.geometry import MIN_HEIGHT_PX, MIN_WIDTH_PX
from viewer_client.flags import LOAD_SECONDS_MAX, SECONDS_MAX, SECONDS_MIN, SIZE_MAX_PX, Flags
from viewer_client.link.address import Endpoint, parse_address


def window_size(text: str) -> tuple[int, int]:
    """Return the width and height that a text WxH stands for.

    Raises:
        InvalidValueError: not of that form, or out of range.
    """
    if found := re.fullmatch(r"(\d{1,5})[x×](\d{1,5})", text):
        width, height = int(found[1]), int(found[2])
        if MIN_WIDTH_PX <= width <= SIZE_MAX_PX and MIN_HEIGHT_PX <= height <= SIZE_MAX_PX:
            return width, height
    limit = f"{MIN_WIDTH_PX}x{MIN_HEIGHT_PX} … {SIZE_MAX_PX}x{SIZE_MAX_PX}"
    raise InvalidValueError("--size", repr(text), limit, "for example 1100x720")


def endpoint_of(flags: Flags) -> Endpoint:
    """Return the server that the flags name.

    Raises:
        InvalidValueError: a bad address, file, token or proxy.
    """
    tls = flags.tls or flags.tls_ca is not None
    return Endpoint(parse_address(flags.server), tls, flags.tls_ca, flags.token, flags.proxy)


def start_of(flags: Flags) -> m.Start:
    """Return the session that the flags ask for.

    Raises:
        InvalidValueError: a flag out of range.
    """
    if flags.label < m.NO_LABEL:
        raise InvalidValueError("--label", flags.label, "−1 (any) and the model's classes from 0")
    label = None if flags.label == m.NO_LABEL else flags.label
    settings = m.SettingsChange(label=label)
    return m.Start(model=flags.model, seed=flags.seed, settings=settings, watch=flags.watch)


def check_flags(flags: Flags) -> None:
    """Check that the flags go together.

    Raises:
        InvalidValueError: two that do not, or one that lacks another.
    """
    recording, loading = flags.record is not None, flags.viewers is not None
    if flags.headless and not (recording or loading):
        raise InvalidValueError("--headless", "alone", "its use", "add --record FILE.gif or --viewers N")
    if recording and not flags.headless:
        raise InvalidValueError("--record", str(flags.record), "the use with a window", "add --headless")
    if loading and not flags.headless:
        raise InvalidValueError("--viewers", flags.viewers, "the use with a window", "add --headless")
    if recording and loading:
        raise InvalidValueError("--record", str(flags.record), "the use with --viewers", "choose one of them")
    _check_replay(flags)
    if flags.out is not None and flags.headless:
        raise InvalidValueError("--out", flags.out, "the use with a window", "--record names its own file")
    if flags.watch and flags.headless:
        raise InvalidValueError("--watch", flags.watch, "the use without a window", "leave out --headless")
    mouse = None if flags.mouse is None else flags.mouse.value
    for flag, value in (("--ramp", flags.ramp), ("--mouse", mouse), ("--json", flags.json)):
        if value is not None and not loading:
            raise InvalidValueError(flag, value, "its use without --viewers", "add --headless --viewers N")
    if flags.tour and flags.headless:
        raise InvalidValueError("--tour", "given", "the use with a window", "leave out --headless")
    if flags.tour and flags.watch:
        raise InvalidValueError("--tour", "given", "the use with a session of your own", "leave out --watch")
    if flags.wait is not None and not recording:
        raise InvalidValueError(
            "--wait", flags.wait, "its use without --record", "add --headless --record FILE.gif"
        )
    if flags.seconds is not None and loading:
        m.check_range("--seconds", flags.seconds, 0, LOAD_SECONDS_MAX, open_low=True)
    elif flags.seconds is not None:
        m.check_range("--seconds", flags.seconds, SECONDS_MIN, SECONDS_MAX)
    _check_files(flags)


def _check_files(flags: Flags) -> None:
    """Check that results can be written, before any work is done for them."""
    if flags.record is not None:
        check_file("--record", flags.record)
    if flags.json is not None:
        check_file("--json", flags.json)
    if flags.out is not None:
        check_folder("--out", flags.out)


def _check_replay(flags: Flags) -> None:
    if flags.replay is not None:
        for flag, value, remedy in (
            ("--viewers", flags.viewers, "a recipe is one session"),
            ("--watch", flags.watch or None, "a recipe is a session of your own"),
            ("--seed", flags.seed, "the recipe has one"),
            ("--label", None if flags.label == m.NO_LABEL else flags.label, "the recipe has one"),
            ("--seconds", flags.seconds, "the recipe has its own length"),
        ):
            if value is not None:
                raise InvalidValueError(flag, value, "its use without --replay", remedy)
