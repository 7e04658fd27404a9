"""When purchases are made: factors of days and events, and the hours of a day."""

from __future__ import annotations

from generators.config import HolidayProfile
from generators.volume import VolumeTables

HOURS: dict[str, tuple[float, ...]] = {
    "block": (*[0.01] * 9, *[7 / 90] * 9, *[0.04] * 5, 0.01),
    "smooth": (
        0.012, 0.008, 0.006, 0.005, 0.005, 0.006, 0.009, 0.013, 0.018, 0.068, 0.074, 0.079,
        0.083, 0.081, 0.080, 0.079, 0.078, 0.078, 0.040, 0.041, 0.043, 0.042, 0.034, 0.018,
    ),
}  # fmt: skip
"""Share of rows by local hour: 70% from 09 to 18, 20% from 18 to 23, 10% at night."""

VOLUME = VolumeTables(
    day_of_week=(1.15, 1.10, 1.05, 1.10, 1.25, 0.85, 0.70),
    week_of_month=(1.15, 0.95, 1.10, 0.90),
    month=(0.75, 0.85, 0.95, 1.0, 1.0, 1.05, 1.05, 1.05, 1.0, 1.05, 1.10, 1.20),
    events={
        HolidayProfile.seed: {
            "new_years_day": 0.2, "valentines_day": 1.15, "valentines_week": 1.1, "mothers_day": 1.2,
            "mothers_day_week": 1.15, "fathers_day": 1.1, "labor_day": 1.05, "independence_day": 0.8,
            "back_to_school": 1.2, "halloween": 1.05, "thanksgiving": 0.2, "black_friday": 1.6,
            "black_friday_week": 1.3, "cyber_monday": 1.4, "christmas_shopping": 1.2, "christmas_eve": 0.3,
            "christmas_day": 0.1, "year_end_holidays": 0.5, "post_christmas": 1.3, "new_years_eve": 0.4,
        },
        HolidayProfile.retail: {
            "new_years_day": 0.75, "public_holiday": 1.02, "valentines_day": 1.15, "valentines_week": 1.1,
            "mothers_day": 1.1, "mothers_day_week": 1.15, "fathers_day": 1.1, "memorial_day": 1.05, "labor_day": 1.05,
            "independence_day": 0.85, "back_to_school": 1.10, "halloween": 1.05, "thanksgiving_eve": 1.25,
            "thanksgiving": 1.35, "black_friday": 2.6, "black_friday_week": 1.7, "cyber_monday": 2.8,
            "christmas_shopping": 1.35, "christmas_eve": 0.70, "christmas_day": 0.55, "post_christmas": 1.15,
            "new_years_eve": 0.80, "first_working_day": 1.03,
        },
    },
)  # fmt: skip
