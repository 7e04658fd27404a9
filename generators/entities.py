"""Populations of renewing slots: heavy-tailed, stationary for ever, nothing sized by the population.

A pool is a fixed number of slots. The occupant of slot s lives for L(s) days, then a new one takes its place, so on
day t the generation is g = floor((t + phase) / L), the entity is g * N + s and its age (t + phase) - g * L: closed
forms. With L ~ Gamma(shape 2, scale c) and a phase uniform in [0, L), ages are Exp(c) on every day (the age of a
stationary renewal process, weighted by length). Weights repeat in blocks of 65,536 slots drawn once per seed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from generators.randomness import LANES, AliasTable, hash64, hash_key, hash_lanes, stream

I64 = NDArray[np.int64]
I32 = NDArray[np.int32]

BLOCK = 65_536
"""Slots whose weights are drawn; the pool repeats them."""


@dataclass(frozen=True)
class Lifetime:
    """Lifetimes in days: max(minimum, round(Gamma(shape 2, scale)))."""

    scale: float
    minimum: int

    def table(self) -> I32:
        """Return (65,536,) quantiles at the middles of 16-bit draws."""
        return _gamma2_table(self.scale, self.minimum)


@lru_cache(maxsize=16)
def _gamma2_table(scale: float, minimum: int) -> I32:
    # Gamma(2, 1) has the distribution function 1 - (1 + x) exp(-x); it is inverted by interpolation on a fine grid.
    x = np.linspace(0.0, 20.0, 400_001)
    quantiles = np.interp((np.arange(LANES) + 0.5) / LANES, 1.0 - (1.0 + x) * np.exp(-x), x)
    return np.maximum(minimum, np.round(quantiles * scale)).astype(np.int32)


@dataclass(frozen=True)
class Occupants:
    """Who sits in (n,) slots on a day.

    Attributes:
        entity: (n,) entity numbers, unique over slots and lifetimes.
        age: (n,) completed days in the pool on that day.
        lifetime: (n,) days from entering to leaving.
    """

    entity: I64
    age: I32
    lifetime: I32


@dataclass(frozen=True)
class EntityPool:
    """A population of N slots.

    Attributes:
        seed: The config's seed.
        generator: The generator's name.
        name: The pool's name, for example ``"customer"``.
        slots: N, the number of entities alive at any time.
        lifetime: Law of the lifetimes.
        weight_shape: Shape of the gamma law of activity weights; the smaller, the heavier the tail.
    """

    seed: int
    generator: str
    name: str
    slots: int
    lifetime: Lifetime
    weight_shape: float

    def draw(self, n: int, rng: np.random.Generator) -> I64:
        """Return (n,) slots drawn in proportion to their activity weights."""
        full, rest = divmod(self.slots, BLOCK)
        if full == 0:
            return self._alias(rest).draw(rng.random(n))
        share = full * self._total(BLOCK) / (full * self._total(BLOCK) + (self._total(rest) if rest else 0.0))
        uniform = rng.random(n)
        uniform *= 1.0 / share
        # Draws beyond the whole blocks fall into the last, shorter one.
        inside = uniform < 1.0
        uniform *= full
        block = uniform.astype(np.int64)
        slots = self._alias(BLOCK).draw(uniform - block)
        slots += block * BLOCK
        if rest:
            outside = np.flatnonzero(~inside)
            slots[outside] = full * BLOCK + self._alias(rest).draw(rng.random(len(outside)))
        return slots

    def occupants(self, slots: I64, day: int | I64) -> Occupants:
        """Return the entities in (n,) slots on a day (days since 1970-01-01), or each on a day of its own."""
        lifetime, phase = self._lives(slots)
        phase += np.int32(day)
        generation, age = np.divmod(phase, lifetime)
        entity = generation.astype(np.int64)
        entity *= self.slots
        entity += slots
        return Occupants(entity, age, lifetime)

    def lanes(self, word: str, entities: I64) -> NDArray[np.uint16]:
        """Return (4, n) independent 16-bit draws of entities: the attributes that never change hang on them."""
        return hash_lanes(hash_key(self.seed, self.generator, self.name, word), entities)

    def alive(self, start: int, through: int, block: int = BLOCK) -> Iterator[tuple[I64, I64]]:
        """Yield (entity, first day) of everyone in the pool on some day of [start, through], in blocks of slots.

        First days are days since 1970-01-01 and may lie before `start`.
        """
        for first in range(0, self.slots, block):
            slots = np.arange(first, min(first + block, self.slots))
            earliest, latest = self.occupants(slots, start), self.occupants(slots, through)
            oldest = (earliest.entity - slots) // self.slots
            count = (latest.entity - slots) // self.slots - oldest + 1
            owner = np.repeat(np.arange(len(slots)), count)
            step = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
            entity = (oldest[owner] + step) * self.slots + slots[owner]
            yield entity, start - earliest.age[owner] + step * earliest.lifetime[owner].astype(np.int64)

    def entered(self, entities: I64) -> I64:
        """Return (n,) days since 1970-01-01 on which entities enter the pool."""
        lifetime, phase = self._lives(entities % self.slots)
        return np.asarray(entities // self.slots * lifetime - phase, np.int64)

    def lifetime_of(self, entities: I64) -> I32:
        """Return (n,) lifetimes of entities, in days."""
        return self._lives(entities % self.slots)[0]

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """(65,536,) activity weights of a block of slots."""
        rng = stream(self.seed, self.generator, self.name, "weights")
        return rng.standard_gamma(self.weight_shape, BLOCK)

    def _lives(self, slots: I64) -> tuple[I32, I32]:
        """Return (lifetime, phase) in days of (n,) slots: how long each occupant stays, and the clock at day 0."""
        words = hash64(self._slot_key, slots)
        lifetime = self._lifetimes[(words & np.uint64(0xFFFF)).view(np.int64)]
        phase = ((words >> np.uint64(32)) * lifetime.astype(np.uint64) >> np.uint64(32)).astype(np.int32)
        return lifetime, phase

    @cached_property
    def _lifetimes(self) -> I32:
        return self.lifetime.table()

    @cached_property
    def _slot_key(self) -> np.uint64:
        return hash_key(self.seed, self.generator, self.name, "slot")

    def _total(self, size: int) -> float:
        return float(self.weights[:size].sum())

    def _alias(self, size: int) -> AliasTable:
        tables: dict[int, AliasTable] = self.__dict__.setdefault("_alias_tables", {})
        if size not in tables:
            tables[size] = AliasTable(self.weights[:size])
        return tables[size]
