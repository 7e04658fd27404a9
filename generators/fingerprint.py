"""What a partition is made of, as one digest: equal fingerprints mean equal data."""

from __future__ import annotations

from datetime import date
from hashlib import sha256
from typing import Any

from generators.base import SLICE_ROWS, BaseGenerator, draws_digest
from generators.schema import TableSchema

FORMAT_REVISION = 1
"""Raised when slices, row order or the rendering of values change for every generator."""


def fingerprint(generator: BaseGenerator[Any], table: TableSchema, day: date, start: date | None = None) -> str:
    """Return the sha256 of everything that decides a partition's content.

    Args:
        generator: Its name, revision and config count; the fields that equal their default do not.
        table: The table's schema.
        day: The partition's day; for a dimension, the last event day that it covers.
        start: The dataset's first day, for tables whose content depends on it; None otherwise.

    Not in it: the dataset's name, the package version, the lake's root, the compression, the partitions per run.
    """
    parts = [
        f"format {FORMAT_REVISION} slice {SLICE_ROWS}",
        f"generator {generator.name} revision {generator.revision}",
        table.signature,
        generator.config.canonical(),
        f"day {day.isoformat()} start {start.isoformat() if start else '-'}",
        _library_digest(generator, day.year),
    ]
    return sha256("\n".join(parts).encode()).hexdigest()


def _library_digest(generator: BaseGenerator[Any], year: int) -> str:
    """Digest what libraries decide: the vocabularies, the holidays of a year and its neighbours, a few draws."""
    cache: dict[int, str] = generator.__dict__.setdefault("_library_digests", {})
    if year not in cache:
        digest = sha256(draws_digest())
        for name, texts in sorted(generator.vocabularies().items()):
            digest.update(f"{name}={texts!r};".encode())
        for calendar in {p.volume.calendar for p in generator.processes}:
            digest.update(calendar.digest(year).encode())
        cache[year] = digest.hexdigest()
    return cache[year]
