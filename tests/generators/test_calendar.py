"""The calendar against dates written by hand from printed calendars, not from the code's own rules."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generators.calendar import (
    EVENT_NAMES,
    FIRST_DAY,
    LAST_DAY,
    Event,
    HolidayCalendar,
    easter,
    fathers_day,
    get_active_holidays,
    get_major_holidays,
    mothers_day,
    super_bowl,
)
from generators.errors import CalendarError

US, GB = HolidayCalendar("US"), HolidayCalendar("GB")

MAJOR = {
    ("US", 2021): {
        "01-01": "new_years_day", "01-18": "mlk_day", "02-07": "super_bowl", "02-14": "valentines_day",
        "02-15": "presidents_day",
        "05-09": "mothers_day", "05-31": "memorial_day", "06-18": "observed_holiday", "06-19": "juneteenth",
        "06-20": "fathers_day", "07-04": "independence_day", "07-05": "observed_holiday", "09-06": "labor_day",
        "10-11": "columbus_day", "10-31": "halloween", "11-11": "veterans_day", "11-24": "thanksgiving_eve",
        "11-25": "thanksgiving", "11-26": "black_friday", "11-29": "cyber_monday", "12-24": "christmas_eve",
        "12-25": "christmas_day", "12-31": "new_years_eve",
    },
    ("US", 2024): {
        "01-01": "new_years_day", "01-15": "mlk_day", "02-11": "super_bowl", "02-14": "valentines_day",
        "02-19": "presidents_day",
        "05-12": "mothers_day", "05-27": "memorial_day", "06-16": "fathers_day", "06-19": "juneteenth",
        "07-04": "independence_day", "09-02": "labor_day", "10-14": "columbus_day", "10-31": "halloween",
        "11-11": "veterans_day", "11-27": "thanksgiving_eve", "11-28": "thanksgiving", "11-29": "black_friday",
        "12-02": "cyber_monday", "12-24": "christmas_eve", "12-25": "christmas_day", "12-31": "new_years_eve",
    },
    ("GB", 2022): {
        "01-01": "new_years_day", "01-03": "observed_holiday", "02-14": "valentines_day", "03-27": "mothers_day",
        "04-15": "public_holiday", "04-18": "public_holiday", "05-02": "public_holiday", "06-02": "public_holiday",
        "06-03": "public_holiday", "06-19": "fathers_day", "08-29": "public_holiday", "09-19": "public_holiday",
        "10-31": "halloween", "11-25": "black_friday", "11-28": "cyber_monday", "12-24": "christmas_eve",
        "12-25": "christmas_day", "12-26": "public_holiday", "12-27": "observed_holiday", "12-31": "new_years_eve",
    },
    ("GB", 2024): {
        "01-01": "new_years_day", "02-14": "valentines_day", "03-10": "mothers_day", "03-29": "public_holiday",
        "04-01": "public_holiday", "05-06": "public_holiday", "05-27": "public_holiday", "06-16": "fathers_day",
        "08-26": "public_holiday", "10-31": "halloween", "11-29": "black_friday", "12-02": "cyber_monday",
        "12-24": "christmas_eve", "12-25": "christmas_day", "12-26": "public_holiday", "12-31": "new_years_eve",
    },
}  # fmt: skip


@pytest.mark.parametrize("country, year", MAJOR)
def test_major_holidays_are_those_of_printed_calendars(country: str, year: int) -> None:
    expected = {date.fromisoformat(f"{year}-{day}"): name for day, name in MAJOR[country, year].items()}
    assert get_major_holidays(year, country) == expected


@pytest.mark.parametrize(
    "day, country, expected",
    [
        (date(2024, 1, 1), "US", ["new_years_day", "post_christmas", "christmas_week", "year_end_holidays"]),
        (date(2024, 1, 2), "US", ["first_working_day", "post_christmas", "year_end_holidays"]),
        (date(2024, 1, 3), "US", ["year_end_holidays"]),
        (date(2024, 1, 5), "GB", ["year_end_holidays"]),
        (date(2024, 1, 6), "US", []),
        (date(1970, 1, 5), "US", ["year_end_holidays"]),
        (date(2024, 2, 11), "US", ["super_bowl", "valentines_week"]),
        (date(2024, 2, 11), "GB", ["valentines_week"]),
        (date(2027, 2, 14), "US", ["valentines_day", "super_bowl", "valentines_week"]),
        (date(2024, 2, 16), "US", []),
        (date(2024, 5, 9), "US", ["mothers_day_week"]),
        (date(2024, 5, 13), "US", ["mothers_day_week"]),
        (date(2024, 5, 14), "US", []),
        (date(2024, 6, 14), "US", []),
        (date(2024, 6, 15), "US", ["summer_holidays"]),
        (date(2024, 8, 15), "US", ["back_to_school", "summer_holidays"]),
        (date(2024, 9, 15), "US", ["back_to_school"]),
        (date(2024, 11, 26), "US", []),
        (date(2024, 11, 27), "US", ["thanksgiving_eve", "black_friday_week"]),
        (date(2024, 11, 28), "GB", ["black_friday_week"]),
        (date(2024, 12, 2), "US", ["cyber_monday", "black_friday_week", "christmas_shopping"]),
        (date(2024, 12, 18), "US", ["christmas_shopping"]),
        (date(2024, 12, 19), "US", ["late_christmas_shopping", "christmas_shopping"]),
        (
            date(2024, 12, 23),
            "US",
            ["last_shopping_days", "late_christmas_shopping", "year_end_holidays", "christmas_shopping"],
        ),
        (date(2021, 12, 24), "US", ["christmas_eve", "observed_holiday", "christmas_week", "year_end_holidays"]),
    ],
)
def test_active_holidays_of_days_written_by_hand(day: date, country: str, expected: list[str]) -> None:
    assert get_active_holidays(day, country) == expected


@pytest.mark.parametrize("day", ["1990-01-28", "2000-01-30", "2004-02-01", "2016-02-07", "2021-02-07", "2025-02-09"])
def test_super_bowls_of_the_past(day: str) -> None:
    assert super_bowl(int(day[:4])) == date.fromisoformat(day)


def test_events_of_ones_own_are_part_of_the_calendar() -> None:
    sale = Event("online_sale", date(2024, 7, 16), date(2024, 7, 17), "period")
    shop = HolidayCalendar("US", (sale,))
    assert "online_sale" in [e.name for e in shop.active(date(2024, 7, 17))]
    assert "online_sale" not in get_active_holidays(date(2024, 7, 17), "US")
    assert shop.factor(date(2024, 7, 16), {"online_sale": 1.25}, "retail") == 1.25
    assert shop.factor(date(2025, 7, 16), {"online_sale": 1.25}, "retail") == 1.0
    assert shop.digest(2024) != US.digest(2024)
    assert {shop, HolidayCalendar("US", (sale,)), US} == {shop, US}


def test_observed_day_is_not_the_event_itself() -> None:
    retail = {"christmas_day": 0.55}
    assert US.factor(date(2021, 12, 24), retail, "retail") == 1.0  # Christmas 2021 is a Saturday, observed on Friday
    assert US.factor(date(2021, 12, 25), retail, "retail") == 0.55
    assert US.factor(date(2022, 12, 26), {"observed_holiday": 0.0, "christmas_day": 0.55}, "retail") == 0.0
    assert US.event_name(date(2021, 12, 31), {"observed_holiday": 0.45}, "seed") == "observed_holiday"


@pytest.mark.parametrize(
    "day, multipliers, seed, retail",
    [
        # (12-27: only periods) seed: the smallest below 1; retail: the shortest period.
        (date(2024, 12, 27), {"post_christmas": 1.3, "year_end_holidays": 0.5}, 0.5, 1.3),
        (date(2024, 12, 21), {"christmas_shopping": 1.2, "year_end_holidays": 0.5}, 0.5, 0.5),
        (date(2024, 12, 10), {"christmas_shopping": 1.2, "year_end_holidays": 0.5}, 1.2, 1.2),
        # Both above 1: seed takes the largest, retail the single day.
        (date(2024, 5, 12), {"mothers_day": 1.1, "mothers_day_week": 1.15}, 1.15, 1.1),
        # A single day beats a period, whatever its factor.
        (date(2024, 11, 29), {"black_friday": 2.6, "black_friday_week": 0.7}, 0.7, 2.6),
        # An event without a factor has no say.
        (date(2024, 11, 29), {"black_friday_week": 1.7}, 1.7, 1.7),
        (date(2024, 3, 5), {"black_friday": 2.6}, 1.0, 1.0),
        # A federal holiday takes the factor of public_holiday, unless it has its own.
        (date(2024, 1, 15), {"public_holiday": 1.02}, 1.02, 1.02),
        (date(2024, 1, 15), {"public_holiday": 1.02, "mlk_day": 0.9}, 0.9, 0.9),
        (date(2024, 7, 4), {"public_holiday": 1.02}, 1.0, 1.0),
        (date(2024, 1, 4), {"year_end_holidays": 0.5}, 0.5, 0.5),
    ],
)
def test_overlap_rules(day: date, multipliers: Mapping[str, float], seed: float, retail: float) -> None:
    assert US.factor(day, multipliers, "seed") == seed
    assert US.factor(day, multipliers, "retail") == retail


def test_overlap_rules_swapped_would_be_caught() -> None:
    multipliers = {"post_christmas": 1.3, "year_end_holidays": 0.5}
    days = [date(2024, 12, 26) + timedelta(i) for i in range(8)]
    seed = [US.event_name(day, multipliers, "seed") for day in days]
    retail = [US.event_name(day, multipliers, "retail") for day in days]
    assert seed == ["year_end_holidays"] * 8
    assert retail == ["post_christmas"] * 8


@pytest.mark.parametrize(
    "country, year, mother, father",
    [
        ("US", 2023, "05-14", "06-18"), ("GB", 2023, "03-19", "06-18"), ("FR", 2023, "06-04", "06-18"),
        ("FR", 2024, "05-26", "06-16"), ("FR", 2020, "06-07", "06-21"), ("DE", 2024, "05-12", "05-09"),
        ("ES", 2024, "05-05", "03-19"), ("SE", 2024, "05-26", "11-10"), ("AU", 2024, "05-12", "09-01"),
        ("MX", 2024, "05-10", "06-16"), ("NO", 2024, "02-11", "11-10"), ("BR", 2024, "05-12", "08-11"),
    ],
)  # fmt: skip
def test_mothers_and_fathers_day_of_countries(country: str, year: int, mother: str, father: str) -> None:
    assert mothers_day(year, country) == date.fromisoformat(f"{year}-{mother}")
    assert fathers_day(year, country) == date.fromisoformat(f"{year}-{father}")


def test_mothers_and_fathers_day_are_sundays_where_they_should_be() -> None:
    for year in range(1970, 2100):
        for country in ("US", "GB", "FR"):
            assert mothers_day(year, country).weekday() == 6
            assert fathers_day(year, country).weekday() == 6


def test_easter_of_known_years() -> None:
    known = ["1970-03-29", "1981-04-19", "2000-04-23", "2008-03-23", "2011-04-24", "2024-03-31", "2038-04-25"]
    assert [easter(int(day[:4])).isoformat() for day in known] == known


def test_first_working_day_follows_every_long_weekend() -> None:
    days = [e.first for e in US.events(2022) if e.name == "first_working_day"]
    written = ["01-03", "01-18", "02-22", "05-31", "06-21", "07-05", "09-06", "10-11", "11-14", "12-27"]
    assert days == [date.fromisoformat(f"2022-{day}") for day in written]


def test_quarter_end_is_the_last_two_working_days() -> None:
    days = [e.first for e in US.events(2023) if e.name == "quarter_end"]
    written = ["03-30", "03-31", "06-29", "06-30", "09-28", "09-29", "12-28", "12-29"]
    assert days == [date.fromisoformat(f"2023-{day}") for day in written]


def test_unknown_country_names_field_and_known_codes() -> None:
    with pytest.raises(CalendarError, match=r"country.*'XX'.*US, GB"):
        HolidayCalendar("XX").events(2024)


@pytest.mark.parametrize("day", [FIRST_DAY - timedelta(1), LAST_DAY + timedelta(1)])
def test_days_outside_the_calendar_are_refused(day: date) -> None:
    with pytest.raises(CalendarError, match="1970 to 2099"):
        US.active(day)


def test_unknown_profile_is_refused() -> None:
    with pytest.raises(CalendarError, match="seed, retail"):
        US.factor(date(2024, 1, 1), {"new_years_day": 0.2}, "b2b")


def test_digest_tells_countries_and_years_apart() -> None:
    assert US.digest(2024) == HolidayCalendar("US").digest(2024)
    assert len({US.digest(2024), US.digest(2025), GB.digest(2024), US.digest(1970), US.digest(2099)}) == 5


def test_calendars_of_a_country_are_equal_and_hashable() -> None:
    assert {US, HolidayCalendar("US"), GB} == {US, GB}


@settings(max_examples=60, deadline=None)
@given(st.dates(FIRST_DAY, LAST_DAY), st.sampled_from(["US", "GB", "FR", "JP", "AE"]))
def test_active_events_hold_the_day_and_have_known_names(day: date, country: str) -> None:
    calendar = HolidayCalendar(country)
    active = calendar.active(day)
    assert all(e.first <= day <= e.last and e.name in EVENT_NAMES for e in active)
    begun = [e for year in {max(day.year - 1, 1970), day.year} for e in calendar.events(year)]
    assert {e.name for e in begun if e.first <= day <= e.last} <= {e.name for e in active}
