"""What fraud likes: categories, kinds and foreign countries that change every two to four months."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

from generators.days import day_number
from generators.finance import mcc
from generators.finance.geography import COUNTRIES
from generators.randomness import F64, hash64, hash_key, stream

REGIME_DAYS, REGIME_JITTER = 90, 15
"""A regime lasts 60 to 120 days: borders stand every 90 days, moved by up to 15."""
KIND_STRENGTH = 0.12
"""Standard deviation of the log of a kind's factor at drift 1."""
CATEGORY_STRENGTH = 1.6
"""Standard deviation of the log of a category's factor at drift 1."""
FAVOURITE_COUNTRY = 0.8
"""Share of foreign fraud that goes to the regime's favourite country at drift 1."""
SHIFT_STRENGTH = 1.2


@dataclass(frozen=True)
class Regimes:
    """The tastes of fraud over time.

    Attributes:
        seed: The config's seed.
        generator: Name of the generator.
        drift: Strength of the changes; 0: none.
        shift: First day of an abrupt change, or None.
    """

    seed: int
    generator: str
    drift: float
    shift: date | None

    def number(self, day: int) -> int:
        """Return the regime of a day (days since 1970-01-01)."""
        place = day // REGIME_DAYS
        if day < self._border(place):
            return place - 1
        return place + 1 if day >= self._border(place + 1) else place

    def _border(self, place: int) -> int:
        word = hash64(hash_key(self.seed, self.generator, "regime"), np.array([place]))[0]
        return place * REGIME_DAYS + int(word % np.uint64(2 * REGIME_JITTER + 1)) - REGIME_JITTER

    def shifted(self, day: int) -> bool:
        """Return whether a day lies after the abrupt change."""
        return self.shift is not None and day >= day_number(self.shift)

    def category_tilts(self, day: int) -> F64:
        """Return (37,) factors of the categories that fraud buys in."""
        rng = stream(self.seed, self.generator, "regime", self.number(day), "mcc")
        tilt = CATEGORY_STRENGTH * self.drift * rng.standard_normal(mcc.SIZE)
        if self.shifted(day):
            tilt += SHIFT_STRENGTH * stream(self.seed, self.generator, "shift", "mcc").standard_normal(mcc.SIZE)
        return np.asarray(np.exp(tilt))

    def favourite(self, day: int, home: int) -> tuple[int, float]:
        """Return the foreign country that fraud prefers, and the share of foreign fraud that goes there."""
        rng = stream(self.seed, self.generator, "regime", self.number(day), "country", int(self.shifted(day)))
        others = [code for code in range(len(COUNTRIES)) if code != home]
        return others[int(rng.integers(0, len(others)))], min(FAVOURITE_COUNTRY * self.drift, 0.9)

    def kind_tilts(self, first: int, days: int, mix: tuple[float, ...]) -> F64:
        """Return (kinds, days) factors of the kinds of fraud, whose mean over the mix is 1 on every day."""
        tilts = np.ones((len(mix), days))
        shares, day = np.array(mix), 0
        while day < days:
            now, shifted = self.number(first + day), self.shifted(first + day)
            end = min(self._border(now + 1) - first, days)
            if self.shift is not None and not shifted:
                end = min(end, day_number(self.shift) - first) if day_number(self.shift) > first + day else end
            rng = stream(self.seed, self.generator, "regime", now, "kinds", int(shifted))
            factors = np.exp(KIND_STRENGTH * (self.drift + shifted) * rng.standard_normal(len(mix)))
            tilts[:, day:end] = (factors / float(factors @ shares))[:, None]
            day = end
        return tilts
