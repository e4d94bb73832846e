"""Clients that vanish, stall, flood or come in crowds: what they leave behind, and who notices."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest

from diffusion_toy.contract import messages as m
from diffusion_toy.v1 import denoise_pb2 as pb
from tests.client import Client
from tests.inference_server.faults import (
    BAD_NEIGHBOURS,
    ENDLESS,
    LONG,
    Looker,
    Neighbour,
    Relay,
    gauges,
    resident_mib,
    serious,
)
from tests.inference_server.transport.test_security import certificate
from tests.models import write_model
from tests.tools import ServerProcess, free_port, running_server, wait_for

SEATS = 6
GRACE_S = 0.3
NEVER_SENT = pb.DenoiseRequest(acknowledge=pb.Acknowledge(frame_number=10**6))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")


@pytest.fixture(scope="module")
def flags(model: Path) -> list[str]:
    return ["--model", str(model), "--threads", "1", "--capacity", "100000"]


# --- state created, state released ---


@pytest.fixture(scope="module")
def metrics_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def server(flags: list[str], metrics_port: int) -> Iterator[ServerProcess]:
    own = ["--max-sessions", str(SEATS), "--grace", str(GRACE_S), "--metrics-port", str(metrics_port)]
    with running_server(*flags, *own, "--streams-per-peer", str(2 * SEATS)) as process:
        yield process
        assert not serious(process)


@pytest.fixture(scope="module")
def relay(server: ServerProcess) -> Iterator[Relay]:
    with Relay(server.port) as relay:
        yield relay


@pytest.fixture(scope="module")
def token(server: ServerProcess) -> bytes:
    """Of a session that has ended."""
    with Client(server.address) as client:
        client.start(ENDLESS)
        return client.next_token().token


Reach = Callable[[Client, str, bytes], None]


def before_start(client: Client, watched: str, token: bytes) -> None:
    pass


def before_welcome(client: Client, watched: str, token: bytes) -> None:
    client.send(ENDLESS)


def after_welcome(client: Client, watched: str, token: bytes) -> None:
    client.start(ENDLESS)


def while_frames_flow(client: Client, watched: str, token: bytes) -> None:
    client.start(ENDLESS)
    for _ in range(5):
        client.frame()


def with_a_full_window(client: Client, watched: str, token: bytes) -> None:
    client.acknowledge = False
    client.start(ENDLESS)
    for _ in range(m.WINDOW_DEFAULT):
        client.frame()


def with_commands_pending(client: Client, watched: str, token: bytes) -> None:
    client.start(ENDLESS)
    for _ in range(50):
        client.send(m.Inject(None, 5.0), at_step=10**15)
    client.frame()


def watching(client: Client, watched: str, token: bytes) -> None:
    client.watch(watched)
    client.frame()


def before_it_may_watch(client: Client, watched: str, token: bytes) -> None:
    client.send(m.Start(watch=watched))


def resuming(client: Client, watched: str, token: bytes) -> None:
    client.send(m.Start(resume_token=token), sequence=0)


def resumed(client: Client, watched: str, token: bytes) -> None:
    client.resume(token)
    client.frame()


POINTS: tuple[Reach, ...] = (
    before_start, before_welcome, after_welcome, while_frames_flow, with_a_full_window,
    with_commands_pending, watching, before_it_may_watch, resuming, resumed,
)  # fmt: skip
ENDINGS = ("cancel", "break", "error", "deadline", "half-close")


def end(client: Client, relay: Relay, ending: str) -> None:
    """End a stream, and see the end."""
    match ending:
        case "cancel":
            client.break_off()
        case "break":
            wait_for(lambda: relay.busy, 5, "a connection to break")
            relay.cut()
        case "error":
            client.send_raw(NEVER_SENT)
        case "half-close":
            client.half_close()
    client.status()


def empty_house(metrics_port: int) -> bool:
    found = gauges(metrics_port)
    names = ("sessions", "detached_sessions", "watchers", "unacknowledged_frames", "demand_rows_per_second")
    return not any(found[name] for name in names)


@pytest.mark.parametrize("reach", POINTS, ids=lambda reach: reach.__name__)
def test_whatever_ends_a_stream_nothing_of_it_is_left(
    server: ServerProcess, relay: Relay, metrics_port: int, token: bytes, reach: Reach
) -> None:
    for ending in ENDINGS:
        with contextlib.ExitStack() as stack:
            watched = ""
            if "watch" in reach.__name__:
                watched = stack.enter_context(Client(server.address)).start(ENDLESS).session_id
            address = relay.address if ending == "break" else server.address
            timeout_s = 0.3 if ending == "deadline" else None
            client = stack.enter_context(Client(address, timeout_s=timeout_s))
            with contextlib.suppress(grpc.RpcError):  # on a busy machine the deadline comes earlier
                reach(client, watched, token)
            with contextlib.suppress(grpc.RpcError):
                end(client, relay, ending)
    wait_for(lambda: empty_house(metrics_port), GRACE_S + 10, "an empty house")
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(server.address)) for _ in range(SEATS)]
        for one in clients:
            one.start(ENDLESS)
        assert gauges(metrics_port)["sessions"] == SEATS
    wait_for(lambda: empty_house(metrics_port), GRACE_S + 10, "an empty house")


def test_a_lost_session_is_kept_for_the_grace_period_and_no_longer(
    server: ServerProcess, metrics_port: int
) -> None:
    with Client(server.address) as client:
        client.start(ENDLESS)
        client.frame()
        client.break_off()
        lost = time.monotonic()
    wait_for(lambda: gauges(metrics_port)["detached_sessions"] == 1, 2, "the session to wait")
    wait_for(lambda: empty_house(metrics_port), 5, "the end of the grace period")
    assert GRACE_S <= time.monotonic() - lost < GRACE_S + 5


# --- watchers of a session that is lost and found ---


def test_who_watches_sees_on_when_the_one_who_runs_it_comes_back(server: ServerProcess) -> None:
    with Client(server.address) as driver, Client(server.address, acknowledge=False) as watcher:
        name = driver.start(m.Start(motion=m.Motion.PAUSED)).session_id
        for _ in range(5):
            driver.send(m.Step())
        applied = driver.send(m.Pause())
        driver.frame(lambda frame: frame.applied_sequence == applied and frame.idle)
        watcher.watch(name)
        late = watcher.frame()  # drawn, but its acknowledgement is on its way
        while driver.token is None or driver.token.sequence < applied:
            driver.read()
        with Client(server.address) as again:
            assert again.resume(driver.token.token).session_id == name
            watcher.frame()
            watcher.send(m.Acknowledge(late.number))
            again.send(m.Play())
            watcher.acknowledge = True
            ahead = again.frame(lambda frame: frame.step > 60).step
            watcher.frame(lambda frame: frame.step >= ahead)  # many windows of frames


# --- readers that stall ---


def goes_on(looker: Looker, since: float) -> None:
    """Its frames have come all the time; how evenly is for `tests/benchmarks/bench_neighbours.py`."""
    now = time.monotonic()
    assert looker.steps_between(since, now) >= 0.25 * 40 * (now - since)


@pytest.mark.parametrize("seconds", [3.0, pytest.param(15.0, marks=pytest.mark.slow)])
def test_readers_that_stall_cost_a_window_and_nobody_notices(flags: list[str], seconds: float) -> None:
    window, metrics_port = 3, free_port()
    start = m.Start(seed=1, window=window, settings=LONG)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(running_server(*flags, "--metrics-port", str(metrics_port)))
        relay = stack.enter_context(Relay(server.port))
        lively = stack.enter_context(contextlib.closing(Looker(server.address, ENDLESS)))
        deaf = [stack.enter_context(Client(relay.address)) for _ in range(2)]  # do not even read
        mute = [stack.enter_context(Client(server.address)) for _ in range(2)]  # do not acknowledge
        stalling = deaf + mute
        offsets: dict[Client, int] = {}  # of steps, to the lively one's

        def begin(client: Client) -> None:
            client.start(start)
            client.frame(lambda frame: frame.step >= 125)  # the history's memory has been touched
            offsets[client] = client.frame().step - lively.step

        threads = [threading.Thread(target=begin, args=(client,)) for client in stalling]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert len(offsets) == len(stalling)
        for client in mute:
            client.acknowledge = False
        relay.stalled.set()
        began = time.monotonic()
        last = {client: [client.frame() for _ in range(window)][-1] for client in mute}
        before_mib = resident_mib(server.process.pid)
        time.sleep(seconds)
        grown_mib = resident_mib(server.process.pid) - before_mib
        unacknowledged = gauges(metrics_port)["unacknowledged_frames"]
        assert unacknowledged <= len(stalling) * window + m.WINDOW_DEFAULT
        assert grown_mib < len(stalling)
        goes_on(lively, began)
        for client in mute:
            assert client._responses.qsize() <= 2  # a token or so, and no frame
            client.send(m.Acknowledge(last[client].number))
            assert abs(client.frame().step - lively.step - offsets[client]) <= 6
        relay.stalled.clear()
        for client in deaf:
            late = [client.frame() for _ in range(window + 2)]
            assert abs(late[-1].step - lively.step - offsets[client]) <= 6
        print(f"{seconds:g} s: {grown_mib:.2f} MiB")


# --- neighbours that behave badly ---


@pytest.mark.parametrize("behave", BAD_NEIGHBOURS, ids=lambda behave: behave.__name__)
def test_a_bystander_goes_on_beside_bad_neighbours(server: ServerProcess, behave: Neighbour) -> None:
    with contextlib.ExitStack() as stack:
        bystander = stack.enter_context(contextlib.closing(Looker(server.address, ENDLESS)))
        over = threading.Event()
        clients = [stack.enter_context(Client(server.address)) for _ in range(3)]
        threads = [threading.Thread(target=behave, args=(client, over)) for client in clients]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        time.sleep(1.5)
        goes_on(bystander, began)
        over.set()
        for thread in threads:
            thread.join(20)


# --- limits ---


def test_a_stream_that_is_silent_for_too_long_is_ended(flags: list[str]) -> None:
    with (
        running_server(*flags, "--idle", "1") as server,
        Client(server.address, acknowledge=False) as mute,
        Client(server.address) as silent,
        contextlib.closing(Looker(server.address, ENDLESS)) as lively,
    ):
        mute.start(ENDLESS)
        began = time.monotonic()
        code, text = mute.status()
        assert code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert "nothing came from the client for 1 s" in text
        assert 0.9 < time.monotonic() - began < 10
        code, text = silent.status()
        assert code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert "no start came within 1 s" in text
        assert mute.token is not None
        with Client(server.address) as again:  # the session has waited
            assert again.resume(mute.token.token).session_id == mute.welcome.session_id  # type: ignore[union-attr]
        seen = len(lively.seen)
        wait_for(lambda: len(lively.seen) > seen + 10, 5, "frames of who draws them")


def test_one_address_gets_so_many_streams_and_no_more(flags: list[str]) -> None:
    with running_server(*flags, "--streams-per-peer", "3") as server:
        with contextlib.ExitStack() as stack:
            for _ in range(3):
                stack.enter_context(Client(server.address)).start(ENDLESS)
            with Client(server.address) as late:
                late.send(ENDLESS)
                code, text = late.status()
                assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
                assert text.startswith("3 streams are open from this address")

        def fits() -> bool:
            with Client(server.address) as client, contextlib.suppress(grpc.RpcError):
                client.send(ENDLESS)
                return isinstance(client.read(), m.Welcome)
            return False

        wait_for(fits, 5, "a free stream")


def test_too_large_a_message_ends_its_own_stream_only(server: ServerProcess, metrics_port: int) -> None:
    with Client(server.address) as bystander:
        bystander.start(ENDLESS)
        with Client(server.address) as client:
            limits = client.start(ENDLESS).limits
            picture = pb.Origin(pixels=bytes(limits.request_bytes))
            client.send_raw(pb.DenoiseRequest(sequence=2, restart=pb.Restart(origin=picture)))
            code, text = client.status()
            assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert "larger than max" in text
        step = bystander.frame().step
        bystander.frame(lambda frame: frame.step > step + 20 and frame.sessions == 1)


def test_tls_and_bearer_token_together_let_in_who_has_both(flags: list[str], tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "server")
    secret = tmp_path / "token"
    secret.write_text("correct-horse-battery\n")
    protection = ["--tls-cert", str(cert), "--tls-key", str(key), "--token-file", str(secret)]
    trust = grpc.ssl_channel_credentials(cert.read_bytes())
    bearer = (("authorization", "Bearer correct-horse-battery"),)
    with running_server(*flags, "--host", "0.0.0.0", *protection) as server:
        address = f"localhost:{server.port}"
        with Client(address, metadata=bearer, credentials=trust) as client:
            client.start(ENDLESS)
            assert client.frame(lambda frame: frame.number > 10).seed == 5
            client.half_close()
            assert client.status()[0] is grpc.StatusCode.OK
        for metadata, credentials, expected in (
            (None, trust, grpc.StatusCode.UNAUTHENTICATED),
            ((("authorization", "Bearer wrong"),), trust, grpc.StatusCode.UNAUTHENTICATED),
            (bearer, None, grpc.StatusCode.UNAVAILABLE),
            (bearer, grpc.ssl_channel_credentials(), grpc.StatusCode.UNAVAILABLE),
        ):
            with Client(address, metadata=metadata, credentials=credentials) as client:
                client.send(ENDLESS)
                assert client.status()[0] is expected
        assert not any("correct-horse" in line for line in server.log)


def test_a_public_address_without_protection_is_refused(flags: list[str]) -> None:
    with pytest.raises(AssertionError, match="--insecure"):
        ServerProcess(*flags, "--host", "0.0.0.0")


def test_a_start_beyond_the_capacity_is_refused_at_once(flags: list[str]) -> None:
    with running_server(*flags, "--capacity", "130") as server, contextlib.ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(Client(server.address)).start()
        took = []
        for _ in range(4):
            with Client(server.address) as late:
                began = time.monotonic()
                late.send(m.Start())
                code, text = late.status()
                took.append(time.monotonic() - began)
                assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
                assert "it serves 2 sessions" in text
        assert min(took) < 0.1
        print(f"refused after {1000 * min(took):.0f} ms")
        slow = m.SettingsChange(steps_per_second=10)  # for which there is room
        stack.enter_context(Client(server.address)).start(m.Start(settings=slow))


# --- time ---

JUMPY = """
import itertools, sys, time
real, jumps = time.time, itertools.cycle((0, 3 * 86400, -30 * 86400, 1e9))
time.time = lambda: real() + next(jumps)
time.time_ns = lambda: int(time.time() * 1e9)
from inference_server import __main__ as command
sys.exit(command.main())
"""


def test_a_system_clock_that_jumps_by_days_changes_nothing(flags: list[str]) -> None:
    metrics_port = free_port()
    own = ["--grace", "1", "--idle", "5", "--metrics-port", str(metrics_port)]
    with running_server(*flags, *own, command=[sys.executable, "-c", JUMPY]) as server:
        with contextlib.closing(Looker(server.address, ENDLESS)) as looker:
            time.sleep(2)
            now = time.monotonic()
            assert 20 < looker.steps_between(now - 1.5, now) <= 75  # 40 a second
            token = looker.token
            assert token is not None
            looker.break_off()
        time.sleep(0.5)
        assert gauges(metrics_port)["detached_sessions"] == 1
        with Client(server.address) as client:
            assert client.resume(token.token).resumed
            assert client.frame().step >= 40
            client.break_off()
        lost = time.monotonic()
        wait_for(lambda: empty_house(metrics_port), 10, "the end of the grace period")
        assert time.monotonic() - lost > 0.9
        assert not serious(server)


# --- overload ---

SLOW = """
import sys, time
from inference_server import __main__ as command
from inference_server.engine.engine import Engine

tick = Engine.tick

def slow(self):
    time.sleep(0.03)
    return tick(self)

Engine.tick = slow
sys.exit(command.main())
"""


def jain(shares: np.ndarray) -> float:
    """Jain's index of fairness: 1 where all shares are equal, 1/n where one has everything."""
    return float(shares.sum() ** 2 / (len(shares) * (shares**2).sum()))


def test_twice_too_much_load_slows_everybody_equally_and_touches_still_land(flags: list[str]) -> None:
    speeds = (60.0, 60.0, 60.0, 30.0, 30.0, 15.0, 15.0)
    command = [sys.executable, "-c", SLOW]
    with (
        running_server(*flags, "--capacity", "1000000", command=command) as server,
        contextlib.ExitStack() as stack,
    ):
        lookers = [
            stack.enter_context(
                contextlib.closing(
                    Looker(
                        server.address,
                        m.Start(settings=m.SettingsChange(num_time_steps=1000, steps_per_second=speed)),
                    )
                )
            )
            for speed in speeds
        ]
        toucher = stack.enter_context(Client(server.address))
        toucher.start(m.Start(settings=m.SettingsChange(num_time_steps=1000)))
        frames = []
        end = time.monotonic() + 2.5
        began = end - 2.0
        touched, number, applied_in = 0, 0, list[int]()
        while time.monotonic() < end:
            frame = toucher.frame()
            frames.append(frame)
            if touched and frame.applied_sequence >= touched:
                applied_in.append(frame.number - number)
                touched = 0
            if not touched and toucher._responses.empty():
                touched, number = toucher.send(m.Inject(m.Disc(0.5, 0.5, 0.2), 5.0)), frame.number
        shares = np.array(
            [
                looker.steps_between(began, end) / (2.0 * speed)
                for looker, speed in zip(lookers, speeds, strict=True)
            ]
        )
    assert 0.1 < shares.mean() < 0.85, "not overloaded by about two"
    for speed in set(speeds):
        assert jain(shares[np.array(speeds) == speed]) >= 0.98
    assert jain(shares) >= 0.98
    assert len(applied_in) >= 5
    assert float(np.quantile(applied_in, 0.9)) <= 2
    print(
        f"Jain's index {jain(shares):.4f}, shares {shares.round(2)}, applied within {max(applied_in)} frames"
    )


def test_the_index_of_fairness_is_what_it_says() -> None:
    assert jain(np.ones(4)) == 1
    assert jain(np.array([1.0, 0, 0, 0])) == 0.25
