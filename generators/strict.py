"""Models that refuse what they do not know, in sentences that name the field, the value and what is allowed."""

from __future__ import annotations

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
    lines = []
    for item in error.errors(include_url=False):
        name = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden":
            lines.append(f"unknown field {name!r}; known: {', '.join(known_fields(model, item['loc'][:-1]))}")
        elif not name:  # a rule over several fields names them itself
            lines.append(item["msg"].removeprefix("Value error, "))
        else:
            said = item["msg"].replace("valid tuple", "list")
            lines.append(f"field {name!r}: {said}; given: {item['input']!r}")
    return "; ".join(dict.fromkeys(lines))


def known_fields(model: type[BaseModel], path: tuple[int | str, ...] = ()) -> list[str]:
    """Return the names of a config's fields, or of those of the group at a path inside it."""
    for part in path:
        if str(part) in model.model_fields:
            annotation = model.model_fields[str(part)].annotation
            held = (annotation, *get_args(annotation))
            model = next((kind for kind in held if isinstance(kind, type) and issubclass(kind, BaseModel)), model)
    return list(model.model_fields)
