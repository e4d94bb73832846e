"""The bearer token: who has it, and how often one address may guess."""

from __future__ import annotations

import asyncio
import hmac
from collections import OrderedDict
from collections.abc import Iterable

from diffusion_toy.rate import TokenBucket
from inference_server.peers import network_of
from inference_server.streams.status import Status, StreamError

WRONG_PER_SECOND, WRONG_AT_ONCE = 1.0, 20.0
ADDRESSES_MAX = 4096  # that are remembered for wrong tokens
REFUSAL = (
    "this server needs a bearer token, and {problem}; give the viewer the right one with --token or in the "
    "environment variable DIFFUSION_TOY_TOKEN, or open the link that the server printed"
)


class BearerGuard:
    """Lets in who knows the token; everybody, if there is none.

    Args:
        token: what clients have to know; "" lets everybody in.
        refusal: what who does not is told; {problem} stands for what is wrong.
    """

    def __init__(self, token: str, refusal: str = REFUSAL) -> None:
        self._token, self._refusal = token.encode(), refusal
        self._wrong: OrderedDict[str, TokenBucket] = OrderedDict()

    def check(self, peer: str, given: Iterable[bytes]) -> None:
        """See that one of the tokens that a client has given is the right one.

        Args:
            peer: the client's address, without a port.
            given: its tokens; an empty one counts as none.

        Raises:
            StreamError: UNAUTHENTICATED for no token or a wrong one. RESOURCE_EXHAUSTED after too many wrong
                ones from this address: then nobody there gets in for a while, or guessing would go on.
        """
        if not self._token:
            return
        tokens = [token for token in given if token]
        if not tokens:
            raise StreamError(Status.UNAUTHENTICATED, self._refusal.format(problem="the call has none"))
        network, now = network_of(peer), asyncio.get_running_loop().time()
        bucket = self._wrong.get(network)
        if bucket is not None and not bucket.ready(now):
            text = "too many wrong bearer tokens came from this address; wait a few seconds and try again"
            raise StreamError(Status.RESOURCE_EXHAUSTED, text)
        if any(hmac.compare_digest(token, self._token) for token in tokens):
            return
        if bucket is None:
            bucket = self._wrong[network] = TokenBucket(WRONG_PER_SECOND, WRONG_AT_ONCE, now)
        bucket.spend()
        self._wrong.move_to_end(network)
        if len(self._wrong) > ADDRESSES_MAX:
            self._wrong.popitem(last=False)
        raise StreamError(Status.UNAUTHENTICATED, self._refusal.format(problem="the call has another one"))


def bearer(value: str | bytes) -> bytes:
    """Return the token of an `authorization` header; empty if it is of another scheme."""
    content = value.encode("utf-8", "replace") if isinstance(value, str) else value
    scheme, _, token = content.partition(b" ")
    return token.strip() if scheme.lower() == b"bearer" else b""
