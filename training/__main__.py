"""`python -m training`: the commands, if everything that they need is installed."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from diffusion_toy.console import packages_of


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command of `training.commands` and return its exit status."""
    try:
        with packages_of("train"):
            from training import commands
    except KeyboardInterrupt:  # the packages take seconds to load
        print("stopped", file=sys.stderr)
        return 130
    return commands.main(argv)


if __name__ == "__main__":
    sys.exit(main())
