"""The command line as a process: what it imports, what a terminal and a pipe see, how Ctrl-C ends it."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from generators import get_generator

ROOT = Path(__file__).resolve().parents[2]
GENEROUS = 40
"""Seconds for what should take about one: the machine of a test may be busy."""


def environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SIMTOM_", "DAGSTER_"))}
    return kept | {"PYTHONPATH": str(ROOT), "DAGSTER_HOME": str(folder / "home"), "TERM": "xterm", "COLUMNS": "100"}


def start(folder: Path, *arguments: str, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "simtom_pipelines", *arguments]
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
    return subprocess.Popen(command, cwd=folder, env=environment(folder), **given)  # type: ignore[call-overload,no-any-return]


def simtom(folder: Path, *arguments: str) -> tuple[int, str, str]:
    with start(folder, *arguments) as process:
        out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def parts(folder: Path) -> list[Path]:
    return sorted(folder.glob("lake/bnpl/transactions/date=*/part-0.parquet"))


def wait_for_parts(process: subprocess.Popen[str], folder: Path, count: int) -> None:
    while len(parts(folder)) < count and process.poll() is None:
        time.sleep(0.02)
    assert process.poll() is None, process.communicate()


def whole(folder: Path, **fields: object) -> int:
    """Return how many partitions there are, each equal to its day; nothing else lies in the lake."""
    generator = get_generator("bnpl", **fields)
    for path in parts(folder):
        day = pl.Series([path.parent.name[5:]]).str.to_date()[0]
        assert pl.read_parquet(path, hive_partitioning=False).equals(generator.generate(day)), path
    assert sum(path.is_file() for path in (folder / "lake").rglob("*")) == len(parts(folder))
    return len(parts(folder))


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a lake of two days."""
    folder = tmp_path_factory.mktemp("stored")
    code, _, err = simtom(
        folder, "generate", "bnpl", "--start", "2024-03-09", "--end", "2024-03-10", "--base-daily-volume", "400"
    )
    assert code == 0, err
    return folder


# -- imports ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["--help"], ["replay", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    code = (
        "import sys\nfrom simtom_pipelines.cli import main\n"
        f"sys.argv = ['simtom', *{arguments!r}]\n"
        "try: main()\nexcept SystemExit: pass\n"
        "heavy = {'dagster', 'polars', 'pyarrow', 'numpy', 'pandas', 'holidays', 'faker', 'fastapi'}\n"
        "heavy &= set(sys.modules)\n"
        "print(heavy, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment(tmp_path),
        check=True,
    )
    assert done.stderr == "set()\n"
    assert done.stdout


# -- Ctrl-C -----------------------------------------------------------------------------------------------------------


def test_interrupted_generate_tells_what_was_done(tmp_path: Path) -> None:
    window = ("--start", "2015-01-01", "--end", "2024-12-31")
    with start(tmp_path, "generate", "bnpl", *window, "--base-daily-volume", "2000") as process:
        wait_for_parts(process, tmp_path, 5)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=GENEROUS)
    assert (process.returncode, out) == (130, "")
    told = re.fullmatch(
        r"([\d,]+) rows: ([\d,]+) of 3,653 days written to lake/bnpl/transactions\nsimtom: interrupted\n", err
    )
    assert told, err
    done = whole(tmp_path, base_daily_volume=2000)
    assert int(told[2].replace(",", "")) <= done <= int(told[2].replace(",", "")) + 3
    assert done >= 5


def test_interrupted_day_of_many_slices_leaves_nothing(tmp_path: Path) -> None:
    """Such a day is one query of polars, which takes half a minute to its end."""
    day = ("--start", "2024-03-05", "--end", "2024-03-05")
    with start(tmp_path, "generate", "bnpl", *day, "--base-daily-volume", "8000000") as process:
        deadline = time.monotonic() + 60
        scratch = tmp_path / "lake" / ".tmp"
        while time.monotonic() < deadline and not (scratch.is_dir() and any(scratch.iterdir())):
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=GENEROUS)
    assert (process.returncode, out) == (130, "")
    assert err.endswith("simtom: interrupted\n")
    assert "Traceback" not in err
    assert not any(path.is_file() for path in (tmp_path / "lake").rglob("*"))


def test_interrupted_replay_ends_in_a_record_and_resumes(stored: Path, tmp_path: Path) -> None:
    arguments = ("--cursor", str(tmp_path / "cursor.json"), "--output", str(tmp_path / "out.ndjson"))
    with start(stored, "replay", "bnpl", "--day-in", "20s", *arguments) as process:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not (tmp_path / "out.ndjson").exists():
            time.sleep(0.02)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=GENEROUS)
    assert (process.returncode, out) == (130, "")
    assert err.endswith("simtom: interrupted\n")
    first = (tmp_path / "out.ndjson").read_bytes()
    assert first == b"" or first.endswith(b"\n")
    code, _, err = simtom(stored, "replay", "bnpl", "--asap", *arguments)
    assert code == 0, err
    ids = [json.loads(line)["transaction_id"] for line in (tmp_path / "out.ndjson").read_text().splitlines()]
    assert ids == pl.read_parquet(stored / "lake/bnpl/transactions")["transaction_id"].to_list()
    assert 0 < first.count(b"\n") < len(ids)


@pytest.mark.long
def test_interrupted_materialize_tells_what_was_done(tmp_path: Path) -> None:
    """Twenty seconds: Dagster starts, plans, writes, and is interrupted."""
    with start(tmp_path, "materialize", "bnpl", "--start", "2024-01-01", "--end", "2024-12-31") as process:
        wait_for_parts(process, tmp_path, 5)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=GENEROUS)
    assert (process.returncode, out) == (130, "")
    assert re.search(r"^[\d,]+ of 366 partitions of bnpl/transactions stored\nsimtom: interrupted$", err, re.MULTILINE)
    assert "Traceback" not in err
    assert whole(tmp_path) >= 5
    code, _, err = simtom(tmp_path, "materialize", "bnpl", "--start", "2024-01-01", "--end", "2024-01-03")
    assert (code, err) == (0, "3 of 3 partitions of bnpl/transactions stored\n")


# -- pipes and terminals ----------------------------------------------------------------------------------------------


def test_reader_that_closes_the_pipe(stored: Path) -> None:
    read, write = os.pipe()
    with start(stored, "replay", "bnpl", "--asap", "--loop", "0", stdout=write) as process:
        os.close(write)
        assert os.read(read, 1000).startswith(b'{"timestamp"')
        os.close(read)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err == "simtom: the reader of the output closed it\n"


def test_closed_pipe_of_a_listing(stored: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    with start(stored, "schema", "bnpl", stdout=write) as process:
        os.close(write)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (1, "")


def on_a_terminal(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run with stderr on a terminal; return the exit code and what the terminal got."""
    terminal, inner = pty.openpty()
    with start(folder, *arguments, stderr=inner) as process:
        os.close(inner)
        shown = b""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if select.select([terminal], [], [], 0.1)[0]:
                try:
                    shown += os.read(terminal, 65_536)
                except OSError:  # the other end is closed
                    break
        process.communicate(timeout=60)
    os.close(terminal)
    return process.returncode, shown.decode()


def test_generate_shows_its_progress_on_a_terminal(tmp_path: Path) -> None:
    arguments = ("generate", "bnpl", "--start", "2024-03-05", "--end", "2024-03-07", "--base-daily-volume", "50")
    code, shown = on_a_terminal(tmp_path, *arguments)
    assert code == 0
    assert "3/3" in shown
    assert "bnpl/transactions" in shown


def test_replay_tells_its_progress_on_a_terminal(stored: Path, tmp_path: Path) -> None:
    output = str(tmp_path / "out.ndjson")
    code, shown = on_a_terminal(stored, "replay", "bnpl", "--day-in", "700ms", "--output", output)
    assert code == 0
    assert len(shown.splitlines()) >= 2  # a line a second, and the last one


@pytest.mark.long
def test_keys_steer_a_stream(tmp_path: Path) -> None:
    """A pseudo-terminal of its own, for keys are read in the foreground alone."""
    spawn = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)"
    stream = ("stream", "bnpl", "--start", "2024-03-09", "--rate", "200", "--output", "out.ndjson")
    command = [sys.executable, "-c", spawn, sys.executable, "-m", "simtom_pipelines", *stream]
    output = tmp_path / "out.ndjson"
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment(tmp_path), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        shown = b""

        def press(key: bytes, until: bytes) -> None:
            nonlocal shown
            process.stdin.write(key)  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]
            before, deadline = len(shown), time.monotonic() + GENEROUS
            while until not in shown[before:] and time.monotonic() < deadline:
                if select.select([process.stdout], [], [], 0.1)[0]:
                    shown += os.read(process.stdout.fileno(), 65_536)  # type: ignore[union-attr]
            assert until in shown[before:], shown

        def lines() -> int:
            return output.read_bytes().count(b"\n") if output.exists() else 0

        while not lines():
            press(b"", b" records")  # a line of progress
        press(b" ", b"paused")
        standing = lines()
        press(b"s", b"records")
        press(b"", b"records")
        assert lines() == standing + 1
        press(b" ", b"resumed")
        press(b"\x1b[A", b"rate 220")
        while lines() == standing + 1:
            press(b"", b" records")
        press(b"\x03", b" records")
        process.stdin.close()
        assert process.wait(GENEROUS) == 130
    assert lines() > standing + 1


# -- a replayed day is the stored day ---------------------------------------------------------------------------------


def test_replayed_day_has_the_stored_rows_in_order_and_scaled_gaps(stored: Path) -> None:
    """Records, and nothing else, arrive when they are due by the gaps of the stored day; stderr has the last line."""
    compression = 20_000
    rows = pl.read_parquet(stored / "lake/bnpl/transactions").filter(pl.col("date") == pl.date(2024, 3, 9))
    arrived: list[float] = []
    lines: list[bytes] = []
    window = ("--start", "2024-03-09", "--end", "2024-03-09")
    options = ("--time-compression", str(compression))
    with start(stored, "replay", "bnpl", *window, *options, text=False, bufsize=0) as process:
        assert process.stdout is not None
        pending = b""
        while chunk := os.read(process.stdout.fileno(), 1 << 20):  # type: ignore[attr-defined]
            now = time.monotonic()
            *complete, pending = (pending + chunk).split(b"\n")  # type: ignore[operator]
            lines += complete
            arrived += [now] * len(complete)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert len(err.splitlines()) == 1
    records = [json.loads(line) for line in lines]
    assert [r["transaction_id"] for r in records] == rows["transaction_id"].to_list()
    assert [r["amount"] for r in records] == rows["amount"].to_list()
    assert list(records[0]) == [name for name in rows.columns if name != "date"]
    instants = rows["timestamp"].dt.epoch("us").to_numpy() / 1e6
    due = (instants - instants[0]) / compression
    late = pl.Series(arrived) - arrived[0] - pl.Series(due)
    # The reader sees the first record late by an unknown bit, so others may seem early by no more than that.
    assert late.median() > -0.25  # type: ignore[operator]
    assert late.median() < 0.25  # type: ignore[operator]
    span = arrived[-1] - arrived[0]
    assert abs(span - due[-1]) < 1.0, (span, due[-1])
