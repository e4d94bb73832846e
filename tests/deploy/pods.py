"""A rendered Deployment as processes: its command, environment, probes, preStop and grace period.

What a kubelet and the Deployment's controller do, as far as it matters to sessions. Each pod has ports of
its own in place of the container's; volumes are folders.
"""

from __future__ import annotations

import base64
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.deploy.manifests import Resource, named
from tests.tools import ROOT, free_port, wait_for

POLL_S = 0.1
GRPC, WEB, METRICS = 50051, 8080, 9464  # the container's ports

Ports: TypeAlias = Mapping[int, int]  # of a pod: from a port of the container to the one it has here


def is_serving(port: int, timeout_s: float) -> bool:
    """Ask as a `grpc` probe does."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            reply = stub.Check(health_pb2.HealthCheckRequest(), timeout=timeout_s)
        except grpc.RpcError:
            return False
    return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)


class Pod:
    """A pod of a Deployment: its one container as a process."""

    def __init__(self, folder: Path, resources: Sequence[Resource]) -> None:
        spec = named(resources, "Deployment", "diffusion-toy")["spec"]["template"]["spec"]
        (self._container,) = spec["containers"]
        self._grace_s = float(spec["terminationGracePeriodSeconds"])
        self.ports: Ports = {one["containerPort"]: free_port() for one in self._container["ports"]}
        self._folder = folder
        folder.mkdir(parents=True)
        self.log_file = folder / "log"
        command = [sys.executable if word == "python" else word for word in self._container["command"]]
        with self.log_file.open("w") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=self._environment(resources), stdout=log, stderr=log
            )
        self.terminating = False

    def _environment(self, resources: Sequence[Resource]) -> dict[str, str]:
        variables: dict[str, str] = {}
        for source in self._container["envFrom"]:
            if "configMapRef" in source:
                variables |= named(resources, "ConfigMap", source["configMapRef"]["name"])["data"]
            else:
                secret = named(resources, "Secret", source["secretRef"]["name"])
                variables |= {name: decoded(value) for name, value in secret["data"].items()}
        for one in self._container["env"]:
            variables[one["name"]] = one["value"] if "value" in one else self._resource(one["valueFrom"])
        for name, value in variables.items():
            if name.endswith("PORT") and int(value) in self.ports:
                variables[name] = str(self.ports[int(value)])
            elif name.endswith("HOST"):
                variables[name] = "127.0.0.1"  # not 0.0.0.0: nobody else may reach a test
            for mount in self._container["volumeMounts"]:
                # What exists was put there by the test; the rest is to be made in the volume.
                if value.startswith(f"{mount['mountPath']}/") and not Path(value).exists():
                    variables[name] = str(self._folder / value.removeprefix(f"{mount['mountPath']}/"))
        return {"PATH": os.environ["PATH"], "HOME": str(self._folder), "OMP_NUM_THREADS": "1", **variables}

    def _resource(self, source: dict[str, Any]) -> str:
        """Return what the downward API does: the limit, rounded up."""
        _, name = source["resourceFieldRef"]["resource"].split(".")
        return str(math.ceil(float(self._container["resources"]["limits"][name])))

    def probe(self, kind: str) -> bool:
        """Ask once, as the kubelet does."""
        probe = self._container[f"{kind}Probe"]
        return is_serving(self.ports[probe["grpc"]["port"]], probe.get("timeoutSeconds", 1))

    def terminate(self) -> int:
        """End as Kubernetes ends a pod: preStop, SIGTERM, and SIGKILL when the grace is over.

        Returns:
            The exit status.
        """
        self.terminating, until = True, time.monotonic() + self._grace_s
        time.sleep(self._container["lifecycle"]["preStop"]["sleep"]["seconds"])
        self.process.terminate()
        try:
            return self.process.wait(until - time.monotonic())
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int:
        """Let it die at once."""
        self.process.kill()
        return self.process.wait()


def decoded(value: str) -> str:
    """Return a secret's value."""
    return base64.b64decode(value).decode()


class Pods:
    """The pods of a Deployment, and what its Service knows of them.

    Args:
        folder: for the pods' files.
        resources: what was rendered.
        publish: called with the ports of each pod that is ready, whenever these change.
    """

    def __init__(
        self, folder: Path, resources: Sequence[Resource], publish: Callable[[Sequence[Ports]], object]
    ) -> None:
        self._folder, self._resources, self._publish = folder, resources, publish
        self._pods: list[Pod] = []
        self._started = 0
        self._published: list[Ports] | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Pods:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        for pod in self._pods:
            pod.kill()

    def _watch(self) -> None:
        """Keep the endpoints: who is ready and does not terminate."""
        while not self._over.wait(POLL_S):
            alive = [pod for pod in list(self._pods) if not pod.terminating and pod.process.poll() is None]
            ready = [pod.ports for pod in alive if pod.probe("readiness")]
            if ready != self._published:
                self._publish(ready)
                self._published = ready

    @property
    def running(self) -> list[Pod]:
        """Return the pods that are not on their way out, the oldest first."""
        return [pod for pod in self._pods if not pod.terminating and pod.process.poll() is None]

    def add(self, count: int = 1) -> list[Pod]:
        """Start pods, and wait until each is ready and known to be."""
        pods = []
        for _ in range(count):
            self._started += 1
            pods.append(Pod(self._folder / f"pod-{self._started}", self._resources))
            self._pods.append(pods[-1])

        def known() -> bool:
            for pod in pods:
                assert pod.process.poll() is None, pod.log_file.read_text()
            return all(pod.ports in (self._published or ()) for pod in pods)

        wait_for(known, "ready pods")
        return pods

    def remove(self, pod: Pod) -> None:
        """End a pod in good order."""
        assert pod.terminate() == 0, pod.log_file.read_text()

    def roll(self) -> None:
        """Replace every pod as `maxSurge: 1, maxUnavailable: 0` does: one more is ready, then one goes."""
        for old in self.running:
            self.add()
            self.remove(old)
