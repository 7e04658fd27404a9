"""Single keys in a terminal steer a replay: space, s or right, up and down."""

from __future__ import annotations

import os
import select
import sys
import termios
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from simtom_pipelines.replay.control import ReplayControl

HELP = "keys: space pause and resume, s or right one record, up and down speed by a tenth, Ctrl-C stop"
SPEED_STEP = 1.1
_WAIT_SECONDS = 0.1
_UP, _DOWN, _RIGHT = b"\x1b[A", b"\x1b[B", b"\x1b[C"
_ARROWS = {b"\x1bOA": _UP, b"\x1bOB": _DOWN, b"\x1bOC": _RIGHT}
"""What a terminal in application mode sends instead."""


@contextmanager
def keys(control: ReplayControl, say: Callable[[str], None], fd: int | None = None) -> Iterator[bool]:
    """Read single keys inside the block, where the descriptor is a terminal of which this process is in the foreground.

    Args:
        control: What the keys steer.
        say: Told what a key did.
        fd: The terminal; default: standard input.

    Yields:
        Whether keys are read.
    """
    fd = _stdin() if fd is None else fd
    if not _ours(fd):
        yield False
        return
    before = termios.tcgetattr(fd)
    closed = threading.Event()
    thread = threading.Thread(target=_listen, args=(fd, control, say, closed), name="replay-keys", daemon=True)
    tty.setcbreak(fd)
    thread.start()
    try:
        yield True
    finally:
        closed.set()
        thread.join()
        if _ours(fd):  # a process in the background that sets the terminal is stopped by it
            termios.tcsetattr(fd, termios.TCSADRAIN, before)


def press(key: bytes, control: ReplayControl) -> str | None:
    """Do what a key stands for and return what was done; None: nothing."""
    if key == b" ":
        control.toggle()
        return "paused" if control.paused else "resumed"
    if key in (b"s", _RIGHT):
        control.step()
        return None
    if key in (_UP, _DOWN):
        if not control.begun:
            return None
        control.scale(SPEED_STEP if key == _UP else 1.0 / SPEED_STEP)
        speed = control.compression
        return "as fast as possible; there is no speed to change" if speed is None else f"compression {speed:,.6g}"
    return None


def _stdin() -> int:
    try:
        return sys.stdin.fileno()
    except (AttributeError, ValueError, OSError):  # closed, or not a file
        return -1


def _ours(fd: int) -> bool:
    try:
        return os.isatty(fd) and os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:
        return False


def _listen(fd: int, control: ReplayControl, say: Callable[[str], None], closed: threading.Event) -> None:
    while not closed.is_set():
        if not select.select([fd], [], [], _WAIT_SECONDS)[0]:
            continue
        if not _ours(fd):
            closed.wait(_WAIT_SECONDS)
            continue
        try:
            typed = os.read(fd, 64)
        except OSError:
            return
        if not typed:
            return
        for key in _split(typed):
            done = press(key, control)
            if done is not None:
                say(done)


def _split(typed: bytes) -> Iterator[bytes]:
    """Yield the keys of what was typed at once: arrows come as three bytes."""
    at = 0
    while at < len(typed):
        arrow = _ARROWS.get(typed[at : at + 3], typed[at : at + 3])
        if arrow in (_UP, _DOWN, _RIGHT):
            yield arrow
            at += 3
        else:
            yield typed[at : at + 1]
            at += 1
