"""Delivery faults put into a stream of chunks, with a note for the answer key for each.

The order of delivery is a total one: a record that is held back comes after the last one that is due no later, a
record that changes places after the one that many places on. Faults depend on the record alone, so the same stream
comes out whatever the chunks were, and a resumed replay begins before the oldest record that is still held back and
passes over what was delivered.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from generators.randomness import hash_key, hash_uniform
from simtom_pipelines.replay.encoder import gather
from simtom_pipelines.replay.faults import KINDS, Faults
from simtom_pipelines.replay.source import Chunk, Position

LATE, DUPLICATE, OUT_OF_ORDER, CORRUPT = range(1, 5)
_IN_PLACE, _BY_PLACES, _BY_TIME = 0, 1, 2
_TURN = 1 << 40
"""More rows than a partition can hold: keeps the turns of a loop apart."""


@dataclass(frozen=True)
class Identified:
    """A chunk whose records are known by table, day and row.

    Attributes:
        chunk: The records.
        ranks: Rank of each record's table, shape (n,).
        rows: Its row in the partition, shape (n,).
        days: Partition of each rank that occurs.
    """

    chunk: Chunk
    ranks: NDArray[np.intp]
    rows: NDArray[np.int64]
    days: Mapping[int, str]


@dataclass(frozen=True)
class _Held:
    """A record that is delivered away from its place.

    Attributes:
        number: Its place in the stream without faults, counted from where the injection began.
        sub: `_BY_PLACES` or `_BY_TIME`.
        target: The number that it comes after, or the schedule time in microseconds that it is due at.
        time: Its event time.
        line: Its bytes.
        note: What the answer key says.
    """

    number: int
    sub: int
    target: int
    time: int
    line: bytes
    note: dict[str, object]


@dataclass
class _Begin:
    """A place from which the stream can be made anew: its first number, its position, what was delivered since."""

    number: int
    position: Position
    delivered: int = 0


def inject(chunks: Iterator[Identified], faults: Faults, tables: Sequence[str], arrived: int) -> Iterator[Chunk]:
    """Yield the chunks with faults, in the order of delivery; `arrived` records were delivered before the first."""
    injector = _Injector(faults, tables, arrived)
    for identified in chunks:
        yield from injector.pass_on(identified)
    yield from injector.end()


class _Injector:
    def __init__(self, faults: Faults, tables: Sequence[str], arrived: int) -> None:
        self.faults, self.tables = faults, tables
        self._edges = np.cumsum(faults.rates)
        self._held: list[_Held] = []
        self._begins: deque[_Begin] = deque()
        self._seen = 0
        self._delivered = arrived
        self._last_due = self._last_number = 0

    def pass_on(self, identified: Identified) -> Iterator[Chunk]:
        """Yield what is to be delivered now that these records are known."""
        chunk, first = identified.chunk, self._seen
        count = len(chunk)
        self._seen += count
        begin = self._begin(_Begin(first, chunk.begin))
        codes = np.searchsorted(self._edges, self._uniform(identified, "kind"), "right") + 1
        codes[codes > len(KINDS)] = 0
        spoilt = self._spoil(identified, codes, first)
        slots, freed = self._free(chunk, first)
        stays = np.flatnonzero((codes != LATE) & (codes != OUT_OF_ORDER))
        lines = [held.line for held in freed] + [line for _, line, _ in spoilt.values()]
        places = np.cumsum([0, *map(len, lines)])
        starts = np.concatenate([chunk.offsets[stays], places[: len(freed)]])
        ends = np.concatenate([chunk.offsets[stays + 1], places[1 : len(freed) + 1]])
        which = np.repeat([0, 1], [len(stays), len(freed)])
        for n, index in enumerate(spoilt, len(freed)):
            at = int(np.searchsorted(stays, index))
            which[at], starts[at], ends[at] = 1, places[n], places[n + 1]
        numbers = np.concatenate([first + stays, np.array([held.number for held in freed], np.int64)])
        subs = np.concatenate([np.zeros(len(stays), np.int64), np.array([held.sub for held in freed], np.int64)])
        due = np.concatenate([chunk.due[stays], self._due(freed, slots, chunk, first)])
        times = np.concatenate([chunk.times[stays], np.array([held.time for held in freed], np.int64)])
        order = np.lexsort((numbers, due, subs, np.concatenate([first + stays, slots])))
        self._last_due, self._last_number = int(chunk.due[-1]), self._seen - 1
        if not len(order):
            return
        notes: dict[int, dict[str, object]] = {}
        for place, k in enumerate(order.tolist()):
            if k >= len(stays):
                notes[place] = freed[k - len(stays)].note
            elif int(stays[k]) in spoilt:
                notes[place] = spoilt[int(stays[k])][2]
        buffer, offsets = gather([chunk.buffer, memoryview(b"".join(lines))], which[order], starts[order], ends[order])
        yield self._chunk(begin, numbers[order], times[order], due[order], buffer, offsets, notes)

    def end(self) -> Iterator[Chunk]:
        """Yield what is still held back when the source ends."""
        held = sorted(self._held, key=lambda h: (h.sub, h.target if h.sub == _BY_TIME else 0, h.number))
        if not held:
            return
        begin = self._begin(None)
        self._held = []
        due = np.array([h.target if h.sub == _BY_TIME else self._last_due for h in held], np.int64)
        notes = {n: h.note for n, h in enumerate(held) if h.number < self._last_number or h.sub == _BY_TIME}
        offsets = np.cumsum([0, *(len(h.line) for h in held)])
        buffer = memoryview(b"".join(h.line for h in held))
        numbers, times = np.array([h.number for h in held]), np.array([h.time for h in held], np.int64)
        yield self._chunk(begin, numbers, times, due, buffer, offsets, notes)

    def _begin(self, added: _Begin | None) -> Position:
        """Return the position of the next record that is delivered."""
        if added is not None:
            self._begins.append(added)
        oldest = min((h.number for h in self._held), default=self._begins[-1].number)
        while len(self._begins) > 1 and self._begins[1].number <= oldest:
            self._begins.popleft()
        base = self._begins[0]
        prints = dict.fromkeys(p for begin in self._begins for p in begin.position.fingerprints)
        return replace(base.position, skip=base.delivered, arrived=self._delivered, fingerprints=tuple(prints))

    def _chunk(
        self,
        begin: Position,
        numbers: NDArray[np.int64],
        times: NDArray[np.int64],
        due: NDArray[np.int64],
        buffer: memoryview,
        offsets: NDArray[np.int64],
        notes: Mapping[int, dict[str, object]],
    ) -> Chunk:
        for each in self._begins:
            each.delivered += int(np.count_nonzero(numbers >= each.number))
        texts = tuple(
            (place, json.dumps({"arrived": begin.arrived + place} | note, ensure_ascii=False))
            for place, note in notes.items()
        )
        self._delivered = begin.arrived + len(numbers)
        return Chunk(begin, times, due, buffer, offsets, texts)

    def _spoil(
        self, identified: Identified, codes: NDArray[np.intp], first: int
    ) -> dict[int, tuple[int, bytes, dict[str, object]]]:
        """Hold back what is late, doubled or out of order, and return what is corrupt by its index.

        The loop is over the records with a fault alone.
        """
        chunk = identified.chunk
        reach, shape = self._uniform(identified, "reach"), self._uniform(identified, "shape")
        spoilt: dict[int, tuple[int, bytes, dict[str, object]]] = {}
        for i in np.flatnonzero(codes).tolist():
            code, rank = int(codes[i]), int(identified.ranks[i])
            line = bytes(chunk.buffer[chunk.offsets[i] : chunk.offsets[i + 1]])
            note: dict[str, object] = {
                "fault": KINDS[code - 1],
                "stored": chunk.begin.stored + i,
                "table": self.tables[rank],
                "day": identified.days[rank],
                "row": int(identified.rows[i]),
                "cycle": chunk.begin.cycle,
            }
            if code == CORRUPT:
                change, broken = _broken(line, float(reach[i]), float(shape[i]))
                note |= {"change": change, "record": line[:-1].decode()}
                spoilt[i] = (code, broken, note)
                continue
            if code == OUT_OF_ORDER:
                places = 1 + int(reach[i] * self.faults.places)
                note["places"] = places
                sub, target = _BY_PLACES, first + i + places
            else:
                delay = 1 + int(reach[i] * self.faults.delay * 1e6)
                note["delay_seconds"] = delay / 1e6
                sub, target = _BY_TIME, int(chunk.due[i]) + delay
            self._held.append(_Held(first + i, sub, target, int(chunk.times[i]), line, note))
        return spoilt

    def _free(self, chunk: Chunk, first: int) -> tuple[NDArray[np.int64], list[_Held]]:
        """Return the held records whose place is known by now, and the number after which each comes."""
        last = int(chunk.due[-1])
        freed = [h for h in self._held if h.target < (last if h.sub == _BY_TIME else self._seen)]
        self._held = [h for h in self._held if h.target >= (last if h.sub == _BY_TIME else self._seen)]
        slots = [
            h.target if h.sub == _BY_PLACES else first + int(np.searchsorted(chunk.due, h.target, "right")) - 1
            for h in freed
        ]
        return np.array(slots, np.int64), freed

    def _due(self, freed: Sequence[_Held], slots: NDArray[np.int64], chunk: Chunk, first: int) -> NDArray[np.int64]:
        """Return when freed records are due: with the record that they come after, or at their own time."""
        return np.array(
            [
                h.target if h.sub == _BY_TIME else int(chunk.due[slot - first])
                for h, slot in zip(freed, slots.tolist(), strict=True)
            ],
            np.int64,
        )

    def _uniform(self, identified: Identified, draw: str) -> NDArray[np.float64]:
        """Return a uniform in [0, 1) of each record, shape (n,)."""
        found = np.empty(len(identified.rows))
        counters = identified.rows + identified.chunk.begin.cycle * _TURN
        for rank, day in identified.days.items():
            mine = identified.ranks == rank
            key = hash_key(self.faults.seed, "fault", self.tables[rank], day, draw)
            found[mine] = hash_uniform(key, counters[mine])
        return found


def _broken(line: bytes, reach: float, shape: float) -> tuple[str, bytes]:
    """Return what is done to a line and the line that arrives: never JSON, always one line."""
    at = 1 + int(reach * (len(line) - 3))
    if shape < 0.5:
        return "cut", line[:at] + b"\n"
    return "byte", line[:at] + b"\xff" + line[at + 1 :]
