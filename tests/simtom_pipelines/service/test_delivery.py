"""Pacing in the event loop, on a loop whose time moves only when it is slept on."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Executor, Future
from datetime import date, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest

from simtom_pipelines.replay.encoder import encode
from simtom_pipelines.replay.source import Chunk, Mark, Position
from simtom_pipelines.service.account import Ticket
from simtom_pipelines.service.delivery import QUANTUM_PER_STREAM, QUANTUM_SECONDS, Delivery
from simtom_pipelines.service.framing import ndjson
from simtom_pipelines.service.metrics import StreamMetrics

QUANTUM = QUANTUM_SECONDS + QUANTUM_PER_STREAM
CHUNK = 10


class VirtualSelector(selectors.SelectSelector):
    """Never waits: what would be waited for passes at once."""

    passed = 0.0

    def select(self, timeout: float | None = None) -> Any:
        found = super().select(0)
        if not found and timeout:
            self.passed += timeout
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.selector = VirtualSelector()
        super().__init__(self.selector)

    def time(self) -> float:
        return self.selector.passed


class Inline(Executor):
    """Runs things where they are asked for."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except Exception as error:
            done.set_exception(error)
        return done


class Ticks:
    """Record n is due at n times `gap` microseconds."""

    identity = "ticks"

    def __init__(self, count: int, gap: int = 1_000_000, fail_at: int | None = None) -> None:
        self.count, self.gap, self.fail_at = count, gap, fail_at
        self.made = 0

    def chunks(self, position: Position) -> Iterator[Chunk]:
        first = position.marks[0].row if position.marks else 0
        for n in range(first, self.count, CHUNK):
            if self.fail_at is not None and n >= self.fail_at:
                raise RuntimeError("broken")
            rows = np.arange(n, min(n + CHUNK, self.count))
            buffer, offsets = encode(pl.DataFrame({"n": rows}))
            self.made += len(rows)
            begin = Position(marks=(Mark("t", "d", n),), stored=n, arrived=n)
            yield Chunk(begin, rows * self.gap, rows * self.gap, buffer, offsets)

    def seek(self, moment: date | datetime) -> Position:
        return Position(marks=(Mark("t", "d", moment.day),))

    def check(self, position: Position) -> None:
        return


class World:
    """A delivery whose client notes when each record came."""

    def __init__(self, source: Ticks, **fields: Any) -> None:
        self.moments: list[float] = []
        self.numbers: list[int] = []
        self.busy = 0.0
        self.at: dict[int, Callable[[], None]] = {}
        ticket = Ticket("1", "live", "g", "g", "time", "", {})
        defaults = {"speed": 1.0, "origin": None, "position": Position(), "total": None}
        self.delivery = Delivery(
            ticket, source, ndjson(), threads=Inline(), metrics=StreamMetrics(list), crowd=lambda: 1,
            **{**defaults, **fields},
        )  # fmt: skip

    async def write(self, data: bytes | memoryview) -> None:
        if self.busy:
            await asyncio.sleep(self.busy)
        for line in bytes(data).splitlines():
            self.numbers.append(int(line[5:-1]))
            self.moments.append(asyncio.get_running_loop().time())
            self.at.pop(len(self.numbers), lambda: None)()


def run(act: Callable[[], Awaitable[None]]) -> None:
    loop = VirtualLoop()
    try:
        loop.run_until_complete(asyncio.wait_for(act(), 1e7))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()


@pytest.mark.parametrize("speed", [0.5, 1.0, 20.0])
def test_records_come_at_their_place_and_never_early(speed: float) -> None:
    async def act() -> None:
        world = World(Ticks(3_600), speed=speed)
        await world.delivery.run(world.write)
        late = np.array(world.moments) - np.arange(3_600) / speed
        assert world.numbers == list(range(3_600))
        assert late.min() >= -1e-12
        assert late.max() <= QUANTUM + 1e-6
        assert world.delivery.reason == "finished"

    run(act)


def test_dense_records_share_a_write_and_keep_the_schedule() -> None:
    async def act() -> None:
        world = World(Ticks(5_000, gap=10))
        await world.delivery.run(world.write)
        late = np.array(world.moments) - np.arange(5_000) * 1e-5
        assert late.min() >= -1e-12
        assert late.max() <= 2 * QUANTUM
        assert len(set(world.moments)) < 150

    run(act)


def test_schedule_may_begin_before_the_first_record() -> None:
    async def act() -> None:
        world = World(Ticks(5), origin=-7_000_000)
        await world.delivery.run(world.write)
        assert world.moments == pytest.approx([7, 8, 9, 10, 11], abs=2 * QUANTUM)

    run(act)


def test_pause_moves_the_schedule_and_makes_nothing_late() -> None:
    async def act() -> None:
        world = World(Ticks(30))
        running = asyncio.ensure_future(world.delivery.run(world.write))
        await asyncio.sleep(9.5)
        world.delivery.pause()
        clock = world.delivery.snapshot()["clock"]
        await asyncio.sleep(100)
        assert len(world.numbers) == 10
        assert world.delivery.snapshot()["clock"] == clock
        world.delivery.resume()
        await running
        expected = np.arange(30) + np.where(np.arange(30) >= 10, 100, 0)
        np.testing.assert_allclose(world.moments, expected, atol=2 * QUANTUM)
        assert world.delivery.snapshot()["lateness_ms"]["max"] <= 2e3 * QUANTUM

    run(act)


def test_steps_send_as_many_and_stay_paused() -> None:
    async def act() -> None:
        world = World(Ticks(40))
        running = asyncio.ensure_future(world.delivery.run(world.write))
        await asyncio.sleep(4.5)
        world.delivery.step(12)
        await asyncio.sleep(50)
        assert world.numbers == list(range(17))
        assert world.delivery.state == "paused"
        world.delivery.stop("enough")
        await running
        assert world.delivery.reason == "enough"

    run(act)


@pytest.mark.parametrize("paused", [False, True])
def test_speed_changes_without_a_jump(paused: bool) -> None:
    async def act() -> None:
        world = World(Ticks(40))
        running = asyncio.ensure_future(world.delivery.run(world.write))
        await asyncio.sleep(9.5)
        if paused:
            world.delivery.pause()
            await asyncio.sleep(5)
        world.delivery.set_speed(10.0)
        world.delivery.resume()
        await running
        after = 14.5 if paused else 9.5
        expected = np.where(np.arange(40) < 10, np.arange(40), after + (np.arange(40) - 9.5) / 10)
        np.testing.assert_allclose(world.moments, expected, atol=2 * QUANTUM)

    run(act)


def test_as_fast_as_possible_and_back_to_a_schedule() -> None:
    async def act() -> None:
        world = World(Ticks(100_000), speed=None)
        world.at[50] = lambda: world.delivery.set_speed(1.0)
        running = asyncio.ensure_future(world.delivery.run(world.write))
        await asyncio.sleep(20.5)
        moments = np.array(world.moments)
        assert (moments[:50] == 0).all()
        np.testing.assert_allclose(moments[60:], np.arange(len(moments) - 60) + moments[60], atol=2 * QUANTUM)
        assert 70 <= len(moments) <= 82
        world.delivery.stop("enough")
        await running

    run(act)


def test_seek_goes_on_elsewhere_at_once_also_while_paused() -> None:
    async def act() -> None:
        world = World(Ticks(2_000, gap=100_000_000))
        running = asyncio.ensure_future(world.delivery.run(world.write))
        await asyncio.sleep(1)
        await world.delivery.seek(date(2024, 1, 25))
        await asyncio.sleep(1)
        assert world.numbers == [0, 25]
        world.delivery.pause()
        await world.delivery.seek(date(2024, 1, 3))
        await asyncio.sleep(500)
        assert world.numbers == [0, 25]
        world.delivery.resume()
        await asyncio.sleep(1)
        assert world.numbers == [0, 25, 3]
        world.delivery.stop("enough")
        await running

    run(act)


def test_total_counts_over_seeks_and_resumes() -> None:
    async def act() -> None:
        world = World(Ticks(1_000), total=25, position=Position(marks=(Mark("t", "d", 4),), arrived=4))
        running = asyncio.ensure_future(world.delivery.run(world.write))
        await asyncio.sleep(5.5)
        await world.delivery.seek(date(2024, 1, 2))
        await running
        assert world.numbers == [*range(4, 10), *range(2, 17)]

    run(act)


def test_slow_client_holds_two_chunks_and_its_lateness_shows() -> None:
    async def act() -> None:
        source = Ticks(100_000, gap=1_000)
        world = World(source)
        world.busy = 3_600.0
        running = asyncio.ensure_future(world.delivery.run(world.write))
        await asyncio.sleep(10_000)
        assert source.made - len(world.numbers) <= 3 * CHUNK
        assert world.delivery.blocked_since is not None
        assert world.delivery.snapshot()["lateness_ms"]["max"] > 3e6
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert not world.delivery.running

    run(act)


def test_broken_source_ends_the_stream_with_its_error() -> None:
    async def act() -> None:
        world = World(Ticks(100, fail_at=20), speed=100.0)
        await world.delivery.run(world.write)
        assert world.numbers == list(range(20))
        assert (world.delivery.reason, str(world.delivery.failure)) == ("failed", "broken")

    run(act)
