"""What a partition says of itself: counts, shares, bounds and the results of its checks, gathered while it is written.

The full rules of the schema (formats, real-looking text) are checked on the first rows of a partition; nulls, bounds,
keys and order on all of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from datetime import date
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from generators.schema import Column, TableSchema

SAMPLE_ROWS = 1_000
PREVIEW_ROWS = 5
SIGMAS = 6.0
"""Width of the volume band: a wrong alarm is rarer than one day in a hundred million."""

BUSINESS, EVENING = range(9, 18), range(18, 23)
MERGED_KEYS = 2**20
"""More keys are sorted, and looked at for doubles in pieces."""
PIECE_KEYS = 2**18
"""Keys of such a piece, about: what is needed for them stays in the processor's cache."""
FEW_KEYS = 256
"""Fewer are sorted."""
KEY_BITS = 64
KEY_FACTOR = np.uint64(0x9E3779B97F4A7C15)
"""An odd number by which the hash of a key's columns so far is multiplied before the next one's is added."""


class PartitionStats:
    """Statistics of one partition, fed frame by frame.

    Args:
        schema: The table's schema.
        timezone: Zone of the table's instants; None for a dimension.
        day: The partition's day; None for a dimension.
        expected_rows: Rows expected before noise; None where nothing is.
        volume_noise: Sigma of the daily log-normal factor.
    """

    def __init__(
        self,
        schema: TableSchema,
        timezone: str | None,
        day: date | None,
        expected_rows: float | None = None,
        volume_noise: float = 0.0,
    ) -> None:
        self.schema, self.timezone, self.day = schema, timezone, day
        self.expected_rows, self.volume_noise = expected_rows, volume_noise
        self.rows = 0
        self.preview: list[dict[str, Any]] = []
        self._hours = np.zeros(24, np.int64)
        self._first: Any = None
        self._last: Any = None
        self._sorted = True
        self._outside = 0
        self._problems: dict[str, str] = {}
        self._keys: dict[tuple[str, ...], list[NDArray[np.uint64]]] = {(c.name,): [] for c in schema if c.unique}
        if schema.key:
            self._keys.setdefault(schema.key, [])
        self._duplicates: dict[str, int] | None = None
        self._bounded = [c for c in schema if c.ge is not None or c.le is not None]
        self._strict = frozenset(c.name for c in schema if not c.nullable)

    def observing(self, frames: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        """Yield the frames, each added before it is handed on."""
        for frame in frames:
            self.observe(frame)
            yield frame

    def observe(self, frame: pl.DataFrame) -> None:
        """Add the next rows."""
        if not self.rows:
            self.preview = _records(frame.head(PREVIEW_ROWS))
            for violation in self.schema.violations(frame.head(SAMPLE_ROWS), limits=False):
                self._problems.setdefault(f"{violation.column} {violation.rule}", str(violation))
        self.rows += frame.height
        if frame.is_empty():
            return
        self._duplicates = None
        for name, nulls in zip(frame.columns, frame.null_count().row(0), strict=True):
            if nulls and name in self._strict:
                self._problems.setdefault(f"{name} not null", f"{name}: {nulls} nulls")
        for column in self._bounded:  # a series at a time: planning a query costs more than a small day's extremes
            values = frame.get_column(column.name)
            self._within(column, values.min(), values.max())
        for key, parts in self._keys.items():
            hashed = frame[key[0]].hash().to_numpy(writable=True)
            for name in key[1:]:
                hashed *= KEY_FACTOR
                hashed ^= frame[name].hash().to_numpy()
            parts.append(hashed)
        if self.timezone is not None and "timestamp" in frame.columns:
            self._times(frame["timestamp"])

    def compare_keys(self) -> None:
        """Look for keys that stand twice, after the last row; `result` does it where nobody has.

        It is most of the time that `result` takes: for whoever has to wait until it is asked for.
        """
        self._duplicates = {", ".join(key): d for key, parts in self._keys.items() if (d := _duplicates(parts))}

    def _within(self, column: Column, smallest: Any, largest: Any) -> None:
        if smallest is None:
            return
        if column.ge is not None and smallest < column.ge:
            self._problems.setdefault(f"{column.name} >=", f"{column.name}: {smallest} is below {column.ge:g}")
        if column.le is not None and largest > column.le:
            self._problems.setdefault(f"{column.name} <=", f"{column.name}: {largest} is above {column.le:g}")

    def _times(self, times: pl.Series) -> None:
        first, last = times[0], times[-1]
        self._sorted &= times.is_sorted() and (self._last is None or first >= self._last)
        self._first = first if self._first is None else self._first
        self._last = last
        if self.day is not None:
            ends = times.sort() if not self._sorted else times
            self._outside += (ends[0].date() != self.day) + (ends[-1].date() != self.day)
        self._hours += np.bincount(times.dt.hour().to_numpy(), minlength=24)

    def result(self) -> dict[str, Any]:
        """Return the statistics as JSON values; ``checks`` holds name -> {passed, ...}."""
        found: dict[str, Any] = {"rows": self.rows}
        if self.timezone is not None and self.schema.kind == "events":
            found |= self._shares()
        return found | {"checks": self._checks()}

    def _shares(self) -> dict[str, Any]:
        total = max(self.rows, 1)
        business, evening = (float(self._hours[list(hours)].sum()) / total for hours in (BUSINESS, EVENING))
        return {
            "expected_rows": self.expected_rows,
            "business_share": round(business, 6),
            "evening_share": round(evening, 6),
            "night_share": round(1 - business - evening, 6) if self.rows else 0.0,
            "min_timestamp": self._first.isoformat() if self._first is not None else None,
            "max_timestamp": self._last.isoformat() if self._last is not None else None,
            "hours": self._hours.tolist(),
        }

    def _checks(self) -> dict[str, Any]:
        if self._duplicates is None:
            self.compare_keys()
        duplicates = self._duplicates
        checks: dict[str, Any] = {
            "schema": {"passed": not self._problems, "problems": list(self._problems.values())},
            "keys": {"passed": not duplicates, "duplicates": duplicates},
        }
        if self.timezone is not None and self.schema.kind == "events":
            checks["order_and_bounds"] = {
                "passed": self._sorted and not self._outside,
                "sorted": self._sorted,
                "outside_day": self._outside,
            }
            checks |= {"volume": self._volume(), "hour_shares": self._hour_shares()}
        return checks

    def _volume(self) -> dict[str, Any]:
        """Return whether the rows lie in the band that noise and Poisson counts allow."""
        if self.expected_rows is None:
            return {"passed": True}
        # The noise is log-normal with mean 1: its band is not symmetric, and never reaches down to 0.
        factors = (math.exp(sign * SIGMAS * self.volume_noise - self.volume_noise**2 / 2) for sign in (-1, 1))
        low, high = (self.expected_rows * factor for factor in factors)
        low, high = max(0.0, low - SIGMAS * math.sqrt(low) - SIGMAS), high + SIGMAS * math.sqrt(high) + SIGMAS
        passed = low <= self.rows <= high
        return {"passed": passed, "expected": self.expected_rows, "rows": self.rows, "low": low, "high": high}

    def _hour_shares(self) -> dict[str, Any]:
        """Return whether every row has an hour and the fullest hour leaves room for others."""
        counted = int(self._hours.sum())
        top = float(self._hours.max()) / max(counted, 1)
        return {"passed": counted == self.rows and (counted < 1_000 or top < 0.9), "top_hour_share": top}


def _duplicates(parts: list[NDArray[np.uint64]]) -> int:
    """Count the keys that stand twice. Very many are looked at by their leading bits, so few are copied at a time."""
    total = sum(map(len, parts))
    if total <= MERGED_KEYS:
        return _repeated(np.concatenate(parts)) if total else 0
    for part in parts:
        part.sort()
    pieces = -(-total // PIECE_KEYS)
    edges = np.array([number * (2**64 // pieces) for number in range(1, pieces)], np.uint64)
    cuts = [[0, *np.searchsorted(part, edges).tolist(), len(part)] for part in parts]
    return sum(
        _repeated(np.concatenate([part[cut[n] : cut[n + 1]] for part, cut in zip(parts, cuts, strict=True)]))
        for n in range(pieces)
    )


def _repeated(keys: NDArray[np.uint64], used: int = 0) -> int:
    """Count the keys that equal an earlier one; their lowest `used` bits have been looked at.

    Each key writes its number into a slot named by its next bits: only those that find another's there are compared,
    and those that differ from it are looked at again by the bits above. It takes a seventh of the time of sorting.
    """
    bits = len(keys).bit_length() + 1
    if len(keys) < FEW_KEYS or used + bits > KEY_BITS:
        ordered = np.sort(keys)
        return int((ordered[1:] == ordered[:-1]).sum())
    slot = (keys >> np.uint64(used) & np.uint64((1 << bits) - 1)).view(np.int64)
    number = np.arange(len(keys), dtype=np.uint32)
    owner = np.empty(1 << bits, np.uint32)
    owner[slot] = number
    found = owner.take(slot)
    lost = np.flatnonzero(found != number)
    suspects = keys.take(lost)
    others = suspects[suspects != keys.take(found.take(lost))]
    return len(suspects) - len(others) + _repeated(others, used + bits)


def _records(frame: pl.DataFrame) -> list[dict[str, Any]]:
    return [
        {k: v if isinstance(v, bool | int | float | str | None) else str(v) for k, v in row.items()}
        for row in frame.iter_rows(named=True)
    ]
