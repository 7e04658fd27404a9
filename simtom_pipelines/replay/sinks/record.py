"""Fields of one encoded record, without decoding the whole."""

from __future__ import annotations

import json
from datetime import datetime

from simtom_pipelines.replay.statistics import EPOCH

_NULL = b"null"


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
        self._leading, self._text = self._first + b'"', self._inner + b'"'
        self._leading_size, self._text_size = len(self._leading), len(self._text)

    def __call__(self, record: bytes) -> bytes | None:
        """Return the value as UTF-8 bytes, a text without its quotes; None where it is null, missing or unreadable."""
        if record.startswith(self._leading):
            begin = self._leading_size
        else:
            at = record.find(self._text)
            if at < 0:
                return self._no_text(record)
            if record.find(b"{", 1, at) >= 0:
                return self._decoded(record)
            begin = at + self._text_size
        value = record[begin : record.find(b'"', begin)]
        return self._decoded(record) if b"\\" in value else value

    def _no_text(self, record: bytes) -> bytes | None:
        """Return a value that is no text."""
        if record.startswith(self._first):
            at = len(self._first)
        else:
            found = record.find(self._inner)
            if found < 0:
                return None
            if record.find(b"{", 1, found) >= 0:
                return self._decoded(record)
            at = found + len(self._inner)
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
        try:
            found = None if text is None else datetime.fromisoformat(text.decode())
        except ValueError:
            return None
        return None if found is None or found.tzinfo is None else found

    def milliseconds(self, record: bytes) -> int | None:
        """Return whole milliseconds since 1970."""
        found = self(record)
        if found is None:
            return None
        since = found - EPOCH
        return since.days * 86_400_000 + since.seconds * 1_000 + since.microseconds // 1_000
