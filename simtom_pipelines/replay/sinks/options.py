"""Options of a sink as texts, from an address or a command line, read strictly."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Mapping
from math import inf
from typing import NoReturn

from simtom_pipelines.replay.errors import ReplayError, SinkError
from simtom_pipelines.replay.request import parse_duration

_SIZES = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
_FLAGS = {"true": True, "yes": True, "1": True, "on": True, "false": False, "no": False, "0": False, "off": False}
_SECRET = re.compile(r"pass|token|secret|authorization|key\.pem|api.?key", re.IGNORECASE)
_FROM_ENVIRONMENT = "env:"


class Options:
    """The given options of one sink. Each is taken by its reader; `finish` refuses what nobody took.

    A value ``env:NAME`` is read from the environment, so that a password appears in no list of processes.

    Args:
        sink: Name of the sink, for messages.
        given: Names and values; a value that is no text is taken as its text.
    """

    def __init__(self, sink: str, given: Mapping[str, object]) -> None:
        self._sink = sink
        self._left = {name: self._resolve(name, value) for name, value in given.items() if value is not None}
        self._known: list[str] = []

    def _resolve(self, name: str, value: object) -> str:
        text = ("true" if value else "false") if isinstance(value, bool) else str(value)
        if not text.startswith(_FROM_ENVIRONMENT):
            return text
        variable = text.removeprefix(_FROM_ENVIRONMENT)
        if variable not in os.environ:
            raise SinkError(f"{self._sink} sink: option {name!r} names {variable}, which is not in the environment")
        return os.environ[variable]

    def refuse(self, name: str, value: str, allowed: str) -> NoReturn:
        """Raise SinkError for a value; a secret is not repeated."""
        shown = "(not shown)" if _SECRET.search(name) else repr(value)
        raise SinkError(f"{self._sink} sink: option {name!r} is {shown}; allowed: {allowed}")

    def text(self, name: str) -> str | None:
        """Take a text."""
        self._known.append(name)
        return self._left.pop(name, None)

    def choice(self, name: str, allowed: Collection[str], default: str) -> str:
        """Take one of the allowed texts."""
        value = self.text(name)
        if value is None:
            return default
        if value not in allowed:
            self.refuse(name, value, ", ".join(allowed))
        return value

    def flag(self, name: str, default: bool) -> bool:
        """Take yes or no."""
        value = self.text(name)
        if value is None:
            return default
        if value.lower() not in _FLAGS:
            self.refuse(name, value, "true, false")
        return _FLAGS[value.lower()]

    def count(self, name: str, default: int, least: int = 1, most: float = inf) -> int:
        """Take a whole number."""
        value = self.text(name)
        if value is None:
            return default
        if not re.fullmatch(r"\d{1,18}", value) or not least <= int(value) <= most:
            self.refuse(name, value, f"a whole number {_range(least, most)}")
        return int(value)

    def seconds(self, name: str, default: float, least: float = 0.001, most: float = inf) -> float:
        """Take a duration such as ``500ms`` or ``10s``; a number without a unit is seconds."""
        value = self.text(name)
        if value is None:
            return default
        try:
            found = float(value) if re.fullmatch(r"\d+(\.\d+)?", value) else parse_duration(value)
        except ReplayError:
            found = -1.0
        if not least <= found <= most:
            self.refuse(name, value, f"a duration such as 500ms or 10s, {_range(least, most)} in seconds")
        return found

    def size(self, name: str, default: int | None = None) -> int | None:
        """Take a size such as ``100MB`` or ``64KiB``; a number without a unit is bytes."""
        value = self.text(name)
        if value is None:
            return default
        found = parse_size(value)
        if found is None:
            self.refuse(name, value, "a positive size such as 1000000, 100MB or 64MiB")
        return found

    def matching(self, pattern: str, shown: str) -> dict[str, str]:
        """Take every option whose name the pattern matches; `shown` stands for them in messages."""
        self._known.append(shown)
        found = [name for name in self._left if re.fullmatch(pattern, name)]
        return {name: self._left.pop(name) for name in found}

    def finish(self) -> None:
        """Raise SinkError where an option was given that the sink does not have."""
        if self._left:
            raise SinkError(
                f"{self._sink} sink: no option {listed(repr(name) for name in self._left)}; "
                f"options: {', '.join(self._known) or 'none'}"
            )


def parse_size(text: str) -> int | None:
    """Return the bytes of a text such as ``100MB``; None where it is no positive size."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)", text.strip())
    if found is None or found[2].lower() not in _SIZES:
        return None
    return int(float(found[1]) * _SIZES[found[2].lower()]) or None


def listed(names: Iterable[str]) -> str:
    """Return names as a list in a sentence."""
    return ", ".join(sorted(names))


def _range(least: float, most: float) -> str:
    return f"of {least:,g} or more" if most == inf else f"from {least:,g} to {most:,g}"
