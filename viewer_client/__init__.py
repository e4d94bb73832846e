"""The viewer: shows the stream and turns mouse movement into noise. Never imports torch."""

import os

# The library writes a line of its own before many of our sentences. It reads this once, when it is imported.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
