"""Fields of one encoded record, without decoding the whole."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

from simtom_pipelines.replay.statistics import EPOCH

_QUOTE, _NULL = 34, b"null"
_MILLISECOND = timedelta(milliseconds=1)


class Field:
    """Reads one top-level field of JSON records as `encode` writes them: compact, one a line.

    The bytes are searched for the name, which takes half a microsecond; a record in which that could mislead (nested
    objects before the field, escapes in its value) is decoded.

    Args:
        name: The field.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        quoted = json.dumps(name, ensure_ascii=False).encode()
        self._first, self._inner = b"{" + quoted + b":", b"," + quoted + b":"

    def __call__(self, record: bytes) -> bytes | None:
        """Return the value as UTF-8 bytes, a text without its quotes; None where it is null, missing or unreadable."""
        if record.startswith(self._first):
            at = len(self._first)
        else:
            found = record.find(self._inner)
            if found < 0:
                return None
            if record.find(b"{", 1, found) >= 0:
                return self._decoded(record)
            at = found + len(self._inner)
        if record[at : at + 1] == b'"':
            value = record[at + 1 : record.find(b'"', at + 1)]
            return self._decoded(record) if b"\\" in value else value
        end = record.find(b",", at)
        value = record[at:end] if end >= 0 else record[at:].rstrip(b"}\n")
        if value[:1] in b"{[" or value.endswith(b"}"):
            return self._decoded(record)
        return None if value == _NULL else value

    def _decoded(self, record: bytes) -> bytes | None:
        try:
            value = json.loads(record)[self.name]
        except (ValueError, KeyError, TypeError, RecursionError):
            return None
        if value is None:
            return None
        return (value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))).encode()


class EventTime:
    """Reads the event time of records.

    Args:
        name: The field that holds it, RFC 3339.
    """

    def __init__(self, name: str) -> None:
        self._field = Field(name)

    def __call__(self, record: bytes) -> datetime | None:
        """Return the instant; None where there is none that can be read."""
        text = self._field(record)
        if text is None:
            return None
        try:
            found = datetime.fromisoformat(text.decode())
        except ValueError:
            return None
        return found if found.tzinfo is not None else None

    def milliseconds(self, record: bytes) -> int | None:
        """Return whole milliseconds since 1970."""
        found = self(record)
        return None if found is None else (found - EPOCH) // _MILLISECOND
