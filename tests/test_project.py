"""The repository itself: locks, change log, and nothing of the machine it was written on."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCKS = ("requirements.lock", "requirements-dev.lock")


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name]


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_names_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert not re.search(r"://|--(extra-)?index|--find-links|^-[ef] ", text, re.MULTILINE)


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_pins_and_hashes_every_package(lock: str) -> None:
    entries = re.split(r"\n(?=\S)", (ROOT / lock).read_text().strip())
    assert len(entries) > 50
    for entry in entries:
        assert re.match(r"[a-z0-9._-]+(\[[a-z0-9,-]+\])?==\S+", entry), entry[:80]
        assert "--hash=sha256:" in entry, entry[:80]


def test_run_time_lock_is_part_of_the_development_lock() -> None:
    pins = [set(re.findall(r"^(\S+==\S+)", (ROOT / lock).read_text(), re.MULTILINE)) for lock in LOCKS]
    assert pins[0] <= pins[1]


def test_lock_holds_every_dependency() -> None:
    text = (ROOT / "requirements.lock").read_text()
    for requirement in PROJECT["dependencies"]:
        name = re.split(r"[<>=~\[ ]", requirement)[0]
        assert re.search(rf"^{name}(\[.*\])?==", text, re.MULTILINE), name


def test_changelog_has_the_version() -> None:
    assert f"## [{PROJECT['version']}]" in (ROOT / "CHANGELOG.md").read_text()


def test_tracked_files_hold_no_machine_paths() -> None:
    pattern = re.compile("/" + r"(?:root|home/\w+|work|Users/\w+)/[\w.]")
    found = []
    for path in tracked():
        if path.suffix in {".png", ".parquet"} or not path.is_file():
            continue
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if pattern.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    assert found == []


def test_every_make_target_is_described() -> None:
    lines = (ROOT / "Makefile").read_text().splitlines()
    targets = [line for line in lines if re.match(r"[a-z-]+:", line)]
    assert len(targets) > 8
    assert [line for line in targets if "##" not in line] == []


def test_ci_calls_the_gate() -> None:
    script = ROOT / ".ci" / "run"
    assert re.search(r"^make check\b", script.read_text(), re.MULTILINE)
    assert script.stat().st_mode & 0o100
