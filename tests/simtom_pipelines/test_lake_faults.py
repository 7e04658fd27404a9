from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pytest

from simtom_pipelines import storage
from simtom_pipelines.lake import LakeError, ParquetLake
from tests.simtom_pipelines.toy_lake import DAY, REF, frame, stamp

ROOT = Path(__file__).resolve().parents[2]
PRELUDE = "from tests.simtom_pipelines.toy_lake import *\nfrom simtom_pipelines.lake import *\nimport sys\n"


@pytest.fixture
def lake(tmp_path: Path) -> ParquetLake:
    return ParquetLake(str(tmp_path / "lake"))


def python(code: str, lake: ParquetLake) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PRELUDE + textwrap.dedent(code), lake.root]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def files(lake: ParquetLake) -> list[str]:
    return sorted(path.name for path in Path(lake.root).rglob("*") if path.is_file())


@pytest.mark.parametrize("content", [b"", b"PAR1", b"not parquet at all" * 100])
def test_unreadable_file_is_named_and_can_be_overwritten(lake: ParquetLake, content: bytes) -> None:
    path = Path(lake.path("toy", "visits", DAY))
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    for call in (
        lambda: lake.partition("toy", "visits", DAY),
        lambda: lake.scan("toy", "visits"),
        lambda: lake.write(REF, DAY, [frame()], stamp()),
    ):
        with pytest.raises(LakeError, match=str(path)):
            call()
    assert path.read_bytes() == content
    assert lake.write(REF, DAY, [frame()], stamp(), if_exists="overwrite").generated


def test_truncated_file_is_refused(lake: ParquetLake) -> None:
    path = Path(lake.write(REF, DAY, [frame()], stamp()).path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(LakeError, match=r"part-0\.parquet is no readable Parquet file"):
        lake.partition("toy", "visits", DAY)


def test_foreign_parquet_is_refused(lake: ParquetLake) -> None:
    path = Path(lake.path("toy", "visits", DAY))
    path.parent.mkdir(parents=True)
    frame().write_parquet(path)
    with pytest.raises(LakeError, match="was not written by simtom-pipelines"):
        lake.write(REF, DAY, [frame()], stamp())


def test_root_that_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    lake = ParquetLake(str(tmp_path / "file"))
    with pytest.raises(LakeError, match=r"cannot be written: .*directory"):
        lake.write(REF, DAY, [frame()], stamp())
    assert lake.days("toy", "visits") == []


@pytest.mark.parametrize("good", [1, 3])
def test_failing_source_leaves_the_old_file(lake: ParquetLake, good: int) -> None:
    def batches() -> Iterator[pl.DataFrame]:
        yield from [frame()] * good
        raise RuntimeError("the source broke")

    lake.write(REF, DAY, [frame()], stamp("old"))
    with pytest.raises((RuntimeError, LakeError), match="the source broke"):
        lake.write(REF, DAY, batches(), stamp("new"), if_exists="overwrite")
    found = lake.partition("toy", "visits", DAY)
    assert found is not None
    assert found.footer.fingerprint == "old"
    assert files(lake) == ["part-0.parquet"]


def test_full_disk_leaves_the_old_file(lake: ParquetLake) -> None:
    """A limit on file size stands in for a full disk: the same failing write call."""
    lake.write(REF, DAY, [frame()], stamp("old"))
    code = """
        import resource
        rows = frame(base_daily_volume=100_000)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        for pieces in (1, 4):
            parts = rows.iter_slices(-(-rows.height // pieces))
            try:
                ParquetLake(sys.argv[1]).write(REF, DAY, parts, stamp("new"), if_exists="overwrite")
            except LakeError as error:
                print(error)
    """
    with python(code, lake) as process:
        out, err = process.communicate(timeout=60)
    assert len(out.splitlines()) == 2, err
    for line in out.splitlines():
        assert "part-0.parquet cannot be written: " in line
        assert "File too large" in line
    assert lake.scan("toy", "visits").drop("date").collect().equals(frame())
    assert files(lake) == ["part-0.parquet"]


def read_by_everyone(lake: ParquetLake) -> None:
    folder = lake.table_path("toy", "visits")
    assert lake.scan("toy", "visits").drop("date").collect().equals(frame())
    assert pl.scan_parquet(folder).collect().height == frame().height
    assert pl.read_parquet(f"{folder}/**/*.parquet").height == frame().height
    assert len(pd.read_parquet(folder)) == frame().height
    with duckdb.connect() as connection:
        count = connection.execute(f"select count(*) from read_parquet('{folder}/*/*.parquet')").fetchone()
    assert count == (frame().height,)


@pytest.mark.parametrize("name", ["date=2024-03-09.part-0.parquet.abc.tmp", "visits.part-0.parquet.xyz.tmp"])
def test_leftover_of_a_killed_writer_is_ignored_then_removed(lake: ParquetLake, name: str) -> None:
    """Whichever partition it was meant for: the next writer of the lake removes it."""
    lake.write(REF, DAY, [frame()], stamp("old"))
    leftover = Path(lake.root, ".tmp", name)
    leftover.write_bytes(b"half of a file")
    read_by_everyone(lake)
    lake.write(REF, DAY, [frame()], stamp("new"), if_exists="overwrite")
    assert not leftover.exists()


def test_readers_see_nothing_of_a_write(lake: ParquetLake) -> None:
    """The folder of a table can be given to polars, pandas and DuckDB while one of its files is being written."""
    lake.write(REF, DAY, [frame()], stamp("old"))
    seen = []

    def batches() -> Iterator[pl.DataFrame]:
        yield frame(seed=2).head(10)
        yield frame(seed=2).slice(10)
        seen.extend(path.name for path in Path(lake.root, ".tmp").iterdir())
        read_by_everyone(lake)

    lake.write(REF, DAY, batches(), stamp("new"), if_exists="overwrite")
    assert len(seen) == 1
    assert seen[0].startswith("date=2024-03-10.part-0.parquet.")
    assert lake.scan("toy", "visits").drop("date").collect().equals(frame(seed=2))
    assert files(lake) == ["part-0.parquet"]


def test_scratch_folder_of_somebody_else(lake: ParquetLake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the folder at the root may not be used, the file is written beside its target; leftovers go as well."""
    lake.write(REF, DAY, [frame()], stamp("old"))
    leftover = Path(lake.path("toy", "visits", DAY)).with_name(".part-0.parquet.abc.tmp")
    leftover.write_bytes(b"half of a file")
    real = storage._locked_temporary

    def refusing(folder: Path, prefix: str) -> tuple[int, Path]:
        if folder.name == ".tmp":
            raise PermissionError(13, "Permission denied")
        return real(folder, prefix)

    monkeypatch.setattr(storage, "_locked_temporary", refusing)
    lake.write(REF, DAY, [frame(seed=2)], stamp("new"), if_exists="overwrite")
    assert lake.scan("toy", "visits").drop("date").collect().equals(frame(seed=2))
    assert files(lake) == ["part-0.parquet"]


@pytest.mark.parametrize("copied", [True, False])
def test_table_mounted_from_elsewhere(lake: ParquetLake, monkeypatch: pytest.MonkeyPatch, copied: bool) -> None:
    """A rename across file systems is refused by the kernel: the file is copied beside its target and renamed there."""
    lake.write(REF, DAY, [frame()], stamp("old"))
    real, moves = os.replace, []

    def replace(source: Path, target: Path) -> None:
        moves.append(source)
        if source.parent.name == ".tmp":
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        if not copied:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(source, target)

    monkeypatch.setattr(storage.os, "replace", replace)
    if copied:
        lake.write(REF, DAY, [frame(seed=2)], stamp("new"), if_exists="overwrite")
    else:
        with pytest.raises(LakeError, match="No space left on device"):
            lake.write(REF, DAY, [frame(seed=2)], stamp("new"), if_exists="overwrite")
    assert [move.parent.name for move in moves] == [".tmp", "date=2024-03-10"]
    assert lake.scan("toy", "visits").drop("date").collect().equals(frame(seed=2 if copied else 0))
    assert files(lake) == ["part-0.parquet"]


def test_temporary_of_a_live_writer_is_left_alone(lake: ParquetLake) -> None:
    def batches() -> Iterator[pl.DataFrame]:
        yield frame().head(10)
        yield frame().slice(10)
        lake.write(REF, DAY, [frame(seed=2)], stamp("inner"), if_exists="overwrite")

    outer = lake.write(REF, DAY, batches(), stamp("outer"), if_exists="overwrite")
    assert outer.footer.fingerprint == "outer"
    assert lake.scan("toy", "visits").drop("date").collect().equals(frame())
    assert files(lake) == ["part-0.parquet"]


def test_writers_of_one_partition_all_complete(lake: ParquetLake) -> None:
    def write(seed: int) -> str:
        rows = frame(seed=seed)
        for _ in range(25):
            lake.write(REF, DAY, [rows], stamp(str(seed)), if_exists="overwrite")
            lake.write(REF, DAY, [rows], stamp(f"{seed} again"), if_exists="overwrite")
        return str(seed)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(write, range(4))) == ["0", "1", "2", "3"]
    found = lake.partition("toy", "visits", DAY)
    assert found is not None
    seed = int(found.footer.fingerprint.split()[0])
    assert lake.scan("toy", "visits").drop("date").collect().equals(frame(seed=seed))
    assert files(lake) == ["part-0.parquet"]


@pytest.mark.long
def test_kill_at_any_moment_loses_nothing(lake: ParquetLake) -> None:
    lake.write(REF, DAY, [frame()], stamp("0"))
    code = """
        rows = [frame(seed=i) for i in range(8)]
        print("ready", flush=True)
        lake = ParquetLake(sys.argv[1])
        for i in range(10**6):
            half = rows[i % 8].height // 2
            parts = iter([rows[i % 8].head(half), rows[i % 8].slice(half)])
            lake.write(REF, DAY, parts, stamp(str(i % 8)), if_exists="overwrite")
            print(i, flush=True)
    """
    seen = []
    for attempt in range(6):
        with python(code, lake) as process:
            assert process.stdout is not None
            for _ in range(2 + attempt):
                process.stdout.readline()
            time.sleep(0.0017 * attempt)
            os.kill(process.pid, signal.SIGKILL)
        found = lake.partition("toy", "visits", DAY)
        assert found is not None
        seen.append(found.footer.fingerprint)
        assert lake.scan("toy", "visits").drop("date").collect().equals(frame(seed=int(seen[-1])))
    lake.write(REF, DAY, [frame()], stamp("done"), if_exists="overwrite")
    assert files(lake) == ["part-0.parquet"]
    assert len(set(seen)) > 1
