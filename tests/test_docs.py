"""The documentation's example is run as a reader would run it."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from bench.draw_volume import TARGET, draw
from generators import discover_generators, generator_class, get_generator, list_generators, registry
from generators.scenarios import presets_of
from simtom_pipelines import cli, console
from simtom_pipelines.datasets import load_datasets

DOCS = Path(__file__).resolve().parents[1] / "docs"
DAY = date(2024, 11, 29)


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def signups(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("plugins")
    (example,) = blocks("adding-a-generator.md", "python")
    (folder / "signups.py").write_text(example)
    discover_generators(folder)
    assert "signups.py" not in registry.failures
    return "signups"


def test_example_keeps_the_contract(signups: str) -> None:
    generator = get_generator(signups, seed=3)
    frame = generator.generate(DAY)
    assert frame.schema == generator.events.polars_schema(generator.config.timezone)
    assert generator.events.violations(frame) == []
    assert frame["timestamp"].is_sorted()
    assert frame["timestamp"].dt.date().unique().to_list() == [DAY]
    assert frame.height == generator.plan(DAY).rows


def test_example_day_is_pure(signups: str) -> None:
    generator = get_generator(signups)
    frames = [generator.generate(DAY + timedelta(days=i)) for i in range(3)]
    assert get_generator(signups).generate(DAY + timedelta(days=2)).equals(frames[2])
    assert pl.concat(list(generator.batches(DAY, rows=17))).equals(frames[0])
    assert pl.concat(frames)["account_id"].is_unique().all()


def test_example_knob_is_read(signups: str) -> None:
    frame = get_generator(signups, pro_share=0.5, base_daily_volume=20_000).generate(DAY)
    assert abs((frame["plan"] == "pro").mean() - 0.5) < 5 * 0.5 / frame.height**0.5


def test_picture_of_the_year_is_current() -> None:
    assert TARGET.read_text() == draw(), "stale: run `make docs`"


def test_readme_lines_print_a_frame() -> None:
    (lines,) = re.findall(r"^```python\n(.*?)^```$", (DOCS.parent / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=True, cwd=DOCS.parent)
    assert "shape: (" in done.stdout


@pytest.mark.long
def test_training_page_shows_what_its_code_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole worked example: ten months of purchases, five models; about a minute of one core."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SIMTOM_DATASETS", raising=False)
    monkeypatch.delenv("SIMTOM_LAKE", raising=False)
    monkeypatch.setattr(console, "leave", sys.exit)
    commands = [line for block in blocks("training.md", "bash") for line in block.splitlines() if " generate " in line]
    assert len(commands) == 3
    for command in commands:
        monkeypatch.setattr("sys.argv", shlex.split(command))
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        assert stopped.value.code in (0, None)
    capsys.readouterr()
    (code,) = blocks("training.md", "python")
    exec(compile(code, "training.md", "exec"), {})
    (printed,) = [block for block in blocks("training.md", "text") if block.startswith("trained on")]
    found, shown = (_rows_of_table(text) for text in (capsys.readouterr().out, printed))
    assert found.keys() == shown.keys()
    for name, values in shown.items():
        assert found[name] == pytest.approx(values, abs=0.005), name  # of another version of scikit-learn, too


def _rows_of_table(text: str) -> dict[str, list[float]]:
    lines = [re.split(r"\s{2,}", line.strip()) for line in text.strip().splitlines()[1:]]
    return {name: [float(value.replace(",", "")) for value in values] for name, *values in lines}


def test_drifts_of_the_page_are_taken(tmp_path: Path) -> None:
    (listed,) = blocks("drift.md", "yaml")
    (tmp_path / "datasets.yaml").write_text(listed)
    config = load_datasets(tmp_path / "datasets.yaml")["bnpl"].config
    assert [drift.preset for drift in config.drift] == ["economic_shock", "policy_change", "new_segment"]  # type: ignore[attr-defined]
    page = (DOCS / "drift.md").read_text()
    for info in list_generators():
        for preset in presets_of(generator_class(info.name).config_type):
            assert f"| `{preset}` |" in page, preset


def test_links_between_pages_lead_somewhere() -> None:
    root = DOCS.parent
    for page in [root / "README.md", root / "CONTRIBUTING.md", *DOCS.rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
