"""The server: sessions, the engine that steps them in batches, and its two transports, gRPC and WebSocket."""

import os

# The library would write a line for each handshake that fails, as many as a stranger likes, into the log and
# not in its format. It reads this once, when it is imported; GRPC_VERBOSITY=INFO shows them.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
