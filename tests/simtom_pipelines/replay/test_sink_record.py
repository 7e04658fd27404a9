"""Fields read out of encoded records, against the decoded record."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simtom_pipelines.replay.encoder import encode
from simtom_pipelines.replay.sinks.record import EventTime, Field

NAMES = st.sampled_from(["id", "customer_id", "id\u00e9", 'a"id', "x"])
TEXTS = st.text('ab"\\{}[],:\u00e9\u2028\n', max_size=12) | st.sampled_from(
    ['","id":"no', '{"id":"no"}', '\\","id":1', 'a"', "\\"]
)
VALUES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | TEXTS
RECORDS = st.dictionaries(NAMES, VALUES | st.lists(VALUES, max_size=2) | st.dictionaries(NAMES, VALUES, max_size=3))


def written(value: object) -> bytes | None:
    if value is None or isinstance(value, str):
        return None if value is None else value.encode()
    return json.dumps(value, separators=(",", ":")).encode()


@given(RECORDS)
def test_field_is_that_of_the_decoded_record(record: dict[str, object]) -> None:
    line = json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode()
    for name in ("id", "customer_id", "id\u00e9", 'a"id'):
        found = Field(name)(line)
        want = written(record.get(name))
        if isinstance(record.get(name), list | dict | float):  # another way to write the same value
            assert found is not None
            assert json.loads(found) == record[name]
        else:
            assert found == want


@pytest.mark.parametrize("record", [b"", b"{", b'{"id":"a', b'{"n":{"id":1},"id', b'{"n":{"id":1},"id":2', b"\xff\xfe"])
def test_broken_record_does_not_raise(record: bytes) -> None:
    Field("id")(record)
    assert EventTime("id").milliseconds(record) is None


def test_event_time_is_the_stored_instant() -> None:
    moments = [datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC), datetime(2024, 11, 3, 5, 59, 0, 120_000, UTC)]
    buffer, offsets = encode(pl.DataFrame({"n": [1, 2], "timestamp": moments}))
    for k, moment in enumerate(moments):
        record = bytes(buffer[offsets[k] : offsets[k + 1]])
        assert EventTime("timestamp")(record) == moment
    assert EventTime("timestamp").milliseconds(bytes(buffer[: offsets[1]])) == -1
    assert EventTime("timestamp").milliseconds(bytes(buffer[offsets[1] :])) == 1_730_613_540_120


@pytest.mark.parametrize("text", ["2024-11-29", "2024-11-29T10:00:00", "soon", ""])
def test_text_that_is_no_instant_is_none(text: str) -> None:
    assert EventTime("timestamp")(json.dumps({"timestamp": text}).encode()) is None
