"""How a stream ends: a status by its canonical name and one sentence for the user, on any transport."""

from __future__ import annotations

import logging
from enum import Enum

from diffusion_toy.contract import wire
from diffusion_toy.errors import DiffusionToyError, InvalidValueError
from inference_server.engine.errors import NotHereError, ServerFullError
from inference_server.streams.outbox import StalledClientError
from inference_server.streams.tokens import TokenError

log = logging.getLogger(__name__)

GAVE_WAY = "others needed the place of this session; it goes on where it was as soon as there is room"


class Status(Enum):
    """Why a stream ends, by the canonical names and numbers that gRPC and HTTP gateways share."""

    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    INTERNAL = 13
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


class StreamError(DiffusionToyError):
    """An error that ends a stream with a given status."""

    def __init__(self, status: Status, details: str) -> None:
        super().__init__(details)
        self.status = status


def status_of(error: BaseException) -> tuple[Status, str]:
    """Return the status and the text with which an error ends a stream.

    An error that nobody has foreseen is logged, and its text is kept from the client.
    """
    match error:
        case StreamError():
            return error.status, str(error)
        case InvalidValueError() | wire.WireError():
            return Status.INVALID_ARGUMENT, str(error)
        case ServerFullError() | StalledClientError():
            return Status.RESOURCE_EXHAUSTED, str(error)
        case NotHereError():
            return Status.NOT_FOUND, str(error)
        case TokenError():
            return Status.UNAUTHENTICATED, str(error)
        case _:
            log.error("a stream failed", exc_info=error)
            return Status.INTERNAL, "the server made a mistake; see its log"
