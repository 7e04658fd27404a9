"""Opportunities of admission: as many on every day, whatever the population, and far apart for each patient."""

from __future__ import annotations

import numpy as np
import pytest

from generators import get_generator
from generators.healthcare.openings import CYCLE_DAYS, GROUP_SLOTS

FIRST = 19_723


@pytest.mark.parametrize("base", [20, 300, 1_000, 3_000])
def test_every_day_has_its_part(base: int) -> None:
    openings = get_generator("patient_records", base_daily_volume=base).hospital.openings  # type: ignore[attr-defined]
    slots, days = openings._opportunities(FIRST, FIRST + 3 * CYCLE_DAYS)
    assert (np.diff(days) >= 0).all()
    a_day = np.bincount(days - FIRST)
    assert a_day.max() - a_day.min() <= 4
    assert a_day.mean() == pytest.approx(openings.population.slots / CYCLE_DAYS, rel=0.01, abs=0.2)
    order = np.lexsort((days, slots))
    same = slots[order][1:] == slots[order][:-1]
    assert np.diff(days[order])[same].min() > CYCLE_DAYS - GROUP_SLOTS
    assert np.bincount(slots).min() >= 2
