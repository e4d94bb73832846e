"""With which status, and which words, an error ends a stream."""

from __future__ import annotations

import logging

import grpc

from diffusion_toy.contract import wire
from diffusion_toy.errors import DiffusionToyError, InvalidValueError
from inference_server.engine.engine import NotHereError, ServerFullError
from inference_server.streams.outbox import StalledClientError
from inference_server.streams.tokens import TokenError

log = logging.getLogger(__name__)


class ServiceError(DiffusionToyError):
    """Ends a stream with a status."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(details)
        self.code = code


def status_of(error: BaseException) -> tuple[grpc.StatusCode, str]:
    """The status and its text with which an error ends a stream."""
    match error:
        case ServiceError():
            return error.code, str(error)
        case InvalidValueError() | wire.WireError():
            return grpc.StatusCode.INVALID_ARGUMENT, str(error)
        case ServerFullError() | StalledClientError():
            return grpc.StatusCode.RESOURCE_EXHAUSTED, str(error)
        case NotHereError():
            return grpc.StatusCode.NOT_FOUND, str(error)
        case TimeoutError():
            return grpc.StatusCode.DEADLINE_EXCEEDED, "the client did not take its welcome"
        case TokenError():
            return grpc.StatusCode.UNAUTHENTICATED, str(error)
        case _:
            log.error("a stream failed", exc_info=error)
            return grpc.StatusCode.INTERNAL, "the server made a mistake; see its log"
