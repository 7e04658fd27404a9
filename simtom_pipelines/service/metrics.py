"""What Prometheus reads: records, bytes, lateness, errors and active streams, by generator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

Kind = Literal["live", "replay"]

BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0)
"""Upper bounds of the lateness histogram, in seconds."""

_BOUNDS = np.array(BUCKETS)


class StreamMetrics(Collector):
    """Counters that grow by whole batches; one set a service, so that tests and apps do not share them.

    Args:
        active: Returns (kind, generator) of every stream that runs.
    """

    def __init__(self, active: Callable[[], Iterable[tuple[Kind, str]]]) -> None:
        self._active = active
        self._records: Counter[tuple[Kind, str]] = Counter()
        self._bytes: Counter[tuple[Kind, str]] = Counter()
        self._streams: Counter[tuple[Kind, str]] = Counter()
        self._errors: Counter[tuple[str, str]] = Counter()
        self._lateness: dict[tuple[Kind, str], NDArray[np.int64]] = {}
        self._seconds: Counter[tuple[Kind, str]] = Counter()
        self.registry = CollectorRegistry()
        self.registry.register(self)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def opened(self, kind: Kind, generator: str) -> None:
        """Count a stream that begins."""
        self._streams[kind, generator] += 1

    def sent(self, kind: Kind, generator: str, records: int, size: int) -> None:
        """Count records and bytes that a client's connection took."""
        self._records[kind, generator] += records
        self._bytes[kind, generator] += size

    def late(self, kind: Kind, generator: str, seconds: NDArray[np.float64]) -> None:
        """Count lateness against the schedule, shape (n,)."""
        counts = self._lateness.setdefault((kind, generator), np.zeros(len(BUCKETS) + 1, np.int64))
        counts += np.bincount(np.searchsorted(_BOUNDS, seconds), minlength=len(BUCKETS) + 1)
        self._seconds[kind, generator] += float(seconds.sum())  # type: ignore[assignment]

    def failed(self, generator: str, reason: str) -> None:
        """Count a stream that broke, or a request that was refused."""
        self._errors[generator, reason] += 1

    def text(self) -> bytes:
        """Return the exposition in Prometheus's text format."""
        return generate_latest(self.registry)

    def collect(self) -> Iterator[Metric]:
        """Yield the families."""
        labels = ["kind", "generator"]
        for name, help_text, values in (
            ("simtom_records", "Records delivered.", self._records),
            ("simtom_bytes", "Bytes delivered.", self._bytes),
            ("simtom_streams", "Streams that began.", self._streams),
        ):
            family = CounterMetricFamily(name, help_text, labels=labels)
            for (kind, generator), value in sorted(values.items()):
                family.add_metric([kind, generator], value)
            yield family
        errors = CounterMetricFamily(
            "simtom_errors", "Streams that broke and requests refused.", labels=["generator", "reason"]
        )
        for (generator, reason), value in sorted(self._errors.items()):
            errors.add_metric([generator, reason], value)
        yield errors
        active = GaugeMetricFamily("simtom_active_streams", "Streams that run now.", labels=labels)
        running = Counter(self._active())
        for kind, generator in sorted({*running, *self._streams}):
            active.add_metric([kind, generator], running[kind, generator])
        yield active
        lateness = HistogramMetricFamily(
            "simtom_lateness_seconds",
            "Seconds from the moment a record was due until its bytes were taken.",
            labels=labels,
        )
        for key, counts in sorted(self._lateness.items()):
            bounds = [*(repr(b) for b in BUCKETS), "+Inf"]
            lateness.add_metric(
                list(key), list(zip(bounds, np.cumsum(counts).tolist(), strict=True)), sum_value=self._seconds[key]
            )
        yield lateness
