"""Traces by OpenTelemetry where its own settings name an endpoint: start, workflow, activities and requests in one.

Nothing of OpenTelemetry is imported where none is named. Spans hold ids and names, and no text of an error: that may
repeat what somebody typed.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from usecases.settings import BadSettings

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer
    from temporalio.contrib.opentelemetry import TracingInterceptor

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_FLUSH_MS = 3_000
"""A collector that hangs holds up the end of a process no longer than this."""


class Tracing:
    """`interceptor` is for the client; workers take it over from there."""

    def __init__(self, tracer: "Tracer", interceptor: "TracingInterceptor") -> None:
        self.tracer = tracer
        self.interceptor = interceptor


def wants_traces(environ: Mapping[str, str]) -> bool:
    return environ.get("OTEL_SDK_DISABLED", "").lower() != "true" and any(environ.get(name) for name in _ENDPOINTS)


@contextmanager
def tracing(service: str, environ: Mapping[str, str] = os.environ) -> Iterator[Tracing | None]:
    """None where no endpoint is set. What is not sent yet is sent at the end. Raises `BadSettings`."""
    if not wants_traces(environ):
        yield None
        return
    for name in _PROTOCOLS:
        if environ.get(name, "http/protobuf") != "http/protobuf":
            raise BadSettings(f"{name}: only http/protobuf is spoken")

    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from temporalio.contrib.opentelemetry import TracingInterceptor

    from usecases.clean_spans import CleanSpans

    given = {} if environ.get("OTEL_SERVICE_NAME") else {SERVICE_NAME: service}
    provider = TracerProvider(resource=Resource.create(given), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(CleanSpans(OTLPSpanExporter())))
    tracer = provider.get_tracer("openorders")
    try:
        yield Tracing(tracer, TracingInterceptor(tracer))
    finally:
        provider.force_flush(_FLUSH_MS)
        provider.shutdown()
