"""Parquet partitions: where they lie, how they are written whole or not at all, how they are read."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import chain
from typing import Any, Literal

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from polars.io.plugins import register_io_source

import simtom_pipelines
from generators.base import SLICE_ROWS
from generators.errors import SimtomError, UnknownNameError
from generators.schema import TableSchema
from simtom_pipelines.partition_stats import PartitionStats
from simtom_pipelines.storage import LocalStorage, ObjectStorage, StorageError

IfExists = Literal["error", "keep", "overwrite"]

FILE = "part-0.parquet"
FOOTER_KEY = b"simtom"
PREVIEW_ROWS = 5
COMPRESSION_LEVEL = 1
LABEL_ROW_GROUP = 2**15
"""Rows of a row group of labels that fit into one frame: an event's rows stand together, and short dictionaries of its
ids are written 5% faster and take 4% less room."""

_HALF_URL = re.compile(r"^(s3|gs|gcs|az|abfss?|https?|file|hdfs):(?!//)", re.IGNORECASE)
"""A URL that lost a slash would become a folder with a colon in its name."""
_PARTITION = re.compile(r"^date=(\d{4}-\d{2}-\d{2})$")


class LakeError(SimtomError):
    """A partition that cannot be written or read."""


@dataclass(frozen=True)
class TableRef:
    """A table of a dataset."""

    dataset: str
    schema: TableSchema
    timezone: str

    @property
    def name(self) -> str:
        """``dataset/table``."""
        return f"{self.dataset}/{self.schema.name}"


@dataclass(frozen=True)
class Stamp:
    """What is known of a partition before its first row."""

    generator: str
    revision: int
    config: str
    fingerprint: str
    day: date
    expected_rows: float | None = None
    volume_noise: float = 0.0
    events_from: date | None = None
    """Labels: the first event day whose facts are in the partition."""


@dataclass(frozen=True)
class Footer:
    """What a file says of itself, as JSON under the key ``simtom`` of the Parquet metadata."""

    dataset: str
    table: str
    generator: str
    revision: int
    day: str
    config: str
    schema_version: str
    package_version: str
    rows: int
    fingerprint: str
    statistics: dict[str, Any]
    preview: list[dict[str, Any]]


@dataclass(frozen=True)
class Partition:
    """One stored file.

    Attributes:
        table: ``dataset/table``.
        day: The partition's day; None for a dimension.
        path: Where the file lies.
        rows: Number of rows.
        bytes: Size of the file.
        footer: What the file says of itself.
        generated: Whether it was written now, or kept because its fingerprint is the wanted one.
        seconds: Time spent writing it.
    """

    table: str
    day: date | None
    path: str
    rows: int
    bytes: int
    footer: Footer
    generated: bool = False
    seconds: float = 0.0


class ParquetLake:
    """Hive-partitioned tables in a folder or an object store.

    A day is ``{root}/{dataset}/{table}/date=YYYY-MM-DD/part-0.parquet``, a dimension has no date folder.

    Args:
        root: Local folder, or a URL such as ``s3://bucket/prefix``.
        storage_options: Options of the object store, by the names that polars uses (``aws_endpoint_url``, ...).
    """

    def __init__(self, root: str, storage_options: Mapping[str, str] | None = None) -> None:
        self.root = str(root).rstrip("/") or "/"
        if _HALF_URL.match(self.root):
            raise LakeError(f"lake: {root!r} given; allowed: a folder, or a URL with two slashes as s3://bucket/prefix")
        self.storage: LocalStorage | ObjectStorage = (
            ObjectStorage(dict(storage_options or {})) if "://" in self.root else LocalStorage(self.root)
        )

    # -- places ---------------------------------------------------------------------------------------------------

    def table_path(self, dataset: str, table: str) -> str:
        """Return the folder of a table."""
        return f"{self.root}/{dataset}/{table}"

    def path(self, dataset: str, table: str, day: date | None = None) -> str:
        """Return the file of a partition; without a day, that of a dimension."""
        folder = self.table_path(dataset, table)
        return f"{folder}/{FILE}" if day is None else f"{folder}/date={day.isoformat()}/{FILE}"

    def days(self, dataset: str, table: str) -> list[date]:
        """Return the days that are stored, in order."""
        folder = self.table_path(dataset, table)
        found = (_PARTITION.match(name) for name in self.storage.folders(folder))
        days = sorted(date.fromisoformat(match[1]) for match in found if match)
        if not isinstance(self.storage, LocalStorage):
            return days
        return [day for day in days if self.storage.exists(self.path(dataset, table, day))]

    def open(self, path: str) -> Any:
        """Return a seekable source of a file for pyarrow, local or remote."""
        return self.storage.open(path)

    # -- reading --------------------------------------------------------------------------------------------------

    def partition(self, dataset: str, table: str, day: date | None) -> Partition | None:
        """Return a stored partition from its footer alone, or None.

        Raises:
            LakeError: The file is truncated or was not written by this package.
        """
        path = self.path(dataset, table, day)
        try:
            size = self.storage.size(path)
            if size is None:
                return None
            with self.open(path) as source:
                metadata = pq.read_metadata(source)
        except StorageError as error:
            raise LakeError(str(error)) from None
        except PermissionError as error:
            raise LakeError(f"{path} cannot be read: {error.strerror}") from None
        except (pa.ArrowException, OSError, ValueError) as error:
            raise LakeError(f"{path} is no readable Parquet file ({error}); overwrite it to make it again") from None
        footer = _footer(path, metadata.metadata)
        return Partition(f"{dataset}/{table}", day, path, metadata.num_rows, size, footer)

    def scan(self, dataset: str, table: str, first: date | None = None, last: date | None = None) -> pl.LazyFrame:
        """Return the rows of the days in [first, last] with a column ``date``; a dimension has none.

        Columns that older minor versions of the schema lack are null.

        Raises:
            LakeError: Nothing is stored, a file is unreadable, or the days mix major versions of the schema.
        """
        days = [d for d in self.days(dataset, table) if (first is None or d >= first) and (last is None or d <= last)]
        if not days:
            single = self.partition(dataset, table, None)
            if single is None:
                window = f" from {first} to {last}" if first or last else ""
                raise LakeError(f"{dataset}/{table} has no partitions{window} in {self.root}; materialize them first")
            return pl.scan_parquet(single.path, storage_options=self.storage.polars_options)
        newest = self._one_major(dataset, table, days)
        paths = [self.path(dataset, table, day) for day in days]
        return pl.scan_parquet(
            paths,
            hive_partitioning=True,
            hive_schema={"date": pl.Date},
            schema=newest,
            missing_columns="insert",
            storage_options=self.storage.polars_options,
        )

    def _one_major(self, dataset: str, table: str, days: list[date]) -> pl.Schema | None:
        """Return the newest schema of some days; refuse several major versions."""
        versions: dict[str, list[date]] = {}
        for day in days:
            found = self.partition(dataset, table, day)
            if found is not None:
                versions.setdefault(found.footer.schema_version, []).append(day)
        majors = {version.partition(".")[0] for version in versions}
        newest = max(versions, key=lambda version: [int(part) for part in version.split(".")])
        if len(majors) > 1:
            stale = sorted(
                d for v, ds in versions.items() if v.partition(".")[0] != newest.partition(".")[0] for d in ds
            )
            raise LakeError(
                f"{dataset}/{table} mixes schema versions {sorted(versions)}: {len(stale)} partitions from "
                f"{stale[0]} to {stale[-1]} are older than {newest}; make them again with "
                f"simtom materialize {dataset}/{table} --start {stale[0]} --end {stale[-1]}"
            )
        if len(versions) == 1:
            return None
        path = self.path(dataset, table, versions[newest][0])
        return pl.scan_parquet(path, storage_options=self.storage.polars_options).collect_schema()

    # -- writing --------------------------------------------------------------------------------------------------

    def kept(self, ref: TableRef, day: date | None, stamp: Stamp, if_exists: IfExists) -> Partition | None:
        """Return the stored partition where it is to be kept, None where it is to be written.

        Raises:
            LakeError: ``if_exists`` is ``error`` and another content is there.
        """
        if if_exists not in ("error", "keep", "overwrite"):
            raise UnknownNameError("if_exists", if_exists, ["error", "keep", "overwrite"])
        try:
            found = self.partition(ref.dataset, ref.schema.name, day)
        except LakeError:
            if if_exists == "overwrite":
                return None
            raise
        if found is None or found.footer.fingerprint == stamp.fingerprint or if_exists == "keep":
            return found
        if if_exists == "overwrite":
            return None
        raise LakeError(
            f"{found.path} holds other data: it was made with {found.footer.generator} revision "
            f"{found.footer.revision} {found.footer.config}, asked for is {stamp.generator} revision {stamp.revision} "
            f"{stamp.config}; pass --if-exists overwrite to replace it"
        )

    def write(
        self,
        ref: TableRef,
        day: date | None,
        batches: Iterable[pl.DataFrame],
        stamp: Stamp,
        *,
        if_exists: IfExists = "error",
        observed: PartitionStats | None = None,
    ) -> Partition:
        """Write a partition from its frames in order, or keep the one that is there.

        A reader sees the old file or the new one, never half of one.

        Args:
            ref: The table.
            day: The partition's day; None for a dimension.
            batches: The rows in order.
            stamp: What is known of the partition.
            if_exists: What to do with a partition of other content.
            observed: Statistics that see every frame before it is pulled from `batches`; None: gathered here.

        Raises:
            LakeError: Other content is there and may not be replaced, or the storage refuses.
        """
        kept = self.kept(ref, day, stamp, if_exists)
        if kept is not None:
            return kept
        began = time.perf_counter()
        path = self.path(ref.dataset, ref.schema.name, day)
        stats, frames = observed, iter(batches)
        if stats is None:
            stats = statistics(ref, day, stamp)
            frames = stats.observing(frames)
        try:
            with self.storage.replacing(path) as target:
                footer = self._sink(target, frames, stats, ref, stamp)
        except (OSError, pl.exceptions.PolarsError, StorageError) as error:
            raise LakeError(
                f"{path} cannot be written: {_reason(error)}; what was there before is untouched"
            ) from error
        size = self.storage.size(path) or 0
        seconds = time.perf_counter() - began
        return Partition(ref.name, day, path, footer.rows, size, footer, True, seconds)

    def _sink(
        self, target: str, batches: Iterator[pl.DataFrame], stats: PartitionStats, ref: TableRef, stamp: Stamp
    ) -> Footer:
        made: list[Footer] = []

        def footer(_: Any = None) -> dict[str, str]:
            made.append(_make_footer(stats, ref, stamp))
            return {FOOTER_KEY.decode(): json.dumps(vars(made[-1]), sort_keys=True)}

        first = next(batches, None)
        if first is None:
            first = pl.DataFrame(schema=ref.schema.polars_schema(ref.timezone))
            stats.observe(first)
        second = next(batches, None)
        options: dict[str, Any] = {
            "compression": "zstd",
            "compression_level": COMPRESSION_LEVEL,
            "row_group_size": SLICE_ROWS if second is not None or ref.schema.kind != "labels" else LABEL_ROW_GROUP,
            # Of many narrow rows a tenth of the time would go into bounds that no query on a day's labels can use.
            "statistics": ref.schema.kind != "labels",
        }
        if second is None:
            first.write_parquet(target, metadata=footer(), **options)
        else:
            frames = chain([first, second], batches)
            _streamed(frames, first.schema).sink_parquet(target, metadata=footer, maintain_order=True, **options)
        return made[-1]


def statistics(ref: TableRef, day: date | None, stamp: Stamp) -> PartitionStats:
    """Return the statistics of a partition before its first row."""
    return PartitionStats(ref.schema, ref.timezone if day else None, day, stamp.expected_rows, stamp.volume_noise)


def _streamed(frames: Iterator[pl.DataFrame], schema: pl.Schema) -> pl.LazyFrame:
    """Return a lazy frame that pulls the frames once, in order."""

    def source(
        with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        yield from frames

    return register_io_source(source, schema=schema)


def _make_footer(stats: PartitionStats, ref: TableRef, stamp: Stamp) -> Footer:
    return Footer(
        dataset=ref.dataset,
        table=ref.schema.name,
        generator=stamp.generator,
        revision=stamp.revision,
        day=stamp.day.isoformat(),
        config=stamp.config,
        schema_version=ref.schema.version,
        package_version=simtom_pipelines.__version__,
        rows=stats.rows,
        fingerprint=stamp.fingerprint,
        statistics=stats.result() | ({"events_from": stamp.events_from.isoformat()} if stamp.events_from else {}),
        preview=stats.preview,
    )


def _footer(path: str, metadata: Mapping[bytes, bytes] | None) -> Footer:
    try:
        return Footer(**json.loads((metadata or {})[FOOTER_KEY]))
    except (KeyError, TypeError, ValueError):
        raise LakeError(
            f"{path} was not written by simtom-pipelines: its footer carries no {FOOTER_KEY.decode()!r} entry; "
            "move it away, or overwrite it to make it again"
        ) from None


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).splitlines()[0]
