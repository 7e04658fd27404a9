"""Sinks on real pipes and files."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from simtom_pipelines.replay import FileSink, SinkClosed, SinkError, StdoutSink
from simtom_pipelines.replay.encoder import encode

BUFFER, OFFSETS = encode(pl.DataFrame({"n": np.arange(20_000), "text": ["x" * 200] * 20_000}))


@pytest.fixture
def pipe() -> Iterator[list[int]]:
    ends = list(os.pipe())
    yield ends
    for end in ends:
        if end >= 0:
            os.close(end)


def test_pipe_takes_every_byte_under_back_pressure(pipe: list[int]) -> None:
    received = bytearray()

    def read() -> None:
        while data := os.read(pipe[0], 3_000):
            received.extend(data)

    sink = StdoutSink(pipe[1])
    sink.open(threading.Event())
    reader = threading.Thread(target=read)
    reader.start()
    assert sink.send(BUFFER, OFFSETS, 0, 15_000) == 15_000
    assert sink.send(BUFFER, OFFSETS, 15_000, 20_000) == 5_000
    sink.close()
    os.close(pipe[1])
    pipe[1] = -1
    reader.join()
    assert bytes(received) == bytes(BUFFER)
    assert sink.acked() == 20_000


def test_pipe_of_others_stays_blocking(pipe: list[int]) -> None:
    sink = StdoutSink(pipe[1])
    sink.open(threading.Event())
    assert not fcntl.fcntl(pipe[1], fcntl.F_GETFL) & os.O_NONBLOCK
    sink.close()


@pytest.mark.parametrize("reopen", [True, False])
def test_stop_ends_a_blocked_write_and_counts_whole_records(
    pipe: list[int], monkeypatch: pytest.MonkeyPatch, reopen: bool
) -> None:
    if not reopen:  # a system without /proc

        def refuse(path: str, flags: int) -> int:
            raise FileNotFoundError(path)

        monkeypatch.setattr("simtom_pipelines.replay.sinks.stdout.os.open", refuse)
    stop = threading.Event()
    sink = StdoutSink(pipe[1])
    sink.open(stop)
    timer = threading.Timer(0.2, stop.set)
    timer.start()
    taken = sink.send(BUFFER, OFFSETS, 0, 20_000)  # nobody reads
    timer.join()
    assert 0 < taken < 20_000
    assert sink.acked() == taken
    sink.close()
    os.set_blocking(pipe[0], False)
    received = os.read(pipe[0], 1 << 22)
    assert received.count(b"\n") == taken
    assert bytes(BUFFER).startswith(received)


def test_closed_reader_is_told_as_such(pipe: list[int]) -> None:
    sink = StdoutSink(pipe[1])
    sink.open(threading.Event())
    os.close(pipe[0])
    pipe[0] = -1
    with pytest.raises(SinkClosed, match="closed"):
        sink.send(BUFFER, OFFSETS, 0, 10)
    sink.close()


def test_full_disk_is_told() -> None:
    sink = FileSink("/dev/full")
    sink.open(threading.Event())
    with pytest.raises(SinkError, match=r"/dev/full failed: .*No space left"):
        sink.send(BUFFER, OFFSETS, 0, 1)
    sink.close()


@pytest.mark.parametrize(
    "before,after", [(b"", b""), (b'{"a":1}\n', b'{"a":1}\n'), (b'{"a":1}\n{"b', b'{"a":1}\n'),
                     (b'{"a":1}', b'{"a":1}\n'), (b'{"b', b""), (b'{"a":"' + b"x" * 200_000, b"")]
)  # fmt: skip
def test_file_is_mended_and_appended_to(tmp_path: Path, before: bytes, after: bytes) -> None:
    path = tmp_path / "new" / "out.ndjson"
    path.parent.mkdir()
    path.write_bytes(before)
    sink = FileSink(path)
    sink.open(threading.Event())
    sink.send(BUFFER, OFFSETS, 3, 5)
    assert sink.acked() == 0
    sink.flush()
    assert sink.acked() == 2
    sink.close()
    assert path.read_bytes() == after + bytes(BUFFER[OFFSETS[3] : OFFSETS[5]])


def test_foreign_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("a\nmy notes")
    with pytest.raises(SinkError, match=r"notes\.txt does not end in a JSON record"):
        FileSink(path).open(threading.Event())
    assert path.read_text() == "a\nmy notes"
    with pytest.raises(SinkError, match=r"notes\.txt exists"):
        FileSink(path, "error").open(threading.Event())
    sink = FileSink(path, "overwrite")
    sink.open(threading.Event())
    sink.close()
    assert path.read_bytes() == b""
