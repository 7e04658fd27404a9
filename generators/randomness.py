"""Randomness without state: named streams for rows, a counter hash for entities.

Every draw of the library comes from one of two places. Rows draw from `stream`, an independent generator for each
path of names, days and numbers. Entities draw from `hash64`, a function of (key, entity number) that needs no memory
of the entities seen before. Both depend on their arguments alone, so a day is a pure function of (config, day).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import lru_cache
from hashlib import blake2b
from statistics import NormalDist
from typing import Any, TypeVar

import numpy as np
from numpy.random import PCG64DXSM, Generator
from numpy.random.bit_generator import ISeedSequence
from numpy.typing import NDArray

U64 = NDArray[np.uint64]
F64 = NDArray[np.float64]
AnyScalar = TypeVar("AnyScalar", bound=np.generic)

LANES = 65_536
"""Values of a 16-bit draw: `pick` tables and quantile tables have this many entries."""

_SEPARATOR = "\x1f"


def _encode(part: str | int | date) -> str:
    if isinstance(part, str):
        return "s" + part
    if isinstance(part, date):
        return "d" + part.isoformat()
    return f"i{int(part)}"


def _digest(seed: int, path: Sequence[str | int | date], size: int) -> bytes:
    text = _SEPARATOR.join([str(int(seed)), *map(_encode, path)])
    return blake2b(text.encode(), digest_size=size).digest()


class _DigestSeed(ISeedSequence):
    """Hand a 32-byte digest to a bit generator as its state words (six times cheaper than a SeedSequence)."""

    def __init__(self, digest: bytes) -> None:
        self._digest = digest

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> NDArray[Any]:
        return np.frombuffer(self._digest, dtype=dtype, count=n_words)


def stream(seed: int, *path: str | int | date) -> Generator:
    """Return the independent random stream of a path.

    Args:
        seed: The config's seed.
        path: Names, numbers and days, from the generator's name down to the column's.

    Returns:
        A generator whose draws depend on the arguments alone: not on the process, the order of calls or Python's
        hash seed. Equal paths give equal streams.
    """
    return Generator(PCG64DXSM(_DigestSeed(_digest(seed, path, 32))))  # type: ignore[arg-type]


def hash_key(seed: int, *path: str | int | date) -> np.uint64:
    """Return the key of `hash64` for a path, usually (generator, pool, column)."""
    return np.uint64(int.from_bytes(_digest(seed, path, 8), "little"))


_M1 = np.uint64(0xBF58476D1CE4E5B9)
_M2 = np.uint64(0x94D049BB133111EB)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_S30, _S27, _S31 = np.uint64(30), np.uint64(27), np.uint64(31)
_HASH_BLOCK = 32_768


def hash64(key: np.uint64, counters: NDArray[Any]) -> U64:
    """Hash counters under a key: the splitmix64 finaliser over ``counter * golden + key``.

    Args:
        key: From `hash_key`.
        counters: Entity numbers of any shape and integer type; negative numbers wrap.

    Returns:
        Well mixed 64-bit words of the same shape, equal for equal arguments whatever else is in the array.
        Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (OOPSLA 2014).
    """
    flat = counters.reshape(-1)
    out = np.empty(len(flat), np.uint64)
    scratch = np.empty(min(len(flat), _HASH_BLOCK), np.uint64)
    for first in range(0, len(flat), _HASH_BLOCK):  # the passes over a block stay in the cache
        x = out[first : first + _HASH_BLOCK]
        shifted = scratch[: len(x)]
        np.multiply(flat[first : first + _HASH_BLOCK], _GOLDEN, out=x, dtype=np.uint64, casting="unsafe")
        x += key
        x ^= np.right_shift(x, _S30, out=shifted)
        x *= _M1
        x ^= np.right_shift(x, _S27, out=shifted)
        x *= _M2
        x ^= np.right_shift(x, _S31, out=shifted)
    return out.reshape(counters.shape)


def hash_lanes(key: np.uint64, counters: NDArray[Any]) -> NDArray[np.uint16]:
    """Return four independent 16-bit draws for each counter, shape (4, n): indices for tables of `LANES` entries."""
    words = hash64(key, counters)
    return words.view(np.uint16).reshape(-1, 4).T


def hash_uniform(key: np.uint64, counters: NDArray[Any]) -> F64:
    """Return (n,) uniforms in [0, 1) for counters, with 53 random bits."""
    return (hash64(key, counters) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def look_up(table: NDArray[AnyScalar], index: NDArray[Any]) -> NDArray[AnyScalar]:
    """Return ``table[index]`` for (n,) small unsigned numbers: three times as fast as numpy's own cast of the index."""
    return table.take(index.astype(np.intp))


def pick_table(shares: Sequence[float]) -> NDArray[np.uint8]:
    """Return the (65,536,) table that turns 16-bit draws into category codes with the given shares.

    Args:
        shares: At most 256 non-negative weights; they are normalised.

    Returns:
        Codes such that a uniform 16-bit index picks category i with its share, exact to 1.6e-5.
    """
    edges = np.cumsum(np.asarray(shares, dtype=np.float64))
    middles = (np.arange(LANES) + 0.5) / LANES
    return np.searchsorted(edges / edges[-1], middles, side="right").clip(0, len(shares) - 1).astype(np.uint8)


@lru_cache(maxsize=1)
def normal_table() -> F64:
    """Return the (65,536,) standard normal quantiles at the middles of 16-bit draws, standard deviation exactly 1."""
    half = LANES // 2
    inverse = NormalDist().inv_cdf
    upper = np.array([inverse((half + i + 0.5) / LANES) for i in range(half)])
    table = np.concatenate([-upper[::-1], upper])
    table /= table.std()
    table.setflags(write=False)
    return table


class AliasTable:
    """Weighted draws of an index in constant time (Vose's alias method, built by prefix sums instead of a loop).

    Args:
        weights: (m,) non-negative weights, at least one of them positive.
    """

    def __init__(self, weights: F64) -> None:
        size = len(weights)
        scaled = np.asarray(weights, dtype=np.float64) * (size / np.sum(weights))
        # Rounding may leave the heaviest cell a hair below 1: it is large whatever happens.
        least = min(1.0, float(scaled.max()))
        small, large = np.flatnonzero(scaled < least), np.flatnonzero(scaled >= least)
        deficit, surplus = np.cumsum(1.0 - scaled[small]), np.cumsum(scaled[large] - 1.0)
        keep, alias = scaled.copy(), np.arange(size)
        last = len(large) - 1
        # A small cell is topped up by the large one whose surplus is being spent when its turn comes.
        spent = np.concatenate([[0.0], deficit[:-1]]) if len(small) else deficit
        alias[small] = large[np.minimum(np.searchsorted(surplus, spent, side="right"), last)]
        # A large cell that runs out in the middle of a small one is topped up by the next large one.
        # One that ends exactly where a small cell does owes nothing.
        turn = np.searchsorted(deficit, surplus, side="left")
        runs_out = turn < len(small)
        runs_out[runs_out] = spent[turn[runs_out]] < surplus[runs_out]
        runs_out[last:] = False
        keep[large] = 1.0
        keep[large[runs_out]] = 1.0 - (deficit[turn[runs_out]] - surplus[runs_out])
        alias[large[:-1][runs_out[:-1]]] = large[1:][runs_out[:-1]]
        self.size = size
        self.keep: F64 = keep
        self.alias: NDArray[np.int64] = alias

    def draw(self, uniforms: F64) -> NDArray[np.int64]:
        """Map (n,) uniforms in [0, 1) to (n,) indices."""
        scaled = uniforms * self.size
        index = scaled.astype(np.int64)
        scaled -= index
        return np.where(scaled < self.keep[index], index, self.alias[index])
