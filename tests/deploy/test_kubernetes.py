"""The manifests in deploy/kubernetes: valid, and what an operator may rely on holds."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from inference_server.ops.monitoring import Load, Metrics
from inference_server.transport.proxies import TrustedProxies
from tests.deploy.manifests import (
    COMPONENTS,
    MANIFESTS,
    RENDERED,
    Resource,
    containers,
    named,
    of_kind,
    render,
    rendered,
)
from tests.tools import ROOT, require_tool

WITHOUT_SCHEMA = {  # kinds that no Kubernetes knows by itself
    "BackendTrafficPolicy", "ClientTrafficPolicy", "Gateway", "GRPCRoute", "HTTPRoute", "PrometheusRule",
    "ScaledObject", "ServiceMonitor",
}  # fmt: skip
IN_FRONT = ("haproxy", "envoy-gateway")
FREEZING_S = 1.0  # the sessions, before `--drain` begins


@pytest.fixture(scope="module", params=["none", *COMPONENTS, "all"])
def overlay(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of an overlay without a component, with each, and with all that go together."""
    together = [name for name in COMPONENTS if name != "prometheus-adapter"]  # keda stands in its place
    folder = tmp_path_factory.mktemp("overlay")
    render(folder, {"none": [], "all": together}.get(request.param, [request.param]))
    return folder


@pytest.fixture
def resources(overlay: Path) -> list[Resource]:
    """Return what this overlay consists of."""
    return rendered(overlay)


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> list[Resource]:
    """Return the manifests with both proxies in front."""
    return render(tmp_path_factory.mktemp("every"), IN_FRONT)


def test_every_manifest_is_valid(overlay: Path) -> None:
    validate = require_tool("kubernetes-validate", "pip install kubernetes-validate")
    done = subprocess.run([validate, "--strict", str(overlay / RENDERED)], capture_output=True, text=True)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert set(re.findall(r"schema for kind (\w+)", said)) <= WITHOUT_SCHEMA


def test_no_container_may_do_more_than_it_needs(resources: list[Resource]) -> None:
    for pod, container in containers(resources):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"cpu", "memory"} <= container["resources"]["limits"].keys()
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys()


def test_every_image_has_a_release(resources: list[Resource]) -> None:
    for _, container in containers(resources):
        name, _, tag = container["image"].partition(":")
        assert name
        assert re.match(r"\d", tag), container["image"]


def test_every_container_is_probed_and_has_time_to_end(resources: list[Resource]) -> None:
    for pod, container in containers(resources):
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= container.keys()
        before = container["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert pod["terminationGracePeriodSeconds"] > before


def test_a_server_is_killed_only_after_its_drain_would_have_ended(resources: list[Resource]) -> None:
    deployment = named(resources, "Deployment", "diffusion-toy")
    pod = deployment["spec"]["template"]["spec"]
    source = pod["containers"][0]["envFrom"][0]["configMapRef"]["name"]
    options = named(resources, "ConfigMap", source)["data"]
    needed = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    needed += float(options["DIFFUSION_TOY_DRAIN"]) + FREEZING_S
    assert pod["terminationGracePeriodSeconds"] >= 2 * needed


def test_variables_that_kubernetes_makes_up_do_not_become_options(resources: list[Resource]) -> None:
    # The service diffusion-toy would give every pod DIFFUSION_TOY_PORT=tcp://…
    pod = named(resources, "Deployment", "diffusion-toy")["spec"]["template"]["spec"]
    assert pod["enableServiceLinks"] is False


def test_selectors_select_what_they_are_for(resources: list[Resource]) -> None:
    pods = {
        one["metadata"]["name"]: one["spec"]["template"]["metadata"]["labels"]
        for one in of_kind(resources, "Deployment")
    }
    seen = set()
    for kind in ("Service", "PodDisruptionBudget", "NetworkPolicy"):
        for one in of_kind(resources, kind):
            spec = one["spec"]
            wanted = spec.get("selector") or spec["podSelector"]
            wanted = wanted.get("matchLabels", wanted)
            selected = [name for name, labels in pods.items() if wanted.items() <= labels.items()]
            expected = "haproxy" if one["metadata"]["name"] == "haproxy" else "diffusion-toy"
            assert selected == [expected], one["metadata"]["name"]
            seen.add(kind)
    assert len(seen) == 3


def test_ports_that_are_named_exist(resources: list[Resource]) -> None:
    ports = {
        one["metadata"]["name"]: {
            port["name"] for port in one["spec"]["template"]["spec"]["containers"][0]["ports"]
        }
        for one in of_kind(resources, "Deployment")
    }
    for service in of_kind(resources, "Service"):
        of = "haproxy" if service["metadata"]["name"] == "haproxy" else "diffusion-toy"
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports[of]
        grpc = next(port for port in service["spec"]["ports"] if port["name"] == "grpc")
        assert grpc["appProtocol"] == "kubernetes.io/h2c"


def test_no_secret_is_committed() -> None:
    ignored = subprocess.run(["git", "check-ignore", "-q", "deploy/kubernetes/example/secret.env"], cwd=ROOT)
    assert ignored.returncode == 0
    example = (MANIFESTS / "example" / "secret.env.example").read_text()
    assert all(not line.partition("=")[2] for line in example.splitlines() if not line.startswith("#"))


def test_gateways_end_no_stream(every: list[Resource]) -> None:
    policy = named(every, "BackendTrafficPolicy", "diffusion-toy")["spec"]
    assert policy["timeout"]["http"] == {
        "requestTimeout": "0s", "maxStreamDuration": "0s", "streamIdleTimeout": "0s"
    }  # fmt: skip
    assert {(one["kind"], one["name"]) for one in policy["targetRefs"]} == {
        (kind, named(every, kind, "diffusion-toy")["metadata"]["name"]) for kind in ("GRPCRoute", "HTTPRoute")
    }
    client = named(every, "ClientTrafficPolicy", "diffusion-toy")["spec"]
    assert set(client["timeout"]["http"].values()) == {"0s"}
    for rule in named(every, "HTTPRoute", "diffusion-toy")["spec"]["rules"]:
        assert set(rule["timeouts"].values()) == {"0s"}


def test_routes_lead_to_ports_of_the_service(every: list[Resource]) -> None:
    listeners = {one["name"] for one in named(every, "Gateway", "diffusion-toy")["spec"]["listeners"]}
    services = {one["metadata"]["name"]: one["spec"]["ports"] for one in of_kind(every, "Service")}
    for kind, port_name in (("GRPCRoute", "grpc"), ("HTTPRoute", "web")):
        spec = named(every, kind, "diffusion-toy")["spec"]
        assert {one["sectionName"] for one in spec["parentRefs"]} <= listeners
        for backend in (one for rule in spec["rules"] for one in rule["backendRefs"]):
            ports = {port["port"]: port["name"] for port in services[backend["name"]]}
            assert ports[backend["port"]] == port_name


def test_haproxy_has_room_for_all_servers_and_asks_by_full_names(every: list[Resource]) -> None:
    configuration = named(every, "ConfigMap", "haproxy")["data"]["haproxy.cfg"]
    most = named(every, "HorizontalPodAutoscaler", "diffusion-toy")["spec"]["maxReplicas"]
    surge = named(every, "Deployment", "diffusion-toy")["spec"]["strategy"]["rollingUpdate"]["maxSurge"]
    rooms = [int(room) for room in re.findall(r"server-template \S+ 1-(\d+)", configuration)]
    assert len(rooms) == 2
    assert min(rooms) >= most + surge
    environment = named(every, "Deployment", "haproxy")["spec"]["template"]["spec"]["containers"][0]["env"]
    names = [one["value"] for one in environment if "SERVERS" in one["name"]]
    assert len(names) == 2
    headless = named(every, "Service", "diffusion-toy-pods")
    assert headless["spec"]["clusterIP"] == "None"
    for name in names:
        assert name.startswith("diffusion-toy-pods.$(NAMESPACE).svc.cluster.local:"), name


def test_servers_believe_the_balancer_whose_a_stream_is_and_nobody_by_default(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    plain = named(render(tmp_path / "plain", []), "ConfigMap", "diffusion-toy")["data"]
    assert "DIFFUSION_TOY_TRUSTED_PROXIES" not in plain
    behind = render(tmp_path, ["haproxy"])
    options = named(behind, "ConfigMap", "diffusion-toy")["data"]
    proxies = TrustedProxies.parse(options["DIFFUSION_TOY_TRUSTED_PROXIES"])
    assert not any(network.is_global for network in proxies.networks)
    named_by = "http-request set-header X-Forwarded-For %[src]"
    assert named(behind, "ConfigMap", "haproxy")["data"]["haproxy.cfg"].count(named_by) == 2


def test_the_autoscaler_goes_by_a_metric_that_exists(tmp_path: Path) -> None:
    known = {metric.name for metric in Metrics(Load).registry.collect()}
    scaler = named(render(tmp_path, []), "HorizontalPodAutoscaler", "diffusion-toy")["spec"]
    (metric,) = scaler["metrics"]
    assert metric["pods"]["metric"]["name"] in known
    assert metric["pods"]["target"] == {"type": "AverageValue", "averageValue": "700m"}
    assert scaler["behavior"]["scaleDown"]["policies"] == [{"type": "Pods", "value": 1, "periodSeconds": 120}]
    assert scaler["behavior"]["scaleDown"]["stabilizationWindowSeconds"] >= 300


def test_keda_stands_in_the_autoscalers_place_and_scales_alike(tmp_path: Path) -> None:
    def limits(spec: Resource, least: str, most: str) -> Sequence[int]:
        return spec[least], spec[most]

    with_keda, plain = render(tmp_path, ["keda"]), render(tmp_path, [])
    assert not of_kind(with_keda, "HorizontalPodAutoscaler")
    scaled = named(with_keda, "ScaledObject", "diffusion-toy")["spec"]
    scaler = named(plain, "HorizontalPodAutoscaler", "diffusion-toy")["spec"]
    assert limits(scaled, "minReplicaCount", "maxReplicaCount") == limits(
        scaler, "minReplicas", "maxReplicas"
    )
    behavior = scaled["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert behavior["scaleDown"] == scaler["behavior"]["scaleDown"]
    (trigger,) = scaled["triggers"]
    assert float(trigger["metadata"]["threshold"]) == 0.7


def test_prometheus_adapter_serves_the_autoscalers_metric(tmp_path: Path) -> None:
    resources = render(tmp_path, ["prometheus-adapter"])
    rules = named(resources, "ConfigMap", "prometheus-adapter")["data"]["config.yaml"]
    wanted = named(resources, "HorizontalPodAutoscaler", "diffusion-toy")["spec"]["metrics"][0]
    assert [rule["name"]["as"] for rule in yaml.safe_load(rules)["rules"]] == [
        wanted["pods"]["metric"]["name"]
    ]
