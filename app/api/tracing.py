"""`TRACING=true`: one span per request, exported over OTLP, without any user's text.

The standard variables `OTEL_…` name the endpoint, headers and the service.
"""

from threading import Thread
from typing import TYPE_CHECKING, Any

from fastapi.telemetry import TelemetryConfig

from app.errors import ConfigError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

CLOSED_WITHIN_S = 2.0
SERVICE_NAME = "job-recommender"

# A path has ids, and a query string what a client mistakenly puts there; `http.route`
# names the endpoint.
PRIVATE_ATTRIBUTES = ("url.path", "url.query", "http.request.method_original")
REDACTED = "REDACTED"

# All of FastAPI's own signals are off: they would pass bodies, invalid inputs and stack
# traces to any exporter that the environment names.
NO_TELEMETRY: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}


class Tracing:
    """Spans of requests; `close` exports those that are left."""

    def __init__(self) -> None:
        """Raises ConfigError if the extra `otel` is not installed."""
        self._provider = _provider()

    @property
    def config(self) -> TelemetryConfig:
        """What FastAPI records: the spans of requests and nothing else."""
        return NO_TELEMETRY | {"tracing": True, "tracer_provider": self._provider}

    def close(self) -> None:
        """Export the last spans, but do not wait long for their receiver."""
        thread = Thread(target=self._provider.shutdown, daemon=True)
        thread.start()
        thread.join(CLOSED_WITHIN_S)


def _provider() -> "TracerProvider":
    # Imported on demand: together they take some 10 MB.
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import SpanProcessor, TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError:
        raise ConfigError(
            "TRACING needs the packages of the extra otel: pip install"
            " 'job-recommender[otel]', or in a checkout requirements-otel.txt."
        ) from None

    class Redaction(SpanProcessor):
        """Remove the private attributes before any exporter sees the span."""

        def on_start(self, span: Any, parent_context: object = None) -> None:
            del parent_context
            for name in PRIVATE_ATTRIBUTES:
                if span.attributes and name in span.attributes:
                    span.set_attribute(name, REDACTED)

    resource = Resource.create()
    if str(resource.attributes["service.name"]).startswith("unknown_service"):
        resource = resource.merge(Resource({"service.name": SERVICE_NAME}))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(Redaction())
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
