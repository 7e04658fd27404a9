"""Ctrl-C while polars is at work: it arrives, once, and never in the middle of a call."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from simtom_pipelines import console, interrupts
from simtom_pipelines.interrupts import patient_interrupts


def through_polars(seen: list[int]) -> pl.Series:
    """Have polars call Python for three values, and Ctrl-C come at the second."""

    def look_at(value: int) -> int:
        if value == 2:
            signal.raise_signal(signal.SIGINT)
        seen.append(value)
        return value

    return pl.Series([1, 2, 3]).map_elements(look_at, return_dtype=pl.Int64)


class Interrupting:
    """Ctrl-C comes when it is dropped, where Python loses exceptions."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


def test_polars_ends_before_the_interrupt_is_raised() -> None:
    seen: list[int] = []
    with pytest.raises(KeyboardInterrupt), patient_interrupts():
        through_polars(seen)
    assert seen == [1, 2, 3]
    assert sys.gettrace() is None


def test_outside_polars_the_interrupt_is_raised_at_once() -> None:
    with pytest.raises(KeyboardInterrupt), patient_interrupts():
        signal.raise_signal(signal.SIGINT)


def test_a_query_that_does_not_end_is_interrupted_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupts, "PATIENCE_SECONDS", 0.05)
    calls: list[int] = []

    def slow(value: int) -> int:
        if not calls:
            signal.raise_signal(signal.SIGINT)
        calls.append(value)
        time.sleep(0.02)
        return value

    with pytest.raises(KeyboardInterrupt), patient_interrupts():
        pl.Series(range(200)).map_elements(slow, return_dtype=pl.Int64)
    assert 2 <= len(calls) < 100


def test_whoever_has_set_the_handler_gets_the_signal_once_and_has_it_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupts, "PATIENCE_SECONDS", 0.1)
    got: list[int] = []

    def handler(number: int, frame: object) -> None:
        got.append(number)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        signal.signal(signal.SIGINT, handler)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        with patient_interrupts():
            with patient_interrupts():  # a block in a block is the block
                seen: list[int] = []
                through_polars(seen)
                assert (seen, got, sys.gettrace()) == ([1, 2, 3], [signal.SIGINT], None)
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGINT) is handler
        time.sleep(1.2 * interrupts.PATIENCE_SECONDS)
        assert got == [signal.SIGINT]
    finally:
        for number, was in before.items():
            signal.signal(number, was)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_interrupt_that_was_lost_in_a_collection_of_garbage_is_raised_again() -> None:
    with patient_interrupts(), patient_interrupts() as deliver_lost:  # the inner block knows of the outer one's
        deliver_lost()
        dropped = Interrupting()
        del dropped  # Python tells of the exception and goes on
        with pytest.raises(KeyboardInterrupt):
            deliver_lost()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("block", [patient_interrupts, console.interruptible])
def test_interrupt_that_was_lost_is_raised_at_the_end_of_the_block(block: Any) -> None:
    reached = []

    def work() -> None:
        with block():
            dropped = Interrupting()
            del dropped
            reached.append("the end")

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        work()
    assert reached == ["the end"]
    assert signal.getsignal(signal.SIGINT) is before


def test_other_threads_may_use_the_block() -> None:
    handlers = []

    def work() -> None:
        with patient_interrupts():
            handlers.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert handlers == [signal.getsignal(signal.SIGINT)]


def test_interrupts_at_any_moment_of_small_calls_never_panic(tmp_path: Path) -> None:
    """polars asks Python for the class of every data type: the moment that once ended in a panic."""
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            """
            import signal, time
            import polars as pl
            from simtom_pipelines.interrupts import patient_interrupts

            frame = pl.DataFrame({"a": ["x"]}, schema={"a": pl.Enum(["x", "y"])})
            for moment in range(300):
                signal.setitimer(signal.ITIMER_REAL, 0.0002 + moment * 1e-6)
                signal.signal(signal.SIGALRM, lambda number, at: signal.raise_signal(signal.SIGINT))
                try:
                    with patient_interrupts():
                        while True:
                            frame.dtypes
                except KeyboardInterrupt:
                    pass
            print("done")
            """
        )
    )
    root = Path(interrupts.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, env={"PYTHONPATH": str(root)}, check=False
    )
    assert (done.stdout, done.stderr, done.returncode) == ("done\n", "", 0)
