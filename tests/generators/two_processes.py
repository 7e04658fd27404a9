"""A small generator with two arrival processes and an overlay: what the plugin contract promises beyond BNPL."""

from __future__ import annotations

from datetime import date, timedelta
from functools import cached_property

import numpy as np
import polars as pl

from generators.base import BaseGenerator, Batch, Process
from generators.config import GeneratorConfig
from generators.intraday import IntradayProfile, day_bounds
from generators.randomness import stream
from generators.schema import INSTANT, Column, TableSchema
from generators.volume import VolumeModel

DAYTIME = tuple(1.0 if 8 <= hour < 20 else 0.0 for hour in range(24))
NIGHT = tuple(0.0 if 8 <= hour < 20 else 1.0 for hour in range(24))
EPISODE_ROWS = 5
REPORT_DAYS = 6


class TwoProcessGenerator(BaseGenerator[GeneratorConfig]):
    """Visits by day and by night, an episode of five rows from noon of every day, and reports of some visits later."""

    name = "two_processes"
    domain = "test"
    description = "Two processes and an overlay."
    tables = (
        TableSchema(
            "visits",
            "events",
            "1.0",
            (
                Column("timestamp", INSTANT, "Instant."),
                Column("record_id", pl.UInt32, "Running number."),
                Column("kind", pl.Enum(["day", "night", "episode"]), "Process of the row."),
                Column("value", pl.Float64, "A draw.", ge=0, le=1),
                Column("visit_id", pl.String, "Key.", unique=True, vocabulary=True),
            ),
        ),
        TableSchema(
            "reports",
            "labels",
            "1.0",
            (
                Column("visit_id", pl.String, "Visit.", vocabulary=True),
                Column("grade", pl.Enum(["first", "second"]), "Up to two reports a visit."),
                Column("reported_on", pl.Date, "Day of the report."),
            ),
            key=("visit_id", "grade"),
            window=REPORT_DAYS,
        ),
    )

    @cached_property
    def processes(self) -> tuple[Process, ...]:
        """Three quarters by day, a quarter by night."""

        def one(name: str, share: float, curve: tuple[float, ...]) -> Process:
            intraday = IntradayProfile.from_config(self.config, curve=curve)
            volume = VolumeModel.from_config(
                self.config, generator=self.name, calendar=self.calendar, process=name, share=share, intraday=intraday
            )
            return Process(name, volume, intraday)

        return one("day", 0.75, DAYTIME), one("night", 0.25, NIGHT)

    def draw(self, batch: Batch) -> pl.DataFrame:
        """Return the kind, a uniform value and a key of each visit."""
        return pl.DataFrame(
            {
                "kind": batch.process,
                "value": batch.rng("value").random(batch.n),
                "visit_id": [f"{batch.day} v{row}" for row in batch.row],
            }
        )

    def outcomes(self, table: str, day: date) -> pl.DataFrame:
        """Return two reports of every third visit by day or night."""
        if table != "reports":
            return super().outcomes(table, day)
        row = np.repeat(np.arange(0, int(self.plan(day).sizes.sum()), 3), 2).astype(np.uint32)
        lag = stream(self.config.seed, self.name, day, "report").integers(1, REPORT_DAYS // 2 + 1, len(row))
        grade = np.tile([0, 1], len(row) // 2).astype(np.uint8)
        return pl.DataFrame({"row": row, "grade": grade, "lag": (lag + grade * REPORT_DAYS // 2).astype(np.uint8)})

    def label_rows(self, table: str, known: pl.DataFrame, day: date) -> pl.DataFrame:
        """Return the reports of a day."""
        visit = pl.format("{} v{}", pl.col("event_day").cast(pl.String), "row")
        return known.select(visit.alias("visit_id"), "grade", pl.lit(day).alias("reported_on"))

    def overlay(self, day: date) -> pl.DataFrame | None:
        """Return five rows from noon on, the last of them minutes later."""
        start, end = day_bounds(day, self.config.timezone)
        gaps = stream(self.config.seed, self.name, day, "episode").integers(1, 60_000_000, EPISODE_ROWS)
        return pl.DataFrame(
            {
                "timestamp": (start + end) // 2 + np.cumsum(gaps),
                "kind": np.full(EPISODE_ROWS, 2, np.uint8),
                "value": np.zeros(EPISODE_ROWS),
                "visit_id": [f"{day} e{row}" for row in range(EPISODE_ROWS)],
            }
        )


def days(first: date, count: int) -> list[date]:
    """Return `count` days from `first` on."""
    return [first + timedelta(i) for i in range(count)]
