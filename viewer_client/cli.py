"""`python -m viewer_client`: from flags to what is done, and to an exit status."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

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
    WAIT_DEFAULT,
    parser,
)
from viewer_client.load.scripted_input import Mouse


def run(args: argparse.Namespace) -> None:
    """Do what the flags say.

    Raises:
        DiffusionToyError: bad flags, or nothing can be shown.
    """
    endpoint = endpoint_of(args)
    size, start = None if args.size is None else window_size(args.size), start_of(args)
    check_flags(args)
    recipe = None if args.replay is None else read_recipe(args.replay)
    if recipe is not None:
        start = replace(recipe.start, model=args.model or recipe.start.model)
    if args.list_models:
        print("\n".join(runners.list_models(endpoint)))
    elif args.viewers is not None:
        print(
            runners.load(
                endpoint,
                start,
                viewers=args.viewers,
                seconds=LOAD_SECONDS_DEFAULT if args.seconds is None else args.seconds,
                ramp_s=args.ramp or 0.0,
                mouse=Mouse(args.mouse or Mouse.REALISTIC.value),
                seed=args.seed or 0,
                json=args.json,
            )
        )
    elif args.headless:
        seconds = args.seconds or SECONDS_DEFAULT
        wait_s = WAIT_DEFAULT if args.wait is None else args.wait
        print(runners.record(endpoint, start, args.record, seconds, recipe, wait_s))
    else:
        runners.show(
            endpoint,
            start,
            size,
            appearance=Appearance(text_scale=args.text_scale),
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
