"""The rules of credit_cards, recomputed from their description with code of this file alone."""

from __future__ import annotations

import math
from datetime import date, timedelta
from statistics import NormalDist

import numpy as np
import polars as pl
import pytest

from generators import get_generator
from generators.sanitize import scan

DAYS = [date(2024, 1, 15) + timedelta(27 * n) for n in range(10)]
ROWS = 12_000

CP_HOURS = [0.6, 0.4, 0.3, 0.25, 0.4, 0.99, 2.18, 3.87, 4.96, 5.36, 5.96, 6.95, 8.33, 7.64, 6.95, 7.05, 7.44, 7.94,
            7.54, 5.86, 4.07, 2.58, 1.49, 0.89]  # fmt: skip
CNP_HOURS = [2.32, 1.51, 1.11, 0.91, 0.91, 1.21, 2.02, 3.13, 4.24, 5.15, 5.65, 5.85, 5.85, 5.55, 5.35, 5.25, 5.25, 5.25,
             5.45, 5.85, 6.26, 6.34, 5.55, 4.04]  # fmt: skip
SHARES = {
    "5411": 0.1484, "5812": 0.0988, "5814": 0.1136, "5541": 0.0356, "5542": 0.0593, "5499": 0.0395, "5912": 0.0375,
    "5311": 0.0198, "5310": 0.0316, "5300": 0.0168, "5651": 0.0227, "5661": 0.0074, "5732": 0.0109, "5200": 0.0208,
    "5712": 0.0040, "5942": 0.0074, "5945": 0.0074, "5999": 0.0474, "5969": 0.0267, "5815": 0.0375, "5816": 0.0208,
    "4899": 0.0257, "4814": 0.0148, "4900": 0.0119, "4121": 0.0296, "4111": 0.0188, "4511": 0.0059, "7011": 0.0074,
    "8011": 0.0094, "7230": 0.0104, "5977": 0.0064, "5921": 0.0109, "5813": 0.0148, "7832": 0.0049, "7995": 0.0044,
    "6300": 0.0049, "8398": 0.0059,
}  # fmt: skip
AMOUNTS = {"5411": (3.584, 0.90), "5812": (3.526, 0.70), "5542": (3.738, 0.40), "5300": (4.654, 0.70)}
"""mu and sigma of the log amount of categories whose cents are left alone."""


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    """About 120,000 rows spread over nine months."""
    generator = get_generator("credit_cards", base_daily_volume=ROWS)
    return pl.concat([generator.generate(day) for day in DAYS])


def share(frame: pl.DataFrame, column: str) -> dict[str, float]:
    counts = frame[column].cast(pl.String).value_counts(normalize=True)
    return dict(zip(counts[column].to_list(), counts["proportion"].to_list(), strict=True))


def part(rows: pl.DataFrame, channel: str) -> pl.DataFrame:
    return rows.filter(pl.col("channel") == channel)


def mean(series: pl.Series) -> float:
    return float(series.mean())  # type: ignore[arg-type]


def genuine(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter(~pl.col("is_fraud") & ~pl.col("is_recurring"))


# -- exact rules -----------------------------------------------------------------------------------------------


def test_columns_of_a_channel_are_null_in_the_other(rows: pl.DataFrame) -> None:
    remote = rows["channel"] == "card_not_present"
    for column in ("merchant_lat", "merchant_lon", "distance_km"):
        assert (rows[column].is_null() == remote).all()
    for column in ("device_id", "ip_country"):
        assert (rows[column].is_null() == ~remote).all()
    domestic = rows["merchant_country"] == rows["home_country"]
    assert (rows["avs_result"].is_not_null() == (remote & domestic)).all()
    typed = remote & rows["pos_entry_mode"].is_in(["81", "01"])
    assert (rows["cvv_result"].is_not_null() == typed).all()


def test_codes_fit_their_channel(rows: pl.DataFrame) -> None:
    present, remote = part(rows, "card_present"), part(rows, "card_not_present")
    assert set(present["pos_entry_mode"].unique()) <= {"07", "05", "90", "01"}
    assert set(remote["pos_entry_mode"].unique()) <= {"81", "10", "01"}
    assert set(present["cardholder_verification"].unique()) <= {"none", "pin", "signature", "device_biometric"}
    assert set(remote["cardholder_verification"].unique()) <= {"none", "3ds_challenge", "3ds_frictionless"}
    assert rows.filter(pl.col("is_recurring"))["pos_entry_mode"].unique().to_list() == ["10"]
    assert set(rows.filter(pl.col("is_recurring"))["mcc"].unique()) == {"4899", "4814", "4900", "6300", "5815"}
    for never_remote in ("5541", "5542", "5813"):
        assert never_remote not in remote.filter(~pl.col("is_fraud"))["mcc"].unique().to_list()


def test_response_decides_approval(rows: pl.DataFrame) -> None:
    assert (rows["is_approved"] == (rows["response_code"] == "00")).all()
    assert "1A" not in rows["response_code"].unique().to_list()  # the US knows no strong customer authentication
    stopped = rows.filter(pl.col("response_code").is_in(["41", "43"]))
    assert stopped["is_fraud"].all()
    assert (rows.filter(pl.col("response_code") == "91")["auth_latency_ms"] >= 2000).all()


def test_money_follows_the_merchants_country(rows: pl.DataFrame) -> None:
    currency = {"US": "USD", "GB": "GBP", "DE": "EUR", "FR": "EUR", "CA": "CAD", "ES": "EUR", "AU": "AUD", "BR": "BRL"}
    expected = pl.Series([currency[c] for c in rows["merchant_country"].to_list()])
    assert (rows["currency"].cast(pl.String) == expected).all()
    own = rows.filter(pl.col("currency") == "USD")
    assert (own["amount"] == own["billing_amount"]).all()
    for column in ("amount", "billing_amount"):
        cents = rows[column].to_numpy() * 100
        assert np.abs(cents - np.round(cents)).max() < 1e-6
    # A bill of 20 or more is rounded by 0.025% at most.
    abroad = rows.filter((pl.col("currency") != "USD") & (pl.col("billing_amount") > 20))
    rate = abroad.with_columns(day=pl.col("timestamp").dt.date(), rate=pl.col("billing_amount") / pl.col("amount"))
    spread = rate.group_by("day", "currency").agg((pl.col("rate").max() / pl.col("rate").min()).alias("spread"))
    assert spread["spread"].max() < 1.001  # type: ignore[operator]


def test_rates_walk_by_less_than_half_a_percent_a_day() -> None:
    generator = get_generator("credit_cards", base_daily_volume=3_000)
    levels = []
    for number in range(12):
        frame = generator.generate(date(2024, 5, 1) + timedelta(number)).filter(
            (pl.col("currency") == "GBP") & (pl.col("amount") > 10)
        )
        levels.append(float((frame["billing_amount"] / frame["amount"]).median()))  # type: ignore[arg-type]
    steps = np.diff(np.log(levels))
    assert 0.001 < steps.std() < 0.009


def test_distance_is_the_way_from_home_to_the_terminal(rows: pl.DataFrame) -> None:
    present = part(rows, "card_present")
    a, b = (np.radians(present[c].to_numpy()) for c in ("home_lat", "merchant_lat"))
    turn = np.radians((present["merchant_lon"] - present["home_lon"]).to_numpy())
    half = np.sin((b - a) / 2) ** 2 + np.cos(a) * np.cos(b) * np.sin(turn / 2) ** 2
    way = 2 * 6371.0088 * np.arcsin(np.sqrt(half))
    assert (np.abs(way - present["distance_km"].to_numpy()) / way).max() < 0.01


def test_one_customer_and_one_merchant_have_one_personality(rows: pl.DataFrame) -> None:
    home = ["home_country", "home_region", "home_postal3", "home_lat", "home_lon"]
    customers = rows.group_by("customer_id").agg(pl.col(home).n_unique(), pl.col("card_id").n_unique())
    assert all(customers[column].max() == 1 for column in home)
    assert customers["card_id"].max() <= 3  # type: ignore[operator]
    card = ["card_brand", "card_type", "card_bin_group", "customer_id"]
    cards = rows.group_by("card_id").agg(pl.col(card).n_unique())
    assert all(cards[column].max() == 1 for column in card)
    tokens = rows.group_by("card_token").agg(pl.col("card_id", "card_last4").n_unique())
    assert tokens["card_id"].max() == 1
    assert tokens["card_last4"].max() == 1
    merchants = rows.group_by("merchant_id").agg(pl.col("merchant_name", "mcc", "merchant_country").n_unique())
    assert all(merchants[column].max() == 1 for column in merchants.columns[1:])
    assert rows["card_age_days"].max() <= 1600  # type: ignore[operator]


def test_customers_grow_older_by_the_calendar() -> None:
    generator = get_generator("credit_cards", base_daily_volume=3_000)
    first, later = generator.generate(date(2024, 3, 1)), generator.generate(date(2025, 3, 1))
    pairs = first.unique("customer_id").join(later.unique("customer_id"), on="customer_id", suffix="_later")
    assert pairs.height > 300
    gained = pairs["customer_age_later"].cast(pl.Int32) - pairs["customer_age"].cast(pl.Int32)
    assert set(gained.unique()) <= {0, 1}
    assert mean(gained) > 0.9


# -- shares ------------------------------------------------------------------------------------------------------


def test_marginals(rows: pl.DataFrame) -> None:
    present, remote = part(rows, "card_present"), part(rows, "card_not_present")
    assert 0.30 <= remote.height / rows.height <= 0.38
    assert 0.35 <= remote["billing_amount"].sum() / rows["billing_amount"].sum() <= 0.48
    for column, expected in (
        ("card_brand", {"visa": 0.52, "mastercard": 0.24, "amex": 0.20, "discover": 0.04}),
        ("card_type", {"credit": 0.70, "debit": 0.25, "prepaid": 0.05}),
    ):
        mix = share(rows.unique("card_id"), column)
        assert all(mix[name] == pytest.approx(value, abs=0.02) for name, value in expected.items())
    mix = share(present, "pos_entry_mode")
    assert all(
        mix[k] == pytest.approx(v, abs=0.02) for k, v in {"07": 0.54, "05": 0.36, "90": 0.08, "01": 0.02}.items()
    )
    mix = share(remote, "pos_entry_mode")
    assert all(mix[k] == pytest.approx(v, abs=0.02) for k, v in {"81": 0.58, "10": 0.40, "01": 0.02}.items())
    assert 52 <= mean(rows["billing_amount"]) <= 70
    assert 26 <= float(rows["billing_amount"].median()) <= 36  # type: ignore[arg-type]
    assert 330 <= float(rows["billing_amount"].quantile(0.99)) <= 560  # type: ignore[arg-type]
    assert 4 <= float(rows["distance_km"].median()) <= 9  # type: ignore[arg-type]
    assert 0.02 <= mean((rows["distance_km"] > 100).drop_nulls()) <= 0.05
    assert 0.03 <= mean(rows["merchant_country"] != rows["home_country"]) <= 0.06
    five = rows.filter(pl.col("mcc").is_in(["4899", "4814", "4900", "6300", "5815"]))
    assert mean(five["is_recurring"]) == pytest.approx(0.85, abs=0.04)
    assert mean(remote["ip_country"] == remote["home_country"]) == pytest.approx(0.965, abs=0.01)
    assert 250 <= float(rows["auth_latency_ms"].median()) <= 450  # type: ignore[arg-type]


def test_categories_follow_the_table(rows: pl.DataFrame) -> None:
    def distance(frame: pl.DataFrame) -> float:
        mix, total = share(frame, "mcc"), sum(SHARES.values())
        return 0.5 * sum(abs(mix.get(code, 0.0) - value / total) for code, value in SHARES.items())

    assert distance(rows) <= 0.03  # 0.02 over a whole year, in the long suite
    swapped = rows.with_columns(mcc=pl.col("mcc").cast(pl.String).replace({"5411": "5812", "5812": "5411"}))
    assert distance(swapped) > 0.03  # the mutant that this test must catch


def test_cents_show_who_sells(rows: pl.DataFrame) -> None:
    """Prices of .99, fares on quarters, tips at table that make the amount whole; elsewhere each cent is as likely."""
    at_home = rows.filter((pl.col("merchant_country") == "US") & ~pl.col("is_fraud") & ~pl.col("is_recurring"))

    def ending(codes: list[str], *cents: int, channel: str = "card_present") -> float:
        amount = part(at_home, channel).filter(pl.col("mcc").is_in(codes))["amount"]
        assert amount.len() > 400
        return mean(((amount * 100).round(0).cast(pl.Int64) % 100).is_in(cents))

    assert ending(["5812", "5813"], 0) == pytest.approx(0.208, abs=0.03)
    assert ending(["5812"], 0, channel="card_not_present") < 0.04
    assert ending(["5411", "5814"], 0) == pytest.approx(0.01, abs=0.005)
    assert ending(["5541", "5542"], 99) == pytest.approx(0.01, abs=0.006)
    assert ending(["5815", "5816"], 99, channel="card_not_present") == pytest.approx(0.703, abs=0.06)
    assert ending(["5311", "5310", "5651"], 99) == pytest.approx(0.26, abs=0.05)
    assert ending(["4111"], 0, 25, 50, 75) == 1.0


def test_guests_tip_on_the_card_in_two_countries() -> None:
    day = get_generator("credit_cards", base_daily_volume=80_000, country_mix="global").generate(date(2024, 5, 14))
    table = part(genuine(day), "card_present").filter(pl.col("mcc").is_in(["5812", "5813"]))
    whole = {
        country[0]: mean(rows["amount"] == rows["amount"].round(0))
        for country, rows in table.group_by(pl.col("merchant_country").cast(pl.String))
        if rows.height >= 150
    }
    assert {"US", "CA", "GB", "DE", "FR"} <= set(whole)
    for country, found in whole.items():
        assert found == pytest.approx(0.208, abs=0.12) if country in ("US", "CA") else found < 0.06, country


def test_amounts_follow_their_category(rows: pl.DataFrame) -> None:
    def statistic(frame: pl.DataFrame, code: str) -> tuple[float, int]:
        mu, sigma = AMOUNTS[code]
        own = genuine(frame).filter((pl.col("mcc") == code) & (pl.col("currency") == "USD"))
        logs = np.sort(np.log(own.unique("customer_id", keep="first", maintain_order=True)["amount"].to_numpy()))
        law = NormalDist(mu, math.sqrt(sigma**2 + 0.35**2))
        place = np.array([law.cdf(x) for x in logs])
        n = len(logs)
        return float(np.maximum(np.arange(1, n + 1) / n - place, place - np.arange(n) / n).max()), n

    for code in AMOUNTS:
        found, n = statistic(rows, code)
        assert found < 2.69 / math.sqrt(n), (code, found, n)
    dearer = rows.with_columns(amount=pl.col("amount") * 1.12)
    found, n = statistic(dearer, "5411")
    assert found > 2.69 / math.sqrt(n)  # the mutant that this test must catch


def test_hours_follow_the_channels_curve(rows: pl.DataFrame) -> None:
    def statistic(frame: pl.DataFrame, channel: str, curve: list[float]) -> float:
        weekdays = genuine(part(frame, channel)).filter(pl.col("timestamp").dt.weekday() <= 5)
        weekdays = weekdays.gather_every(weekdays.height // 20_000 or 1)
        counts = np.bincount(weekdays["timestamp"].dt.hour().to_numpy(), minlength=24)
        expected = np.array(curve) / sum(curve) * weekdays.height
        return float((((counts - expected) ** 2) / expected).sum())

    # A day's noise is in every hour alike, so rows of one day are independent given the day.
    assert statistic(rows, "card_present", CP_HOURS) < 70.5
    assert statistic(rows, "card_not_present", CNP_HOURS) < 70.5
    flipped = rows.with_columns(channel=pl.lit("card_not_present"))
    assert statistic(flipped, "card_not_present", CNP_HOURS) > 70.5  # the mutant that this test must catch


def test_categories_have_their_hours(rows: pl.DataFrame) -> None:
    hour = rows.with_columns(hour=pl.col("timestamp").dt.hour(), day=pl.col("timestamp").dt.weekday())
    bars = hour.filter((pl.col("mcc") == "5813") & ~pl.col("is_fraud"))
    assert mean(bars["hour"].is_in([20, 21, 22, 23, 0, 1, 2])) > 0.35
    doctors = hour.filter((pl.col("mcc") == "8011") & ~pl.col("is_fraud"))
    assert mean(doctors["hour"].is_between(8, 17)) > 0.95
    assert mean(doctors["day"] >= 6) < 0.12
    lunch = hour.filter(pl.col("mcc") == "5814")
    assert mean(lunch["hour"] == 12) > 1.3 * mean(hour["hour"] == 12)


def test_declines(rows: pl.DataFrame) -> None:
    rows = rows.filter(pl.col("response_code") != "91")  # an outage in ten days would be too much of one
    present, remote = part(rows, "card_present"), part(rows, "card_not_present")
    assert 0.02 <= mean(~present["is_approved"]) <= 0.035
    assert 0.08 <= mean(~remote["is_approved"]) <= 0.15
    assert 0.045 <= mean(~rows["is_approved"]) <= 0.075
    mix = share(rows.filter(~pl.col("is_approved")), "response_code")
    assert mix["51"] == pytest.approx(0.46, abs=0.03)
    assert mix["05"] == pytest.approx(0.23, abs=0.03)
    assert mix["82"] + mix["N7"] == pytest.approx(0.03, abs=0.015)
    renewals = rows.filter(~pl.col("is_approved") & pl.col("is_recurring"))
    assert share(renewals, "response_code")["54"] > 2 * mix["54"]


def test_declined_purchases_are_tried_again() -> None:
    def retried(frame: pl.DataFrame) -> float:
        """Share of declined purchases after which card, merchant and amount come again within ten minutes."""
        key = ["card_token", "merchant_id", "amount"]
        own = genuine(frame).filter(~pl.col("response_code").is_in(["91"])).sort("timestamp")
        later = own.with_columns(
            wait=(pl.col("timestamp").shift(-1).over(key) - pl.col("timestamp")).dt.total_seconds()
        )
        early = later.filter(pl.col("timestamp").dt.hour().is_between(7, 22) & ~pl.col("is_approved"))
        return mean((early["wait"] <= 600).fill_null(False))

    frame = get_generator("credit_cards", base_daily_volume=60_000).generate(date(2024, 6, 5))
    assert 0.33 <= retried(frame) <= 0.50
    assert retried(frame.with_columns(merchant_id=pl.col("merchant_id").shift(1))) < 0.05  # a mutant to catch
    assert frame["transaction_id"].n_unique() == frame.height


def test_outages_are_windows_of_a_few_hours() -> None:
    generator = get_generator("credit_cards", base_daily_volume=2_000)
    month = pl.concat([generator.generate(date(2024, 4, 1) + timedelta(n)) for n in range(30)])
    failed = month.filter(pl.col("response_code") == "91")
    assert 1 <= failed["timestamp"].dt.truncate("1h").n_unique() <= 14
    gaps = failed["timestamp"].diff().dt.total_seconds().drop_nulls() / 3600
    assert (gaps > 2.5).sum() <= 2  # at most three incidents a month


@pytest.mark.parametrize("fields", [
    {}, {"country": "GB", "timezone": "Europe/London"}, {"country_mix": "global"},
], ids=["US", "GB", "global"])  # fmt: skip
def test_subscriptions_repeat_every_month_with_the_same_amount(fields: dict[str, object]) -> None:
    generator = get_generator("credit_cards", base_daily_volume=300, **fields)
    days = [date(2024, 1, 1) + timedelta(n) for n in range(200)]
    paid = pl.concat([frame for day in days if (frame := generator.overlay(day)) is not None])
    paid = paid.filter(pl.col("is_recurring")).sort("timestamp").with_columns(pl.from_epoch("timestamp", "us"))

    def series(frame: pl.DataFrame) -> pl.DataFrame:
        """Six payments or more of one amount by a customer to a merchant."""
        return (
            frame.group_by("customer_id", "merchant_id", "currency", "amount")
            .agg(pl.col("timestamp").diff().dt.total_hours().drop_nulls().alias("gap"), pl.len())
            .filter(pl.col("len") >= 6)
        )

    found = series(paid)
    assert found.height > 300
    variation = found.select(pl.col("gap").list.std() / pl.col("gap").list.mean())["gap"]
    assert variation.max() <= 0.15  # type: ignore[operator]
    assert found["currency"].n_unique() == (6 if "country_mix" in fields else 1)
    # The mutant: amounts in dollars, shown at the rate of the day.
    walk = 1.0 + 0.004 * pl.col("timestamp").dt.ordinal_day().sin()
    assert series(paid.with_columns((pl.col("amount") * walk).round(2))).height < 0.2 * found.height


def test_trips_last_two_to_nine_days() -> None:
    generator = get_generator("credit_cards", base_daily_volume=2_500)
    frame = pl.concat(
        [
            part(generator.generate(date(2024, 5, 1) + timedelta(n)), "card_present").select(
                "customer_id", "distance_km", "timestamp", "is_fraud", "home_lat"
            )
            for n in range(75)
        ]
    ).filter(~pl.col("is_fraud"))
    daily = frame.group_by("customer_id", pl.col("timestamp").dt.date().alias("day")).agg(
        (pl.col("distance_km") > 250).mean().alias("away"), pl.len()
    )
    travelling = daily.filter((pl.col("away") == 1) & (pl.col("len") >= 2))
    assert travelling.height > 60
    span = (
        daily.filter(pl.col("away") == 1)
        .group_by("customer_id")
        .agg((pl.col("day").max() - pl.col("day").min()).dt.total_days().alias("span"))
    )
    assert mean(span["span"] <= 9) > 0.93  # a second trip of 75 days is rare
    # Far rows come together: on a day with a far row, the customer's other rows are far as well.
    several = daily.filter(pl.col("len") >= 2)
    assert mean(several.filter(pl.col("away") > 0)["away"]) > 0.85


def test_volume_is_kept() -> None:
    generator = get_generator("credit_cards", base_daily_volume=4_000, volume_noise=0)
    days = [date(2024, 1, 1) + timedelta(n) for n in range(0, 366, 7)]
    drawn = np.array([generator.plan(day).rows for day in days], float)
    drawn += [generator.overlay(day).height for day in days]  # type: ignore[union-attr]
    expected = np.array([generator.expected(day) for day in days])
    assert drawn.sum() == pytest.approx(expected.sum(), abs=5 * math.sqrt(expected.sum()))
    dispersion = ((drawn - expected) ** 2 / expected).mean()
    assert 0.2 < dispersion < 2.4  # the bounds of chi-square with 53 degrees at one in a million


def test_nothing_looks_like_a_real_identifier(rows: pl.DataFrame) -> None:
    for column in rows.columns:
        if rows[column].dtype == pl.String or isinstance(rows[column].dtype, pl.Enum):
            assert scan(rows[column].unique().head(60_000)) == {}, column
    assert not rows["card_token"].str.contains(r"\d{9}").any()
