"""What keeps a thread that paces from waiting for the processor and for the interpreter."""

from __future__ import annotations

import ctypes
import gc
import os
import platform
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager

SLICE_SECONDS = 0.0001
"""The shortest time slice that Linux grants. A waking thread with a short slice goes before one with the ordinary slice
of some milliseconds; without it, a record can wait for the end of the encoder's slice."""

SWITCH_SECONDS = 0.0005
"""After this time the interpreter is taken from a thread that keeps it."""

_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}
"""Number of the system call by machine."""

_ATTRIBUTES = struct.Struct("=IIQiIQQQ")
"""Of ``sched_setattr(2)``: size, policy, flags, nice, priority, slice in nanoseconds, deadline, period."""


@contextmanager
def short_slice() -> Iterator[None]:
    """Ask the scheduler to let the calling thread run soon after it wakes.

    It takes no share of the processor from others and needs no rights. Linux knows it from 6.12 on; elsewhere, and
    where the thread has a real-time or batch policy already, nothing is done.
    """
    asked = _ask_for_slice(SLICE_SECONDS)
    try:
        yield
    finally:
        if asked:
            _ask_for_slice(0.0)  # the ordinary one


def _ask_for_slice(seconds: float) -> bool:
    number = _SCHED_SETATTR.get(platform.machine())
    if sys.platform != "linux" or number is None or os.sched_getscheduler(0) != os.SCHED_OTHER:
        return False
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    size = _ATTRIBUTES.size
    attributes = _ATTRIBUTES.pack(size, os.SCHED_OTHER, 0, nice, 0, round(seconds * 1e9), 0, 0)
    return bool(ctypes.CDLL(None).syscall(number, 0, attributes, 0) == 0)


@contextmanager
def interpreter_at_hand() -> Iterator[None]:
    """Shorten the interpreter's switch interval, and keep the garbage collector from what exists already.

    Both are of the whole process: a full collection over the libraries' objects stands still for 30 ms.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        sys.setswitchinterval(before)
