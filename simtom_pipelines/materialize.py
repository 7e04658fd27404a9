"""From a dataset and days to partitions in the lake: generating in one thread, writing in another."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import polars as pl

from generators import fingerprint
from generators.base import SLICE_ROWS, BaseGenerator, check_day
from generators.schema import TableSchema
from simtom_pipelines.datasets import DatasetSpec, find_table
from simtom_pipelines.lake import IfExists, LakeError, ParquetLake, Partition, Stamp, TableRef, statistics
from simtom_pipelines.partition_stats import PartitionStats

AHEAD = 2 * SLICE_ROWS
"""Rows that are generated ahead of the writer, at most one frame more."""
FEWEST = SLICE_ROWS // 4
"""Rows that anything in the queue counts for at least, so that many small days do not pile up."""


_watchers: list[Callable[[Partition], None]] = []


@contextmanager
def watching(callback: Callable[[Partition], None]) -> Iterator[None]:
    """Call back for every partition of `write_days` in this process, for progress while a run goes on."""
    _watchers.append(callback)
    try:
        yield
    finally:
        _watchers.remove(callback)


def write_days(
    lake: ParquetLake, spec: DatasetSpec, table: str, days: Iterable[date], *, if_exists: IfExists = "error"
) -> Generator[Partition]:
    """Write the partitions of days that are not there yet, in order; yield each when it is stored.

    A day whose fingerprint is stored is kept without being generated. The others are written in a thread of their own,
    slice by slice, while the next slices and days are generated: memory is bounded whatever the size of a day.

    Args:
        lake: Where to write.
        spec: The dataset.
        table: Name of its event table or of a label table; labels of events before the dataset's start are left out.
        days: The partitions' days.
        if_exists: What to do with a partition of other content: ``error``, ``keep`` or ``overwrite``.

    Raises:
        LakeError: A partition cannot be written, or holds other content.
        CalendarError: A day is outside the calendar.
    """
    schema = find_table({spec.name: spec}, f"{spec.name}/{table}")[1]
    if schema.kind == "dimension":
        raise LakeError(f"{spec.name}/{table} is a dimension: it has no days of its own")
    ref = TableRef(spec.name, schema, spec.config.timezone)
    with spec.make() as generator:
        for partition in _Pipeline(lake, ref, generator, if_exists, spec.start_date).run(days):
            for watcher in _watchers:
                watcher(partition)
            yield partition


def write_dimension(
    lake: ParquetLake, spec: DatasetSpec, table: str, through: date, *, if_exists: IfExists = "error"
) -> Partition:
    """Write a dimension: the entities and versions of [start_date, through].

    Raises:
        LakeError: It cannot be written, or `through` is before the dataset's start.
    """
    if through < spec.start_date:
        raise LakeError(f"{spec.name}/{table}: through {through} is before the dataset's start_date {spec.start_date}")
    schema = find_table({spec.name: spec}, f"{spec.name}/{table}")[1]
    ref = TableRef(spec.name, schema, spec.config.timezone)
    with spec.make() as generator:
        stamp = _stamp(generator, schema, through, spec.start_date)
        frames = generator.dimension(table, spec.start_date, through)
        return lake.write(ref, None, frames, stamp, if_exists=if_exists)


def _stamp(generator: BaseGenerator[Any], schema: TableSchema, day: date, start: date) -> Stamp:
    """Return what is known of a partition; the dataset's start counts where the content depends on it."""
    window = day - timedelta(schema.window)
    depends = schema.kind == "dimension" or (schema.kind == "labels" and window < start)
    return Stamp(
        generator=generator.name,
        revision=generator.revision,
        config=generator.config.canonical(),
        fingerprint=fingerprint(generator, schema, day, start if depends else None),
        day=day,
        events_from=max(start, window) if schema.kind == "labels" else None,
        expected_rows=generator.expected(day) if schema.kind == "events" else None,
        volume_noise=generator.config.volume_noise,
    )


@dataclass(frozen=True)
class _Opened:
    """The next frames on the queue are those of this day, up to `_DAY_ENDS`."""

    day: date
    stamp: Stamp
    statistics: PartitionStats


_DAY_ENDS = object()


class _Ahead(queue.Queue[Any]):
    """A queue that is full by rows: it holds a few small days, or two slices of a large one."""

    def __init__(self) -> None:
        super().__init__(AHEAD)
        self._rows = 0

    def is_ahead(self) -> bool:
        """Return whether more than half of it is full."""
        return self.qsize() > AHEAD // 2

    def _qsize(self) -> int:
        return self._rows

    def _put(self, item: Any) -> None:
        self._rows += _counts_for(item)
        super()._put(item)

    def _get(self) -> Any:
        item = super()._get()
        self._rows -= _counts_for(item)
        return item


def _counts_for(item: Any) -> int:
    return max(FEWEST, item.height) if isinstance(item, pl.DataFrame) else FEWEST


class _Pipeline:
    """Generates days frame by frame and hands the frames to a writer thread, a few ahead."""

    def __init__(
        self, lake: ParquetLake, ref: TableRef, generator: BaseGenerator[Any], if_exists: IfExists, start: date
    ) -> None:
        self.lake, self.ref, self.generator, self.if_exists, self.start = lake, ref, generator, if_exists, start
        self.jobs = _Ahead()
        self.done: queue.Queue[Partition | BaseException | None] = queue.Queue()
        self.stop = threading.Event()
        self.failed = threading.Event()

    def run(self, days: Iterable[date]) -> Iterator[Partition]:
        writer = threading.Thread(target=self._write_all, name="lake-writer", daemon=True)
        writer.start()
        try:
            for day in days:
                self._submit(day)
                yield from self._finished()
            self._put(None)
            while (item := self.done.get()) is not None:
                yield self._checked(item)
        finally:
            self.stop.set()
            self._drain()
            writer.join()

    def _submit(self, day: date) -> None:
        check_day(day)
        schema = self.ref.schema
        stamp = _stamp(self.generator, schema, day, self.start)
        kept = self.lake.kept(self.ref, day, stamp, self.if_exists)
        if kept is not None:
            self._put(kept)
            return
        labels = schema.kind == "labels"
        frames = self.generator.label_batches(schema.name, day, self.start) if labels else self.generator.batches(day)
        stats = statistics(self.ref, day, stamp)
        self._put(_Opened(day, stamp, stats))
        for frame in stats.observing(frames):
            self._put(frame)
        # Where this thread would soon wait for the writer, it takes some work off it; the keys of a large day are
        # compared by the writer, once the frames are gone.
        if stats.rows <= AHEAD and self.jobs.is_ahead():
            stats.compare_keys()
        self._put(_DAY_ENDS)

    def _put(self, job: Any) -> None:
        while not self.failed.is_set():  # _finished raises what the writer met
            try:
                self.jobs.put(job, timeout=0.1)
                return
            except queue.Full:
                continue

    def _finished(self) -> Iterator[Partition]:
        while not self.done.empty():
            item = self.done.get()
            if item is not None:
                yield self._checked(item)

    @staticmethod
    def _checked(item: Partition | BaseException) -> Partition:
        if isinstance(item, BaseException):
            raise item
        return item

    def _drain(self) -> None:
        try:
            while True:
                self.jobs.get_nowait()
        except queue.Empty:
            self.jobs.put(None)

    def _write_all(self) -> None:
        try:
            while (job := self.jobs.get()) is not None and not self.stop.is_set():
                self.done.put(self._write(job) if isinstance(job, _Opened) else job)
        except BaseException as error:
            self.done.put(error)
            self.failed.set()
        finally:
            self.done.put(None)

    def _write(self, opened: _Opened) -> Partition:
        def frames() -> Iterator[Any]:
            while (frame := self.jobs.get()) is not _DAY_ENDS:
                if self.stop.is_set() or frame is None:
                    raise InterruptedError("the run was stopped")
                yield frame

        rest = frames()
        partition = self.lake.write(
            self.ref, opened.day, rest, opened.stamp, if_exists=self.if_exists, observed=opened.statistics
        )
        for _ in rest:  # another run has stored the day meanwhile: its frames are not wanted any more
            pass
        return partition
