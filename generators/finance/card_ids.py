"""How the entities of credit_cards are named: permuted numbers in base 32, never a card number."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from generators.finance.cardholders import ISSUE_OFFSET
from generators.identifiers import base32_views, dated_hex, inline_text, permute, row_text
from generators.randomness import hash64, hash_key

I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]

GENUINE, RECURRING, FRAUD, VISIT = range(4)
"""Sources of rows: numbers are counted apart in each."""
KNOWN_DEVICES = np.uint64(1 << 39)
"""Devices of customers are numbered below, devices seen once above."""


@dataclass(frozen=True)
class CardIds:
    """The keys under which a generator's numbers are shown.

    Attributes:
        seed: The config's seed.
        generator: Name of the generator.
    """

    seed: int
    generator: str

    @cached_property
    def _keys(self) -> dict[str, np.uint64]:
        names = ("customer", "card", "token", "token tail", "device", "episode")
        return {name: hash_key(self.seed, self.generator, name, "id") for name in names}

    def transactions(self, source: NDArray[Any] | int, number: NDArray[Any], day: object) -> pl.Series:
        """Return ids of (n,) rows of a day: a keyed permutation of (source, number), so no id tells the source."""
        shown = permute(self.transaction_codes(source, number), 32, self._transaction_key(str(day)))
        return dated_hex("txn_", str(day).replace("-", ""), shown)

    @staticmethod
    def transaction_codes(source: NDArray[Any] | int, number: NDArray[Any]) -> U64:
        """Return (n,) 32-bit codes of rows: two bits for the source, thirty for the number in it."""
        return (number.astype(np.uint64) << np.uint64(2)) | np.asarray(source, np.uint64)

    def _transaction_key(self, day: str) -> np.uint64:
        return hash_key(self.seed, self.generator, day, "transaction_id")

    def customers(self, number: I64) -> pl.Series:
        """Return ids of (n,) customers."""
        return inline_text(base32_views("cu_", permute(number, 45, self._keys["customer"])))

    def cards(self, key: I64) -> pl.Series:
        """Return ids of (n,) card accounts."""
        return inline_text(base32_views("crd_", permute(key, 40, self._keys["card"])))

    def token_numbers(self, key: I64, issue: NDArray[Any]) -> U64:
        """Return (n,) numbers of tokens: card and day of issue."""
        return (key.astype(np.uint64) << np.uint64(16)) | (issue.astype(np.int64) + ISSUE_OFFSET).astype(np.uint64)

    def tokens(self, numbers: U64) -> pl.Series:
        """Return tokens of (n,) cards as issued: 16 characters of base 32 in two halves."""
        shown = permute(numbers, 56, self._keys["token"])
        tail = (hash64(self._keys["token tail"], numbers) & np.uint64((1 << 24) - 1)) | (
            shown >> np.uint64(40) << np.uint64(24)
        )
        rows = np.empty((len(numbers), 6), np.uint32)
        head = base32_views("tok_", shown & np.uint64((1 << 40) - 1)).view(np.uint32)
        rows[:, :3] = head[:, 1:]
        rest = base32_views("___.", tail).view(np.uint8).reshape(-1, 16)
        text = rows.view(np.uint8).reshape(-1, 24)
        text[:, 12] = ord("_")
        text[:, 13:21] = rest[:, 8:]
        return row_text(rows, 0, 21)

    def last4(self, numbers: U64) -> pl.Series:
        """Return four digits of (n,) tokens."""
        return inline_text(_digit_views(4)[(hash64(self._keys["token"], numbers) % np.uint64(10_000)).astype(np.intp)])

    def devices(self, number: U64, valid: NDArray[np.bool_]) -> pl.Series:
        """Return ids of devices, null where (n,) `valid` is false."""
        views = np.zeros((len(valid), 8), np.uint16)
        rows = np.flatnonzero(valid)
        views[rows] = base32_views("dev_", permute(number[rows], 40, self._keys["device"]))
        return text_where(views, valid)

    def episodes(self, number: I64) -> pl.Series:
        """Return ids of (n,) episodes, null where the number is negative."""
        valid = number >= 0
        views = np.zeros((len(number), 8), np.uint16)
        rows = np.flatnonzero(valid)
        if len(rows):
            views[rows] = base32_views("fe_", permute(number[rows], 45, self._keys["episode"]))
        return text_where(views, valid)


def text_where(views: NDArray[Any], valid: NDArray[np.bool_]) -> pl.Series:
    """Return a String series from (n, 16 bytes) inline views, null where (n,) `valid` is false."""
    if valid.all():
        return inline_text(views)
    bits = np.packbits(valid, bitorder="little")
    array = pa.Array.from_buffers(pa.string_view(), len(valid), [pa.py_buffer(bits), pa.py_buffer(views)])
    return pl.Series(values=pl.from_arrow(array))


@lru_cache(maxsize=4)
def _digit_views(digits: int) -> NDArray[np.uint16]:
    """Return the Arrow view words of all numbers of some digits, with leading zeros."""
    views = np.zeros((10**digits, 16), np.uint8)
    views[:, 0] = digits
    for position in range(digits):
        views[:, 4 + position] = np.arange(10**digits) // 10 ** (digits - 1 - position) % 10 + ord("0")
    return views.view(np.uint16)


def postal_text(numbers: NDArray[np.uint16]) -> pl.Series:
    """Return three digits of (n,) numbers below 1,000."""
    return inline_text(_digit_views(3)[numbers])
