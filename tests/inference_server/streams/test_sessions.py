"""A session's life over a stream within the process: no gRPC, no socket, the real engine."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from diffusion_toy.contract import messages as m
from diffusion_toy.rate import TokenBucket
from diffusion_toy.v1 import denoise_pb2 as pb
from inference_server.engine.engine import Engine, EngineConfig
from inference_server.engine.loop import EngineLoop
from inference_server.engine.roster import Roster
from inference_server.ops.monitoring import Load, Metrics
from inference_server.streams import intake
from inference_server.streams.conversation import schedule_response
from inference_server.streams.delivery import Delivery
from inference_server.streams.sessions import START_S, Sessions
from inference_server.streams.status import GAVE_WAY, Status, StreamError
from inference_server.streams.stream import BrokenStreamError
from inference_server.streams.tokens import Sealer
from tests.in_process import InProcess, TickedServer
from tests.inference_server.engine.engines import engine_of
from tests.models import tiny_model

HANGS_S = 60.0  # what comes at all comes long before


async def receive(stream: InProcess, kind: str) -> pb.DenoiseResponse:
    """Return the next response of a kind, and drop those before it."""
    async with asyncio.timeout(HANGS_S):
        while (response := await stream.receive()).WhichOneof("response") != kind:
            pass
        return response


@asynccontextmanager
async def served(
    folder: Path, streams_per_peer: int = 2, start_s: float = START_S
) -> AsyncIterator[tuple[Sessions, Engine]]:
    engine = engine_of(tiny_model(folder), EngineConfig(2, token_period_s=0.1))
    metrics, delivery = Metrics(Load), Delivery(asyncio.get_running_loop())
    sealer = Sealer(b"k" * 32, 2**20)
    sessions = Sessions(delivery, m.Limits(), sealer, metrics, streams_per_peer, start_s)
    failures: list[BaseException] = []
    roster = Roster([engine])
    loop = EngineLoop(roster, delivery.publish, failures.append, metrics)
    thread = threading.Thread(target=loop.run)
    thread.start()
    try:
        sessions.open(roster, loop)
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
        stream.send(m.Request(m.Start(seed=5), 1))
        welcome = (await receive(stream, "welcome")).welcome
        token = (await receive(stream, "resume_token")).resume_token
        stream.end(BrokenStreamError() if broken else None)
        async with asyncio.timeout(HANGS_S):
            assert await serving is None
        again = InProcess()
        serving = asyncio.create_task(sessions.serve(again))
        again.send(m.Request(m.Start(resume_token=token.token), 2))
        resumed = (await receive(again, "welcome")).welcome
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
        stream.send(m.Request(m.Start(model="unknown"), 1))
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
        first.send(m.Request(m.Start(seed=1), 1))
        await receive(first, "welcome")
        async with asyncio.timeout(HANGS_S):
            failure = await sessions.serve(InProcess())
            assert failure is not None
            assert failure[0] is Status.RESOURCE_EXHAUSTED
            first.end(None)
            await serving
            second = InProcess()
            second.end(None)
            assert await sessions.serve(second) is None


async def test_streams_of_one_network_of_ipv6_are_counted_together(tmp_path: Path) -> None:
    async with served(tmp_path, streams_per_peer=1) as (sessions, _):
        refused = pytest.raises(StreamError, match="streams are open from this address")
        first, other = sessions.counted("2001:db8::1"), sessions.counted("2001:db8:0:1::1")
        with first, other, refused, sessions.counted("2001:db8::2"):
            pass


@pytest.mark.parametrize("broken", [False, True])
def test_a_stream_that_ends_just_when_another_takes_its_session_over_does_not_stop_it(broken: bool) -> None:
    server = TickedServer()
    try:
        first, second = server.open(), server.open()
        first.send(m.Request(m.Start(seed=5), 1))
        for _ in range(90):
            server.tick()
        token = next(one.resume_token for one in first.arrived() if one.HasField("resume_token"))
        second.send(m.Request(m.Start(resume_token=token.token), 0))
        first.end(BrokenStreamError() if broken else None)  # both come in before the next tick
        for _ in range(10):
            server.tick()
        frames = [one.frame for one in second.arrived() if one.HasField("frame")]
        assert frames[-1].step > frames[0].step > token.sequence
        assert [session.detached for session in server.engine.sessions.values()] == [False]
    finally:
        server.close()


async def test_a_stream_without_a_start_ends_soon(tmp_path: Path) -> None:
    async with served(tmp_path, start_s=0.05) as (sessions, _):
        async with asyncio.timeout(HANGS_S):
            failure = await sessions.serve(InProcess())
        assert failure is not None
        status, text = failure
        assert status is Status.DEADLINE_EXCEEDED
        assert "no start came within 0.05 s" in text


async def test_a_session_that_gives_way_is_told_so_and_goes_on_where_it_was(tmp_path: Path) -> None:
    async with served(tmp_path, streams_per_peer=4) as (sessions, engine):
        streams = [InProcess(peer) for peer in ("here", "here", "elsewhere")]
        serving, welcomes = [], []
        for stream in streams:  # the third finds no seat free, and one address that has two
            serving.append(asyncio.create_task(sessions.serve(stream)))
            stream.send(m.Request(m.Start(), 1))
            welcomes.append((await receive(stream, "welcome")).welcome)
        gave_way = next(n for n in range(2) if engine.find(welcomes[n].session_id) is None)
        moving = (await receive(streams[gave_way], "moving")).moving
        async with asyncio.timeout(HANGS_S):
            failure = await serving[gave_way]
        assert failure == (Status.RESOURCE_EXHAUSTED, GAVE_WAY)
        assert moving.message == GAVE_WAY
        streams[2].end(None)
        async with asyncio.timeout(HANGS_S):
            await serving[2]
        again = InProcess()
        resuming = asyncio.create_task(sessions.serve(again))
        again.send(m.Request(m.Start(resume_token=moving.resume_token.token), 2))
        resumed = (await receive(again, "welcome")).welcome
        assert (resumed.session_id, resumed.resumed) == (welcomes[gave_way].session_id, True)
        again.end(None)
        streams[1 - gave_way].end(None)
        async with asyncio.timeout(HANGS_S):
            assert await resuming is None
            assert await serving[1 - gave_way] is None


@pytest.mark.parametrize("driven", [False, True])
def test_a_session_that_gives_way_is_counted_once_however_often_it_has_waited(driven: bool) -> None:
    server = TickedServer()
    try:
        stream = server.open()
        stream.send(m.Request(m.Start(seed=5), 1))
        for _ in range(90):
            server.tick()
        token = next(one.resume_token for one in stream.arrived() if one.HasField("resume_token"))
        again = m.Request(m.Start(resume_token=token.token), 1)
        for _ in range(1 + driven):
            stream.end(BrokenStreamError())
            server.tick()
            stream = server.open()
            stream.send(again)
            server.tick()
        if not driven:
            stream.end(BrokenStreamError())
            server.tick()
        (session,) = server.engine.sessions.values()
        assert (session.detachments, session.detached) == (2, not driven)
        server.engine.displace(session)
        server.ticks += int(2 * m.Limits().grace_s * server.engine.tick_rate_hz)
        for _ in range(3):
            server.tick()
        counted = server._sessions._metrics.registry.get_sample_value(
            "diffusion_toy_sessions_ended_total", {"reason": "displaced"}
        )
        assert counted == 1
    finally:
        server.close()


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (m.Configure(m.SettingsChange(label=10)), "settings.label 10"),  # refused on arrival
        (m.Jump(step=10_000), "jump.step 10000"),  # refused when its turn comes
    ],
)
async def test_a_stream_of_bad_commands_is_answered_and_in_the_end_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: m.Command, why: str
) -> None:
    monkeypatch.setattr(intake, "REFUSED_PER_SECOND", 5.0)
    monkeypatch.setattr(intake, "REFUSED_AT_ONCE", 10.0)
    monkeypatch.setattr(intake, "REFUSED_IN_A_ROW_MAX", 5)
    async with served(tmp_path) as (sessions, _):
        stream = InProcess()
        serving = asyncio.create_task(sessions.serve(stream))
        stream.send(m.Request(m.Start(seed=1), 1))
        await receive(stream, "welcome")
        for sequence in range(2, 200):
            stream.send(m.Request(command, sequence))
        for _ in range(16):
            await receive(stream, "rejected")
        stream.send(m.Request(command, 200))  # if it was the engine that refused, they count before the next
        async with asyncio.timeout(HANGS_S):
            failure = await serving
        assert failure is not None
        assert failure[0] is Status.RESOURCE_EXHAUSTED
        assert why in failure[1]


async def test_acknowledgements_of_new_frames_are_read_at_once_and_all_others_wait_for_their_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "SURE_PER_SECOND", 1e-6)
    monkeypatch.setattr(intake, "SURE_AT_ONCE", 5.0)
    async with served(tmp_path) as (sessions, _):
        sessions._intake._requests = TokenBucket(1e-6, 0.0)
        stream = InProcess()
        serving = asyncio.create_task(sessions.serve(stream))
        stream.send(m.Request(m.Start(window=1), 1))
        for _ in range(30):
            number = (await receive(stream, "frame")).frame.number
            stream.send(m.Request(m.Acknowledge(number), 0))
        for _ in range(6):
            stream.send(m.Request(m.Acknowledge(number), 0))  # which say nothing new
        await receive(stream, "frame")
        stream.send(m.Request(m.Pause(), 2))
        async with asyncio.timeout(HANGS_S):
            while stream.waiting != 1:
                await asyncio.sleep(0)
        stream.end(BrokenStreamError())
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def test_an_address_has_a_rate_for_calls_and_for_new_streams(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "CALLS_PER_SECOND", 1e-6)
    monkeypatch.setattr(intake, "CALLS_AT_ONCE", 2.0)
    async with served(tmp_path) as (sessions, _), asyncio.timeout(HANGS_S):
        sessions._intake.streams = intake.PeerRate("new streams", 1e-6, 2.0)
        for _ in range(2):
            assert sessions.models("192.0.2.1")
            stream = InProcess()
            stream.end(None)
            assert await sessions.serve(stream) is None
        with pytest.raises(StreamError, match="calls a second"):
            sessions.models("192.0.2.1")
        assert sessions.models("192.0.2.2")
        failure = await sessions.serve(InProcess())
        assert failure is not None
        assert failure[0] is Status.RESOURCE_EXHAUSTED
        assert "new streams a second" in failure[1]


async def test_everybody_who_has_the_same_schedule_is_told_it_by_one_message(tmp_path: Path) -> None:
    async with served(tmp_path) as (sessions, _):
        driver, watcher = InProcess(), InProcess()
        serving = [asyncio.create_task(sessions.serve(driver))]
        driver.send(m.Request(m.Start(seed=1), 1))
        name = (await receive(driver, "welcome")).welcome.session_id
        serving.append(asyncio.create_task(sessions.serve(watcher)))
        watcher.send(m.Request(m.Start(watch=name), 0))
        await receive(watcher, "welcome")
        before = schedule_response.cache_info()
        driver.send(m.Request(m.Configure(m.SettingsChange(num_time_steps=123)), 2))
        for stream in (driver, watcher):
            assert len((await receive(stream, "schedule")).schedule.alphas_cumprod) == 124
        after = schedule_response.cache_info()
        assert (after.misses - before.misses, after.hits - before.hits) == (1, 1)
        driver.end(None)
        async with asyncio.timeout(HANGS_S):
            await asyncio.gather(*serving)
