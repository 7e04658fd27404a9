"""A folder of Parquet files in the lake's layout, made from plain frames, without the lake's writer."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from numpy.typing import NDArray

from simtom_pipelines.replay import VirtualClock

ZONE = "America/New_York"
DATASET, TABLE = "shop", "orders"
FIRST = date(2024, 11, 28)


@dataclass(frozen=True)
class FolderFooter:
    fingerprint: str


@dataclass(frozen=True)
class FolderPartition:
    path: str
    rows: int
    footer: FolderFooter


class FolderLake:
    """The part of the lake that replay uses."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, day: date, table: str = f"{DATASET}/{TABLE}") -> Path:
        return self.root / table / f"date={day}" / "part-0.parquet"

    def put(
        self,
        day: date,
        frame: pl.DataFrame,
        fingerprint: str = "f1",
        group: int = 1_000,
        table: str = f"{DATASET}/{TABLE}",
    ) -> None:
        path = self.path(day, table)
        path.parent.mkdir(parents=True, exist_ok=True)
        footer = json.dumps({"fingerprint": fingerprint})
        frame.write_parquet(path, row_group_size=group, metadata={"simtom": footer})

    def days(self, dataset: str, table: str) -> list[date]:
        found = (self.root / dataset / table).glob("date=*/part-0.parquet")
        return sorted(date.fromisoformat(path.parent.name[5:]) for path in found)

    def partition(self, dataset: str, table: str, day: date | None) -> FolderPartition | None:
        assert day is not None
        path = self.path(day, f"{dataset}/{table}")
        if not path.exists():
            return None
        metadata = pl.read_parquet_metadata(path)
        rows = int(pl.scan_parquet(path).select(pl.len()).collect().item())
        return FolderPartition(str(path), rows, FolderFooter(json.loads(metadata["simtom"])["fingerprint"]))

    def open(self, path: str) -> Any:
        return Path(path).open("rb")


def local_midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(ZONE))


def frame(day: date, seconds: Sequence[float] | NDArray[np.float64], zone: str | None = ZONE) -> pl.DataFrame:
    """Return rows at the given seconds after local midnight."""
    start = int(local_midnight(day).timestamp() * 1_000_000)
    micros = pl.Series("timestamp", start + np.round(np.asarray(seconds, np.float64) * 1e6).astype(np.int64))
    instants = micros.cast(pl.Datetime("us", "UTC"))
    if zone is not None:
        instants = instants.dt.convert_time_zone(zone)
    count = len(micros)
    return pl.DataFrame({"id": [f"{day}-{n:06d}" for n in range(count)], "timestamp": instants}).with_columns(
        amount=pl.int_range(count) * 1.25, note=pl.lit('a "quoted"\nline \u2028 é')
    )


def even(count: int, span: float = 86_400.0) -> NDArray[np.float64]:
    """Return `count` moments spread evenly over `span` seconds."""
    return np.arange(count) * (span / max(count, 1))


class ScriptClock(VirtualClock):
    """A virtual clock on which things happen at given moments, as they would in another thread."""

    def __init__(self, *happenings: tuple[float, Callable[[], None]]) -> None:
        super().__init__()
        self._happenings = sorted(happenings, key=lambda h: h[0])

    def sleep_until(self, when: float, stop: threading.Event) -> None:
        while self._happenings and self._happenings[0][0] <= max(when, self.now()):
            moment, happen = self._happenings.pop(0)
            super().sleep_until(moment, stop)
            happen()
        super().sleep_until(when, stop)


class ListSink:
    """Keeps records with the moment at which they came; may be slow, may stop the run, may break."""

    def __init__(self, clock: VirtualClock, delay: float = 0.0, stop_after: int | None = None) -> None:
        self.clock, self.delay, self.stop_after = clock, delay, stop_after
        self.records: list[dict[str, Any]] = []
        self.moments: list[float] = []
        self.opened = self.closed = 0
        self._acked = 0
        self._stop = threading.Event()

    def open(self, stop: threading.Event) -> None:
        self._stop, self._base, self._acked = stop, len(self.records), 0
        self.opened += 1

    def send(self, buffer: memoryview, offsets: NDArray[np.int64], i: int, j: int) -> int:
        for k in range(i, j):
            if self.stop_after is not None and len(self.records) - self._base >= self.stop_after:
                self._stop.set()
                return k - i
            self.records.append(json.loads(bytes(buffer[offsets[k] : offsets[k + 1]])))
            self.moments.append(self.clock.now())
        self.clock.advance(self.delay)
        return j - i

    def poll(self) -> None:
        self.flush()

    def flush(self) -> None:
        self._acked = len(self.records) - self._base

    def acked(self) -> int:
        return self._acked

    def close(self) -> None:
        self.closed += 1

    @property
    def ids(self) -> list[str]:
        return [record["id"] for record in self.records]


def stored_ids(lake: FolderLake) -> list[str]:
    days = lake.days(DATASET, TABLE)
    return [i for day in days for i in pl.read_parquet(lake.path(day), columns=["id"])["id"].to_list()]


def days_from(first: date, count: int) -> list[date]:
    return [first + timedelta(days=n) for n in range(count)]
