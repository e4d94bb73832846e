"""Several servers behind HAProxy, with the configuration that is shipped: nobody loses a session."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.deploy.balancer import running_balancer
from tests.models import shared_flags
from tests.tools import ServerProcess, free_port, running_program, running_server, wait_for

SECONDS_MAX = 600  # of load; the test ends it when it has seen enough
MEASURED_S = 3.0
BACK_S_MAX = 30.0  # below a second on a quiet machine
WAIT_S = 120  # for what must come: only a hang takes so long


class Cluster:
    """Three places for servers that share a model and a key, and a balancer in front of them."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._stack, self._ports = stack, [free_port() for _ in range(3)]
        self.folder = folder
        self._flags = [*shared_flags(folder), "--one-of-several"]
        self.balancer = stack.enter_context(running_balancer(folder, self._ports))

    def start(self, place: int) -> ServerProcess:
        """A server at one of the places."""
        return self._stack.enter_context(running_server(*self._flags, port=self._ports[place]))


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with ExitStack() as stack:
        yield Cluster(tmp_path, stack)


def sessions(server: ServerProcess) -> int:
    """How many have come to this server so far."""
    return sum("session starts" in line or "session resumes" in line for line in server.log)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("viewers", [9, pytest.param(30, marks=pytest.mark.slow)])
def test_nobody_loses_a_session_when_servers_die_drain_and_come(cluster: Cluster, viewers: int) -> None:
    a, b = cluster.start(0), cluster.start(1)
    wait_for(lambda: cluster.balancer.log().count("is UP") == 2, "both servers to be known")
    report = cluster.folder / "report.json"
    command = [sys.executable, "-m", "viewer_client", "--headless", "--viewers", str(viewers)]
    command += ["--server", cluster.balancer.address, "--seconds", str(SECONDS_MAX), "--json", str(report)]
    with running_program(command) as load:
        wait_for(lambda: sessions(a) + sessions(b) == viewers, "all viewers")
        assert abs(sessions(a) - sessions(b)) <= 1  # the load is even
        c = cluster.start(2)
        wait_for(lambda: cluster.balancer.log().count("is UP") == 3, "the third server")
        time.sleep(MEASURED_S)  # the figures are of this long at least
        a.process.kill()
        wait_for(lambda: sessions(b) + sessions(c) == viewers, "the sessions of the one that died")
        assert sessions(c) >= viewers // 3  # the newest, with the fewest streams, got most of them
        assert b.stop() == 0
        wait_for(lambda: sessions(c) == viewers, "the sessions of the one that drained")
        load.process.send_signal(signal.SIGINT)  # ends the measurement, not the sessions
        said = load.finish(WAIT_S)
        assert load.process.returncode == 0, said
    figures = json.loads(report.read_text())
    print(said)
    assert figures["lost"] == 0, said
    assert figures["back_s_max"] < BACK_S_MAX, said


def test_viewers_of_a_server_that_hangs_go_on_with_another(cluster: Cluster) -> None:
    viewers = 6
    a, b = cluster.start(0), cluster.start(1)
    wait_for(lambda: cluster.balancer.log().count("is UP") == 2, "both servers to be known")
    report = cluster.folder / "report.json"
    command = [sys.executable, "-m", "viewer_client", "--headless", "--viewers", str(viewers)]
    command += ["--server", cluster.balancer.address, "--seconds", str(SECONDS_MAX), "--json", str(report)]
    with running_program(command) as load:
        wait_for(lambda: sessions(a) + sessions(b) == viewers, "all viewers")
        time.sleep(MEASURED_S)
        a.process.send_signal(signal.SIGSTOP)
        try:
            wait_for(lambda: sessions(b) == viewers, "the sessions of the one that hangs")
        finally:
            a.process.send_signal(signal.SIGCONT)
        load.process.send_signal(signal.SIGINT)
        said = load.finish(WAIT_S)
        assert load.process.returncode == 0, said
    assert json.loads(report.read_text())["lost"] == 0, said
