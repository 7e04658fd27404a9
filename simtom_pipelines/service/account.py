"""What a stream is and what it delivered so far: counts, lateness, clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simtom_pipelines.replay.statistics import EPOCH, LatenessHistogram
from simtom_pipelines.service.metrics import Kind, StreamMetrics

_SETTLE_AT = 64


@dataclass(frozen=True)
class Ticket:
    """What a stream is, as the list of streams tells it.

    Attributes:
        id: Name of the stream in the control routes.
        kind: Made on the fly, or replayed from the lake.
        generator: Generator whose rows are delivered; labels the metrics.
        name: Generator or dataset/table as it was asked for.
        paced_by: ``rate``: the speed is records a second; ``time``: seconds of event time in a second.
        media_type: Form of the records.
        asked: The request, for people.
    """

    id: str
    kind: Kind
    generator: str
    name: str
    paced_by: str
    media_type: str
    asked: dict[str, Any]


class Account:
    """Counts what the client's connection took; lateness is brought in by dozens of writes, which is cheap.

    Args:
        ticket: What the stream is.
        metrics: The service's counters.
        now: The present moment of the loop's clock.
    """

    def __init__(self, ticket: Ticket, metrics: StreamMetrics, now: float) -> None:
        self.ticket, self._metrics = ticket, metrics
        self.began = now
        self.began_at = datetime.now(UTC).isoformat(timespec="milliseconds")  # noqa: TID251 (for people)
        self.ended: float | None = None
        self.records = self.bytes = 0
        self._event_time: int | None = None
        self._histogram = LatenessHistogram()
        self._unsettled: list[tuple[float, NDArray[np.float64]]] = []

    def sent(self, records: int, size: int, event_time: int) -> None:
        """Count records and bytes; the event time is that of the last of them."""
        self.records += records
        self.bytes += size
        self._event_time = event_time
        self._metrics.sent(self.ticket.kind, self.ticket.generator, records, size)

    def late(self, done: float, due: NDArray[np.float64]) -> None:
        """Count records that were due, shape (n,), and are done now."""
        self._unsettled.append((done, due))
        if len(self._unsettled) >= _SETTLE_AT:
            self.settle()

    def settle(self) -> None:
        """Bring the lateness of the last writes into the histograms."""
        if not self._unsettled:
            return
        lateness = np.concatenate([done - due for done, due in self._unsettled])
        self._unsettled.clear()
        self._histogram.add(lateness)
        self._metrics.late(self.ticket.kind, self.ticket.generator, lateness)

    def told(self, now: float, place: int | None) -> dict[str, Any]:
        """Return the account for people and programs.

        Args:
            now: The present moment of the loop's clock.
            place: The event time that the schedule has reached; None: the last record's counts.
        """
        self.settle()
        elapsed = max((now if self.ended is None else self.ended) - self.began, 1e-9)
        lateness = {name: self._histogram.quantile(share) for name, share in (("p50", 0.5), ("p99", 0.99))}
        lateness["max"] = self._histogram.maximum
        return {
            "id": self.ticket.id,
            "kind": self.ticket.kind,
            "name": self.ticket.name,
            "generator": self.ticket.generator,
            "started": self.began_at,
            "elapsed_seconds": round(elapsed, 3),
            "records": self.records,
            "bytes": self.bytes,
            "records_per_second": round(self.records / elapsed, 3),
            "clock": _text(self._event_time if place is None else place),
            "lateness_ms": {name: round(seconds * 1e3, 3) for name, seconds in lateness.items()},
            "paced_by": self.ticket.paced_by,
            "media_type": self.ticket.media_type,
            "request": self.ticket.asked,
        }


def _text(moment: int | None) -> str | None:
    if moment is None:
        return None
    try:
        return (EPOCH + timedelta(microseconds=moment)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    except OverflowError:
        return None
