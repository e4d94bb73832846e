"""What a session needs of a transport: one stream of requests in and responses out."""

from __future__ import annotations

from typing import Protocol

from diffusion_toy.v1 import denoise_pb2 as pb


class BrokenStreamError(Exception):
    """The connection is lost, as against closed by the client; the session waits for the client."""


class Stream(Protocol):
    """One client's stream, over any transport.

    `peer` is the client's host without its port; streams are counted by it.
    """

    @property
    def peer(self) -> str:
        """Return the client's host, without a port."""
        ...

    async def read(self) -> pb.DenoiseRequest | None:
        """Return the next request; None once the client has said that no more will come.

        Raises:
            BrokenStreamError: the connection is lost. A transport may cancel the task instead.
        """
        ...

    async def write(self, message: pb.DenoiseResponse) -> None:
        """Send a response, waiting while the client does not take it.

        The message may be changed afterwards: a transport serialises it before it returns.
        """
        ...
