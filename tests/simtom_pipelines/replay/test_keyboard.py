"""Single keys on a real pseudo-terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from simtom_pipelines.replay import ReplayControl
from simtom_pipelines.replay.keyboard import keys, press
from tests.simtom_pipelines.replay.folder import FIRST, FolderLake, even, frame

UP, DOWN, RIGHT = b"\x1b[A", b"\x1b[B", b"\x1b[C"


def test_each_key_does_what_the_help_says() -> None:
    control = ReplayControl()
    assert press(UP, control) is None  # nothing runs yet, so there is no speed
    control.began(60.0)
    assert press(b" ", control) == "paused"
    assert control.paused
    assert press(b" ", control) == "resumed"
    assert not control.paused
    assert press(UP, control) == "compression 66"
    assert press(DOWN, control) == "compression 60"
    assert press(b"x", control) is None
    before = control.changes
    for key in (b"s", RIGHT):
        press(key, control)
    assert control.changes == before + 2
    assert control.take().steps == 2
    assert control.paused
    control.set_compression(None)
    assert "no speed to change" in (press(UP, control) or "")


def test_a_pipe_is_left_alone() -> None:
    reading, writing = os.pipe()
    with keys(ReplayControl(), print, fd=reading) as steered:
        assert not steered
    os.close(reading)
    os.close(writing)


SCRIPT = """
import sys, threading
from pathlib import Path
from simtom_pipelines.replay import FileSink, ReplayControl, ReplayRequest, replay, stop_on_signals
from simtom_pipelines.replay.keyboard import keys
from tests.simtom_pipelines.replay.folder import FolderLake
lake, out = sys.argv[1:]
control = ReplayControl(paused=True)
say = lambda text: print(text, flush=True)
with keys(control, say) as steered:
    say(f"steered {steered}")
    report = replay(ReplayRequest("shop", "orders"), FileSink(out), lake=FolderLake(Path(lake)), control=control)
say(f"emitted {report.emitted}")
"""


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    master, slave = pty.openpty()
    yield master, slave
    os.close(master)
    os.close(slave)


def test_keys_in_a_terminal_steer_a_replay(terminal: tuple[int, int], tmp_path: Path) -> None:
    lake = FolderLake(tmp_path / "lake")
    lake.put(FIRST, frame(FIRST, even(5, 86_000.0)))  # in real time it would take a day
    master, slave = terminal
    before = termios.tcgetattr(slave)
    # A session of its own makes the terminal its own.
    code = f"import os, fcntl, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n{SCRIPT}"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(lake.root), str(tmp_path / "out")],
        stdin=slave, stdout=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    timer = threading.Timer(60.0, process.kill)
    timer.start()
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "steered True\n"
        os.write(master, b"ss" + RIGHT)  # at once, as a held key comes
        wait_for_lines(tmp_path / "out", 3, process)
        os.write(master, UP)
        assert process.stdout.readline() == "compression 1.1\n"
        os.write(master, b"  ")
        assert process.stdout.readline() == "resumed\n"
        assert process.stdout.readline() == "paused\n"
        assert len((tmp_path / "out").read_bytes().splitlines()) == 3
        os.write(master, b"ss")
        assert process.stdout.readline() == "emitted 5\n"
    timer.cancel()
    assert process.returncode == 0
    assert termios.tcgetattr(slave) == before


def wait_for_lines(path: Path, count: int, process: subprocess.Popen[str]) -> None:
    pause = threading.Event()
    while process.poll() is None and (not path.exists() or path.read_bytes().count(b"\n") < count):
        pause.wait(0.02)
