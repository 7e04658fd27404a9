"""The architecture's arrows: who may import whom."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = sorted((ROOT / "generators").rglob("*.py"))
PIPELINES = sorted((ROOT / "simtom_pipelines").rglob("*.py"))
WITH_DAGSTER = {
    "definitions.py", "assets.py", "checks.py", "partitions.py", "resources.py", "jobs.py", "launcher.py",
    "io_manager.py", "metadata.py", "summary.py", "instance.py", "run.py",
}  # fmt: skip
COMMANDS = {"cli.py", "demo.py"}
LOW = {"lake.py", "datasets.py", "settings.py", "materialize.py", "partition_stats.py"}
OUTSIDE = {"simtom_pipelines", "dagster", "time", "os", "io", "pathlib", "tempfile", "shutil", "socket", "subprocess"}


def imports(path: Path) -> Iterator[str]:
    """The modules that a file imports anywhere, functions included."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""


def roots(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imports(path)}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", LIBRARY, ids=name)
def test_library_knows_no_pipeline_dagster_clock_or_disk(path: Path) -> None:
    # Plugins are found in folders, so the registry, and only it, looks at the disk.
    allowed = {"pathlib"} if path.name == "registry.py" else set()
    assert roots(path) & (OUTSIDE - allowed) == set()


def at_the_top(path: Path) -> set[str]:
    """The packages that importing the file imports, functions not among them."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found


@pytest.mark.parametrize("path", LIBRARY, ids=name)
def test_library_loads_holidays_and_faker_on_first_use(path: Path) -> None:
    assert at_the_top(path) & {"holidays", "faker"} == set()


@pytest.mark.parametrize("path", [p for p in PIPELINES if p.name not in WITH_DAGSTER | COMMANDS], ids=name)
def test_dagster_is_imported_in_its_own_modules_only(path: Path) -> None:
    assert "dagster" not in roots(path)


@pytest.mark.parametrize("path", [p for p in PIPELINES if p.name in COMMANDS], ids=name)
def test_commands_reach_for_dagster_where_they_need_it(path: Path) -> None:
    assert "dagster" not in at_the_top(path)


@pytest.mark.parametrize(
    "path", [p for p in PIPELINES if p.name in LOW or "replay" in p.relative_to(ROOT).parts], ids=name
)
def test_lower_modules_do_not_reach_for_dagster_modules(path: Path) -> None:
    upper = {f"simtom_pipelines.{module.removesuffix('.py')}" for module in WITH_DAGSTER | COMMANDS}
    assert set(imports(path)) & upper == set()


@pytest.mark.parametrize("code", ["import generators", "from generators import list_generators; list_generators()"])
def test_importing_the_library_stays_light(code: str) -> None:
    heavy = "dagster", "holidays", "faker", "pandas", "simtom_pipelines"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; {code}; print([m for m in {heavy!r} if m in sys.modules])"],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    assert done.stdout.strip() == "[]"
