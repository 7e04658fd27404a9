"""Work side by side: in order, bounded, with what a job raises in its turn."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from functools import partial

import pytest

from simtom_pipelines.replay.ahead import side_by_side


def jobs(count: int, work: Callable[[int], int], begun: list[int]) -> Generator[Callable[[], int], None, None]:
    try:
        for n in range(count):
            begun.append(n)
            yield partial(work, n)
    finally:
        begun.append(-1)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_results_come_in_the_order_of_the_jobs(workers: int) -> None:
    def work(n: int) -> int:
        time.sleep(0.01 if n % 3 == 0 else 0.0)
        return n

    assert list(side_by_side(jobs(40, work, []), workers)) == list(range(40))


def test_jobs_run_at_the_same_time() -> None:
    together = threading.Barrier(2, timeout=10)
    found = list(side_by_side(jobs(6, lambda n: together.wait() * 0 + n, []), 2))
    assert found == list(range(6))


def collected(work: Generator[int, None, None], into: list[int]) -> None:
    into.extend(work)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_a_job_comes_in_its_turn_and_closes_the_jobs(workers: int) -> None:
    begun: list[int] = []
    found: list[int] = []
    work = side_by_side(jobs(100, lambda n: n if n < 5 else n // 0, begun), workers)
    with pytest.raises(ZeroDivisionError):
        collected(work, found)
    assert found == list(range(5))
    assert begun[-1] == -1
    assert len(begun) < 12


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_the_source_comes_after_the_jobs_before_it(workers: int) -> None:
    def source() -> Generator[Callable[[], int], None, None]:
        yield from jobs(3, lambda n: n, [])
        raise ZeroDivisionError

    found: list[int] = []
    work = side_by_side(source(), workers)
    with pytest.raises(ZeroDivisionError):
        collected(work, found)
    assert found == [0, 1, 2]


@pytest.mark.parametrize("workers", [1, 2])
def test_no_more_is_begun_than_is_needed(workers: int) -> None:
    begun: list[int] = []
    work = side_by_side(jobs(1_000_000, lambda n: n, begun), workers)
    assert [next(work) for _ in range(3)] == [0, 1, 2]
    work.close()
    assert begun[-1] == -1
    assert len(begun) <= 3 + workers + 1
