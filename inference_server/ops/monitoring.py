"""What a server tells Prometheus. Every method may be called from any thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from threading import Thread
from typing import Literal
from wsgiref.simple_server import WSGIServer

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    start_http_server,
)
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from diffusion_toy import __version__
from diffusion_toy.contract.messages import CapacityInfo
from diffusion_toy.errors import DiffusionToyError

PREFIX = "diffusion_toy"
SECONDS = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.0167, 0.0334, 0.0667, 0.125, 0.25, 0.5, 1.0)  # 60 Hz, 30, 15
ROWS = tuple(2**power for power in range(13))  # 1…4096


class MonitoringError(DiffusionToyError):
    """The metrics cannot be served."""


@dataclass(frozen=True)
class Load:
    """A server at one moment.

    `demand` is what the sessions ask for, rows of the network's batch a second; `capacities` are what is
    promised of them, by the model's name, without those that are not known yet. `load` is the demand as a
    share of that: the sum over the models, which share the device.
    """

    sessions: int = 0
    detached_sessions: int = 0  # waiting for their client
    watchers: int = 0
    demand: float = 0.0
    load: float = 0.0
    unacknowledged_frames: int = 0
    capacities: Mapping[str, CapacityInfo] = field(default_factory=dict)


class _LoadCollector(Collector):
    """The gauges, read when somebody asks for them."""

    def __init__(self, load: Callable[[], Load]) -> None:
        self._load = load

    def collect(self) -> Iterator[Metric]:
        load = self._load()
        yield InfoMetricFamily(f"{PREFIX}_build", "The server's release.", {"version": __version__})
        for name, text, value in (
            ("sessions", "Sessions on this server, detached ones included.", load.sessions),
            ("detached_sessions", "Sessions that wait for their client.", load.detached_sessions),
            ("watchers", "Streams that watch a session.", load.watchers),
            ("demand_rows_per_second", "Network rows a second that the sessions ask for.", load.demand),
            ("load", "Demand as a share of the capacity, over all models; 1: full.", load.load),
            ("unacknowledged_frames", "Frames sent and not acknowledged.", load.unacknowledged_frames),
        ):
            yield GaugeMetricFamily(f"{PREFIX}_{name}", text, value)
        rows = self._by_model("capacity_rows_per_second", "Network rows a second that are promised.")
        age = self._by_model("capacity_age_seconds", "Since the capacity was measured.", "source")
        for model, capacity in load.capacities.items():
            rows.add_metric([model], capacity.rows_per_second)
            if capacity.age_s is not None:
                age.add_metric([model, capacity.source.name.lower()], capacity.age_s)
        yield rows
        yield age

    @staticmethod
    def _by_model(name: str, text: str, *labels: str) -> GaugeMetricFamily:
        return GaugeMetricFamily(f"{PREFIX}_{name}", text, labels=["model", *labels])


class Metrics:
    """A server's metrics in a registry of their own.

    A `kind` or a `reason` is one of a small fixed set of words: each takes memory for good.

    Args:
        load: the present load; called from the thread of whoever asks for the metrics.
    """

    def __init__(self, load: Callable[[], Load]) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a series each that nobody reads
        self.registry = CollectorRegistry()
        self.registry.register(_LoadCollector(load))
        ProcessCollector(registry=self.registry)
        self._tick = self._histogram("tick_seconds", "Work of a tick, for all sessions.", SECONDS)
        self._forward = self._histogram("forward_seconds", "The network's part of a tick.", SECONDS)
        self._rows = self._histogram("batch_rows", "Rows of a tick's batch, without padding.", ROWS)
        self._steps = self._counter("steps", "Steps that sessions have taken.")
        self._sent = self._counter("frames_sent", "Frames written to streams.")
        self._dropped = self._counter("frames_dropped", "Frames replaced by newer ones before sending.")
        self._commands = self._counter("commands", "Commands of clients.", "kind", "outcome")
        self._started = self._counter("sessions_started", "Sessions that began.")
        self._resumed = self._counter("sessions_resumed", "Sessions that went on on a new stream.")
        self._ended = self._counter("sessions_ended", "Sessions that are over.", "reason")
        self._restarts = self._counter("engine_restarts", "Engines started again after a failure.")
        self._refused = self._counter("streams_failed", "Streams that ended with an error.", "reason")

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"{PREFIX}_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"{PREFIX}_{name}", text, registry=self.registry, buckets=buckets)

    def tick(self, seconds: float, forward_seconds: float, rows: int, steps: int) -> None:
        """Count a tick that ran the network: its seconds, its rows, and how many sessions stepped."""
        self._tick.observe(seconds)
        self._forward.observe(forward_seconds)
        self._rows.observe(rows)
        self._steps.inc(steps)

    def frames_sent(self, count: int = 1) -> None:
        """Count frames that were written to their streams."""
        self._sent.inc(count)

    def frames_dropped(self, count: int = 1) -> None:
        """Count frames that newer ones replaced before they were sent."""
        self._dropped.inc(count)

    def command(self, kind: str, outcome: Literal["applied", "rejected"]) -> None:
        """Count a command that was applied or rejected; `kind` is its field's name in `DenoiseRequest`."""
        self._commands.labels(kind, outcome).inc()

    def session_started(self) -> None:
        """Count a new session; a branch is one."""
        self._started.inc()

    def session_resumed(self) -> None:
        """Count a session that goes on over a new stream, from here or from another server."""
        self._resumed.inc()

    def session_ended(self, reason: str) -> None:
        """Count a session that is over, by the reason."""
        self._ended.labels(reason).inc()

    def engine_restarted(self) -> None:
        """Count an engine that was started again after a failure."""
        self._restarts.inc()

    def stream_failed(self, reason: str) -> None:
        """Count a stream that ended with an error; `reason` is its status in lower case."""
        self._refused.labels(reason).inc()


class MetricsServer:
    """An HTTP server for scrapes, in threads of its own."""

    def __init__(self, server: WSGIServer, thread: Thread) -> None:
        self._server, self._thread = server, thread

    @property
    def port(self) -> int:
        """The TCP port in use."""
        return self._server.server_port

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def serve_metrics(metrics: Metrics, host: str, port: int) -> MetricsServer:
    """Serve the metrics at `http://host:port/metrics`; port 0 takes a free one.

    Raises:
        MonitoringError: nothing can listen there.
    """
    try:
        return MetricsServer(*start_http_server(port, host, metrics.registry))
    except OSError as error:
        reason = error.strerror or error
        raise MonitoringError(
            f"cannot serve metrics on {host}:{port} ({reason}); choose another --metrics-port"
        ) from error
