"""`python -m viewer_client`: look at a session and touch it."""

import sys

from viewer_client.cli import main

if __name__ == "__main__":
    sys.exit(main())
