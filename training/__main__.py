"""`python -m training`: the commands, if everything that they need is installed."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from diffusion_toy.errors import MissingExtraError

OWN_PACKAGES = ("diffusion_toy", "training")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command of `training.commands` and return its exit status; 1 where a package is missing."""
    try:
        from training import commands
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in OWN_PACKAGES:
            raise
        print(f"error: {MissingExtraError(missing, 'train')}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # the packages take seconds to load
        print("stopped", file=sys.stderr)
        return 130
    return commands.main(argv)


if __name__ == "__main__":
    sys.exit(main())
