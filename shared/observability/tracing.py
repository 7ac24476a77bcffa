"""Traces of a report for an OpenTelemetry collector; the SDK is loaded only when a collector is configured."""

import re
import sys
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

    from shared.contract.events import Report

HEADER: Final = "traceparent"
# In the bytes of a fact its attributes stand before its data: nothing in its data is taken for its trace.
_NAME: Final = b',"traceparent":"'
_DATA: Final = b',"data":'
_FORM: Final = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def of_fact(raw: bytes) -> bytes | None:
    """Return the traceparent in the bytes of a fact, None where it has none."""
    begins = raw.find(_NAME, 0, raw.find(_DATA))
    match = _FORM.match(raw, begins + len(_NAME)) if begins >= 0 else None
    return match[0] if match else None


def trace_id(traceparent: str | None) -> str | None:
    """Return the trace that a traceparent names (W3C Trace Context)."""
    return traceparent[3:35] if traceparent else None


class Tracing:
    """Spans of one process. Each hop is a child of the report's own span, so that hops may come in any order.

    Without an endpoint every method does nothing.
    """

    def __init__(self, endpoint: str = "", service: str = "", process: str = "") -> None:
        self._provider: TracerProvider | None = None
        if not endpoint:
            return
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
            from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
            from opentelemetry.sdk.trace import TracerProvider as Provider  # noqa: PLC0415
            from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        except ImportError:
            sys.exit(
                "SKILLPLAN_OTLP 需要另装的软件包 needs packages that are not installed: "
                "pip install --require-hashes -r requirements-otel.txt"
                ";映像以此重建 an image built again with SKILLPLAN_EXTRAS=otel"
            )
        resource = Resource.create({"service.name": f"skillplan-{service}", "service.instance.id": process})
        self._provider = Provider(resource=resource, shutdown_on_exit=False)
        # A collector that is away costs spans, never reports: they are sent from a thread, from a bounded queue.
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint, timeout=5)))

    @property
    def on(self) -> bool:
        """Tell whether spans are exported."""
        return self._provider is not None

    def now(self) -> int:
        """Return the time as spans have it."""
        return time.time_ns()

    def receive(self, reports: Iterable["Report"], began: int) -> None:
        """Give each report a span for its arrival; a report without a trace begins one here."""
        if self._provider is None:
            return
        for report in reports:
            made = self._span("door", report.traceparent, began, self.now(), {"skillplan.type": report.type})
            report.traceparent = report.traceparent or made

    def hop(
        self, name: str, parents: Iterable[str | None], began: int, ended: int | None = None, **attributes: str | int
    ) -> None:
        """Give each trace a span of this hop; what has no trace gets none."""
        if self._provider is None:
            return
        attributes = {f"skillplan.{key}": value for key, value in attributes.items()}
        for parent in parents:
            if parent is not None:
                self._span(name, parent, began, ended or self.now(), attributes)

    def _span(
        self, name: str, parent: str | None, began: int, ended: int, attributes: Mapping[str, str | int]
    ) -> str | None:
        from opentelemetry import trace  # noqa: PLC0415 - see above
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

        assert self._provider is not None  # noqa: S101
        context = TraceContextTextMapPropagator().extract({HEADER: parent}) if parent else None
        span = self._provider.get_tracer("skillplan").start_span(
            name, context, attributes=dict(attributes), start_time=began
        )
        span.end(ended)
        context = span.get_span_context()
        return f"00-{trace.format_trace_id(context.trace_id)}-{trace.format_span_id(context.span_id)}-01"

    def close(self) -> None:
        """Send what is left."""
        if self._provider is not None:
            self._provider.shutdown()
