"""Encoded records against the frame itself, read back with the standard library."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simtom_pipelines.replay.encoder import check_encodable, chunk_rows, encode
from simtom_pipelines.replay.errors import ReplayError

INSTANTS = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1))  # noqa: DTZ001 - the zone is added below

ROWS = st.fixed_dictionaries(
    {
        "when": INSTANTS,
        "text": st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
        "number": st.none() | st.floats(),
        "whole": st.none() | st.integers(-(2**63), 2**63 - 1),
        "flag": st.none() | st.booleans(),
        "kind": st.sampled_from(["new", "old"]),
        "day": st.none() | st.dates(date(1990, 1, 1), date(2100, 1, 1)),
    }
)


@settings(max_examples=150, deadline=None)
@given(rows=st.lists(ROWS, max_size=30), zone=st.sampled_from(["UTC", "America/New_York", None]))
def test_records_equal_the_rows(rows: list[dict[str, object]], zone: str | None) -> None:
    schema = {"when": pl.Datetime("us"), "text": pl.String, "number": pl.Float64, "whole": pl.Int64,
              "flag": pl.Boolean, "kind": pl.Enum(["new", "old"]), "day": pl.Date}  # fmt: skip
    frame = pl.DataFrame(rows, schema=schema)
    if zone is not None:
        instants = pl.col("when").dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
        frame = frame.with_columns(instants)
    buffer, offsets = encode(frame)
    assert len(offsets) == len(rows) + 1
    assert offsets[-1] == len(buffer)
    for n, row in enumerate(rows):
        line = bytes(buffer[offsets[n] : offsets[n + 1]])
        assert line.endswith(b"\n")
        record = json.loads(line)
        assert list(record) == list(schema)
        when, day, number = row["when"], row["day"], row["number"]
        assert isinstance(when, datetime)
        assert record["when"] == when.replace(tzinfo=UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        assert record["day"] == (day.isoformat() if isinstance(day, date) else None)
        assert record["number"] == (number if isinstance(number, float) and math.isfinite(number) else None)
        assert all(record[name] == row[name] for name in ("text", "whole", "flag", "kind"))


@pytest.mark.parametrize("dtype", [pl.Binary, pl.List(pl.Binary), pl.Struct({"raw": pl.Binary})])
def test_bytes_are_refused_by_name(dtype: pl.DataType) -> None:
    with pytest.raises(ReplayError, match=r"day\.parquet: columns raw .* store them as text"):
        check_encodable(pl.Schema({"id": pl.String, "raw": dtype}), "day.parquet")


def test_chunks_grow_with_the_rate_between_bounds() -> None:
    sizes = [chunk_rows(rate) for rate in (0.01, 1_000.0, 9_000.0, 20_000.0, 1e9)]
    assert sizes == sorted(sizes)
    assert (sizes[0], sizes[-1], chunk_rows(None)) == (256, 2_048, 2_048)
    assert np.all(np.diff(sizes[1:]) > 0)
