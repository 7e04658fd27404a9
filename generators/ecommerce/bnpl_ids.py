"""How the entities of bnpl are named in its tables."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from generators.days import day_of
from generators.identifiers import base32_digits, base32_views, base32_words, hex_quads, permute, row_text, row_texts
from generators.randomness import hash_key, look_up

PREFIX = "txn_"


def id_keys(seed: int, generator: str) -> dict[str, np.uint64]:
    """Return the keys that permute entity numbers before they are shown."""
    return {name: hash_key(seed, generator, name, "id") for name in ("customer", "device")}


def customer_numbers(entity: NDArray[np.int64], keys: dict[str, np.uint64]) -> NDArray[np.uint64]:
    """Return the numbers that (n,) customers show in their ids."""
    return permute(entity, 45, keys["customer"])


def number_views(numbers: NDArray[np.uint64]) -> NDArray[np.uint16]:
    """Return (n, 8) Arrow views of customer ids from the numbers that they show."""
    return base32_views("cu_", numbers)


def customer_views(entity: NDArray[np.int64], keys: dict[str, np.uint64]) -> NDArray[np.uint16]:
    """Return (n, 8) Arrow views of customer ids."""
    return number_views(customer_numbers(entity, keys))


def device_text(number: NDArray[np.uint64], keys: dict[str, np.uint64]) -> pl.Series:
    """Return the ids of (n,) devices."""
    shown = permute(number, 55, keys["device"])
    rows = np.empty((len(number), 4), np.uint32)
    rows[:, 0] = np.frombuffer(b"dev_", np.uint32)[0]
    base32_digits(rows.view(np.uint16)[:, 2:6], shown)
    rows[:, 3] = base32_words("_", shown >> np.uint64(40))
    return row_text(rows, 0, 16)


def account_text(customer: NDArray[np.uint16], which: NDArray[np.uint8]) -> pl.Series:
    """Return account ids: the customer's id, ``_pm_`` and 1 or 2."""
    rows = np.empty((len(which), 5), np.uint32)
    rows[:, :3] = customer.view(np.uint32)[:, 1:]
    rows[:, 3] = np.frombuffer(b"_pm_", np.uint32)[0]
    rows[:, 4] = which + np.uint32(ord("1"))
    return row_text(rows, 0, 17)


def transaction_ids(
    days: NDArray[np.int32],
    numbers: NDArray[np.uint32],
    runs: NDArray[np.int64] | None = None,
    installments: NDArray[np.uint8] | None = None,
) -> tuple[pl.Series, pl.Series]:
    """Return ids of transactions of several days, and of their instalments: ``_`` and two digits more.

    Args:
        days: (m,) days since 1970-01-01; those of a day stand together.
        numbers: (m,) numbers that name the transactions within their day.
        runs: (m,) rows of each transaction, n in all; None: one each.
        installments: (n,) numbers of the instalments; None: 0.
    """
    new_day = np.flatnonzero(np.append(True, days[1:] != days[:-1]))[: len(days)]
    halves = np.frombuffer(b"".join(map(_stamp, days[new_day].tolist())), np.uint64).reshape(-1, 2)
    of_day = np.diff(np.append(new_day, len(days)))
    rows = np.empty((len(days), 4), np.uint64)
    rows[:, 0], rows[:, 1] = np.repeat(halves[:, 0], of_day), np.repeat(halves[:, 1], of_day)
    words, quads = rows.view(np.uint32), hex_quads()
    words[:, 4] = look_up(quads, numbers >> 16)
    words[:, 5] = look_up(quads, numbers & 0xFFFF)
    words[:, 6] = _ending_words()[0]
    if runs is not None:
        words = np.repeat(words, runs, axis=0)  # of 32 bytes each: numpy copies rows of a power of two fastest
    if installments is not None:
        words[:, 6] = look_up(_ending_words(), installments)
    transaction, installment = row_texts(words, 3, (21, 24), PREFIX)
    return transaction, installment


@lru_cache(maxsize=1_024)
def _stamp(day: int) -> bytes:
    """Return what the ids of a day begin with, after three bytes of padding; days since 1970-01-01."""
    return f"...{PREFIX}{day_of(day):%Y%m%d}_".encode()


@lru_cache(maxsize=1)
def _ending_words() -> NDArray[np.uint32]:
    """Words of ``_`` and two digits, for 0 to 99."""
    return np.frombuffer("".join(f"_{n:02d}." for n in range(100)).encode(), np.uint32)
