"""Which card is in use: the day of issue after confirmed compromises, found in a sorted list of reissues."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from generators.entities import I32, I64
from generators.randomness import hash64

DAY_BITS = 17
_OFFSET = 4096
"""Added to days, so that none is negative."""
NEVER = 2**30
"""Day of what never happens."""
_MARKS = 22
"""Bits of the marks that tell most cards without a reissue apart."""


def unpack(packed: I64) -> tuple[I64, I64]:
    """Return (card, day) of (m,) packed reissues."""
    return packed >> DAY_BITS, (packed & ((1 << DAY_BITS) - 1)) - _OFFSET


@dataclass(frozen=True, eq=False)
class Reissues:
    """Reissues of cards: (card, first day of the new token), sorted.

    Attributes:
        packed: (m,) ascending card << 17 | day.
    """

    packed: I64

    @staticmethod
    def pack(card: I64, day: NDArray[np.integer]) -> I64:
        """Return (m,) unsorted packed reissues."""
        return (card << DAY_BITS) | (day.astype(np.int64) + _OFFSET)

    def issue(self, card: I64, issue: I32, day: I64 | int) -> I32:
        """Return (n,) days of issue: the last reissue up to the day where there is one after (n,) `issue`."""
        if not len(self.packed):
            return issue
        marked = np.flatnonzero(self._marks[(hash64(np.uint64(0), card) >> np.uint64(64 - _MARKS)).astype(np.intp)])
        days = np.broadcast_to(np.asarray(day, np.int64), card.shape)[marked]
        cards = card[marked]
        place = np.searchsorted(self.packed, (cards << DAY_BITS) | (days + _OFFSET), side="right") - 1
        found = self.packed[np.maximum(place, 0)]
        last = np.where(
            (place >= 0) & (found >> DAY_BITS == cards), (found & ((1 << DAY_BITS) - 1)) - _OFFSET, -_OFFSET
        )
        result = issue.copy()
        result[marked] = np.maximum(issue[marked], last)
        return result

    def following(self, card: I64, day: I32) -> I32:
        """Return the first reissue of (n,) cards after (n,) days; `NEVER` where there is none."""
        if not len(self.packed):
            return np.full(len(card), NEVER, np.int32)
        place = np.searchsorted(self.packed, self.pack(card, day), side="right")
        cards, days = unpack(self.packed[np.minimum(place, len(self.packed) - 1)])
        return np.where((place < len(self.packed)) & (cards == card), days, NEVER).astype(np.int32)

    @cached_property
    def _marks(self) -> NDArray[np.bool_]:
        marks = np.zeros(1 << _MARKS, np.bool_)
        cards = self.packed >> DAY_BITS
        marks[(hash64(np.uint64(0), cards) >> np.uint64(64 - _MARKS)).astype(np.intp)] = True
        return marks
