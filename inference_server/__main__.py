"""`python -m inference_server`: serve a model."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence

from diffusion_toy import __version__
from diffusion_toy.console import escape_what_cannot_be_shown, packages_of
from diffusion_toy.errors import DiffusionToyError, InvalidValueError

with packages_of("server"):
    from diffusion_toy.options import parse
    from inference_server.engine.main_thread import SPIN_COUNT, SPIN_VARIABLE
    from inference_server.ops.logs import configure_logging
    from inference_server.options import PREFIX, ServerOptions

STATUS_FAILURE, STATUS_BAD_FLAG = 1, 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run the server; the exit status: 0 after SIGTERM or Ctrl-C, 1 on failure, 2 for a bad option."""
    escape_what_cannot_be_shown()
    parser = argparse.ArgumentParser(
        prog="python -m inference_server",
        description="Serve a diffusion model to many viewers: one live image for each. The command line wins "
        "over the variable that each option names.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    try:
        options = parse(ServerOptions, parser, argv, prefix=PREFIX)
        configure_logging(options.log_level, options.log_format)
        os.environ.setdefault(SPIN_VARIABLE, SPIN_COUNT)
        with packages_of("server"):
            from inference_server.server import serve
        serve(options, lambda lines: print(*lines, sep="\n", flush=True), terminal=sys.stdout.isatty())
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)  # all is done: a second one must not spoil the status
    except InvalidValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return STATUS_BAD_FLAG
    except DiffusionToyError as error:
        print(f"error: {error}", file=sys.stderr)
        return STATUS_FAILURE
    return 0


if __name__ == "__main__":
    sys.exit(main())
