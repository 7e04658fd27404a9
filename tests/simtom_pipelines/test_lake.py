from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest

from generators.base import SLICE_ROWS
from generators.errors import UnknownNameError
from generators.schema import Column
from simtom_pipelines.lake import LakeError, ParquetLake, TableRef
from tests.simtom_pipelines.toy_lake import DAY, DAYS, REF, SCHEMA, ZONE, frame, never, stamp


@pytest.fixture
def lake(tmp_path: Path) -> ParquetLake:
    return ParquetLake(str(tmp_path / "lake"))


def wider(version: str) -> TableRef:
    extra = Column("extra", pl.Int32, "Later.", nullable=True)
    return TableRef("toy", replace(SCHEMA, version=version, columns=(*SCHEMA.columns, extra)), ZONE)


def test_partition_is_what_was_written(lake: ParquetLake) -> None:
    rows = frame()
    written = lake.write(REF, DAY, [rows], stamp())
    assert written.path == f"{lake.root}/toy/visits/date=2024-03-10/part-0.parquet"
    assert (written.table, written.generated, written.rows) == ("toy/visits", True, rows.height)
    assert written.bytes == Path(written.path).stat().st_size
    assert lake.days("toy", "visits") == [DAY]
    assert lake.scan("toy", "visits").drop("date").collect().equals(rows)
    read = lake.partition("toy", "visits", DAY)
    assert read is not None
    assert read.footer == written.footer
    assert not read.generated


def test_footer_describes_the_partition(lake: ParquetLake) -> None:
    footer = lake.write(REF, DAY, [frame()], stamp("abc", '{"seed":3}')).footer
    assert (footer.dataset, footer.table, footer.generator, footer.revision) == ("toy", "visits", "two_processes", 1)
    assert (footer.day, footer.config, footer.fingerprint) == ("2024-03-10", '{"seed":3}', "abc")
    assert (footer.schema_version, footer.rows, len(footer.preview)) == ("1.0", frame().height, 5)
    assert footer.preview[0]["visit_id"] == frame()["visit_id"][0]
    assert all(check["passed"] for check in footer.statistics["checks"].values())


def test_slices_stream_into_the_same_rows_and_statistics(lake: ParquetLake) -> None:
    rows = frame()
    whole = lake.write(REF, DAY, [rows], stamp())
    pieces = iter([rows.head(100), rows.slice(100, 7), rows.slice(107)])
    cut = lake.write(REF, DAY, pieces, stamp("b"), if_exists="overwrite")
    assert pl.read_parquet(cut.path, hive_partitioning=False).equals(rows)
    assert cut.footer.statistics == whole.footer.statistics
    assert cut.footer.preview == whole.footer.preview


def test_file_format(lake: ParquetLake) -> None:
    rows = pl.concat([frame()] * 300)
    written = lake.write(REF, DAY, [rows], stamp())
    file = pq.ParquetFile(written.path)
    assert max(file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)) <= SLICE_ROWS < rows.height
    columns = {file.metadata.row_group(0).column(i).path_in_schema: i for i in range(len(SCHEMA.columns))}
    kind = file.metadata.row_group(0).column(columns["kind"])
    assert kind.compression == "ZSTD"
    assert "RLE_DICTIONARY" in kind.encodings
    logical = json.loads(file.schema.column(columns["timestamp"]).logical_type.to_json())
    assert (logical["isAdjustedToUTC"], logical["timeUnit"]) == (True, "microseconds")
    assert str(file.schema_arrow.field("timestamp").type) == f"timestamp[us, tz={ZONE}]"


def test_empty_day_is_a_partition(lake: ParquetLake) -> None:
    written = lake.write(REF, DAY, [], stamp())
    assert written.rows == 0
    assert lake.scan("toy", "visits").collect().height == 0
    assert lake.scan("toy", "visits").drop("date").collect_schema() == SCHEMA.polars_schema(ZONE)


def test_dimension_has_no_date(lake: ParquetLake) -> None:
    written = lake.write(REF, None, [frame()], stamp())
    assert written.path == f"{lake.root}/toy/visits/part-0.parquet"
    assert lake.scan("toy", "visits").collect().equals(frame())
    assert lake.days("toy", "visits") == []


def test_equal_fingerprint_is_kept_without_generating(lake: ParquetLake) -> None:
    first = lake.write(REF, DAY, [frame()], stamp())
    changed = Path(first.path).stat().st_mtime_ns
    kept = lake.write(REF, DAY, never(), stamp())
    assert not kept.generated
    assert kept.footer == first.footer
    assert Path(first.path).stat().st_mtime_ns == changed


def test_other_fingerprint(lake: ParquetLake) -> None:
    lake.write(REF, DAY, [frame()], stamp("a", '{"seed":1}'))
    with pytest.raises(LakeError, match=r'"seed":1.*"seed":2.*--if-exists overwrite'):
        lake.write(REF, DAY, never(), stamp("b", '{"seed":2}'))
    assert not lake.write(REF, DAY, never(), stamp("b"), if_exists="keep").generated
    replaced = lake.write(REF, DAY, [frame(seed=2)], stamp("b"), if_exists="overwrite")
    assert replaced.generated
    assert lake.scan("toy", "visits").drop("date").collect().equals(frame(seed=2))
    with pytest.raises(UnknownNameError, match="if_exists"):
        lake.write(REF, DAY, never(), stamp(), if_exists="replace")  # type: ignore[arg-type]


@pytest.fixture
def several(lake: ParquetLake) -> ParquetLake:
    for day in reversed(DAYS):
        lake.write(REF, day, [frame(day)], replace(stamp(), day=day))
    return lake


def test_window_is_inclusive(several: ParquetLake) -> None:
    found = several.scan("toy", "visits", DAYS[1], DAYS[2]).collect()
    assert found["date"].unique(maintain_order=True).to_list() == DAYS[1:3]
    assert found.drop("date").equals(pl.concat([frame(day) for day in DAYS[1:3]]))
    with pytest.raises(LakeError, match="no partitions from 2030-01-01"):
        several.scan("toy", "visits", date(2030, 1, 1))
    with pytest.raises(LakeError, match="toy/nothing has no partitions"):
        several.scan("toy", "nothing")


def test_polars_duckdb_and_pandas_read_a_hive_dataset(several: ParquetLake) -> None:
    folder = several.table_path("toy", "visits")
    rows = sum(frame(day).height for day in DAYS)
    wanted = frame()["timestamp"].dt.convert_time_zone("UTC").dt.replace_time_zone(None)[0]

    found = pl.scan_parquet(folder, hive_partitioning=True).filter(pl.col("date") == DAY).collect()
    assert found.schema["date"] == pl.Date
    assert found.schema["kind"] == SCHEMA["kind"].dtype
    assert found.drop("date").equals(frame())

    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        query = f"from read_parquet('{folder}/*/*.parquet', hive_partitioning = true)"
        types = dict(connection.execute(f"select column_name, column_type from (describe {query})").fetchall())
        assert types["date"] == "DATE"
        assert types["timestamp"] == "TIMESTAMP WITH TIME ZONE"
        assert (types["kind"], types["value"], types["record_id"]) == ("VARCHAR", "DOUBLE", "UINTEGER")
        counts = f"select count(*), count(distinct date), min(timestamp::timestamp) filter (date = '{DAY}') {query}"
        assert connection.execute(counts).fetchone() == (rows, len(DAYS), wanted)

    table = pd.read_parquet(folder)
    assert len(table) == rows
    assert str(table["timestamp"].dt.tz) == ZONE
    assert table["value"].dtype == "float64"
    assert isinstance(table["kind"].dtype, pd.CategoricalDtype)
    assert sorted(table["date"].astype(str).unique()) == [day.isoformat() for day in DAYS]


def test_older_minor_versions_read_null(several: ParquetLake) -> None:
    newer = frame(date(2024, 3, 20)).with_columns(pl.lit(7, pl.Int32).alias("extra"))
    several.write(wider("1.1"), date(2024, 3, 20), [newer], stamp())
    found = several.scan("toy", "visits").collect()
    assert found.filter(pl.col("date") < date(2024, 3, 20))["extra"].is_null().all()
    assert found.filter(pl.col("date") == date(2024, 3, 20))["extra"].unique().to_list() == [7]


def test_major_versions_are_not_mixed(several: ParquetLake) -> None:
    newer = frame(date(2024, 3, 20)).with_columns(pl.lit(7, pl.Int32).alias("extra"))
    several.write(wider("2.0"), date(2024, 3, 20), [newer], stamp())
    with pytest.raises(LakeError, match=r"4 partitions from 2024-03-09 to 2024-03-12.*simtom materialize toy/visits"):
        several.scan("toy", "visits")
    assert several.scan("toy", "visits", date(2024, 3, 20)).collect()["extra"].unique().to_list() == [7]
