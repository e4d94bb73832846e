"""Clients that vanish or behave badly: what they leave behind, and who notices."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

import grpc
import pytest

from diffusion_toy.contract import messages as m
from diffusion_toy.v1 import denoise_pb2 as pb
from tests.client import Client
from tests.inference_server.faults import (
    BAD_NEIGHBOURS,
    ENDLESS,
    Looker,
    Neighbour,
    Relay,
    empty_house,
    gauges,
    goes_on,
    serious,
)
from tests.tools import HANGS_S, ServerProcess, free_port, running_server, wait_for

SEATS = 6


GRACE_S = 0.3


NEVER_SENT = pb.DenoiseRequest(acknowledge=pb.Acknowledge(frame_number=10**6))


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
            wait_for(lambda: relay.busy, "a connection to break")
            relay.cut()
        case "error":
            client.send_raw(NEVER_SENT)
        case "half-close":
            client.half_close()
    client.status()


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
    wait_for(lambda: empty_house(metrics_port), "an empty house")
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(server.address)) for _ in range(SEATS)]
        for one in clients:
            one.start(ENDLESS)
        assert gauges(metrics_port)["sessions"] == SEATS
    wait_for(lambda: empty_house(metrics_port), "an empty house")


def test_a_lost_session_is_kept_for_the_grace_period_and_no_longer(
    server: ServerProcess, metrics_port: int
) -> None:
    with Client(server.address) as client:
        client.start(ENDLESS)
        client.frame()
        client.break_off()
        lost = time.monotonic()
    wait_for(lambda: empty_house(metrics_port), "the end of the grace period")
    assert time.monotonic() - lost >= GRACE_S


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


@pytest.mark.parametrize("behave", BAD_NEIGHBOURS, ids=lambda behave: behave.__name__)
def test_a_bystander_goes_on_beside_bad_neighbours(server: ServerProcess, behave: Neighbour) -> None:
    with contextlib.ExitStack() as stack:
        bystander = stack.enter_context(contextlib.closing(Looker(server.address, ENDLESS)))
        over = threading.Event()
        stack.callback(over.set)
        clients = [stack.enter_context(Client(server.address)) for _ in range(3)]
        threads = [threading.Thread(target=behave, args=(client, over)) for client in clients]
        for thread in threads:
            thread.start()
        goes_on(bystander)
        over.set()
        for thread in threads:
            thread.join(HANGS_S)
