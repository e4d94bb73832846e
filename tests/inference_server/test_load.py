"""Readers that stall, a clock that jumps, more load than a server can carry: what the others notice."""

from __future__ import annotations

import contextlib
import sys
import threading
import time

import numpy as np
import pytest

from diffusion_toy.contract import messages as m
from tests.client import Client
from tests.inference_server.faults import (
    ENDLESS,
    LONG,
    Looker,
    Relay,
    empty_house,
    gauges,
    goes_on,
    resident_mib,
    serious,
)
from tests.tools import HANGS_S, ServerProcess, free_port, running_server, wait_for


def is_steady(server: ServerProcess) -> bool:
    """Say whether the server's memory stays as it is for a second."""
    before = resident_mib(server.process.pid)
    time.sleep(1)
    return abs(resident_mib(server.process.pid) - before) < 0.25


@pytest.mark.parametrize("seconds", [3.0, pytest.param(15.0, marks=pytest.mark.slow)])
def test_readers_that_stall_cost_a_window_and_nobody_notices(flags: list[str], seconds: float) -> None:
    window, metrics_port = 3, free_port()
    start = m.Start(seed=1, window=window, settings=LONG)
    stale = 20 * seconds  # steps: half of those that a backlog of the stall would be behind
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

        threads = [threading.Thread(target=begin, args=(client,), daemon=True) for client in stalling]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(HANGS_S)
        assert len(offsets) == len(stalling)
        wait_for(lambda: is_steady(server), "what the server compiles in the background")
        for client in mute:
            client.acknowledge = False
        relay.stalled.set()
        last = {client: [client.frame() for _ in range(window)][-1] for client in mute}
        before_mib = resident_mib(server.process.pid)
        time.sleep(seconds)
        grown_mib = resident_mib(server.process.pid) - before_mib
        unacknowledged = gauges(metrics_port)["unacknowledged_frames"]
        assert unacknowledged <= len(stalling) * window + m.WINDOW_DEFAULT
        assert grown_mib < len(stalling)
        goes_on(lively)
        for client in mute:
            assert client._responses.qsize() <= 2  # a token or so, and no frame
            client.send(m.Acknowledge(last[client].number))
            assert abs(client.frame().step - lively.step - offsets[client]) <= stale
        relay.stalled.clear()
        for client in deaf:
            late = [client.frame() for _ in range(window + 2)]
            assert abs(late[-1].step - lively.step - offsets[client]) <= stale
        print(f"{seconds:g} s: {grown_mib:.2f} MiB")


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
    own = ["--grace", "3", "--idle", "5", "--metrics-port", str(metrics_port)]
    with running_server(*flags, *own, command=[sys.executable, "-c", JUMPY]) as server:
        with contextlib.closing(Looker(server.address, ENDLESS)) as looker:
            time.sleep(2)
            now = time.monotonic()
            assert 0 < looker.steps_between(now - 1.5, now) <= 75  # 40 a second
            wait_for(lambda: looker.step >= 40, "some steps")
            token = looker.token
            assert token is not None
            looker.break_off()
        wait_for(lambda: gauges(metrics_port)["detached_sessions"] == 1, "the loss")
        with Client(server.address) as client:
            assert client.resume(token.token).resumed
            assert client.frame().step >= 40
            client.break_off()
        lost = time.monotonic()
        wait_for(lambda: empty_house(metrics_port), "the end of the grace period")
        assert time.monotonic() - lost > 2.9
        assert not serious(server)


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
