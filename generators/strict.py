"""Models that refuse what they do not know, in sentences that name the field, the value and what is allowed."""

from __future__ import annotations

import re
from datetime import date
from enum import Enum
from typing import Any, Self, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from generators.errors import ConfigError


class StrictModel(BaseModel):
    """A frozen model without unknown fields; `create` builds it with errors for people."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def create(cls, /, **fields: Any) -> Self:
        """Build a model, with errors that name the field, the value and what is allowed.

        Raises:
            ConfigError: A field is unknown or its value is not allowed.
        """
        try:
            return cls(**fields)
        except ValidationError as error:
            raise ConfigError(explain(error, cls)) from None


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """Return a validation error as sentences that name field, value and what is allowed."""
    told: dict[str, list[str]] = {}
    given: dict[str, Any] = {}
    for item in error.errors(include_url=False):
        name = ".".join(str(part) for part in item["loc"] if not _KIND.search(str(part)))
        if item["type"] == "extra_forbidden":
            text = f"unknown field {name!r}; known: {', '.join(known_fields(model, item['loc'][:-1]))}"
            told.setdefault(text, [])
            continue
        said = item["msg"].removeprefix("Value error, ").replace("valid tuple", "list")
        said = _INSTANCE.sub("", said)
        told.setdefault(name, []).append(said)
        given.setdefault(name, item["input"])
    lines = []
    for name, reasons in told.items():
        reasons = list(dict.fromkeys(reasons))
        if not reasons or not name:  # a rule over several fields names them itself
            lines += reasons or [name]
        else:  # of a field that may be one of several kinds, each kind has its reason
            lines.append(f"field {name!r}: {', or: '.join(reasons)}; given: {_shown(given[name])}")
    more = len(lines) - _LINES
    return "; ".join(lines[:_LINES]) + (f"; and {more} more" if more > 0 else "")


_LINES = 4
"""Fields that an error tells about; the others are counted."""
_KIND = re.compile(r"[\[(]|^(constrained|function|literal|lax|is-instance)\b")
"""Parts of a place that name no field but what pydantic tried to read it as."""
_INSTANCE = re.compile(r" or instance of \w+")


def _shown(value: Any) -> str:
    """Return a value as people write it: dates and enums as text."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_shown(key)}: {_shown(item)}" for key, item in value.items()) + "}"
    if isinstance(value, Enum):
        return repr(value.value)
    return str(value) if isinstance(value, date | BaseModel) else repr(value)


def known_fields(model: type[BaseModel], path: tuple[int | str, ...] = ()) -> list[str]:
    """Return the names of a config's fields, or of those of the group at a path inside it."""
    for part in path:
        if str(part) in model.model_fields:
            annotation = model.model_fields[str(part)].annotation
            held = (annotation, *get_args(annotation))
            model = next((kind for kind in held if isinstance(kind, type) and issubclass(kind, BaseModel)), model)
    return list(model.model_fields)
