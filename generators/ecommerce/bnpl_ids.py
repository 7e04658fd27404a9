"""How the entities of bnpl are named in its tables."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from generators.identifiers import base32_digits, base32_views, base32_words, permute, row_text
from generators.randomness import hash_key


def id_keys(seed: int, generator: str) -> dict[str, np.uint64]:
    """Return the keys that permute entity numbers before they are shown."""
    return {name: hash_key(seed, generator, name, "id") for name in ("customer", "device")}


def customer_views(entity: NDArray[np.int64], keys: dict[str, np.uint64]) -> NDArray[np.uint16]:
    """Return (n, 8) Arrow views of customer ids."""
    return base32_views("cu_", permute(entity, 45, keys["customer"]))


def device_text(number: NDArray[np.uint64], keys: dict[str, np.uint64]) -> pl.Series:
    """Return the ids of (n,) devices."""
    shown = permute(number, 55, keys["device"])
    rows = np.empty((len(number), 4), np.uint32)
    rows[:, 0] = np.frombuffer(b"dev_", np.uint32)[0]
    base32_digits(rows.view(np.uint16)[:, 2:6], shown)
    rows[:, 3] = base32_words("_", shown >> np.uint64(40))
    return row_text(rows, 0, 16, head="dev_")


def account_text(customer: NDArray[np.uint16], which: NDArray[np.uint8]) -> pl.Series:
    """Return account ids: the customer's id, ``_pm_`` and 1 or 2."""
    rows = np.empty((len(which), 5), np.uint32)
    rows[:, :3] = customer.view(np.uint32)[:, 1:]
    rows[:, 3] = np.frombuffer(b"_pm_", np.uint32)[0]
    rows[:, 4] = which + np.uint32(ord("1"))
    return row_text(rows, 0, 17)
