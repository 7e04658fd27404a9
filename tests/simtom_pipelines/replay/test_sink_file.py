"""Files cut by size, records or day, and compressed; killed, resumed and foreign ones."""

from __future__ import annotations

import gzip
import json
import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from simtom_pipelines.replay import SinkError
from simtom_pipelines.replay.encoder import encode
from simtom_pipelines.replay.sinks import FileSink, Rotation, Sink, open_sink

COUNT = 3_000
START = datetime(2024, 11, 29, 22, 0, tzinfo=UTC)
MOMENTS = [START + timedelta(seconds=5 * n) for n in range(COUNT)]  # to 02:09:55 the next day
BUFFER, OFFSETS = encode(pl.DataFrame({"n": np.arange(COUNT), "timestamp": MOMENTS, "text": ["x" * 50] * COUNT}))


def deliver(sink: Sink, first: int = 0, last: int = COUNT, step: int = 251) -> None:
    sink.open(threading.Event())
    for i in range(first, last, step):
        sink.send(BUFFER, OFFSETS, i, min(i + step, last))
        sink.poll()
    sink.flush()
    assert sink.acked() == last - first
    sink.close()


def text(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def joined(folder: Path) -> bytes:
    return b"".join(text(path) for path in files(folder))


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("rotate", ["20KB", "400 records"])
def test_row_of_files_holds_every_record_once_and_no_file_is_too_large(
    tmp_path: Path, ending: str, rotate: str
) -> None:
    target = f"file:{tmp_path}/out.ndjson{ending}"
    deliver(open_sink(target, rotate=rotate), 0, 1_700)
    deliver(open_sink(target, rotate=rotate), 1_700)  # resumed: the last file is filled up
    assert joined(tmp_path) == bytes(BUFFER)
    names = [path.name for path in files(tmp_path)]
    assert names == [f"out-{n:06d}.ndjson{ending}" for n in range(1, len(names) + 1)]
    sizes = [len(text(path)) for path in files(tmp_path)]
    counts = [text(path).count(b"\n") for path in files(tmp_path)]
    if rotate == "20KB":
        assert max(sizes) <= 20_000
        assert min(sizes[:-1]) > 20_000 - 200
    else:
        assert counts == [400] * 7 + [200]


def test_record_larger_than_a_file_stands_alone(tmp_path: Path) -> None:
    deliver(FileSink(tmp_path / "out.ndjson", rotation=Rotation(size=10)), 0, 5)
    assert [text(path).count(b"\n") for path in files(tmp_path)] == [1] * 5


@pytest.mark.parametrize(
    "zone,at", [("UTC", 1_440), ("America/New_York", None), ("Asia/Tokyo", None), ("Asia/Dubai", None)]
)
def test_days_are_those_of_the_zone(tmp_path: Path, zone: str, at: int | None) -> None:
    deliver(open_sink(str(tmp_path / "out.ndjson"), zone=zone, rotate="day"), 0, 2_000)
    deliver(open_sink(str(tmp_path / "out.ndjson"), zone=zone, rotate="day"), 2_000)
    days = {path.name.removeprefix("out-").removesuffix(".ndjson"): path for path in files(tmp_path)}
    local = pl.Series(MOMENTS).dt.convert_time_zone(zone).dt.date()
    assert {day: text(path).count(b"\n") for day, path in days.items()} == {
        str(day): count for day, count in local.value_counts().rows()
    }
    assert joined(tmp_path) == bytes(BUFFER)
    if at is not None:
        assert text(days["2024-11-29"]) == bytes(BUFFER[: OFFSETS[at]])


def test_late_record_goes_to_the_file_of_its_day(tmp_path: Path) -> None:
    sink = open_sink(str(tmp_path / "out.ndjson"), rotate="day")
    sink.open(threading.Event())
    for k in (1_439, 1_440, 1_438, 1_441):
        sink.send(BUFFER, OFFSETS, k, k + 1)
    broken = b'{"n":7,"timest\n'
    sink.send(memoryview(broken), np.array([0, len(broken)]), 0, 1)
    sink.flush()
    sink.close()
    numbers = [[json.loads(line)["n"] for line in text(p).splitlines() if line.endswith(b"}")] for p in files(tmp_path)]
    assert numbers == [[1_439, 1_438], [1_440, 1_441]]
    assert text(files(tmp_path)[1]).endswith(broken)


@pytest.mark.parametrize("cut", [1, 5, 13, 20, 27, 60, 1_000])
def test_gzip_that_a_kill_cut_is_mended(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "out.ndjson.gz"
    deliver(FileSink(path), 0, 502)
    whole = path.read_bytes()
    deliver(FileSink(path), 502, 1_004, step=502)
    path.write_bytes(path.read_bytes()[: len(whole) + cut])
    deliver(FileSink(path), 502)
    assert text(path) == bytes(BUFFER)


def test_gzip_whose_last_member_is_damaged_is_mended(tmp_path: Path) -> None:
    path = tmp_path / "out.ndjson.gz"
    deliver(FileSink(path), 0, 251)
    whole = path.stat().st_size
    deliver(FileSink(path), 251, 502)
    data = bytearray(path.read_bytes())
    data[whole + 100] ^= 0xFF  # a power cut left a hole
    path.write_bytes(data)
    deliver(FileSink(path), 251)
    assert text(path) == bytes(BUFFER)


@pytest.mark.parametrize("content", [gzip.compress(b'{"n":1}\n', mtime=0), b"my notes", b"\x1f\x8b\x08\x00"])
def test_foreign_gzip_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.ndjson.gz"
    path.write_bytes(content)
    with pytest.raises(SinkError, match="no gzip file that a replay wrote"):
        FileSink(path).open(threading.Event())
    assert path.read_bytes() == content


def test_other_readers_read_the_gzip(tmp_path: Path) -> None:
    path = tmp_path / "out.ndjson.gz"
    deliver(FileSink(path))
    assert pl.read_ndjson(path)["n"].to_list() == list(range(COUNT))
    with gzip.open(path, "rt") as lines:
        assert sum(1 for _ in lines) == COUNT


def test_what_to_do_with_files_that_exist(tmp_path: Path) -> None:
    (tmp_path / "out-notes.ndjson").write_text("mine")
    target = str(tmp_path / "out.ndjson")
    deliver(open_sink(target, rotate="400 records"))
    with pytest.raises(SinkError, match=r"out-000001\.ndjson exists"):
        open_sink(target, rotate="400 records", if_exists="error").open(threading.Event())
    deliver(open_sink(target, rotate="2000 records", if_exists="overwrite"))
    assert [path.name for path in files(tmp_path)] == ["out-000001.ndjson", "out-000002.ndjson", "out-notes.ndjson"]


def test_failed_sync_acknowledges_nothing_ever_after(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = FileSink(tmp_path / "out.ndjson")
    sink.open(threading.Event())
    sink.send(BUFFER, OFFSETS, 0, 10)
    sync = os.fsync

    def fail(fd: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(SinkError, match="Input/output error"):
        sink.flush()
    monkeypatch.setattr(os, "fsync", sync)
    with pytest.raises(SinkError):  # the system may have dropped the pages and would say nothing now
        sink.flush()
    with pytest.raises(SinkError):
        sink.poll()
    assert sink.acked() == 0
    sink.close()


@pytest.mark.parametrize(
    "options,match",
    [
        ({"rotate": "weekly"}, "allowed: day"),
        ({"rotate": "0MB"}, "allowed: day"),
        ({"rotate": "0 records"}, "must be positive"),
        ({"rotate": "day", "zone": "Mars/Olympus"}, "no time zone"),
        ({"gzip": "true"}, r"ends in \.gz"),
        ({"level": "12"}, "from 1 to 9"),
        ({"if_exists": "maybe"}, "append, overwrite, error"),
        ({"rotation": "day"}, "no option 'rotation'; options: rotate"),
    ],
)
def test_wrong_option_is_named(tmp_path: Path, options: dict[str, str], match: str) -> None:
    with pytest.raises(SinkError, match=match):
        open_sink(f"file:{tmp_path}/out.ndjson", **options)
    assert files(tmp_path) == []


def test_device_that_no_disk_is_behind_takes_records() -> None:
    deliver(FileSink("/dev/null"))
