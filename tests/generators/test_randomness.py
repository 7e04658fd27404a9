from __future__ import annotations

import os
import subprocess
import sys
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generators.randomness import (
    LANES,
    AliasTable,
    hash64,
    hash_key,
    hash_lanes,
    hash_uniform,
    normal_table,
    pick_table,
    stream,
)

DAY = date(2024, 11, 29)


def test_stream_equal_paths_are_equal() -> None:
    assert np.array_equal(stream(1, "bnpl", DAY, 0, "amount").random(8), stream(1, "bnpl", DAY, 0, "amount").random(8))


PATHS = [
    (1, "bnpl", DAY, 0, "amount"),
    (2, "bnpl", DAY, 0, "amount"),
    (1, "cards", DAY, 0, "amount"),
    (1, "bnpl", date(2024, 11, 30), 0, "amount"),
    (1, "bnpl", DAY, 1, "amount"),
    (1, "bnpl", DAY, 0, "fee"),
    (1, "bnpl", DAY.isoformat(), 0, "amount"),
    (1, "bnpl", DAY, "0", "amount"),
    (1, "bnpl", DAY, 0),
    (1, "bnplamount", DAY, 0),
]


def test_stream_each_part_of_the_path_matters() -> None:
    draws = {stream(seed, *path).bytes(16) for seed, *path in PATHS}
    assert len(draws) == len(PATHS)


def test_stream_neighbouring_days_are_uncorrelated() -> None:
    rows = np.array([stream(0, "x", date.fromordinal(738_000 + i)).standard_normal(64) for i in range(2000)])
    # 2,000 x 64 products: |r| of independent streams stays below 5 / sqrt(n) but for one case in a million.
    r = np.mean(rows[1:] * rows[:-1])
    assert abs(r) < 5 / np.sqrt(rows[1:].size)


def test_stream_is_uniform() -> None:
    draws = np.concatenate([stream(0, "x", i).random(32) for i in range(4000)])
    counts = np.bincount((draws * 64).astype(int), minlength=64)
    chi2 = np.sum((counts - len(draws) / 64) ** 2) / (len(draws) / 64)
    assert chi2 < 63 + 5.5 * np.sqrt(2 * 63)


def _elsewhere(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, **environment}
    )
    return done.stdout


def test_draws_do_not_depend_on_process_hash_seed_or_zone() -> None:
    code = (
        "from datetime import date; from generators.randomness import *; import numpy as np;"
        "print(stream(7, 'a', date(2024, 1, 1), 3).bytes(8).hex(), hash64(hash_key(7, 'p'), np.arange(4)).tolist())"
    )
    here = f"{stream(7, 'a', date(2024, 1, 1), 3).bytes(8).hex()} {hash64(hash_key(7, 'p'), np.arange(4)).tolist()}\n"
    for environment in ({"PYTHONHASHSEED": "1"}, {"PYTHONHASHSEED": "4242", "TZ": "Asia/Tokyo"}):
        assert _elsewhere(code, **environment) == here


def test_draws_leave_the_global_state_untouched() -> None:
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - the legacy state is what is looked at
    stream(0, "x").random(100)
    hash_uniform(hash_key(0, "x"), np.arange(100))
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize("dtype", [np.int64, np.uint32, np.int32, np.uint64])
def test_hash64_depends_on_the_number_alone(dtype: type) -> None:
    key = hash_key(3, "bnpl", "customers", "city")
    numbers = np.array([5, 1, 5, 900], dtype=dtype)
    words = hash64(key, numbers)
    assert words[0] == words[2]
    assert words[3] == hash64(key, np.array([900]))[0]
    assert numbers.tolist() == [5, 1, 5, 900], "the counters are the caller's"


def test_hash64_is_injective_and_avalanches() -> None:
    key = hash_key(0, "x")
    numbers = np.arange(1 << 16)
    words = hash64(key, numbers)
    assert len(np.unique(words)) == len(numbers)
    flipped = np.bitwise_count(words ^ hash64(key, numbers ^ 1))
    assert abs(flipped.mean() - 32) < 5 * 4 / np.sqrt(len(numbers))


def test_hash_lanes_are_four_independent_uniform_draws() -> None:
    lanes = hash_lanes(hash_key(0, "x"), np.arange(200_000))
    assert lanes.shape == (4, 200_000)
    correlation = np.corrcoef(lanes.astype(float))
    assert np.abs(correlation - np.eye(4)).max() < 5 / np.sqrt(200_000)
    assert np.abs(lanes.mean(axis=1) / LANES - 0.5).max() < 5 * 0.2887 / np.sqrt(200_000)


def test_hash_uniform_stays_below_one() -> None:
    values = hash_uniform(hash_key(1, "u"), np.arange(100_000))
    assert values.min() >= 0
    assert values.max() < 1
    assert abs(values.mean() - 0.5) < 5 * 0.2887 / np.sqrt(len(values))


def test_pick_table_holds_the_shares() -> None:
    shares = [0.5, 0.0, 0.3, 0.2]
    table = pick_table([10 * s for s in shares])
    found = np.bincount(table, minlength=4) / LANES
    assert np.abs(found - shares).max() <= 1.6e-5
    assert found[1] == 0


def test_normal_table_is_standard_and_read_only() -> None:
    table = normal_table()
    assert abs(table.mean()) < 1e-12
    assert abs(table.std() - 1) < 1e-12
    assert np.all(np.diff(table) > 0)
    with pytest.raises(ValueError, match="read-only"):
        table[0] = 0.0


def probabilities(table: AliasTable) -> np.ndarray:
    """The probability of each index, exactly: each cell gives `keep` to itself and the rest to its alias."""
    found = table.keep.copy()
    np.add.at(found, table.alias, 1.0 - table.keep)
    return found / table.size


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.lists(
        st.one_of(st.just(0.0), st.floats(1e-6, 1e6, allow_nan=False), st.just(1.0)), min_size=1, max_size=60
    ).filter(lambda weights: sum(weights) > 0)
)
def test_alias_table_is_exact(weights: list[float]) -> None:
    table = AliasTable(np.array(weights))
    assert np.abs(probabilities(table) - np.array(weights) / sum(weights)).max() < 1e-9
    assert table.keep.min() > -1e-9
    assert table.keep.max() < 1 + 1e-9


def test_alias_table_exact_for_heavy_tails() -> None:
    weights = np.exp(2.0 * stream(0, "w").standard_normal(20_000))
    assert np.abs(probabilities(AliasTable(weights)) * 20_000 - weights / weights.mean()).max() < 1e-6


def test_alias_table_draws_its_weights() -> None:
    weights = np.array([0.0, 5.0, 1.0, 0.5, 3.5])
    drawn = AliasTable(weights).draw(stream(0, "u").random(400_000))
    share = np.bincount(drawn, minlength=5) / len(drawn)
    assert share[0] == 0
    assert np.abs(share - weights / 10).max() < 5 * 0.5 / np.sqrt(len(drawn))


def test_alias_table_ends_of_the_unit_interval() -> None:
    drawn = AliasTable(np.ones(7)).draw(np.array([0.0, np.nextafter(1.0, 0.0)]))
    assert drawn.tolist() == [0, 6]
