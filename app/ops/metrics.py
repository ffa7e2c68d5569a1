"""The Prometheus metrics of the service.

Each application has its own registry, so that two of them in one process do not share
metrics. Nothing here queries the database.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from app.query.result import Timings, Volume
from app.storage.coverage import Coverage

PREFIX = "recommender"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
STATUS_FILE = Path("/proc/self/status")


class Telemetry:
    """All metrics of one application."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._requests = self._counter(
            "requests", "Requests by route and status.", ["route", "status"]
        )
        self._seconds = self._histogram(
            "request_seconds", "Response time.", SECONDS, ["route"]
        )
        self._encode = self._histogram("encode_seconds", "Encoding per batch.", SECONDS)
        self._scan = self._histogram("scan_seconds", "Scanning per batch.", SECONDS)
        self._size = self._histogram("batch_size", "Queries per batch.", BATCH_SIZES)
        self._rows = self._counter("rows_scanned", "Rows read by scans.")
        self._bytes = self._counter("bytes_scanned", "Bytes read by scans.")
        self._jobs = self._gauge("jobs", "Jobs by state, at the last count.", ["state"])
        self._ready = self._gauge("ready", "1 if the last readiness check passed.")
        ProcessCollector(registry=self.registry)
        self.watch("process_anonymous_bytes", "RssAnon.", anonymous_bytes)

    def watch(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Add a gauge whose value is read at each scrape."""
        self._gauge(name, text).set_function(read)

    def request_done(self, route: str, *, status: int, seconds: float) -> None:
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def ready(self, coverage: Coverage | None) -> None:
        """Record a passed readiness check, and the last counts of jobs by state."""
        self._ready.set(1)
        if coverage is None:
            return
        for state, count in asdict(coverage).items():
            self._jobs.labels(state).set(count)

    def not_ready(self) -> None:
        self._ready.set(0)

    def batch_done(self, queries: int, volume: Volume, timings: Timings) -> None:
        """As `BatchObserver.batch_done`."""
        self._size.observe(queries)
        self._encode.observe(timings.encode_ms / 1000)
        self._scan.observe(timings.scan_ms / 1000)
        self._rows.inc(volume.rows)
        self._bytes.inc(volume.bytes)

    def render(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, labels: Sequence[str] = ()) -> Counter:
        return Counter(f"{PREFIX}_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, labels: Sequence[str] = ()) -> Gauge:
        return Gauge(f"{PREFIX}_{name}", text, labels, registry=self.registry)

    def _histogram(
        self,
        name: str,
        text: str,
        buckets: Sequence[float],
        labels: Sequence[str] = (),
    ) -> Histogram:
        return Histogram(
            f"{PREFIX}_{name}", text, labels, buckets=buckets, registry=self.registry
        )


def anonymous_bytes() -> float:
    """Memory of this process that the kernel cannot reclaim; 0 if unknown."""
    try:
        lines = STATUS_FILE.read_text().splitlines()
    except OSError:
        return 0.0
    kilobytes = next((line.split()[1] for line in lines if "RssAnon" in line), "0")
    return float(kilobytes) * 1024
