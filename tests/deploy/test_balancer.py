"""Several servers behind HAProxy, with the configuration that is shipped: nobody loses a session."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.deploy.balancer import running_balancer
from tests.inference_server.faults import free_port
from tests.models import write_model
from tests.tools import ROOT, ServerProcess, running_server, wait_for

SECONDS = 20


class Cluster:
    """Three places for servers that share a model and a key, and a balancer in front of them."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._stack, self._ports = stack, [free_port() for _ in range(3)]
        self.folder = folder
        key = folder / "key"
        key.write_text("a secret that several servers share\n")
        model = write_model(folder / "tiny.safetensors")
        self._flags = ["--model", str(model), "--threads", "1", "--capacity", "100000", "--one-of-several"]
        self._flags += ["--resume-key-file", str(key)]
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


@pytest.mark.parametrize("viewers", [9, pytest.param(30, marks=pytest.mark.slow)])
def test_nobody_loses_a_session_when_servers_die_drain_and_come(cluster: Cluster, viewers: int) -> None:
    a, b = cluster.start(0), cluster.start(1)
    wait_for(lambda: cluster.balancer.log().count("is UP") == 2, 20, "both servers to be known")
    report = cluster.folder / "report.json"
    command = [sys.executable, "-m", "viewer_client", "--headless", "--viewers", str(viewers)]
    command += ["--server", cluster.balancer.address, "--seconds", str(SECONDS), "--json", str(report)]
    load = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    wait_for(lambda: sessions(a) + sessions(b) == viewers, 30, "all viewers")
    assert abs(sessions(a) - sessions(b)) <= 1  # the load is even
    c = cluster.start(2)
    wait_for(lambda: cluster.balancer.log().count("is UP") == 3, 20, "the third server")
    a.process.kill()
    wait_for(lambda: sessions(b) + sessions(c) == viewers, 10, "the sessions of the one that died")
    assert sessions(c) >= viewers // 3  # the newest, with the fewest streams, got most of them
    assert b.stop() == 0
    wait_for(lambda: sessions(c) == viewers, 10, "the sessions of the one that drained")
    said, _ = load.communicate(timeout=SECONDS + 60)
    assert load.returncode == 0, said
    figures = json.loads(report.read_text())
    print(said)
    assert figures["lost"] == 0, said
    assert figures["back_s_max"] < 3, said
