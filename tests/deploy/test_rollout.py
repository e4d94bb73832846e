"""The rendered Deployment as processes behind a real Envoy: no session is lost whatever happens to pods."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.deploy.envoy import Envoy, running_envoy
from tests.deploy.manifests import TOKEN, Resource, render
from tests.deploy.pods import Pods
from tests.models import write_model
from tests.tools import Program, running_program, wait_for

SECONDS_MAX = 600  # of load; the test ends it when it has seen enough
BACK_S_MAX = 30.0  # about a second on a quiet machine
WAIT_S = 120
ENVOYS_OWN_LIMIT_S = 15.0  # for a request, unless it is told otherwise
TINY = """
apiVersion: apps/v1
kind: Deployment
metadata:
  name: diffusion-toy
spec:
  template:
    spec:
      containers:
        - name: server
          env:
            - {{name: DIFFUSION_TOY_MODEL, value: {model}}}
            - {{name: DIFFUSION_TOY_CAPACITY, value: "100000"}}
          resources:
            limits:
              cpu: "1"
"""


class Rollout:
    """Pods behind Envoy."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        model = write_model(folder / "tiny.safetensors")
        self.resources: list[Resource] = render(folder, ["envoy-gateway"], [TINY.format(model=model)])
        self.proxy: Envoy = stack.enter_context(running_envoy(folder, self.resources))
        self.pods = stack.enter_context(Pods(folder / "pods", self.resources, self.proxy.publish))
        self.report = folder / "report.json"

    def viewers(self, count: int) -> list[str]:
        """Return the command of so many viewers."""
        command = [sys.executable, "-m", "viewer_client", "--headless", "--viewers", str(count)]
        command += ["--server", self.proxy.address, "--token", TOKEN, "--mouse", "none"]
        return [*command, "--seconds", str(SECONDS_MAX), "--json", str(self.report)]

    def sessions(self) -> int:
        """Return how many sessions have come to all pods that run, and have not gone."""
        return sum(sessions_of(pod.log_file) for pod in self.pods.running)

    def finish(self, load: Program) -> dict[str, object]:
        """End the load; return its figures."""
        load.process.send_signal(signal.SIGINT)
        said = load.finish(WAIT_S)
        assert load.process.returncode == 0, said
        print(said)
        figures: dict[str, object] = json.loads(self.report.read_text())
        return figures


def sessions_of(log_file: Path) -> int:
    """Return how many sessions have come to a pod, from its log."""
    text = log_file.read_text()
    return text.count('"session starts"') + text.count('"session resumes"')


@pytest.fixture
def rollout(tmp_path: Path) -> Iterator[Rollout]:
    with ExitStack() as stack:
        yield Rollout(tmp_path, stack)


def test_envoy_has_no_time_limit_for_a_stream(rollout: Rollout) -> None:
    text = json.dumps(rollout.proxy.configuration)
    (listener,) = rollout.proxy.configuration["static_resources"]["listeners"]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    route = manager["route_config"]["virtual_hosts"][0]["routes"][0]["route"]
    assert route["timeout"] == route["idle_timeout"] == manager["stream_idle_timeout"] == "0s", text
    assert route["max_stream_duration"] == {"max_stream_duration": "0s"}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("viewers", [6, 30])
def test_nobody_loses_a_session_when_pods_die_roll_and_go(rollout: Rollout, viewers: int) -> None:
    pods = rollout.pods
    first, *_ = pods.add(3)
    with running_program(rollout.viewers(viewers)) as load:
        wait_for(lambda: rollout.sessions() >= viewers, "all viewers")
        time.sleep(3.0)  # past the warm-up, after which figures count
        first.kill()
        wait_for(lambda: rollout.sessions() >= viewers, "the sessions of the pod that died")
        pods.add()
        pods.roll()
        wait_for(lambda: rollout.sessions() >= viewers, "all sessions on new pods")
        pods.remove(pods.running[0])  # the number goes from three to two
        wait_for(lambda: rollout.sessions() >= viewers, "the sessions of the pod that was too many")
        figures = rollout.finish(load)
    assert figures["lost"] == 0
    assert isinstance(figures["back_s_max"], float)
    assert figures["back_s_max"] < BACK_S_MAX


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_stream_lives_longer_than_any_proxys_default(rollout: Rollout) -> None:
    rollout.pods.add(1)
    with running_program(rollout.viewers(2)) as load:
        wait_for(lambda: rollout.sessions() == 2, "both viewers")
        time.sleep(4 * ENVOYS_OWN_LIMIT_S + 5)
        figures = rollout.finish(load)
    assert rollout.sessions() == 2  # none came back on another stream
    assert figures["resumed"] == 0
