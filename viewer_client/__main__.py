"""`python -m viewer_client`: look at a session and touch it."""

import sys

from diffusion_toy.console import packages_of

with packages_of("viewer"):
    from viewer_client.cli import main

if __name__ == "__main__":
    sys.exit(main())
