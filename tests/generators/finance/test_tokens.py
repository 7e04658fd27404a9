"""Reissues are found by card and day."""

from __future__ import annotations

import numpy as np

from generators.finance.tokens import NEVER, Reissues

CARDS = np.array([7, 7, 9], np.int64)
REISSUES = Reissues(np.sort(Reissues.pack(CARDS, np.array([100, 140, 120]))))


def test_the_next_reissue_comes_after_the_day() -> None:
    card = np.array([7, 7, 7, 7, 9, 9, 8], np.int64)
    day = np.array([99, 100, 139, 140, 50, 120, 0], np.int32)
    assert REISSUES.following(card, day).tolist() == [100, 140, 140, NEVER, 120, NEVER, NEVER]
    assert Reissues(np.empty(0, np.int64)).following(card, day).tolist() == [NEVER] * 7


def test_the_token_in_use_is_that_of_the_last_reissue() -> None:
    card = np.array([7, 7, 7, 9, 8], np.int64)
    assert REISSUES.issue(card, np.full(5, 30, np.int32), np.array([99, 100, 150, 130, 130])).tolist() == [
        30, 100, 140, 120, 30,
    ]  # fmt: skip
