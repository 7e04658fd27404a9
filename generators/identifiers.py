"""Numbers rendered as text ids: a keyed permutation, then fixed-width base 32 or hexadecimal, a column at a time.

The number of an entity encodes its slot and its lifetime, which would leak age and activity. `permute` shuffles numbers
inside a power of two without collisions, and the renderers write the characters straight into Arrow string views.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from generators.randomness import U64, look_up

BASE32 = b"abcdefghijklmnopqrstuvwxyz234567"
INLINE_BYTES = 12
"""Longest string that an Arrow view holds without a second buffer."""
_BLOCK = 32_768


def permute(numbers: NDArray[Any], bits: int, key: np.uint64) -> U64:
    """Return a permutation of [0, 2**bits) applied to (n,) numbers: multiply, add and xor-shift rounds are bijective.

    Raises:
        OverflowError: A number needs more than `bits` bits.
    """
    permuted = numbers.astype(np.uint64)
    if len(permuted) and int(permuted.max()) >> bits:
        raise OverflowError(f"number {int(permuted.max())} needs more than {bits} bits")
    mask, half, third = np.uint64((1 << bits) - 1), np.uint64(bits // 2), np.uint64(bits // 3 + 1)
    odd, other, added = key | np.uint64(1), (key >> np.uint64(17)) | np.uint64(1), key >> np.uint64(32)
    scratch = np.empty(min(len(permuted), _BLOCK), np.uint64)
    for first in range(0, len(permuted), _BLOCK):  # the passes over a block stay in the cache
        x = permuted[first : first + _BLOCK]
        shifted = scratch[: len(x)]
        x *= odd
        x += added
        x &= mask
        x ^= np.right_shift(x, half, out=shifted)
        x *= other
        x &= mask
        x ^= np.right_shift(x, third, out=shifted)
        x *= np.uint64(0x9E3779B97F4A7C15)
        x &= mask
        x ^= np.right_shift(x, half, out=shifted)
    return permuted


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
    words = views.view(np.uint32)
    words[:, 0] = INLINE_BYTES
    if len(prefix) == 4:
        words[:, 1] = np.frombuffer(prefix.encode(), np.uint32)[0]
    else:
        # The fourth character is a digit of its own: one word for each of the 32.
        heads = np.frombuffer("".join(prefix + letter for letter in BASE32.decode()).encode(), np.uint32)
        words[:, 1] = heads[(numbers >> np.uint64(40)).view(np.int64)]
    base32_digits(views[:, 4:], numbers)
    return views


def base32_digits(target: NDArray[np.uint16], numbers: U64) -> None:
    """Write the eight base-32 digits of the low 40 bits of (n,) numbers into (n, 4) pairs of characters."""
    table, ten = _pairs(), np.uint64(1023)
    scratch = np.empty(min(len(numbers), _BLOCK), np.uint64)
    for first in range(0, len(numbers), _BLOCK):
        part = numbers[first : first + _BLOCK]
        index = scratch[: len(part)]
        for position, shift in enumerate((30, 20, 10, 0)):
            np.right_shift(part, np.uint64(shift), out=index)
            index &= ten
            target[first : first + _BLOCK, position] = table[index.view(np.int64)]


def base32_words(prefix: str, numbers: U64) -> NDArray[np.uint32]:
    """Return (n,) words of a character and three base-32 digits of (n,) numbers below 2**15."""
    return _prefixed_triples(prefix)[numbers.view(np.int64)]


@lru_cache(maxsize=8)
def _prefixed_triples(prefix: str) -> NDArray[np.uint32]:
    """Return (32768,) words of a character and the three base-32 digits of a 15-bit number."""
    letters, number = np.frombuffer(BASE32, np.uint8), np.arange(1 << 15)
    words = np.empty((1 << 15, 4), np.uint8)
    words[:, 0] = ord(prefix)
    for position, shift in enumerate((10, 5, 0)):
        words[:, 1 + position] = letters[(number >> shift) & 31]
    return words.view(np.uint32).ravel()


def inline_text(views: NDArray[Any]) -> pl.Series:
    """Return a String series from (n, 16 bytes) inline views, without copying."""
    array = pa.Array.from_buffers(pa.string_view(), len(views), [None, pa.py_buffer(views)])
    return pl.Series(values=pl.from_arrow(array))


def row_text(rows: NDArray[np.uint32], start: int, length: int, head: str | None = None) -> pl.Series:
    """Return a String series from fixed-width rows: bytes [start, start + length) of each row of (n, width) words.

    Args:
        rows: (n, width) words that hold the text.
        start: First byte.
        length: Bytes of each text, more than `INLINE_BYTES`.
        head: First four characters, where all rows share them; None: they are read from the rows.
    """
    (text,) = row_texts(rows, start, (length,), head)
    return text


def row_texts(
    rows: NDArray[np.uint32], start: int, lengths: Sequence[int], head: str | None = None
) -> Iterator[pl.Series]:
    """Yield a `row_text` for each of several lengths: texts that begin alike."""
    count, width = len(rows), rows.shape[1] * 4
    # A view is four words: length, the first four characters, the buffer's number and the offset in it.
    views = np.empty((count, 4), np.uint32)
    halves = views.view(np.uint64)
    if head is None:
        first, shift = divmod(start, 4)
        views[:, 1] = rows[:, first] >> np.uint32(8 * shift)
        if shift:
            views[:, 1] |= rows[:, first + 1] << np.uint32(32 - 8 * shift)
    else:
        views[:, 1] = np.frombuffer(head.encode(), np.uint32)[0]
    halves[:, 1] = np.arange(start << 32, (start + count * width) << 32, width << 32, dtype=np.uint64)
    for number, length in enumerate(lengths):
        own = views.copy() if number else views
        own[:, 0] = length
        array = pa.Array.from_buffers(pa.string_view(), count, [None, pa.py_buffer(own), pa.py_buffer(rows)])
        yield pl.Series(values=pl.from_arrow(array))


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
    table, halves = hex_quads(), numbers.view(np.uint16).reshape(-1, 4)
    rows[:, 4] = look_up(table, halves[:, 1])
    rows[:, 5] = look_up(table, halves[:, 0])
    return row_text(rows, 3, 21, prefix)
