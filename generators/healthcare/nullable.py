"""Columns with nulls from numpy arrays, without a copy of the values."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

_ARROW = {
    np.dtype(np.uint8): pa.uint8(),
    np.dtype(np.uint16): pa.uint16(),
    np.dtype(np.uint32): pa.uint32(),
    np.dtype(np.int32): pa.int32(),
    np.dtype(np.int64): pa.int64(),
    np.dtype(np.float64): pa.float64(),
}


def nullable(values: NDArray[Any], valid: NDArray[np.bool_]) -> pl.Series:
    """Return a series of (n,) values, null where `valid` is false."""
    if values.dtype == np.bool_:
        data = pa.py_buffer(np.packbits(values, bitorder="little"))
        kind = pa.bool_()
    else:
        data, kind = pa.py_buffer(np.ascontiguousarray(values)), _ARROW[values.dtype]
    mask = pa.py_buffer(np.packbits(valid, bitorder="little"))
    return cast(pl.Series, pl.from_arrow(pa.Array.from_buffers(kind, len(values), [mask, data])))
