"""The lake's IO manager: downstream assets take partitions as a `pl.LazyFrame` and leave theirs in the lake."""

import hashlib
from collections.abc import Iterable
from datetime import date

import dagster as dg
import polars as pl
from pydantic import Field

from generators.schema import Column, TableSchema
from simtom_pipelines.lake import LakeError, ParquetLake, Partition, Stamp, TableRef

MAX_NAMED = 5
"""Missing days that an error names before it says how many more there are."""


class LakeIOManager(dg.ConfigurableIOManager):
    """Loads and stores tables of the lake, one partition key or a range alike.

    A partitioned output is one frame for all of the run's days, with a ``date`` column that tells them apart (optional
    when there is one day); every day becomes one file. An input is a lazy frame over exactly the run's days.

    The root is a field of its own: Dagster's nested resources raise deprecation warnings from inside.

    Attributes:
        root: As in `LakeResource`.
        storage_options: As in `LakeResource`.
    """

    root: str
    storage_options: dict[str, str] = Field(default_factory=dict)

    def open(self) -> ParquetLake:
        """Return the lake."""
        return ParquetLake(self.root, self.storage_options or None)

    def load_input(self, context: dg.InputContext) -> pl.LazyFrame:
        """Return the upstream table: the mapped days, or all of a table without partitions.

        Raises:
            LakeError: Some of the days are not in the lake.
        """
        dataset, table = _names(context.asset_key)
        lake = self.open()
        if not context.has_asset_partitions:
            return lake.scan(dataset, table)
        days = _days(context.asset_partition_keys)
        if not days:
            raise LakeError(f"{dataset}/{table}: no partition is mapped to this run, so there is nothing to load")
        stored = set(lake.days(dataset, table))
        if missing := [day for day in days if day not in stored]:
            raise LakeError(_missing_text(f"{dataset}/{table}", missing))
        frame = lake.scan(dataset, table, days[0], days[-1])
        contiguous = (days[-1] - days[0]).days + 1 == len(days)
        return frame if contiguous else frame.filter(pl.col("date").is_in(days))

    def handle_output(self, context: dg.OutputContext, obj: pl.DataFrame) -> None:
        """Store a frame: a file a day, replaced only where its content differs."""
        dataset, table = _names(context.asset_key)
        ref = TableRef(dataset, _schema(table, obj), _timezone(obj))
        lake = self.open()
        if not context.has_asset_partitions:
            written = [_store(lake, ref, None, obj.drop("date", strict=False))]
        else:
            written = list(_store_days(lake, ref, _days(context.asset_partition_keys), obj))
        context.add_output_metadata({"run_bytes": sum(p.bytes for p in written), "run_files": len(written)})


def _store_days(lake: ParquetLake, ref: TableRef, days: list[date], frame: pl.DataFrame) -> Iterable[Partition]:
    if "date" not in frame.columns:
        if len(days) > 1:
            raise LakeError(
                f"{ref.name}: a frame without a column 'date' was returned for {len(days)} partitions; "
                "allowed: a column 'date' that gives each row's partition"
            )
        frame = frame.with_columns(pl.lit(days[0]).alias("date"))
    frame = frame.with_columns(pl.col("date").cast(pl.Date))
    if strange := sorted(set(frame["date"].unique()) - set(days)):
        raise LakeError(f"{ref.name}: rows of {strange[0]} were returned, which is not a partition of this run")
    for day in days:
        yield _store(lake, ref, day, frame.filter(pl.col("date") == day).drop("date"))


def _store(lake: ParquetLake, ref: TableRef, day: date | None, frame: pl.DataFrame) -> Partition:
    content = hashlib.sha256(repr(frame.schema).encode() + frame.write_ipc(None).getvalue()).hexdigest()
    stamp = Stamp(
        generator="downstream",
        revision=1,
        config="{}",
        fingerprint=content,
        day=day or date.min,
    )
    return lake.write(ref, day, [frame], stamp, if_exists="overwrite")


def _schema(table: str, frame: pl.DataFrame) -> TableSchema:
    columns = [Column(n, _plain(t), "", nullable=True) for n, t in frame.schema.items() if n != "date"]
    return TableSchema(table, "labels", "1.0", tuple(columns))


def _plain(dtype: pl.DataType) -> pl.DataType:
    return pl.Datetime("us") if isinstance(dtype, pl.Datetime) else dtype


def _timezone(frame: pl.DataFrame) -> str:
    zones = [t.time_zone for t in frame.dtypes if isinstance(t, pl.Datetime) and t.time_zone]
    return zones[0] if zones else "UTC"


def _names(key: dg.AssetKey) -> tuple[str, str]:
    if len(key.path) != 2:
        raise LakeError(f"asset key {key.to_user_string()!r} given; allowed in the lake: [dataset, table]")
    return key.path[0], key.path[1]


def _days(keys: Iterable[str]) -> list[date]:
    return sorted(date.fromisoformat(key) for key in keys)


def _missing_text(name: str, missing: list[date]) -> str:
    dataset = name.partition("/")[0]
    listed = ", ".join(str(day) for day in missing[:MAX_NAMED])
    more = f" and {len(missing) - MAX_NAMED} more" if len(missing) > MAX_NAMED else ""
    return (
        f"{name}: partitions {listed}{more} are not in the lake; make them first, for example "
        f"'simtom materialize {dataset} --start {missing[0]} --end {missing[-1]}'"
    )
