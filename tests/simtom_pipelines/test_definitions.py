from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from generators.errors import SimtomError
from simtom_pipelines.definitions import definitions
from simtom_pipelines.instance import InstanceError, dagster_home
from tests.simtom_pipelines.dagster_world import World


def test_definitions_load_with_all_jobs_and_schedules(dagster_world: World) -> None:
    loaded = definitions()
    assert isinstance(loaded, dg.Definitions)
    dg.Definitions.validate_loadable(loaded)
    repository = loaded.get_repository_def()
    repository.load_all_definitions()
    assert set(repository.job_names) >= {"bnpl_materialize", "small_materialize", "replay"}
    assert {s.name for s in repository.schedule_defs} == {"bnpl_daily", "small_daily"}
    keys = {key.to_user_string() for key in repository.asset_graph.get_all_asset_keys()}
    assert {"bnpl/transactions", "bnpl/customers", "bnpl/daily_summary", "small/transactions"} <= keys


@pytest.mark.parametrize(
    "text, parts",
    [
        ("datasets:\n  - name: a\n    generator: nothing\n    start_date: 2024-01-01\n", ["nothing", "line 3"]),
        (
            "datasets:\n  - name: a\n    generator: bnpl\n    config:\n      base_volume: 3\n",
            ["base_volume", "line 5"],
        ),
        ("datasets:\n  - name: a\n    generator: bnpl\n    start_date: soon\n", ["start_date", "line 4"]),
    ],
)
def test_bad_datasets_file_names_file_line_and_field(dagster_world: World, text: str, parts: list[str]) -> None:
    path = dagster_world.folder / "datasets.yaml"
    path.write_text(text)
    with pytest.raises(SimtomError) as caught:
        definitions()
    for part in [str(path), *parts]:
        assert part in str(caught.value)


def test_schedule_makes_yesterday_in_the_datasets_zone(dagster_world: World) -> None:
    from datetime import UTC, datetime

    repository = dagster_world.definitions.get_repository_def()
    schedule = repository.get_schedule_def("bnpl_daily")
    assert schedule.execution_timezone == "America/New_York"
    moment = datetime(2024, 3, 12, 5, 0, tzinfo=UTC)
    context = dg.build_schedule_context(
        instance=dagster_world.instance, scheduled_execution_time=moment, repository_def=repository
    )
    requests: Any = schedule.evaluate_tick(context).run_requests
    assert [r.partition_key for r in requests] == ["2024-03-11"]


def test_home_is_made_with_its_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    folder = dagster_home()
    text = (folder / "dagster.yaml").read_text()
    assert "telemetry:\n  enabled: false" in text
    assert "run_monitoring:\n  enabled: true" in text
    (folder / "dagster.yaml").write_text("# mine\n")
    dagster_home()
    assert (folder / "dagster.yaml").read_text() == "# mine\n"


def test_home_that_cannot_be_made_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(InstanceError, match="DAGSTER_HOME"):
        dagster_home()
