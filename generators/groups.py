"""Groups of config fields, and values by name in them: mixes whose shares sum to 1, and settings of each of some kinds.

The names that a field knows are those of its default, so they stand once.
"""

from __future__ import annotations

import math
from enum import Enum
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic.fields import FieldInfo

from generators.strict import StrictModel

ValueT = TypeVar("ValueT")

TOLERANCE = 1e-6
"""Shares sum to 1 within this."""


class ByName(Enum):
    """What becomes of names that a mapping leaves out: in a mix their share is 0, else they keep their default."""

    mix = "mix"
    each = "each"


Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Mix = Annotated[dict[str, Share], ByName.mix]
"""Name -> share; the shares sum to 1, names that are left out have none."""
Each = Annotated[dict[str, ValueT], ByName.each]
"""Name -> value; names that are left out keep their default."""


def named(model: type[BaseModel], value: Any, info: ValidationInfo) -> Any:
    """Complete a field that is a `Mix` or `Each`, in the order of its default; leave others as they are.

    Raises:
        ValueError: A name is unknown, or the shares of a mix do not sum to 1.
    """
    field = model.model_fields[str(info.field_name)]
    kind = next((m for m in field.metadata if isinstance(m, ByName)), None)
    if kind is None:
        return value
    default: dict[str, Any] = field.get_default(call_default_factory=True)
    _check_names(value, default)
    if kind is ByName.mix:
        return _mix(value, default)
    inner = {name: _mix(v, default[name], name) if isinstance(v, dict) else v for name, v in value.items()}
    return {**default, **inner}


def _check_names(value: dict[str, Any], default: dict[str, Any], of: str = "") -> None:
    if unknown := sorted(set(value) - set(default)):
        raise ValueError(f"{of}unknown names {', '.join(unknown)}; allowed: {', '.join(default)}")


def _mix(value: dict[str, float], default: dict[str, float], of: str = "") -> dict[str, float]:
    where = f"{of}: " if of else ""
    _check_names(value, default, where)
    total = math.fsum(value.values())
    if not math.isclose(total, 1.0, abs_tol=TOLERANCE):
        raise ValueError(f"{where}the shares sum to {total:g}; allowed: shares from 0 to 1 that sum to 1")
    return {name: value.get(name, 0.0) for name in default}


def shortest_first(value: tuple[int, int]) -> tuple[int, int]:
    """Return a (shortest, longest) pair; ValueError where it is the other way round."""
    if value[0] > value[1]:
        raise ValueError(f"{value[0]} to {value[1]} given; allowed: the shortest first")
    return value


def text_keys(value: Any) -> Any:
    """Return a mapping with its whole numbers as text: what YAML reads in ``{51: 0.6}``."""
    if not isinstance(value, dict):
        return value
    return {str(key) if isinstance(key, int) else key: text_keys(item) for key, item in value.items()}


class FieldGroup(StrictModel):
    """Fields of a config that belong together; each has a default, and none but those declared is allowed."""

    model_config = ConfigDict(validate_default=True)

    @field_validator("*", mode="before")
    @classmethod
    def _text_keys(cls, value: Any, info: ValidationInfo) -> Any:
        known = cls.model_fields[str(info.field_name)].metadata
        return text_keys(value) if any(isinstance(m, ByName) for m in known) else value

    @field_validator("*")
    @classmethod
    def _named(cls, value: Any, info: ValidationInfo) -> Any:
        return named(cls, value, info)


def leaves(model: type[BaseModel], prefix: str = "") -> dict[str, FieldInfo]:
    """Return dotted name -> field of a config, those of its groups one by one."""
    found: dict[str, FieldInfo] = {}
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, FieldGroup):
            found |= leaves(inner, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = field
    return found
