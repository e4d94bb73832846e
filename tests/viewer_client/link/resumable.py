"""A small server of sessions that go on from a token, and that ends streams as it is told to.

A token is the session itself as JSON: its name, its step, and the commands that were applied.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import grpc

from diffusion_toy.contract import messages as m
from diffusion_toy.contract import wire
from diffusion_toy.v1 import denoise_pb2 as pb
from diffusion_toy.v1 import denoise_pb2_grpc as pb_grpc
from tests.viewer_client.frames import WELCOME

BLANK = bytes(2 * 28 * 28)
TOKEN_EVERY = 10  # frames


@dataclass
class End:
    """How streams are to end."""

    code: grpc.StatusCode
    text: str = ""
    moving: bool = False


@dataclass(eq=False)
class Resumable(pb_grpc.DenoiseServiceServicer):
    """The service.

    Attributes:
        refusal: with which tokens are refused.
        bearer: without which nobody is let in.
        deaf: commands are read but not applied, as if they had been on their way.
        rest_at: the step at which sessions rest; a restart lets them run again.
        starts: the first request of each stream.
        applied: by session, the sequences of its commands.
        left: sessions that their clients have ended.
        tokens_sent: how many, of all sessions.
    """

    period_s: float = 0.005
    tokens: bool = True
    refusal: grpc.StatusCode | None = None
    bearer: str = ""
    deaf: bool = False
    rest_at: int | None = None
    starts: list[m.Request] = field(default_factory=list)
    applied: dict[str, list[int]] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)
    tokens_sent: int = 0
    end: End | None = None

    def ListModels(self, request: Any, context: Any) -> pb.ListModelsResponse:
        self._let_in(context)
        return pb.ListModelsResponse(models=[wire.model_to_proto(WELCOME.model)])

    def Denoise(self, requests: Any, context: Any) -> Iterator[pb.DenoiseResponse]:  # type: ignore[override]
        self._let_in(context)
        first = wire.request_from_proto(next(requests))
        start = first.body
        assert isinstance(start, m.Start)
        self.starts.append(first)
        self.end = None
        state: dict[str, Any] = {"id": uuid.uuid4().hex, "step": 0, "applied": []}
        if start.resume_token:
            if self.refusal is not None:
                context.abort(self.refusal, "the token was made with another key")
            state = json.loads(start.resume_token)
        name, applied = state["id"], list(state["applied"])
        self.applied[name] = applied
        step, done = int(state["step"]), threading.Event()
        restarted = threading.Event()

        def read() -> None:
            try:
                for message in requests:
                    request = wire.request_from_proto(message)
                    if request.sequence > max(applied, default=0) and not self.deaf:
                        applied.append(request.sequence)
                        if isinstance(request.body, m.Restart):
                            restarted.set()
            except grpc.RpcError:
                return
            self.left.append(name)
            done.set()

        threading.Thread(target=read, daemon=True).start()
        yield pb.DenoiseResponse(
            welcome=wire.welcome_to_proto(
                replace(
                    WELCOME,
                    session_id=name,
                    applied_sequence=max(applied, default=first.sequence),
                    resumed=bool(start.resume_token),
                    watching=bool(start.watch),
                )
            )
        )

        def token() -> pb.ResumeToken:
            content = json.dumps({"id": name, "step": step, "applied": applied}).encode()
            return pb.ResumeToken(token=content, sequence=max(applied, default=0))

        number = 0
        while not done.wait(self.period_s):
            if self.end is not None:
                if self.end.moving:
                    yield pb.DenoiseResponse(moving=pb.Moving(resume_token=token(), message=self.end.text))
                if self.end.code is grpc.StatusCode.OK:
                    return
                context.abort(self.end.code, self.end.text)
            if restarted.is_set():
                restarted.clear()
                step = 0
            idle = self.rest_at is not None and step >= self.rest_at
            if idle and number and step > self.rest_at:  # type: ignore[operator]
                continue
            number, step = number + 1, step + 1
            newest = max(applied, default=0)
            yield pb.DenoiseResponse(
                frame=pb.Frame(
                    number=number,
                    step=step,
                    applied_sequence=newest,
                    x_t=BLANK,
                    x0_hat=BLANK,
                    idle=idle,
                    settings=wire.settings_to_proto(WELCOME.settings),
                )
            )
            if self.tokens and number % TOKEN_EVERY == 0:
                yield pb.DenoiseResponse(resume_token=token())
                self.tokens_sent += 1

    def _let_in(self, context: Any) -> None:
        metadata = dict(context.invocation_metadata())
        if self.bearer and metadata.get("authorization") != f"Bearer {self.bearer}":
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "a bearer token is needed")


@contextmanager
def serving(
    service: pb_grpc.DenoiseServiceServicer, port: int = 0, credentials: grpc.ServerCredentials | None = None
) -> Iterator[str]:
    """The address of a server of this service, which is cut off at the end of the block."""
    server = grpc.server(futures.ThreadPoolExecutor(16))
    pb_grpc.add_DenoiseServiceServicer_to_server(service, server)
    address = f"127.0.0.1:{port}"
    bound = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    server.start()
    try:
        yield f"127.0.0.1:{bound}"
    finally:
        server.stop(None).wait()
