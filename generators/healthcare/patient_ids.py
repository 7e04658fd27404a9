"""How patients, encounters, providers and facilities are named: formats that no real register uses."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from generators.entities import I64
from generators.healthcare.encounters import U8, U16
from generators.identifiers import BASE32, base32_views, inline_text, permute, row_text
from generators.randomness import U64, hash64, hash_key

VISIT, STAY = (ord(letter) for letter in "vi")
"""Letters of encounter ids: visits and stays."""
ID_BITS = 35
_DERIVED = np.uint64(1 << (ID_BITS - 1))
"""What is added to slots of derived visits; row numbers lie below."""

PATIENT_FORMAT = "PAT-********"
MRN_FORMAT = "SYN*********"
ENCOUNTER_FORMAT = "ENC-########-********"
PROVIDER_FORMAT = "PRV-######"
FACILITY_FORMAT = "FAC-###"


def patient_text(entity: I64, seed: int, generator: str) -> pl.Series:
    """Return the ids of (n,) patients."""
    return inline_text(base32_views("PAT-", permute(entity, 40, hash_key(seed, generator, "patient", "id"))))


def mrn_text(entity: I64, seed: int, generator: str) -> pl.Series:
    """Return the medical record numbers of (n,) patients: SYN and letters, which no hospital uses."""
    return inline_text(base32_views("SYN", permute(entity, 45, hash_key(seed, generator, "patient", "mrn"))))


def stay_numbers(slot: I64, day: NDArray[np.int32] | int, seed: int, generator: str) -> U64:
    """Return the numbers of (n,) stays that begin on a day or on (n,) days, from the patients' slots."""
    mask = np.uint64((1 << ID_BITS) - 1)
    salt = hash64(hash_key(seed, generator, "stay", "salt"), np.atleast_1d(np.asarray(day))) & mask
    return permute(slot.astype(np.uint64) ^ salt, ID_BITS, hash_key(seed, generator, "stay", "id"))


def visit_numbers(row: I64, day: date, seed: int, generator: str) -> U64:
    """Return the numbers of (n,) drawn visits of a day."""
    return permute(row, ID_BITS, _visit_key(day, seed, generator))


def derived_visit_numbers(slot: I64, day: date, seed: int, generator: str) -> U64:
    """Return the numbers of (n,) visits of a day that come with a stay or a death, from the patients' slots.

    They share the permutation of drawn visits: a number does not say which of them a visit is.
    """
    return permute(slot.astype(np.uint64) | _DERIVED, ID_BITS, _visit_key(day, seed, generator))


def _visit_key(day: date, seed: int, generator: str) -> np.uint64:
    return hash_key(seed, generator, day, "encounter_id")


def encounter_text(days: NDArray[np.int32] | int, letter: U8 | int, number: U64) -> pl.Series:
    """Return encounter ids such as ``ENC-20240305-vabcdefg``.

    Args:
        days: Day of the encounters, or (n,) days, from 1970-01-01.
        letter: `VISIT` or `STAY`, or (n,) of them.
        number: (n,) numbers below 2**35.
    """
    present, place = np.unique(days, return_inverse=True)
    stamps = "".join((date(1970, 1, 1) + timedelta(day)).strftime("%Y%m%d") for day in present.tolist())
    words = np.frombuffer(stamps.encode(), np.uint16).reshape(-1, 4)
    rows = np.empty((len(number), 12), np.uint16)
    rows[:, 0:2] = np.frombuffer(b"ENC-", np.uint16)
    rows[:, 2:6] = words[place] if np.ndim(days) else words[0]
    rows[:, 6] = ord("-") + (np.asarray(letter, np.uint16) << 8)
    table, ten = _pairs(), np.uint64(1023)
    for position, shift in enumerate((25, 15, 5)):
        rows[:, 7 + position] = table[((number >> np.uint64(shift)) & ten).astype(np.intp)]
    rows[:, 10] = table[(number & np.uint64(31)).astype(np.intp)] >> 8
    rows[:, 11] = 0
    return row_text(rows.view(np.uint32), 0, 21)


def provider_text(number: I64) -> pl.Series:
    """Return the ids of (n,) providers with numbers below 10**6."""
    views = np.zeros((len(number), 8), np.uint16)
    views[:, 0] = 10
    views[:, 2:4] = np.frombuffer(b"PRV-", np.uint16)
    table, rest = _digits(), number.astype(np.uint32)
    for position in (6, 5, 4):
        rest, pair = np.divmod(rest, np.uint32(100))
        views[:, position] = table[pair]
    return inline_text(views)


def facility_text(number: U16) -> pl.Series:
    """Return the ids of (n,) facilities with numbers below 1,000."""
    return inline_text(_facility_views()[number])


@lru_cache(maxsize=1)
def _facility_views() -> U16:
    views = np.zeros((1_000, 8), np.uint16)
    views[:, 0] = 7
    names = "".join(f"FAC-{i:03d}\0" for i in range(1_000)).encode()
    views[:, 2:6] = np.frombuffer(names, np.uint16).reshape(-1, 4)
    return views


@lru_cache(maxsize=1)
def _pairs() -> U16:
    """Two base-32 characters for each 10-bit number, the first one for the high bits."""
    letters = np.frombuffer(BASE32, np.uint8).astype(np.uint16)
    number = np.arange(1024)
    return np.asarray(letters[number >> 5] | letters[number & 31] << 8, np.uint16)


@lru_cache(maxsize=1)
def _digits() -> U16:
    """Two digits for each number below 100."""
    return np.frombuffer("".join(f"{i:02d}" for i in range(100)).encode(), np.uint16)
