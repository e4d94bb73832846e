"""What tests of connections share: waiting for what a server says, sending, a server that is faulty."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc

from diffusion_toy.contract import messages as m
from diffusion_toy.v1 import denoise_pb2 as pb
from diffusion_toy.v1 import denoise_pb2_grpc as pb_grpc
from tests.tools import wait_for
from tests.viewer_client.link.resumable import Resumable
from viewer_client.link.connection import Connection


def frames_of(connection: Connection, count: int) -> list[m.Frame]:
    frames: list[m.Frame] = []

    def enough() -> bool:
        for response in connection.take():
            if isinstance(response, m.Frame):
                connection.drawn(response)
                frames.append(response)
        return len(frames) >= count

    wait_for(enough, f"{count} frames")
    return frames


def live(connection: Connection) -> m.Welcome:
    """Wait for the next welcome."""
    found: list[m.Response] = []

    def welcomed() -> bool:
        found.extend(response for response in connection.take() if isinstance(response, m.Welcome))
        return bool(found)

    wait_for(welcomed, "the welcome")
    assert isinstance(found[-1], m.Welcome)
    return found[-1]


def has_token(connection: Connection) -> None:
    wait_for(lambda: connection.resume_token is not None, "a token")


def send(connection: Connection, count: int) -> list[int]:
    sequences = [connection.send(m.Inject(None, 5.0)) for _ in range(count)]
    assert None not in sequences
    return [sequence for sequence in sequences if sequence is not None]


def has_applied(service: Resumable, name: str, sequences: list[int]) -> None:
    wait_for(lambda: len(service.applied.get(name, ())) >= len(sequences), "the commands")
    assert service.applied[name] == sequences


class Faulty(pb_grpc.DenoiseServiceServicer):
    """Answers with what it is given, then with a status if there is one."""

    def __init__(
        self, responses: list[pb.DenoiseResponse], code: grpc.StatusCode | None, text: str = ""
    ) -> None:
        self.responses, self.code, self.text = responses, code, text

    def ListModels(self, request: Any, context: Any) -> pb.ListModelsResponse:
        return pb.ListModelsResponse()

    def Denoise(self, requests: Any, context: Any) -> Iterator[pb.DenoiseResponse]:  # type: ignore[override]
        next(requests)
        yield from self.responses
        if self.code is not None:
            context.abort(self.code, self.text)
        for _ in requests:
            pass
