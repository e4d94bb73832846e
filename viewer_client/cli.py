"""`python -m viewer_client`: from flags to what is done, and to an exit status."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from diffusion_toy.console import escape_what_cannot_be_shown
from diffusion_toy.errors import DiffusionToyError, InvalidValueError
from viewer_client import runners
from viewer_client.checks import check_flags, endpoint_of, start_of, window_size
from viewer_client.core.appearance import Appearance
from viewer_client.files.saving import read_recipe
from viewer_client.flags import (
    LOAD_SECONDS_DEFAULT,
    SECONDS_DEFAULT,
    STATUS_BAD_FLAG,
    STATUS_FAILURE,
    STATUS_INTERRUPTED,
    WAIT_DEFAULT_S,
    Flags,
    parse_flags,
)
from viewer_client.load.scripted_input import Mouse


def run(flags: Flags) -> None:
    """Do what the flags say.

    Raises:
        DiffusionToyError: bad flags, or nothing can be shown.
    """
    endpoint = endpoint_of(flags)
    size, start = None if flags.size is None else window_size(flags.size), start_of(flags)
    check_flags(flags)
    recipe = None if flags.replay is None else read_recipe(flags.replay)
    if recipe is not None:
        start = replace(recipe.start, model=flags.model or recipe.start.model)
    if flags.list_models:
        print("\n".join(runners.list_models(endpoint)))
    elif flags.viewers is not None:
        print(
            runners.load(
                endpoint,
                start,
                viewers=flags.viewers,
                seconds=LOAD_SECONDS_DEFAULT if flags.seconds is None else flags.seconds,
                ramp_s=flags.ramp or 0.0,
                mouse=flags.mouse or Mouse.REALISTIC,
                seed=flags.seed or 0,
                json=flags.json,
            )
        )
    elif flags.record is not None:
        seconds = flags.seconds or SECONDS_DEFAULT
        wait_s = WAIT_DEFAULT_S if flags.wait is None else flags.wait
        print(runners.record(endpoint, start, flags.record, seconds, recipe, wait_s))
    else:
        runners.show(
            endpoint,
            start,
            size,
            appearance=Appearance(text_scale=flags.text_scale),
            recipe=recipe,
            out=flags.out or Path(),
            tour=flags.tour,
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the viewer; return the exit status: 0, 1 where nothing can be shown, 2 for a bad flag."""
    escape_what_cannot_be_shown()
    try:
        run(parse_flags(argv))
    except DiffusionToyError as error:
        print(f"error: {error}", file=sys.stderr)
        return STATUS_BAD_FLAG if isinstance(error, InvalidValueError) else STATUS_FAILURE
    except KeyboardInterrupt:
        return STATUS_INTERRUPTED
    return 0
