"""The tables of card payments written down a second time, by hand: tests compare the data with these."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

CP_HOURS = [0.6, 0.4, 0.3, 0.25, 0.4, 0.99, 2.18, 3.87, 4.96, 5.36, 5.96, 6.95, 8.33, 7.64, 6.95, 7.05, 7.44, 7.94,
            7.54, 5.86, 4.07, 2.58, 1.49, 0.89]  # fmt: skip
WEEKEND_CP_HOURS = CP_HOURS[-1:] + CP_HOURS[:-1]
"""An hour later."""
CNP_HOURS = [2.32, 1.51, 1.11, 0.91, 0.91, 1.21, 2.02, 3.13, 4.24, 5.15, 5.65, 5.85, 5.85, 5.55, 5.35, 5.25, 5.25, 5.25,
             5.45, 5.85, 6.26, 6.34, 5.55, 4.04]  # fmt: skip


class Trade(NamedTuple):
    """A merchant category: share of rows, median in USD, sigma of the log amount, share of card-not-present rows."""

    share: float
    median: float
    sigma: float
    remote: float


TRADES = {
    code: Trade(*row)
    for code, *row in (
        ("5411", 0.1484, 36, 0.90, 0.09), ("5812", 0.0988, 34, 0.70, 0.10), ("5814", 0.1136, 13, 0.55, 0.18),
        ("5541", 0.0356, 33, 0.60, 0.00), ("5542", 0.0593, 42, 0.40, 0.00), ("5499", 0.0395, 13, 0.70, 0.05),
        ("5912", 0.0375, 22, 0.80, 0.08), ("5311", 0.0198, 58, 0.80, 0.45), ("5310", 0.0316, 38, 0.80, 0.28),
        ("5300", 0.0168, 105, 0.70, 0.14), ("5651", 0.0227, 58, 0.75, 0.50), ("5661", 0.0074, 88, 0.50, 0.55),
        ("5732", 0.0109, 105, 1.05, 0.65), ("5200", 0.0208, 54, 1.05, 0.20), ("5712", 0.0040, 280, 0.95, 0.50),
        ("5942", 0.0074, 24, 0.70, 0.75), ("5945", 0.0074, 40, 0.80, 0.65), ("5999", 0.0474, 38, 0.95, 0.85),
        ("5969", 0.0267, 50, 0.90, 1.00), ("5815", 0.0375, 12, 0.55, 1.00), ("5816", 0.0208, 15, 0.90, 1.00),
        ("4899", 0.0257, 21, 0.70, 1.00), ("4814", 0.0148, 75, 0.55, 0.96), ("4900", 0.0119, 125, 0.55, 0.96),
        ("4121", 0.0296, 21, 0.55, 0.96), ("4111", 0.0188, 3.2, 0.45, 0.10), ("4511", 0.0059, 310, 0.70, 0.96),
        ("7011", 0.0074, 195, 0.70, 0.60), ("8011", 0.0094, 65, 0.95, 0.25), ("7230", 0.0104, 55, 0.60, 0.12),
        ("5977", 0.0064, 46, 0.65, 0.55), ("5921", 0.0109, 30, 0.60, 0.08), ("5813", 0.0148, 32, 0.70, 0.00),
        ("7832", 0.0049, 29, 0.50, 0.60), ("7995", 0.0044, 45, 1.00, 1.00), ("6300", 0.0049, 145, 0.55, 0.97),
        ("8398", 0.0059, 32, 0.90, 0.88),
    )
}  # fmt: skip
SHARES = {code: trade.share for code, trade in TRADES.items()}
CUSTOMER_SIGMA = 0.35
"""Standard deviation of a customer's factor on log amounts."""
SHAPED_CENTS = {"5815", "5816", "4111"}
"""Categories whose amounts sit on a grid: prices that end in .99, and fares."""

BRANDS = {"visa": 0.52, "mastercard": 0.24, "amex": 0.20, "discover": 0.04}
TYPES = {"credit": 0.70, "debit": 0.25, "prepaid": 0.05}
CARDS_OF_A_CUSTOMER = {1: 0.80, 2: 0.15, 3: 0.05}
CP_ENTRY = {"07": 0.54, "05": 0.36, "90": 0.08, "01": 0.02}
CNP_ENTRY = {"81": 0.58, "10": 0.40, "01": 0.02}
CONTACTLESS = {2018: 0.01, 2019: 0.03, 2020: 0.10, 2021: 0.20, 2022: 0.32, 2023: 0.43, 2024: 0.52, 2025: 0.60}
CP_VERIFICATION = {"none": 0.62, "pin": 0.22, "signature": 0.06, "device_biometric": 0.10}
CNP_VERIFICATION = {"none": 0.62, "3ds_challenge": 0.06, "3ds_frictionless": 0.32}
CVV = {"M": 0.975, "N": 0.015, "P": 0.010}
AVS = {"Y": 0.80, "A": 0.05, "Z": 0.06, "N": 0.06, "U": 0.03}
DECLINES = {"51": 0.46, "05": 0.23, "61": 0.05, "65": 0.03, "14": 0.04, "54": 0.05, "57": 0.03, "59": 0.04}
"""Shares among declines; those of 1A are declined with 05 in the US."""
SUBSCRIBED = {"4899", "4814", "4900", "6300", "5815"}
CURRENCY = {"US": "USD", "GB": "GBP", "DE": "EUR", "FR": "EUR", "CA": "CAD", "ES": "EUR", "AU": "AUD", "BR": "BRL"}
MILLIONS = {
    "US-CA": 39.54, "US-TX": 29.15, "US-FL": 21.54, "US-NY": 20.20, "US-PA": 13.00, "US-IL": 12.81, "US-OH": 11.80,
    "US-GA": 10.71, "US-NC": 10.44, "US-MI": 10.08, "US-NJ": 9.29, "US-VA": 8.63, "US-WA": 7.71, "US-AZ": 7.15,
    "US-MA": 7.03, "US-TN": 6.91,
}  # fmt: skip
"""Population of the largest regions (US Census 2020); 331.4 million in all."""
ALL_MILLIONS = 331.4
PLACES = {
    "US-CA": (32.5, 42.0, -124.5, -114.1), "US-TX": (25.8, 36.6, -106.7, -93.5),
    "US-FL": (24.4, 31.1, -87.7, -79.9), "US-NY": (40.4, 45.1, -79.8, -71.8),
}  # fmt: skip
"""South, north, west and east of four states, from the map."""

FRAUD_MIX = {
    "cnp_stolen_credentials": 0.52, "card_testing": 0.14, "account_takeover": 0.10, "lost_stolen": 0.14,
    "counterfeit_skimming": 0.06, "application_fraud": 0.04,
}  # fmt: skip
FRAUD_ROWS = {
    "cnp_stolen_credentials": (1, 4), "card_testing": (4, 9), "account_takeover": (1, 3), "lost_stolen": (2, 6),
    "counterfeit_skimming": (1, 5), "application_fraud": (3, 10),
}  # fmt: skip
CLUSTERS = ("card_testing", "counterfeit_skimming")
REPORT_MEDIANS = {
    "cnp_stolen_credentials": 12, "card_testing": 12, "account_takeover": 5, "lost_stolen": 2,
    "counterfeit_skimming": 12, "application_fraud": 60,
}  # fmt: skip
LABEL_SOURCES = {"cardholder": 0.88, "merchant": 0.10, "issuer_model": 0.02}

# -- calendar ---------------------------------------------------------------------------------------------------

CP_WEEK, CNP_WEEK = (0.93, 0.94, 0.97, 1.01, 1.14, 1.14, 0.87), (1.06, 1.05, 1.04, 1.03, 1.02, 0.90, 0.90)
WEEK_OF_MONTH = (1.04, 0.99, 1.01, 0.97)
CP_MONTH = (0.95, 0.95, 0.99, 0.99, 1.02, 1.02, 1.02, 1.02, 0.99, 1.01, 1.00, 1.04)
CNP_MONTH = (0.96, 0.94, 0.97, 0.97, 0.98, 0.98, 1.01, 1.00, 0.98, 1.01, 1.09, 1.11)
EVENTS: dict[str, tuple[float, float, tuple[str, ...]]] = {
    "new_years_day": (0.55, 0.80, ("2023-01-01", "2024-01-01", "2025-01-01")),
    "valentines_day": (1.08, 1.08, ("2023-02-14", "2024-02-14", "2025-02-14")),
    "valentines_week": (1.02, 1.04, ("2023-02-12", "2024-02-13", "2025-02-13")),
    "mothers_day": (1.12, 1.00, ("2023-05-14", "2024-05-12", "2025-05-11")),
    "mothers_day_week": (1.04, 1.06, ("2023-05-11", "2024-05-10", "2025-05-12")),
    "fathers_day": (1.06, 1.02, ("2023-06-18", "2024-06-16", "2025-06-15")),
    "memorial_day": (0.98, 1.03, ("2023-05-29", "2024-05-27", "2025-05-26")),
    "labor_day": (0.98, 1.03, ("2023-09-04", "2024-09-02", "2025-09-01")),
    "independence_day": (0.85, 0.85, ("2023-07-04", "2024-07-04", "2025-07-04")),
    "other public holiday": (1.00, 1.00, ("2023-01-16", "2024-02-19", "2025-11-11")),
    "back_to_school": (1.03, 1.05, ("2023-08-22", "2024-08-28", "2025-09-10")),
    "halloween": (1.04, 1.00, ("2023-10-31", "2024-10-31", "2025-10-31")),
    "day before Thanksgiving": (1.30, 1.10, ("2023-11-22", "2024-11-27", "2025-11-26")),
    "thanksgiving": (0.45, 1.15, ("2023-11-23", "2024-11-28", "2025-11-27")),
    "black_friday": (1.35, 1.80, ("2023-11-24", "2024-11-29", "2025-11-28")),
    "black_friday_week": (1.15, 1.40, ("2023-11-25", "2024-11-30", "2025-11-30")),
    "cyber_monday": (1.00, 1.90, ("2023-11-27", "2024-12-02", "2025-12-01")),
    "christmas_shopping": (1.12, 1.20, ("2023-12-06", "2024-12-12", "2025-12-16")),
    "christmas_day": (0.20, 0.60, ("2023-12-25", "2024-12-25", "2025-12-25")),
    "post_christmas": (1.08, 1.05, ("2023-12-28", "2024-12-27", "2026-01-02")),
    "new_years_eve": (0.95, 0.80, ("2023-12-31", "2024-12-31", "2025-12-31")),
    "first working day after a long weekend": (0.98, 1.04, ("2023-05-30", "2024-09-03", "2025-10-14")),
}
"""Factors of the channels, and one day in each of three years, read off printed calendars."""
ORDINARY = (
    "2024-01-24", "2024-02-06", "2024-02-29", "2024-03-07", "2024-03-20", "2024-04-12", "2024-04-27", "2024-05-19",
    "2024-05-06", "2024-06-05", "2024-06-13", "2024-06-22", "2024-07-14", "2024-07-29", "2024-08-06", "2024-08-09",
    "2024-09-19", "2024-09-28", "2024-10-06", "2024-10-21", "2024-11-05", "2024-11-13",
)  # fmt: skip
"""Days of every weekday and every month but December without an event."""


def factors(day: date, event: tuple[float, float] = (1.0, 1.0)) -> tuple[float, float]:
    """Return the factors of card-present and card-not-present rows on a day whose event's factors are given."""
    week = WEEK_OF_MONTH[min((day.day - 1) // 7, 3)]
    present, remote = (
        days[day.weekday()] * week * months[day.month - 1]
        for days, months in ((CP_WEEK, CP_MONTH), (CNP_WEEK, CNP_MONTH))
    )
    return present * event[0], remote * event[1]
