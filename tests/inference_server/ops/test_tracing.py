"""The spans that a server sends to a collector."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from diffusion_toy.contract import messages as m
from diffusion_toy.errors import MissingExtraError
from inference_server.ops.tracing import Tracing, otlp_tracing
from tests.client import Client
from tests.tools import running_server, wait_for

trace_service = pytest.importorskip(
    "opentelemetry.proto.collector.trace.v1.trace_service_pb2", reason="install: pip install .[tracing]"
)


class Collector:
    """What a collector has been sent.

    Attributes:
        port: where it listens.
        spans: the names of the spans with their attributes.
        services: the names that the servers give themselves.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.spans: list[tuple[str, dict[str, str]]] = []
        self.services: set[str] = set()

    def take(self, content: bytes) -> None:
        for batch in trace_service.ExportTraceServiceRequest.FromString(content).resource_spans:
            resource = {one.key: one.value.string_value for one in batch.resource.attributes}
            self.services.add(resource["service.name"])
            for scope in batch.scope_spans:
                for span in scope.spans:
                    told = {one.key: one.value.string_value for one in span.attributes}
                    self.spans.append((span.name, told))

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.spans]


@contextmanager
def collector() -> Iterator[Collector]:
    """A collector for OTLP over HTTP for the length of a block."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found = Collector(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()


def test_what_happens_to_sessions_is_a_short_span_each_and_a_stream_has_none(
    flags: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_text("a secret that outlives a server\n")
    flags = [*flags, "--traces", "--resume-key-file", str(tmp_path / "key")]
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")  # ms
    with collector() as found:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{found.port}")
        endless = m.Start(settings=m.SettingsChange(num_time_steps=1000))
        with running_server(*flags) as server, Client(server.address) as first:
            assert found.services <= {"diffusion-toy"}
            first.start(endless)
            token = first.next_token().token
            wait_for(lambda: "start" in found.names, "the span of a start whose stream goes on")
            with Client(server.address) as second:  # takes the session over
                second.resume(token)
                wait_for(lambda: "resume" in found.names, "the span of a session that was still here")
                token = second.next_token().token
                assert server.stop() == 0
        wait_for(lambda: "drain" in found.names, "the last span")
        first_server = found.names
        assert sorted(first_server) == ["drain", "load", "load", "resume", "start"]
        assert ("start", {"diffusion_toy.model": "tiny"}) in found.spans
        with running_server(*flags) as server, Client(server.address) as third:
            third.resume(token)
            wait_for(lambda: "restore" in found.names, "the span of a session from a token")
        assert found.services == {"diffusion-toy"}


def test_a_server_ends_in_time_where_nobody_takes_its_spans(
    flags: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")  # the port "discard"
    with running_server(*flags, "--traces") as server:
        with Client(server.address) as client:
            client.start()
        assert server.stop() == 0


def test_without_opentelemetry_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(MissingExtraError, match=r"diffusion-toy\[tracing\]"):
        otlp_tracing()


def test_without_a_collector_a_block_runs_as_if_it_had_no_span() -> None:
    tracing = Tracing()
    with tracing.span("start", model="tiny") as span:
        span.rename("restore")
        span.note(sessions=3)
    with pytest.raises(ZeroDivisionError), tracing.span("load"):
        raise ZeroDivisionError
    tracing.close()
