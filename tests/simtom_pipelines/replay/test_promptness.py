"""The scheduler and the interpreter are asked for promptness inside the block alone."""

from __future__ import annotations

import gc
import os
import re
import sys
import threading
from pathlib import Path

import pytest

from simtom_pipelines.replay.promptness import SLICE_SECONDS, SWITCH_SECONDS, interpreter_at_hand, short_slice


def own_slice() -> float | None:
    """Return the slice in seconds that the kernel says the calling thread has; None where it does not say."""
    path = Path(f"/proc/self/task/{threading.get_native_id()}/sched")
    found = re.search(r"^se\.slice\s*:\s*(\d+)", path.read_text(), re.MULTILINE) if path.exists() else None
    return None if found is None else int(found[1]) / 1e9


def test_the_calling_thread_has_a_short_slice_inside_the_block_alone() -> None:
    before, nice = own_slice(), os.getpriority(os.PRIO_PROCESS, 0)
    if before is None:
        pytest.skip("this kernel does not tell the slice of a thread")
    with short_slice():
        assert own_slice() == pytest.approx(SLICE_SECONDS)
        assert os.getpriority(os.PRIO_PROCESS, 0) == nice
    assert own_slice() == before


def test_the_interpreter_is_set_up_inside_the_block_alone() -> None:
    before, frozen = sys.getswitchinterval(), gc.get_freeze_count()
    with interpreter_at_hand():
        assert sys.getswitchinterval() == pytest.approx(SWITCH_SECONDS)
        assert gc.get_freeze_count() > frozen
    assert (sys.getswitchinterval(), gc.get_freeze_count(), gc.isenabled()) == (before, frozen, True)
