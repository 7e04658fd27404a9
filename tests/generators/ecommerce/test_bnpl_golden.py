"""One small day, hashed: it proves that nothing changed, never that it is right."""

from __future__ import annotations

import hashlib
import re
from datetime import date
from pathlib import Path

import polars as pl

from generators import generator_class, get_generator

CHANGELOG = Path(__file__).resolve().parents[3] / "CHANGELOG.md"
DAY = date(2024, 11, 29)
GOLDEN = {1: "b91deae69a07daa7952769af174ec76220fd7690d27bd41e71acd05d06f7fef3"}
"""Revision of the generator -> hash of bnpl/transactions of DAY with 200 rows on an ordinary day.

An entry here is replaced only before the revision is released. After that, data that change get a new revision, a new
entry and a line under **Data** in the changelog that names ``bnpl`` and ``revision N``: symptom, cause, scope.
"""


def digest(frame: pl.DataFrame) -> str:
    """Return a hash of names, types and values that no version of a library decides."""
    found = hashlib.sha256()
    for column in frame:
        found.update(f"{column.name}\x1f{column.dtype.base_type()}\x1f".encode())
        if isinstance(column.dtype, (pl.Enum, pl.String)):
            found.update("\x1f".join("" if v is None else v for v in column.cast(pl.String)).encode())
        else:
            values = column.to_physical().cast(pl.Float64 if column.dtype.is_float() else pl.Int64)
            found.update(values.fill_null(-1).to_numpy().astype("<f8" if column.dtype.is_float() else "<i8").tobytes())
    return found.hexdigest()


def test_day_is_the_one_of_its_revision() -> None:
    generator = get_generator("bnpl", base_daily_volume=200)
    found = digest(generator.generate(DAY))
    assert found == GOLDEN[generator_class("bnpl").revision], (
        f"bnpl/transactions changed: {found}; raise `revision`, add it to GOLDEN with this hash, "
        "and tell symptom, cause and scope under **Data** in CHANGELOG.md"
    )


def test_every_revision_has_its_line_in_the_changelog() -> None:
    text = CHANGELOG.read_text()
    for revision in GOLDEN:
        assert revision == 1 or re.search(rf"bnpl.*revision {revision}\b", text), f"no line on revision {revision}"


def test_hash_sees_every_column() -> None:
    frame = get_generator("bnpl", base_daily_volume=50).generate(DAY)
    whole = digest(frame)
    for column in frame.columns:
        shifted = frame.with_columns(pl.col(column).shift(1).fill_null(pl.col(column).last()))
        constant = frame[column].n_unique() == 1
        assert (digest(shifted) == whole) == constant, column
    assert digest(frame.rename({"amount": "sum"})) != whole
