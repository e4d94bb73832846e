"""The metrics, scraped over HTTP as Prometheus does."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from prometheus_client.parser import text_string_to_metric_families

from diffusion_toy import __version__
from diffusion_toy.contract import messages as m
from inference_server.ops.monitoring import Load, Metrics, MonitoringError, serve_metrics
from tests.tools import require_tool

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]

TICK_US = 20.0


@contextmanager
def serving(metrics: Metrics) -> Iterator[str]:
    """The address of its metrics."""
    server = serve_metrics(metrics, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.port}/metrics"
    finally:
        server.close()


def scrape(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as reply:
        assert reply.headers.get_content_type() == "text/plain"
        return str(reply.read().decode())


def samples(text: str) -> Samples:
    families = text_string_to_metric_families(text)
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def value(found: Samples, name: str, **labels: str) -> float:
    return found[f"diffusion_toy_{name}", frozenset(labels.items())]


def used() -> Metrics:
    """Metrics in which every method has left something."""
    metrics = Metrics(Load)
    metrics.tick(0.003, 0.002, 5, 4)
    metrics.tick(0.020, 0.018, 70, 66)
    metrics.frames_sent(3)
    metrics.frames_dropped()
    metrics.command("inject", "applied")
    metrics.command("inject", "applied")
    metrics.command("jump", "rejected")
    metrics.session_started()
    metrics.session_resumed()
    metrics.session_ended("done")
    metrics.engine_restarted()
    metrics.stream_failed("resource_exhausted")
    return metrics


def test_a_scrape_says_what_happened() -> None:
    with serving(used()) as url:
        found = samples(scrape(url))
    assert value(found, "steps_total") == 70
    assert value(found, "frames_sent_total") == 3
    assert value(found, "frames_dropped_total") == 1
    assert value(found, "commands_total", kind="inject", outcome="applied") == 2
    assert value(found, "commands_total", kind="jump", outcome="rejected") == 1
    assert value(found, "sessions_started_total") == 1
    assert value(found, "sessions_resumed_total") == 1
    assert value(found, "sessions_ended_total", reason="done") == 1
    assert value(found, "engine_restarts_total") == 1
    assert value(found, "streams_failed_total", reason="resource_exhausted") == 1
    assert value(found, "build_info", version=__version__) == 1
    assert not [name for name, _ in found if name.endswith("_created")]


def test_histograms_count_ticks_by_duration_and_size() -> None:
    with serving(used()) as url:
        found = samples(scrape(url))
    for name, total in (("tick_seconds", 0.023), ("forward_seconds", 0.020), ("batch_rows", 75)):
        assert value(found, f"{name}_count") == 2
        assert value(found, f"{name}_sum") == pytest.approx(total)
    assert value(found, "tick_seconds_bucket", le="0.002") == 0
    assert value(found, "tick_seconds_bucket", le="0.0167") == 1  # a tick within its time at 60 Hz
    assert value(found, "tick_seconds_bucket", le="0.0334") == 2
    assert value(found, "batch_rows_bucket", le="8.0") == 1
    assert value(found, "batch_rows_bucket", le="128.0") == 2


def test_gauges_are_read_when_asked_for() -> None:
    capacities = {
        "mnist": m.CapacityInfo(1900.0, m.CapacitySource.TICKS, 12.5),
        "mine": m.CapacityInfo(500.0, m.CapacitySource.GIVEN),
    }
    load = Load(
        sessions=5, detached_sessions=2, watchers=1, demand=300, load=0.25, unacknowledged_frames=9,
        capacities=capacities,
    )  # fmt: skip
    with serving(Metrics(lambda: load)) as url:
        found = samples(scrape(url))
        assert value(found, "sessions") == 5
        assert value(found, "detached_sessions") == 2
        assert value(found, "watchers") == 1
        assert value(found, "capacity_rows_per_second", model="mnist") == 1900
        assert value(found, "capacity_rows_per_second", model="mine") == 500
        assert value(found, "capacity_age_seconds", model="mnist", source="ticks") == 12.5
        assert not [labels for name, labels in found if "age" in name and ("model", "mine") in labels]
        assert value(found, "load") == 0.25
        assert value(found, "demand_rows_per_second") == 300
        assert value(found, "unacknowledged_frames") == 9
        load = Load(sessions=6)
        assert value(samples(scrape(url)), "sessions") == 6


def test_the_process_is_described_too() -> None:
    with serving(Metrics(Load)) as url:
        found = samples(scrape(url))
    assert found["process_resident_memory_bytes", frozenset()] > 1e6


def test_prometheus_own_checker_has_nothing_to_say() -> None:
    promtool = require_tool("promtool", "apt-get install prometheus")
    with serving(used()) as url:
        text = scrape(url)
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_several_threads_lose_no_count() -> None:
    metrics = Metrics(Load)

    def work() -> None:
        for _ in range(2000):
            metrics.tick(0.001, 0.001, 1, 1)
            metrics.command("inject", "applied")

    with serving(metrics) as url:
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = samples(scrape(url))
    assert value(found, "steps_total") == value(found, "tick_seconds_count") == 8000
    assert value(found, "commands_total", kind="inject", outcome="applied") == 8000


def test_a_tick_costs_next_to_nothing() -> None:
    metrics = Metrics(Load)

    def cost_us(ticks: int = 500) -> float:
        begin = time.thread_time()
        for _ in range(ticks):
            metrics.tick(0.004, 0.003, 32, 32)
        return (time.thread_time() - begin) / ticks * 1e6

    assert min(cost_us() for _ in range(5)) < TICK_US


def test_two_servers_in_a_process_do_not_share_their_metrics() -> None:
    one, other = Metrics(Load), Metrics(Load)
    one.session_started()
    with serving(other) as url:
        assert value(samples(scrape(url)), "sessions_started_total") == 0


def test_after_closing_nobody_listens() -> None:
    with serving(Metrics(Load)) as url:
        pass
    with pytest.raises(urllib.error.URLError):
        scrape(url)


def test_a_port_in_use_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(MonitoringError, match=rf"cannot serve metrics on 127\.0\.0\.1:{port} \(Address"):
            serve_metrics(Metrics(Load), "127.0.0.1", port)
    with pytest.raises(MonitoringError, match=r"cannot serve metrics on 256\.1\.1\.1:0"):
        serve_metrics(Metrics(Load), "256.1.1.1", 0)
