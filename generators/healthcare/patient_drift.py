"""Drift of patient records: an influenza wave, a pandemic, other codes, people who lose Medicaid, a new clinic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from generators.entities import I64
from generators.healthcare.payers import MEDICAID, PRIVATE, SELF_PAY
from generators.randomness import F64, LANES
from generators.scenarios import Drift, Preset, Scenario, crossings

U8 = NDArray[np.uint8]
U16 = NDArray[np.uint16]

FLU_WAVE = 6.5
"""What a wave adds to the month's factor of influenza: two and a half times an ordinary winter's peak."""
FLU_VOLUME: Mapping[str, float] = {"ambulatory": 1.09, "virtual": 1.12, "urgent_care": 1.35, "emergency": 1.14}
"""Factors that leave the number of other patients about as it is."""
PANDEMIC_VOLUME: Mapping[str, float] = {"ambulatory": 0.4, "wellness": 0.4, "virtual": 6.0, "emergency": 0.6}
MEDICAID_LOSS = 0.15
LOST_TO_PRIVATE = 0.5
"""Share of those who lose Medicaid that find private cover; the others pay themselves."""
CLINIC_ROWS = 0.12
CLINIC_CLASSES = ("ambulatory", "wellness", "virtual", "urgent_care")

PRESETS: Mapping[str, Preset] = {
    "flu_wave": Preset(
        "For eight weeks influenza of two and a half times an ordinary winter's peak comes on top of the season's, and "
        "with it 35% more rows in urgent care, 14% in the emergency department, 12% virtual, 9% ambulatory.",
        ramp=14,
        lasts=42,
        fade=14,
    ),
    "pandemic": Preset(
        "Ambulatory and wellness visits fall to 0.4, emergency visits to 0.6, virtual ones rise sixfold, for eight "
        "weeks; they come back over half a year.",
        ramp=7,
        lasts=56,
        fade=182,
    ),
    "coding_change": Preset("Coders use another code for eight common diagnoses, in all rows from the first day on."),
    "payer_shift": Preset(
        f"{MEDICAID_LOSS:.0%} of those with Medicaid lose it, each on a day of their own in 90 days: half find private "
        "cover, half pay themselves.",
        ramp=90,
    ),
    "new_clinic": Preset(
        f"A clinic opens: a facility from FAC-900 on, and {CLINIC_ROWS:.0%} more rows in all, visits of clinics."
    ),
}


class PatientDrift(Drift):
    """A drift of `patient_records`."""

    presets: ClassVar[Mapping[str, Preset]] = PRESETS

    preset: Literal["flu_wave", "pandemic", "coding_change", "payer_shift", "new_clinic"]


@dataclass(frozen=True)
class PatientScenario(Scenario[PatientDrift]):
    """What the drifts of a config do on each day.

    Attributes:
        clinic_rows: Part of the volume that clinics see.
    """

    clinic_rows: float

    def volume(self, name: str, day: int) -> float:
        """Return the factor of a class's rows on a day since 1970-01-01."""
        factor = PANDEMIC_VOLUME.get(name, 1.0) ** self.level("pandemic", day)
        factor *= FLU_VOLUME.get(name, 1.0) ** self.level("flu_wave", day)
        return float(factor * (1.0 + sum(self._clinics(day)))) if name in CLINIC_CLASSES else float(factor)

    def flu(self, day: int) -> float:
        """Return what waves add to the factor of influenza on a day."""
        return FLU_WAVE * self.level("flu_wave", day)

    def other_codes(self, day: int) -> float:
        """Return the share of rows that are coded otherwise on a day."""
        return min(1.0, self.level("coding_change", day))

    # -- payers ---------------------------------------------------------------------------------------------------

    def payers(self, payer: U8, lost: U16, found: U16, days: NDArray[Any] | int) -> U8:
        """Return (n,) payers after some have lost Medicaid.

        Args:
            payer: (n,) payers without a drift.
            lost: (n,) 16-bit draws of the patients: the smallest lose it first.
            found: (n,) 16-bit draws of the patients: what they have instead.
            days: A day since 1970-01-01, or (n,) days.
        """
        gone = (payer == MEDICAID) & (lost < self._lost(np.atleast_1d(np.asarray(days, np.int64))))
        other = np.where(found < int(LOST_TO_PRIVATE * LANES), np.uint8(PRIVATE), np.uint8(SELF_PAY))
        return np.where(gone, other, payer).astype(np.uint8)

    def _lost(self, days: I64) -> F64:
        """Return the 16-bit draw below which patients have lost Medicaid on (n,) days since 1970-01-01."""
        return np.asarray(MEDICAID_LOSS * LANES * self.levels("payer_shift", days))

    def payer_days(self, lost: U16, through: int) -> list[I64]:
        """Return the days, up to one, on which the cover of (n,) patients may change: an array a rise or fall."""
        starts = [drift.first for drift in self.of("payer_shift")]
        if not starts or min(starts) > through:
            return []
        days = np.arange(min(starts) - 1, through + 1)
        return crossings(days, self._lost(days), lost.astype(np.float64))

    # -- clinics --------------------------------------------------------------------------------------------------

    def clinic_shares(self, day: int) -> list[float]:
        """Return the shares of clinic visits at each new clinic on a day; one that is closed has none."""
        more = self._clinics(day)
        return [part / (1.0 + sum(more)) for part in more]

    def _clinics(self, day: int) -> list[float]:
        """Return what each new clinic adds to the visits of clinics on a day, relative to the visits without them."""
        today = np.array([day])
        return [CLINIC_ROWS / self.clinic_rows * float(drift.levels(today)[0]) for drift in self.of("new_clinic")]
