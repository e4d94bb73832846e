"""How much the server takes in: the room for commands that wait."""

from __future__ import annotations

from diffusion_toy.contract import messages as m
from inference_server.engine.pending import PendingCommands, PendingLimits, SharedRoom

SHARED_BYTES = 16 * 1024 * 1024  # of commands that wait, for all sessions beyond what each is sure of


class Intake:
    """Holds all streams of the server to what they may send.

    Args:
        limits: what clients are told.
    """

    def __init__(self, limits: m.Limits) -> None:
        self._pending = PendingLimits(limits.pending_commands, limits.pending_bytes, limits.request_bytes)
        self._room = SharedRoom(SHARED_BYTES)

    def queue(self) -> PendingCommands:
        """Return a queue for a stream that is to drive a session."""
        return PendingCommands(self._pending, self._room)
