"""Civil days as numbers: days since 1970-01-01, as Arrow and numpy count them."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

_EPOCH = date(1970, 1, 1).toordinal()


def day_number(day: date) -> int:
    """Return the days since 1970-01-01."""
    return day.toordinal() - _EPOCH


def day_of(number: int) -> date:
    """Return the date of a day number."""
    return date.fromordinal(number + _EPOCH)


def dates(numbers: NDArray[Any], known: NDArray[np.bool_] | None = None) -> pl.Series:
    """Return (n,) dates from day numbers, null where they are not known; int32 numbers are not copied."""
    days = np.ascontiguousarray(numbers, np.int32)
    valid = None if known is None else pa.py_buffer(np.packbits(known, bitorder="little"))
    return pl.Series(values=pa.Array.from_buffers(pa.date32(), len(days), [valid, pa.py_buffer(days)]))
