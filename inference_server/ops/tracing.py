"""Traces for OpenTelemetry: short spans of what happens now and then, never one for a whole stream.

Off unless asked for; the packages are only then imported. OpenTelemetry's own variables say where the spans
go and under which name (`OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, TypeAlias

from diffusion_toy import __version__
from diffusion_toy.errors import MissingExtraError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

CLOSE_S = 2.0  # for the last spans to leave when the server stops, also where nobody takes them
SpanName: TypeAlias = Literal["load", "start", "resume", "restore", "drain"]


class Traced:
    """A span that goes on; one that nobody records takes everything and does nothing.

    Args:
        span: the recorded one, None where traces are off.
    """

    def __init__(self, span: Span | None = None) -> None:
        self._span = span

    def rename(self, name: SpanName) -> None:
        """Give the span the name of what it has turned out to be."""
        if self._span is not None:
            self._span.update_name(name)

    def note(self, **attributes: str | int) -> None:
        """Add attributes; their names get the prefix `diffusion_toy.`."""
        if self._span is not None:
            self._span.set_attributes({f"diffusion_toy.{name}": value for name, value in attributes.items()})


class Tracing:
    """Records spans, if it has somebody to give them to.

    Args:
        provider: of OpenTelemetry; None records nothing.
    """

    def __init__(self, provider: TracerProvider | None = None) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("diffusion_toy", __version__) if provider is not None else None

    @contextmanager
    def span(self, name: SpanName, **attributes: str | int) -> Iterator[Traced]:
        """Record a span for the length of a block; an error that leaves the block is recorded with it."""
        if self._tracer is None:
            yield Traced()
            return
        with self._tracer.start_as_current_span(name) as span:
            traced = Traced(span)
            traced.note(**attributes)
            yield traced

    def close(self) -> None:
        """Send what is left, for `CLOSE_S` at most."""
        if self._provider is not None:
            closing = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
            closing.start()
            closing.join(CLOSE_S)


def otlp_tracing() -> Tracing:
    """Return what sends spans over OTLP, that is protobuf over HTTP, in a thread of its own.

    Raises:
        MissingExtraError: OpenTelemetry is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ModuleNotFoundError as error:
        raise MissingExtraError("opentelemetry-sdk", "tracing") from error
    ours = Resource.create({"service.name": "diffusion-toy", "service.version": __version__})
    provider = TracerProvider(resource=ours.merge(OTELResourceDetector().detect()), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Tracing(provider)
