"""Every field of the config changes the data or is refused; tables that belong to the events; the golden day."""

from __future__ import annotations

from datetime import date, timedelta
from hashlib import sha256

import polars as pl
import pytest

from generators import ConfigError, UnknownNameError, get_generator
from generators.base import BaseGenerator
from generators.finance.card_config import CreditCardsConfig
from generators.groups import leaves
from generators.sanitize import scan

DAY = date(2024, 11, 29)
TESTING = {"cnp_stolen_credentials": 0.2, "card_testing": 0.8}
VISA, DEBIT, HALVES = {"visa": 1.0}, {"debit": 1.0}, {"US": 0.5, "BR": 0.5}

KNOBS: list[tuple[str, object]] = [
    ("seed", 1), ("base_daily_volume", 900), ("volume_basis", "yearly_mean"), ("country", "GB"), ("timezone", "UTC"),
    ("include_holiday_patterns", False), ("holiday_profile", "seed"), ("holiday_multipliers", {"black_friday": 3.0}),
    ("day_of_week", "off"), ("weekend_multiplier", 2.0), ("week_of_month", "off"), ("month_factors", "off"),
    ("volume_noise", 0.0), ("poisson_counts", False), ("arrival_pattern", "poisson"), ("peak_hours", (12,)),
    ("label_mode", "live"), ("preset", "teaching"), ("fraud_rate", 0.01), ("fraud_mix", TESTING), ("fraud_drift", 2.0),
    ("fraud_shift", date(2024, 11, 1)), ("country_mix", "global"), ("brand_shares", VISA), ("type_shares", DEBIT),
    ("cnp_share", 0.6), ("cp_decline_rate", 0.2), ("cnp_decline_rate", 0.4), ("recurring_decline_rate", 0.5),
    ("foreign_cnp_share", 0.5), ("credit_only", True), ("contactless_trend", True), ("fx_fee", 0.03),
    ("card_counts", {3: 1.0}), ("moves_per_year", 0.5), ("recurring_share", 0.2), ("sale_days", (DAY + timedelta(1),)),
]  # fmt: skip
UNDER: dict[str, tuple[dict[str, object], object]] = {
    "peak_multiplier": ({"peak_hours": (12,)}, 5.0),
    "burst_intensity": ({"arrival_pattern": "burst"}, 50.0),
    "burst_probability": ({"arrival_pattern": "burst"}, 0.9),
    "country_shares": ({"country_mix": "global"}, HALVES),
}
"""Knobs that act under another one only."""


def fresh(**fields: object) -> BaseGenerator:  # type: ignore[type-arg]
    return get_generator("credit_cards", **{"base_daily_volume": 800, **fields})


@pytest.fixture(scope="module")
def plain() -> dict[date, pl.DataFrame]:
    generator = fresh()
    return {day: generator.generate(day) for day in (DAY, DAY + timedelta(1))}


@pytest.mark.parametrize("name,value", KNOBS)
def test_every_knob_changes_the_output(name: str, value: object, plain: dict[date, pl.DataFrame]) -> None:
    changed = fresh(**{name: value})
    assert any(not changed.generate(day).equals(frame) for day, frame in plain.items())


@pytest.mark.parametrize("name", list(UNDER))
def test_every_dependent_knob_changes_the_output(name: str) -> None:
    base, value = UNDER[name]
    assert not fresh(**base, **{name: value}).generate(DAY).equals(fresh(**base).generate(DAY))


def test_knobs_are_complete() -> None:
    single = {name for name in leaves(CreditCardsConfig) if "." not in name}  # groups: test_card_shares.py
    assert {name for name, _ in KNOBS} | set(UNDER) == single


@pytest.mark.parametrize(
    "fields,named",
    [
        ({"preset": "lunatic"}, "preset.*realistic.*teaching"),
        ({"fraud_rate": 0.02}, "fraud_rate.*0 to 0.01"),
        ({"fraud_rate": -0.1}, "fraud_rate.*0 to 0.01"),
        ({"fraud_rate": float("nan")}, "fraud_rate"),
        ({"fraud_mix": {"card_testing": 0.5}}, "fraud_mix.*sum to 0.5.*sum to 1"),
        ({"fraud_mix": {"phishing": 1.0}}, "fraud_mix.*phishing.*card_testing"),
        ({"country_shares": {"US": 0.5, "GB": 0.6}}, "country_shares.*sum to 1.1"),
        ({"country_shares": {"ZZ": 1.0}}, "country_shares.*ZZ.*US, GB"),
        ({"brand_shares": {"visa": 0.9}}, "brand_shares.*sum to 0.9"),
        ({"type_shares": {"debit": 1.5, "credit": -0.5}}, "type_shares"),
        ({"country": "ZZ"}, "country.*no calendar.*US, GB, DE"),
        ({"country_mix": "europe"}, "country_mix.*single.*global"),
        ({"cnp_share": 0.95}, "cnp_share.*0.85"),
        ({"fx_fee": 0.2}, "fx_fee.*0.03"),
        ({"moves_per_year": 0.9}, "moves_per_year.*0.5"),
        ({"sale_days": ("2150-07-01",)}, "sale_days.*2150-07-01.*2099-12-31"),
        ({"fraud_shift": "someday"}, "fraud_shift"),
        ({"nonsense": 1}, "nonsense.*preset"),
    ],
)
def test_refusals_name_field_and_range(fields: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigError, match=f"(?s){named}"):
        fresh(**fields)


def test_preset_and_rate() -> None:
    assert fresh(preset="teaching").config.rate == 0.005
    assert fresh(preset="teaching", fraud_rate=0.002).config.rate == 0.002

    def rows(**fields: object) -> int:
        generator = fresh(base_daily_volume=20_000, **fields)
        return sum(len(generator.fraud_rows.on_day(DAY + timedelta(n)).timestamp) for n in range(20))  # type: ignore[attr-defined]

    realistic = rows()
    assert 2.5 * realistic < rows(preset="teaching") < 7 * realistic
    assert rows(fraud_rate=0.0) == 0


def test_global_mix_lives_by_its_own_clocks() -> None:
    generator = fresh(country_mix="global", base_daily_volume=20_000)
    assert generator.config.timezone == "UTC"
    assert fresh(country_mix="global", timezone="Europe/Paris").config.timezone == "Europe/Paris"
    frame = generator.generate(date(2024, 7, 10))
    counts = frame["home_country"].cast(pl.String).value_counts(normalize=True)
    mix = dict(zip(counts["home_country"].to_list(), counts["proportion"].to_list(), strict=True))
    expected = {"US": 0.55, "GB": 0.12, "DE": 0.08, "FR": 0.07, "CA": 0.06, "ES": 0.04, "AU": 0.04, "BR": 0.04}
    assert all(mix[code] == pytest.approx(share, abs=0.02) for code, share in expected.items())
    offsets = {"US": -240, "GB": 60, "DE": 120, "FR": 120, "CA": -240, "ES": 120, "AU": 600, "BR": -180}
    found = frame.group_by("home_country").agg(pl.col("utc_offset_minutes").unique())
    assert {str(c): o for c, o in found.iter_rows()} == {code: [minutes] for code, minutes in offsets.items()}
    local = frame.with_columns(hour=(pl.col("timestamp") + pl.duration(minutes="utc_offset_minutes")).dt.hour())
    present = local.filter((pl.col("channel") == "card_present") & ~pl.col("is_fraud"))
    for (country,), part in present.group_by("home_country"):
        if part.height > 300:
            assert part["hour"].is_between(10, 19).mean() > 0.6, country  # type: ignore[operator]
    away = present.filter(pl.col("home_country") != "US")
    assert (away["pos_entry_mode"] == "07").mean() >= 0.80  # type: ignore[operator]
    assert (away["pos_entry_mode"] == "90").mean() <= 0.012  # type: ignore[operator]
    strong = local.filter(pl.col("response_code") == "1A")
    assert strong.height > 0
    assert set(strong["home_country"].unique()) <= {"GB", "DE", "FR", "ES"}
    shopping = fresh(country_mix="global", volume_noise=0)
    thanksgiving = {p.name: p.volume.factors(date(2024, 11, 28))["event"] for p in shopping.processes}
    assert thanksgiving["US_card_present"] == 0.45
    assert thanksgiving["DE_card_present"] > 0.9
    # The UTC day of Christmas Eve begins on the evening before in the US, which is an ordinary one.
    eve = {p.name: p.volume.factors(date(2024, 12, 24))["event"] for p in shopping.processes}
    assert eve["US_card_present"] > eve["DE_card_present"] + 0.02


def test_references_hold() -> None:
    generator = fresh(base_daily_volume=3_000)
    start, through = date(2024, 6, 1), date(2024, 6, 20)
    frame = pl.concat([generator.generate(day) for day in (start, date(2024, 6, 9), through)])
    day = frame["timestamp"].dt.date()
    for table, key in {"cards": "card_token", "merchants": "merchant_id"}.items():
        dimension = pl.concat(list(generator.dimension(table, start, through)))
        assert generator.table(table).violations(dimension) == []
        assert dimension["valid_from"].max() <= through  # type: ignore[operator]
        ends = dimension["valid_to"].drop_nulls()
        assert (ends > start).all()
        assert (ends <= through).all()
        joined = frame.join(dimension, on=key, how="left", suffix="_dim", maintain_order="left")
        assert joined["valid_from"].null_count() == 0
        valid = (joined["valid_from"] <= day) & (joined["valid_to"].is_null() | (joined["valid_to"] > day))
        assert valid.filter(~frame["is_fraud"]).all()
        for column in set(dimension.columns) & set(frame.columns) - {key}:
            assert (joined[column] == joined[f"{column}_dim"]).all(), (table, column)
        if table == "cards":
            assert (joined["card_age_days"] == (day - joined["issue_date"]).dt.total_days()).all()
    with pytest.raises(UnknownNameError, match="cards, merchants"):
        generator.dimension("shops", start, through)


def test_the_zone_is_the_countrys_where_none_is_given() -> None:
    def zone(**fields: object) -> str:
        return fresh(**fields).config.timezone

    assert zone() == "America/New_York"
    assert zone(country="US") == "America/New_York"
    assert zone(country="GB") == "Europe/London"
    assert zone(country_mix="global") == "UTC"
    assert zone(country_mix="global", country="GB") == "UTC"
    assert zone(country="GB", timezone="America/New_York") == "America/New_York"
    german = CreditCardsConfig.create(country="DE")
    assert german.changed({"country": "GB"}).timezone == "Europe/London"
    assert CreditCardsConfig.create(timezone="UTC").changed({"country": "GB"}).timezone == "UTC"
    for fields in ({}, {"country": "GB"}, {"country": "GB", "timezone": "America/New_York"}, {"timezone": "UTC"},
                   {"country_mix": "global"}, {"country_mix": "global", "timezone": "America/New_York"}):  # fmt: skip
        config = CreditCardsConfig.create(**fields)
        assert CreditCardsConfig.model_validate_json(config.canonical()) == config
    # Breakfast is at home: the lowest hour of purchases at shops is before dawn on the country's clock.
    frame = fresh(country="AU", base_daily_volume=6_000).generate(DAY)
    hours = frame.filter(pl.col("channel") == "card_present")["timestamp"].dt.hour()
    assert hours.is_between(10, 19).mean() > 0.6  # type: ignore[operator]
    assert str(frame["timestamp"].dtype.time_zone) == "Australia/Sydney"  # type: ignore[attr-defined]


def test_strong_authentication_is_one_decline_in_a_hundred() -> None:
    generator = fresh(country="GB", timezone="Europe/London", base_daily_volume=40_000, fraud_rate=0.01)
    frame = pl.concat([generator.generate(date(2024, 3, 4) + timedelta(9 * n)) for n in range(5)])
    declined = frame.filter(~pl.col("is_approved"))
    strong = declined["response_code"] == "1A"
    assert 0.005 <= strong.mean() <= 0.02  # type: ignore[operator]
    asked = declined.filter(strong)
    assert asked["channel"].unique().to_list() == ["card_not_present"]
    assert not asked["is_recurring"].any()
    assert 0 < asked["is_fraud"].sum() < asked.height  # the code tells nothing about fraud
    remote = frame.filter((pl.col("channel") == "card_not_present") & ~pl.col("is_fraud"))
    for name, share in {"none": 0.28, "3ds_challenge": 0.28, "3ds_frictionless": 0.44}.items():
        assert (remote["cardholder_verification"] == name).mean() == pytest.approx(share, abs=0.02)


def test_remote_payments_go_to_merchants_who_sell_online() -> None:
    generator = fresh(base_daily_volume=6_000, fraud_rate=0.01, country_mix="global")
    day = date(2024, 6, 1)
    shops = pl.concat(list(generator.dimension("merchants", day, day))).select("merchant_id", "is_online")
    rows = generator.generate(day).join(shops, on="merchant_id")
    remote = pl.col("channel") == "card_not_present"

    def offline(frame: pl.DataFrame) -> int:
        return frame.filter(remote & ~pl.col("is_online")).height

    assert offline(rows) == 0
    assert 0.1 < float(shops["is_online"].mean()) < 0.9  # type: ignore[arg-type]
    assert rows.filter(~remote & ~pl.col("is_online")).height > 500
    assert offline(rows.with_columns(pl.col("is_online").shuffle(seed=1))) > 500  # the mutant: drawn by itself


def test_dimension_shows_nothing_later_than_through() -> None:
    generator = fresh(base_daily_volume=1_000)
    start = date(2024, 6, 1)
    early = pl.concat(list(generator.dimension("cards", start, date(2024, 6, 10))))
    late = pl.concat(list(generator.dimension("cards", start, date(2024, 9, 30))))
    assert early.join(late, on="card_token", how="anti").height == 0
    assert late.height > early.height
    both = early.join(late, on="card_token", suffix="_late")
    ended = both.filter(pl.col("valid_to").is_null() & pl.col("valid_to_late").is_not_null())
    assert ended.height > 0
    assert (ended["valid_to_late"] > date(2024, 6, 10)).all()


def test_card_terms_follow_each_other() -> None:
    cards = pl.concat(list(fresh().dimension("cards", date(2020, 1, 1), date(2026, 12, 31))))
    chain = cards.sort("card_id", "valid_from").with_columns(following=pl.col("valid_from").shift(-1).over("card_id"))
    inner = chain.filter(pl.col("following").is_not_null())
    assert inner.height > 1_000
    assert (inner["valid_to"] == inner["following"]).all()
    days = (cards["valid_to"] - cards["valid_from"]).dt.total_days().drop_nulls()
    assert days.min() >= 1  # type: ignore[operator]
    assert days.max() == 1096


def test_vocabulary_is_fictitious_and_seeded() -> None:
    words = fresh().vocabularies()["merchant_name"]
    assert len(set(words)) > 6_000
    assert words == fresh().vocabularies()["merchant_name"]
    assert words != fresh(seed=7).vocabularies()["merchant_name"]
    assert scan(words) == {}


def test_golden_day() -> None:
    frame = get_generator("credit_cards", base_daily_volume=2_000).generate(date(2024, 6, 5))
    digest = sha256(frame.write_csv().encode()).hexdigest()[:16]
    assert digest == "ca7e9dd201fb0823", (
        "the data of an unchanged config changed: raise revision and name it in CHANGELOG.md"
    )


def test_golden_month_of_fraud() -> None:
    generator = get_generator("credit_cards", base_daily_volume=2_000)
    days = [generator.overlay(date(2024, 6, 1) + timedelta(n)) for n in range(30)]
    fraud = pl.concat([frame.filter("is_fraud") for frame in days if frame is not None])
    assert fraud.height > 40
    assert sha256(fraud.write_csv().encode()).hexdigest()[:16] == "89f518b17d26b5f6"
