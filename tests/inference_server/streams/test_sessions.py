"""A session's life over a stream within the process: no gRPC, no socket, the real engine."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from diffusion_toy.contract import messages as m
from diffusion_toy.contract import wire
from diffusion_toy.v1 import denoise_pb2 as pb
from inference_server.engine.engine import Engine, EngineConfig
from inference_server.engine.loop import EngineLoop
from inference_server.ops.monitoring import Load, Metrics
from inference_server.streams.delivery import Delivery
from inference_server.streams.sessions import Sessions
from inference_server.streams.status import Status
from inference_server.streams.stream import BrokenStreamError
from inference_server.streams.tokens import Sealer
from tests.inference_server.engine.engines import engine_of
from tests.models import tiny_model

HANGS_S = 60.0  # what comes at all comes long before


class InProcess:
    """A `Stream` in two queues."""

    peer = "here"

    def __init__(self) -> None:
        self._requests: asyncio.Queue[pb.DenoiseRequest | BrokenStreamError | None] = asyncio.Queue()
        self._responses: asyncio.Queue[pb.DenoiseResponse] = asyncio.Queue()

    async def read(self) -> pb.DenoiseRequest | None:
        request = await self._requests.get()
        if isinstance(request, BrokenStreamError):
            raise request
        return request

    async def write(self, message: pb.DenoiseResponse) -> None:
        kept = pb.DenoiseResponse()
        kept.CopyFrom(message)  # the server changes its message afterwards
        self._responses.put_nowait(kept)

    def send(self, sequence: int, body: m.Start | m.Command) -> None:
        self._requests.put_nowait(wire.request_to_proto(m.Request(body, sequence)))

    def end(self, how: BrokenStreamError | None) -> None:
        """Close the client's side in good order (None), or break the connection."""
        self._requests.put_nowait(how)

    async def receive(self, kind: str) -> pb.DenoiseResponse:
        """Return the next response of a kind, and drop those before it."""
        async with asyncio.timeout(HANGS_S):
            while (response := await self._responses.get()).WhichOneof("response") != kind:
                pass
            return response


@asynccontextmanager
async def served(folder: Path, streams_per_peer: int = 2) -> AsyncIterator[tuple[Sessions, Engine]]:
    engine = engine_of(tiny_model(folder), EngineConfig(2, token_period_s=0.1))
    metrics, delivery = Metrics(Load), Delivery(asyncio.get_running_loop())
    sessions = Sessions(delivery, m.Limits(), Sealer(b"k" * 32, 2**20), metrics, streams_per_peer)
    failures: list[BaseException] = []
    loop = EngineLoop([engine], delivery.publish, failures.append, metrics)
    thread = threading.Thread(target=loop.run)
    thread.start()
    try:
        sessions.open({engine.info.name: engine}, loop)
        yield sessions, engine
    finally:
        sessions.close("the test is over")
        loop.stop()
        await asyncio.to_thread(thread.join)
    assert not failures


@pytest.mark.parametrize("broken", [False, True])
async def test_a_session_ends_with_its_stream_and_waits_when_the_stream_breaks(
    tmp_path: Path, broken: bool
) -> None:
    async with served(tmp_path) as (sessions, engine):
        stream = InProcess()
        serving = asyncio.create_task(sessions.serve(stream))
        stream.send(1, m.Start(seed=5))
        welcome = (await stream.receive("welcome")).welcome
        token = (await stream.receive("resume_token")).resume_token
        stream.end(BrokenStreamError() if broken else None)
        async with asyncio.timeout(HANGS_S):
            assert await serving is None
        again = InProcess()
        serving = asyncio.create_task(sessions.serve(again))
        again.send(2, m.Start(resume_token=token.token))
        resumed = (await again.receive("welcome")).welcome
        assert (resumed.seed, resumed.resumed) == (5, True)
        # The same session went on, or a new one was made of its token.
        assert len(engine.sessions) == 1
        assert next(iter(engine.sessions.values())).detachments == int(broken)
        assert resumed.session_id == welcome.session_id
        again.end(None)
        async with asyncio.timeout(HANGS_S):
            assert await serving is None


async def test_a_stream_ends_with_a_status_by_its_canonical_name(tmp_path: Path) -> None:
    async with served(tmp_path) as (sessions, _):
        stream = InProcess()
        stream.send(1, m.Start(model="unknown"))
        async with asyncio.timeout(HANGS_S):
            failure = await sessions.serve(stream)
        assert failure is not None
        status, text = failure
        assert status is Status.NOT_FOUND
        assert "unknown" in text


async def test_streams_of_one_peer_are_counted_over_all_transports(tmp_path: Path) -> None:
    async with served(tmp_path, streams_per_peer=1) as (sessions, _):
        first = InProcess()
        serving = asyncio.create_task(sessions.serve(first))
        first.send(1, m.Start(seed=1))
        await first.receive("welcome")
        async with asyncio.timeout(HANGS_S):
            failure = await sessions.serve(InProcess())
            assert failure is not None
            assert failure[0] is Status.RESOURCE_EXHAUSTED
            first.end(None)
            await serving
            second = InProcess()
            second.end(None)
            assert await sessions.serve(second) is None
