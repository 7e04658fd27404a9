"""What feeds a replay: chunks of encoded records from a position on.

`replay_source` takes anything with the shape of `Source`: the stored tables of a lake (`stored.StoredSource`) or rows
that are made on the fly. A source yields chunks in order, each with the moments at which its records are due and the
position of its first record; everything else (pacing, controls, late policies, cursor, statistics) belongs to the
engine::

    class Ticks:
        identity = "ticks seed=7"

        def chunks(self, position: Position) -> Iterator[Chunk]:
            for n in range(position.stored, 1_000):
                times = np.array([start + n * 1_000_000])
                buffer, offsets = encode(pl.DataFrame({"n": [n]}))
                yield Chunk(Position(stored=n, arrived=n), times, times, buffer, offsets)

        def seek(self, moment: date | datetime) -> Position: ...
        def check(self, position: Position) -> None: ...

    replay_source(Ticks(), sink, Pacing(compression=60.0), control=control)

`chunks` runs in a thread of its own (`feed`) and is closed when the run ends or seeks, so a generator may release
what it holds in ``finally``; `seek` and `check` are called from the pacer's thread meanwhile. A source without an end
goes on yielding. One that waits for something yields a chunk without records a few times a second: only there can it
be closed, and a run ends when its source is closed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from simtom_pipelines.replay.timeline import Times


@dataclass(frozen=True)
class Mark:
    """The next row of one table: `row` of partition `day`; no day: before the first."""

    table: str
    day: str | None = None
    row: int = 0


@dataclass(frozen=True)
class Position:
    """Where a replay goes on: `skip` records after the place that the marks name. The default is the beginning.

    Attributes:
        marks: Next row of each table.
        cycle: Turn of the loop.
        skip: Records delivered since the marks.
        stored: Records of the source before the marks, all turns counted.
        arrived: Records delivered before this position, all turns counted; it numbers the records of the stream.
        shift: Microseconds that ``rebase`` adds to the instants in the records.
        fingerprints: (table, day, fingerprint) of the partitions from the marks up to here.
    """

    marks: tuple[Mark, ...] = ()
    cycle: int = 0
    skip: int = 0
    stored: int = 0
    arrived: int = 0
    shift: int = 0
    fingerprints: tuple[tuple[str, str, str], ...] = ()

    def after(self, records: int) -> Position:
        """Return the position so many delivered records later."""
        return replace(self, skip=self.skip + records, arrived=self.arrived + records)


@dataclass(frozen=True)
class Chunk:
    """Encoded records that follow each other, in the order in which they are delivered.

    Attributes:
        begin: Position of the first record.
        times: Event times in UTC microseconds, shape (n,).
        due: Their places on the schedule in microseconds, shape (n,), never decreasing, also from chunk to chunk.
            Usually the event times; a loop, a gap cap, a delivery fault or an arrival rate moves them.
        buffer: The NDJSON bytes.
        offsets: Record i is ``buffer[offsets[i]:offsets[i + 1]]``, newline included; shape (n + 1,).
        notes: Lines for the answer key of the delivery faults, as (record, text), by record.
    """

    begin: Position
    times: Times
    due: Times
    buffer: memoryview
    offsets: NDArray[np.int64]
    notes: tuple[tuple[int, str], ...] = field(default=(), repr=False)

    def __len__(self) -> int:
        return len(self.times)

    def position(self, j: int) -> Position:
        """Return the position after the first j records."""
        return self.begin.after(j)

    def tail(self, j: int) -> Chunk:
        """Return the chunk without its first j records."""
        notes = tuple((record - j, text) for record, text in self.notes if record >= j)
        return Chunk(self.position(j), self.times[j:], self.due[j:], self.buffer, self.offsets[j:], notes)


class Source(Protocol):
    """Where chunks come from."""

    @property
    def identity(self) -> str:
        """What a cursor must agree on: which records, in which order. The speed is no part of it."""
        ...

    def chunks(self, position: Position) -> Iterator[Chunk]:
        """Yield chunks from the marks of a position on; the engine passes over the `skip` records that follow them.

        The same position gives the same records, whatever the chunking.
        """
        ...

    def seek(self, moment: date | datetime) -> Position:
        """Return the position of the first record at or after a moment, in the turn 0.

        Raises:
            ReplayError: The moment is outside the source; the text names what is inside.
        """
        ...

    def check(self, position: Position) -> None:
        """Raise CursorError where the position's data are no longer those that it was saved over."""
        ...
