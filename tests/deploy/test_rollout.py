"""The rendered Deployment as processes behind real proxies: no session is lost whatever happens to pods."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.balancer import running_pod_balancer
from tests.deploy.browsers import Browser
from tests.deploy.envoy import running_envoy
from tests.deploy.manifests import TOKEN, Resource, render, tiny_server
from tests.deploy.pods import METRICS, Pods
from tests.inference_server.faults import gauges
from tests.tools import Program, running_program, wait_for

COMPONENTS = {"envoy": "envoy-gateway", "haproxy": "haproxy"}
SECONDS_MAX = 600  # of load; the test ends it when it has seen enough
BACK_S_MAX = 30.0  # about a second on a quiet machine
WAIT_S = 120
ENVOYS_OWN_LIMIT_S = 15.0  # for a request, unless it is told otherwise


class Rollout:
    """Pods behind a proxy, with viewers and browsers."""

    def __init__(self, folder: Path, proxy: str, stack: ExitStack) -> None:
        self._report = folder / "report.json"
        patch = tiny_server(folder, capacity=100000)
        resources: list[Resource] = render(folder, [COMPONENTS[proxy]], [patch])
        if proxy == "envoy":
            envoy = stack.enter_context(running_envoy(folder, resources))
            self._address, self._page, publish = envoy.address, envoy.page, envoy.publish
        else:
            balancer, publish = stack.enter_context(running_pod_balancer(folder))
            self._address, self._page = balancer.address, balancer.page
        self.pods = stack.enter_context(Pods(folder / "pods", resources, publish))
        self._began = time.monotonic()

    @contextmanager
    def audience(self, viewers: int, browsers: int) -> Iterator[Audience]:
        """Let viewers and browsers look for the length of a block."""
        command = [sys.executable, "-m", "viewer_client", "--headless", "--viewers", str(viewers)]
        command += ["--server", self._address, "--token", TOKEN, "--mouse", "none"]
        command += ["--seconds", str(SECONDS_MAX), "--json", str(self._report)]
        with running_program(command) as load:
            people = [Browser(self._page, seed) for seed in range(browsers)]
            try:
                yield Audience(load, people, self._report)
            finally:
                for one in people:
                    one.leave()

    def attached(self) -> int:
        """Return how many sessions on pods that run have their viewer or browser."""
        return sum(attached(pod.ports[METRICS]) for pod in self.pods.running)

    def tell(self, what: str) -> None:
        """Print what has happened, for the transcript."""
        counts = [attached(pod.ports[METRICS]) for pod in self.pods.running]
        print(f"{time.monotonic() - self._began:6.1f} s  {what}: sessions {counts}")


class Audience:
    """Who looks.

    Args:
        load: the viewers.
        browsers: the browsers.
        report: the file in which the viewers' figures will be.
    """

    def __init__(self, load: Program, browsers: list[Browser], report: Path) -> None:
        self._load, self._browsers, self._report = load, browsers, report

    def leave(self) -> dict[str, Any]:
        """End all sessions; return the viewers' figures, with those of the browsers added."""
        for one in self._browsers:
            one.leave()
            assert one.failure is None, one.failure
        self._load.process.send_signal(signal.SIGINT)
        said = self._load.finish(WAIT_S)
        assert self._load.process.returncode == 0, said
        figures: dict[str, Any] = json.loads(self._report.read_text())
        for name in ("lost", "resumed"):
            figures[name] += sum(getattr(one, name) for one in self._browsers)
        back_s = [seconds for one in self._browsers for seconds in one.back_s]
        figures["browsers_back_s_max"] = max(back_s, default=None)
        print(
            said, {name: figures[name] for name in ("lost", "resumed", "back_s_max", "browsers_back_s_max")}
        )
        return figures


def attached(metrics_port: int) -> int:
    """Return how many sessions a pod has that do not wait for their client; 0 if it is going."""
    try:
        found = gauges(metrics_port)
    except OSError:
        return 0
    return int(found["sessions"] - found["detached_sessions"])


@pytest.fixture(params=list(COMPONENTS))
def rollout(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rollout]:
    with ExitStack() as stack:
        yield Rollout(tmp_path, request.param, stack)


def test_envoy_has_no_time_limit_for_a_stream(tmp_path: Path) -> None:
    with running_envoy(tmp_path, render(tmp_path, ["envoy-gateway"])) as envoy:
        listeners = envoy.configuration["static_resources"]["listeners"]
    assert len(listeners) == 2
    for listener in listeners:
        manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
        route = manager["route_config"]["virtual_hosts"][0]["routes"][0]["route"]
        assert route["timeout"] == route["idle_timeout"] == manager["stream_idle_timeout"] == "0s"
        assert route["max_stream_duration"] == {"max_stream_duration": "0s"}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_nobody_loses_a_session_when_pods_die_roll_and_go(rollout: Rollout) -> None:
    viewers, browsers = 30, 10
    pods = rollout.pods
    first, *_ = pods.add(3)
    with rollout.audience(viewers, browsers) as audience:

        def all_there(what: str) -> None:
            wait_for(lambda: rollout.attached() == viewers + browsers, what, WAIT_S)
            rollout.tell(what)

        all_there("all viewers and browsers")
        time.sleep(3.0)  # past the viewers' warm-up, after which figures count
        first.kill()
        all_there("the sessions of the pod that was killed")
        pods.add()
        pods.roll()
        all_there("all sessions on new pods")
        pods.remove(pods.running[0])  # the number goes from three to two
        all_there("the sessions of the pod that was too many")
        figures = audience.leave()
    assert figures["lost"] == 0
    assert figures["resumed"] > viewers + browsers  # everybody went on elsewhere at least once
    assert figures["back_s_max"] < BACK_S_MAX
    assert figures["browsers_back_s_max"] < BACK_S_MAX


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_stream_lives_longer_than_any_proxys_default(rollout: Rollout) -> None:
    rollout.pods.add(1)
    with rollout.audience(viewers=2, browsers=1) as audience:
        wait_for(lambda: rollout.attached() == 3, "everybody", WAIT_S)
        time.sleep(4 * ENVOYS_OWN_LIMIT_S + 5)
        assert rollout.attached() == 3
        figures = audience.leave()
    assert figures["resumed"] == figures["lost"] == 0
