"""The rendered autoscaler over the rendered pods, by the real metric: viewers and pods come and go."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest

from diffusion_toy.v1 import admin_pb2 as pb
from diffusion_toy.v1 import admin_pb2_grpc as pb_grpc
from tests.deploy.autoscaler import SYNC_S, Autoscaler
from tests.deploy.envoy import running_envoy
from tests.deploy.manifests import TOKEN, named, render, tiny_server
from tests.deploy.pods import METRICS, Pod, Pods
from tests.inference_server.faults import gauges
from tests.tools import Program, running_program, wait_for

ADMIN = 50052  # the container's port
SPEED = 60.0  # the autoscaler's clock against the real one: its five minutes are five seconds
WAIT_S = 300.0  # for what must come: only a hang takes so long
SECONDS_MAX = 600  # of load; the test ends it when it has seen enough
EARLY, LATE = 12, 20  # viewers: a pod promises 20, so two pods are at 0.3 with the first and at 0.8 with all


class Cluster:
    """Pods behind Envoy, whose number follows the rendered HorizontalPodAutoscaler."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        patch = tiny_server(folder, capacity=100, admin_port=ADMIN)
        resources = render(folder, ["envoy-gateway"], [patch])
        self._proxy = stack.enter_context(running_envoy(folder, resources))
        self.pods = stack.enter_context(Pods(folder / "pods", resources, self._proxy.publish))
        self._autoscaler = Autoscaler(named(resources, "HorizontalPodAutoscaler", "diffusion-toy"))
        self._began = time.monotonic()
        self.transcript: list[str] = []

    def viewers(self, count: int, name: str) -> list[str]:
        """Return the command of so many viewers; their figures come into a file of this name."""
        command = [sys.executable, "-m", "viewer_client", "--headless", "--viewers", str(count)]
        command += ["--server", self._proxy.address, "--token", TOKEN, "--mouse", "none"]
        return [*command, "--seconds", str(SECONDS_MAX), "--json", str(self._folder / name)]

    def leave(self, load: Program, name: str) -> dict[str, int]:
        """Send viewers away; return their figures."""
        load.process.send_signal(signal.SIGINT)
        said = load.finish(WAIT_S)
        assert load.process.returncode == 0, said
        figures: dict[str, int] = json.loads((self._folder / name).read_text())
        return figures

    def loads(self) -> list[float]:
        """Return the metric that the autoscaler goes by, of each pod, the oldest first."""
        name = self._autoscaler.metric.removeprefix("diffusion_toy_")
        return [gauges(pod.ports[METRICS])[name] for pod in self.pods.running]

    def sessions(self) -> list[int]:
        """Return how many sessions each pod has, the oldest pod first."""
        return [sessions_of(pod) for pod in self.pods.running]

    def note(self, what: str) -> None:
        """Write down what has changed, and when."""
        if not self.transcript or not self.transcript[-1].endswith(f"  {what}"):
            self.transcript.append(f"{time.monotonic() - self._began:6.1f} s  {what}")

    def scale(self, until: Callable[[], bool], what: str) -> None:
        """Let the autoscaler do its work until something holds."""

        def step() -> bool:
            time.sleep(SYNC_S / SPEED)
            loads = self.loads()
            now = time.monotonic() - self._began
            wanted = self._autoscaler.replicas(loads, now * SPEED)
            told = ", ".join(f"{one:.2f}" for one in loads)
            self.note(f"load {told}  sessions {self.sessions()}  pods {len(loads)} -> {wanted}")
            if wanted > len(loads):
                self.pods.add(wanted - len(loads))
            for pod in self.pods.running[wanted:]:  # the youngest go first
                self.pods.remove(pod)
            return until()

        wait_for(step, what, WAIT_S)

    def rebalance(self, share: int) -> None:
        """Move the youngest sessions of the fullest pod, until the newest pod has a share of all."""
        *old, new = self.pods.running
        everybody = sum(self.sessions())
        while sessions_of(new) < share:
            fullest = max(old, key=sessions_of)
            request = pb.MoveSessionsRequest(count=2, order=pb.MOVE_ORDER_YOUNGEST)
            with grpc.insecure_channel(f"127.0.0.1:{fullest.ports[ADMIN]}") as channel:
                moved = pb_grpc.AdministrationServiceStub(channel).MoveSessions(request)
            assert len(moved.session_ids) == 2
            wait_for(lambda: sum(self.sessions()) == everybody, "those that move", WAIT_S)
        self.note(f"rebalanced: sessions {self.sessions()}")


def sessions_of(pod: Pod) -> int:
    """Return how many sessions a pod has."""
    return int(gauges(pod.ports[METRICS])["sessions"])


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with ExitStack() as stack:
        cluster = Cluster(tmp_path, stack)
        yield cluster
        print(*cluster.transcript, sep="\n")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_pods_follow_the_viewers_and_no_session_is_lost(cluster: Cluster) -> None:
    pods = cluster.pods
    pods.add(2)
    with running_program(cluster.viewers(EARLY, "early.json")) as early, ExitStack() as stack:
        cluster.scale(lambda: sum(cluster.sessions()) == EARLY, "the first viewers")
        assert len(pods.running) == 2
        late = stack.enter_context(running_program(cluster.viewers(LATE, "late.json")))
        cluster.scale(lambda: len(pods.running) == 3, "a third pod")
        wait_for(lambda: sum(cluster.sessions()) == EARLY + LATE, "all viewers", WAIT_S)
        cluster.rebalance((EARLY + LATE) // 4)
        assert cluster.leave(early, "early.json")["lost"] == 0
        third = pods.running[2]
        assert sessions_of(third) > 0  # of the late ones, as the youngest have moved there
        cluster.scale(lambda: len(pods.running) == 2, "the third pod to go")
        assert third not in pods.running
        wait_for(lambda: sum(cluster.sessions()) == LATE, "the sessions of the pod that went", WAIT_S)
        cluster.note(f"all back: sessions {cluster.sessions()}")
        figures = cluster.leave(late, "late.json")
        assert figures["lost"] == 0
        assert figures["resumed"] > 0


# --- the formula ---


@pytest.fixture
def autoscaler(tmp_path: Path) -> Autoscaler:
    return Autoscaler(named(render(tmp_path, []), "HorizontalPodAutoscaler", "diffusion-toy"))


@pytest.mark.parametrize(
    ("values", "wanted"),
    [([0.7, 0.7], 2), ([0.76, 0.76], 2), ([0.8, 0.8], 3), ([1.0, 1.0, 1.0], 5), ([0.0, 0.0], 2)],
)
def test_pods_come_at_once_in_proportion_to_the_load(
    autoscaler: Autoscaler, values: list[float], wanted: int
) -> None:
    assert autoscaler.replicas(values, 0.0) == wanted


def test_pods_go_one_at_a_time_when_the_load_has_been_low_for_five_minutes(autoscaler: Autoscaler) -> None:
    assert autoscaler.replicas([0.7] * 5, 0.0) == 5
    assert autoscaler.replicas([0.1] * 5, 15.0) == 5
    assert autoscaler.replicas([0.1] * 5, 300.0) == 5
    assert autoscaler.replicas([0.1] * 5, 315.0) == 4
    assert autoscaler.replicas([0.1] * 4, 420.0) == 4
    assert autoscaler.replicas([0.1] * 4, 435.0) == 3


def test_no_more_than_two_pods_come_in_half_a_minute(autoscaler: Autoscaler) -> None:
    assert autoscaler.replicas([1.0] * 8, 0.0) == 10
    assert autoscaler.replicas([1.0] * 10, 15.0) == 10
    assert autoscaler.replicas([1.0] * 10, 30.0) == 12
    assert autoscaler.replicas([1.0] * 12, 90.0) == 12  # maxReplicas
