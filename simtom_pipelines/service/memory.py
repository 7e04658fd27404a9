"""The process's memory: how much it holds, and giving back what the C library keeps for later."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable


def resident_bytes() -> int | None:
    """Return the process's resident memory; None where the system does not tell."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


def _trim() -> Callable[[int], int] | None:
    try:
        found: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return None
    return found


_malloc_trim = _trim()


def release() -> None:
    """Give freed memory back to the system.

    The tables of two hundred seeds pass through the heap of the service, and glibc keeps the holes: 100 MB more than is
    in use. A call takes a few milliseconds and does not hold the interpreter. Elsewhere than on glibc it does nothing.
    """
    if _malloc_trim is not None:
        _malloc_trim(0)
