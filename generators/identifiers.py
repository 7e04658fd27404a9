"""Numbers rendered as text ids: a keyed permutation, then fixed-width base 32 or hexadecimal, a column at a time.

The number of an entity encodes its slot and its lifetime, which would leak age and activity. `permute` shuffles numbers
inside a power of two without collisions, and the renderers write the characters straight into Arrow string views.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from generators.randomness import U64

BASE32 = b"abcdefghijklmnopqrstuvwxyz234567"
INLINE_BYTES = 12
"""Longest string that an Arrow view holds without a second buffer."""


def permute(numbers: NDArray[Any], bits: int, key: np.uint64) -> U64:
    """Return a permutation of [0, 2**bits) applied to (n,) numbers: multiply, add and xor-shift rounds are bijective.

    Raises:
        OverflowError: A number needs more than `bits` bits.
    """
    x = numbers.astype(np.uint64)
    if len(x) and int(x.max()) >> bits:
        raise OverflowError(f"number {int(x.max())} needs more than {bits} bits")
    mask, half, third = np.uint64((1 << bits) - 1), np.uint64(bits // 2), np.uint64(bits // 3 + 1)
    odd, other = key | np.uint64(1), (key >> np.uint64(17)) | np.uint64(1)
    x *= odd
    x += key >> np.uint64(32)
    x &= mask
    x ^= x >> half
    x *= other
    x &= mask
    x ^= x >> third
    x *= np.uint64(0x9E3779B97F4A7C15)
    x &= mask
    x ^= x >> half
    return x


@lru_cache(maxsize=1)
def _pairs() -> NDArray[np.uint16]:
    """Two base-32 characters for each 10-bit number."""
    letters = np.frombuffer(BASE32, np.uint8)
    table = np.empty((1024, 2), np.uint8)
    table[:, 0], table[:, 1] = letters[np.arange(1024) >> 5], letters[np.arange(1024) & 31]
    return table.view(np.uint16).ravel()


@lru_cache(maxsize=1)
def hex_quads() -> NDArray[np.uint32]:
    """Four hexadecimal characters for each 16-bit number."""
    return np.frombuffer("".join(f"{i:04x}" for i in range(65_536)).encode(), np.uint32)


def base32_views(prefix: str, numbers: U64) -> NDArray[np.uint16]:
    """Return (n, 8) Arrow view words of ``prefix`` and base-32 digits filling 12 bytes: 40 bits after 4 characters.

    Args:
        prefix: 4 characters (then numbers below 2**40) or 3 characters (then below 2**45).
        numbers: (n,) permuted numbers.
    """
    views = np.empty((len(numbers), 8), np.uint16)
    views[:, 0] = INLINE_BYTES
    views[:, 1] = 0
    table, ten = _pairs(), np.uint64(1023)
    if len(prefix) == 4:
        views[:, 2:4] = np.frombuffer(prefix.encode(), np.uint16)
    else:
        views[:, 2] = np.frombuffer(prefix[:2].encode(), np.uint16)[0]
        letters = np.frombuffer(BASE32, np.uint8).astype(np.uint16)
        views[:, 3] = ord(prefix[2]) + (letters[(numbers >> np.uint64(40)).astype(np.intp)] << 8)
    for position, shift in enumerate((30, 20, 10, 0)):
        views[:, 4 + position] = table[((numbers >> np.uint64(shift)) & ten).astype(np.intp)]
    return views


def base32_words(prefix: str, numbers: U64) -> NDArray[np.uint32]:
    """Return (n,) words of a character and three base-32 digits of (n,) numbers below 2**15."""
    letters = np.frombuffer(BASE32, np.uint8)
    words = np.empty((len(numbers), 4), np.uint8)
    words[:, 0] = ord(prefix)
    for position, shift in enumerate((10, 5, 0)):
        words[:, 1 + position] = letters[((numbers >> np.uint64(shift)) & np.uint64(31)).astype(np.intp)]
    return words.view(np.uint32).ravel()


def inline_text(views: NDArray[Any]) -> pl.Series:
    """Return a String series from (n, 16 bytes) inline views, without copying."""
    array = pa.Array.from_buffers(pa.string_view(), len(views), [None, pa.py_buffer(views)])
    return pl.Series(values=pl.from_arrow(array))


def row_text(rows: NDArray[np.uint32], start: int, length: int) -> pl.Series:
    """Return a String series from fixed-width rows: bytes [start, start + length) of each row of (n, width) words."""
    count, width = len(rows), rows.shape[1] * 4
    # A view is four words: length, the first four characters, the buffer's number and the offset in it.
    views = np.zeros((count, 4), np.uint32)
    views[:, 0] = length
    first, shift = divmod(start, 4)
    views[:, 1] = rows[:, first] >> np.uint32(8 * shift)
    if shift:
        views[:, 1] |= rows[:, first + 1] << np.uint32(32 - 8 * shift)
    views[:, 3] = np.arange(start, start + count * width, width, dtype=np.uint32)
    array = pa.Array.from_buffers(pa.string_view(), count, [None, pa.py_buffer(views), pa.py_buffer(rows)])
    return pl.Series(values=pl.from_arrow(array))


def dated_hex(prefix: str, stamp: str, numbers: U64) -> pl.Series:
    """Return ids such as ``txn_20240305_0a1b2c3d`` for (n,) 32-bit numbers.

    Args:
        prefix: 4 characters.
        stamp: 8 characters of the day.
        numbers: (n,) permuted numbers below 2**32.
    """
    text = f"...{prefix}{stamp}_"  # three bytes of padding put the hexadecimal digits on a word boundary
    rows = np.empty((len(numbers), 6), np.uint32)
    rows[:, :4] = np.frombuffer(text.encode(), np.uint32)
    table = hex_quads()
    rows[:, 4] = table[(numbers >> np.uint64(16)).astype(np.intp)]
    rows[:, 5] = table[(numbers & np.uint64(0xFFFF)).astype(np.intp)]
    return row_text(rows, 3, 21)
