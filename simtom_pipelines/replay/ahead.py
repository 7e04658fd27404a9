"""Work that is done side by side and handed on in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import TypeVar

T = TypeVar("T")


def side_by_side(jobs: Generator[Callable[[], T], None, None], workers: int) -> Generator[T, None, None]:
    """Yield what jobs return, in their order; as many as there are workers run in threads ahead of the one at hand.

    What a job raises, or the source of jobs, is raised in its turn: after the results of the jobs before. The source is
    closed at the end.
    """
    with closing(jobs):
        if workers == 1:
            for job in jobs:
                yield job()
            return
        with ThreadPoolExecutor(workers, thread_name_prefix="replay-encode") as pool:
            begun: deque[Future[T]] = deque()
            failure: BaseException | None = None
            while failure is None:
                try:
                    begun.append(pool.submit(next(jobs)))
                except StopIteration:
                    break
                except BaseException as error:
                    failure = error
                if len(begun) > workers:
                    yield begun.popleft().result()
            while begun:
                yield begun.popleft().result()
            if failure is not None:
                raise failure
