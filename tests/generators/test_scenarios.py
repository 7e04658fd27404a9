"""Drifts of every generator: where they begin, how they grow and fade, and that days stay pure under them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from generators import ConfigError, fingerprint, generator_class, get_generator, list_generators
from generators.base import BaseGenerator
from generators.scenarios import Drift, Preset, Scenario, crossings, presets_of

START = date(2024, 5, 1)
SOON = START + timedelta(45)
"""A day on which every drift shows."""
ROWS = 400


class Weather(Drift):
    """A drift of nothing in particular."""

    presets: ClassVar[Mapping[str, Preset]] = {
        "storm": Preset("At once, for good."),
        "thaw": Preset("Ten days up, thirty in all, five down.", ramp=10, lasts=30, fade=5),
    }


def number(day: date) -> int:
    return (day - date(1970, 1, 1)).days


def strength(*drifts: Weather, preset: str) -> list[float]:
    """The strength of a preset from the day before START on."""
    days = np.arange(number(START) - 1, number(START) + 60)
    return [float(x) for x in Scenario(drifts).levels(preset, days)]


def test_abrupt_drift_is_there_on_its_first_day() -> None:
    assert strength(Weather(preset="storm", start=START), preset="storm")[:3] == [0.0, 1.0, 1.0]
    ended = strength(Weather(preset="storm", start=START, end=START + timedelta(3), strength=2.0), preset="storm")
    assert ended[:7] == [0.0, 2.0, 2.0, 2.0, 2.0, 0.0, 0.0]


def test_gradual_drift_grows_holds_and_fades() -> None:
    found = strength(Weather(preset="thaw", start=START), preset="thaw")
    assert found[:12] == pytest.approx([0.0, *np.arange(1, 11) / 10, 1.0])
    assert found[30:37] == pytest.approx([1.0, 0.8, 0.6, 0.4, 0.2, 0.0, 0.0])
    assert strength(Weather(preset="thaw", start=START, ramp_days=0), preset="thaw")[:2] == [0.0, 1.0]
    longer = strength(Weather(preset="thaw", start=START, end=START + timedelta(40)), preset="thaw")
    assert longer[40:43] == pytest.approx([1.0, 1.0, 0.8])


def test_drifts_of_a_preset_add_up_and_leave_the_others() -> None:
    both = (Weather(preset="storm", start=START), Weather(preset="storm", start=START + timedelta(1), strength=0.5))
    assert strength(*both, Weather(preset="thaw", start=START), preset="storm")[:4] == [0.0, 1.0, 1.5, 1.5]


def test_crossings_are_the_days_on_which_a_threshold_is_passed() -> None:
    days = np.arange(100, 160)
    series = np.concatenate([np.zeros(5), np.linspace(0.1, 1, 10), np.ones(15), np.linspace(0.7, 0.3, 10), np.ones(20)])
    thresholds = np.random.Generator(np.random.PCG64(1)).random(200)
    found = np.stack(crossings(days, series, thresholds), axis=1)
    for threshold, passed in zip(thresholds, found, strict=True):
        above = series > threshold
        assert set(days[1:][above[1:] != above[:-1]]) <= set(passed.tolist())


# -- every generator ----------------------------------------------------------------------------------------------


KNOWN = {i.name: list(presets_of(generator_class(i.name).config_type)) for i in list_generators()}
WITH_DRIFT = [name for name, presets in KNOWN.items() if presets]
PRESETS = [(name, preset) for name, presets in KNOWN.items() for preset in presets]


@lru_cache
def plain(name: str, day: date) -> pl.DataFrame:
    """A day without a drift."""
    return make(name).generate(day)


def make(name: str, *drifts: dict[str, Any], **fields: Any) -> BaseGenerator[Any]:
    return get_generator(name, base_daily_volume=ROWS, drift=drifts, **fields)


@pytest.mark.parametrize("name", WITH_DRIFT)
def test_presets_are_those_that_the_config_takes(name: str) -> None:
    for preset in KNOWN[name]:
        make(name, {"preset": preset, "start": START})
    with pytest.raises(ConfigError) as refusal:
        make(name, {"preset": "storm", "start": START})
    assert all(f"'{preset}'" in str(refusal.value) for preset in KNOWN[name])
    assert "drift.0.preset" in str(refusal.value)


@pytest.mark.parametrize(
    "drift,said",
    [
        ({"start": "2024-01-01", "strength": 4}, "drift.0.strength.*less than or equal to 3"),
        ({"start": "2024-01-01", "end": "2023-12-31"}, "drift.0.*end 2023-12-31 lies before start 2024-01-01"),
        ({"start": "2024-13-01"}, "drift.0.start.*valid date"),
        ({}, "drift.0.start.*required"),
        ({"start": "2024-01-01", "width": 3}, "drift.0.width.*known: preset, start, end, strength, ramp_days"),
    ],
)
def test_refusals_say_what_is_allowed(drift: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make("bnpl", {"preset": "seasonal", **drift})


def test_one_drift_outside_a_list_is_refused_as_such() -> None:
    with pytest.raises(ConfigError, match=r"'drift'.*should be a list"):
        get_generator("bnpl", drift={"preset": "seasonal", "start": "2024-01-01"})


@pytest.mark.parametrize("name,preset", PRESETS)
def test_drift_shows_from_its_start_on_and_never_before(name: str, preset: str) -> None:
    drifted = make(name, {"preset": preset, "start": START})
    # The evening before, emergency visits may end in stays that begin, and are diagnosed, on the first day.
    before = START - timedelta(2)
    assert_frame_equal(drifted.generate(before), plain(name, before))
    rows = drifted.generate(SOON)
    assert not rows.equals(plain(name, SOON))
    assert drifted.events.violations(rows) == []
    assert fingerprint(drifted, drifted.events, SOON) != fingerprint(make(name), drifted.events, SOON)


@pytest.mark.parametrize("name", WITH_DRIFT)
def test_strength_end_and_ramp_change_the_output(name: str) -> None:
    drift = {"preset": KNOWN[name][0], "start": START}
    usual = make(name, drift).generate(SOON)
    for field, value in {"strength": 0.5, "end": START + timedelta(5), "ramp_days": 90}.items():
        assert not make(name, drift | {field: value}).generate(SOON).equals(usual), field
    assert_frame_equal(make(name, drift | {"strength": 0}).generate(SOON), plain(name, SOON))


@pytest.mark.parametrize("name", WITH_DRIFT)
def test_day_under_all_drifts_alone_equals_the_day_in_any_order(name: str) -> None:
    drifts = [{"preset": preset, "start": START + timedelta(n)} for n, preset in enumerate(KNOWN[name])]
    days = [START + timedelta(n) for n in (-1, 1, 3, 20)]
    forward, backward = make(name, *drifts), make(name, *reversed(drifts))
    ahead = [forward.generate(day) for day in days]
    back = [backward.generate(day) for day in reversed(days)]
    for one, other in zip(ahead, reversed(back), strict=True):
        assert_frame_equal(one, other)
        assert forward.events.violations(one) == []
