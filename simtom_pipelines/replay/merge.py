"""Several tables in one order: (event time, rank of the table, row), whatever the sizes of the blocks that come in."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simtom_pipelines.replay.reader import Block, TableReader
from simtom_pipelines.replay.source import Mark
from simtom_pipelines.replay.timeline import Times


@dataclass(frozen=True)
class Piece:
    """Merged rows that follow each other; those of one table are of one partition.

    Attributes:
        marks: Next row of each table before the piece.
        slices: Rank, block and bounds of the rows that each table brings; tables without a row are not among them.
        times: Event times of all of them in order, shape (n,).
        ranks: Rank of each row's table, shape (n,).
    """

    marks: tuple[Mark, ...]
    slices: tuple[tuple[int, Block, int, int], ...]
    times: Times
    ranks: NDArray[np.intp]


class _Head:
    """The block of one table at hand, and how far it is used up."""

    def __init__(self, rank: int, reader: TableReader, mark: Mark, times_only: bool) -> None:
        self.rank, self.reader, self.mark = rank, reader, mark
        self._blocks = reader.blocks(mark, times_only=times_only)
        self.block: Block | None = None
        self.at = 0
        self._done = False

    def fill(self) -> None:
        """Fetch the next block where the one at hand is used up, and note the mark of the next row."""
        if self._done:
            return
        if self.block is None or self.at == len(self.block.times):
            self.block, self.at = next(self._blocks, None), 0
        if self.block is None:
            self._done, self.mark = True, self.reader.end()
        else:
            self.mark = Mark(self.reader.table, self.block.day.isoformat(), int(self.block.rows[self.at]))

    def close(self) -> None:
        """Close the file that is open."""
        self._blocks.close()


def merged(
    readers: Sequence[TableReader], marks: Sequence[Mark], size: int, *, times_only: bool = False
) -> Generator[Piece, None, None]:
    """Yield one turn of the tables from their marks on, at most `size` rows at a time."""
    heads: list[_Head] = []
    try:
        heads += [_Head(n, reader, marks[n], times_only) for n, reader in enumerate(readers)]
        while True:
            for head in heads:
                head.fill()
            live = [head for head in heads if head.block is not None]
            if not live:
                return
            yield _next_piece(heads, live, size)
    finally:
        for head in heads:
            head.close()


def _next_piece(heads: Sequence[_Head], live: Sequence[_Head], size: int) -> Piece:
    """Cut the next piece off the blocks at hand.

    Nothing can come before the last row of the block that ends first. Of equal ends the lower rank's counts: rows of
    higher ranks with that time must wait for what the lower one may still bring.
    """
    ends = [(int(h.block.times[-1]), h.rank) for h in live if h.block is not None]
    limit, rank = min(ends)
    found = []
    for head in live:
        assert head.block is not None
        side = "right" if head.rank <= rank else "left"
        end = int(np.searchsorted(head.block.times, limit, side))  # type: ignore[call-overload]
        end = min(end, head.at + size)
        if end > head.at:
            found.append((head, end))
    times = np.concatenate([h.block.times[h.at : end] for h, end in found if h.block is not None])
    ranks = np.repeat([h.rank for h, _ in found], [end - h.at for h, end in found])
    if len(found) > 1:
        order = np.argsort(times, kind="stable")[:size]  # stable: equal times stay in the order (rank, row)
        times, ranks = times[order], ranks[order]
    marks = tuple(head.mark for head in heads)
    slices = []
    for head, _ in found:
        taken = int(np.count_nonzero(ranks == head.rank))
        assert head.block is not None
        if taken:
            slices.append((head.rank, head.block, head.at, head.at + taken))
            head.at += taken
    return Piece(marks, tuple(slices), times, ranks)
