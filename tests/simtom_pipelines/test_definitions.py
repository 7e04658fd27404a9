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
    tables = {"transactions", "installments", "outcomes", "customers", "products", "devices", "accounts"}
    assert {f"{dataset}/{table}" for dataset in ("bnpl", "small") for table in tables} <= keys


@pytest.mark.parametrize("table", ["installments", "outcomes"])
def test_labels_hang_on_the_events_of_their_window(dagster_world: World, table: str) -> None:
    graph = dagster_world.definitions.get_repository_def().asset_graph
    events, labels = dg.AssetKey(["bnpl", "transactions"]), dg.AssetKey(["bnpl", table])
    assert graph.get(labels).parent_keys == {events}
    assert graph.get(labels).partitions_def == graph.get(events).partitions_def
    mapping = graph.get_partition_mapping(labels, parent_asset_key=events)
    partitions = graph.get(labels).partitions_def

    def upstream(day: str) -> list[str]:
        found = mapping.get_upstream_mapped_partitions_result_for_partitions(
            partitions.empty_subset().with_partition_keys([day]), partitions, partitions
        )
        return sorted(found.partitions_subset.get_partition_keys())

    days = upstream("2024-07-01")
    assert (len(days), days[0], days[-1]) == (131, "2024-02-22", "2024-07-01")
    assert upstream("2024-01-03") == ["2024-01-01", "2024-01-02", "2024-01-03"]  # nothing is before the start


def test_daily_job_makes_every_table_in_order(dagster_world: World) -> None:
    job = dagster_world.definitions.resolve_job_def("bnpl_materialize")
    result = job.execute_in_process(instance=dagster_world.instance, partition_key="2024-03-11")
    assert result.success
    steps = [e.step_key for e in result.all_events if e.event_type_value == "STEP_SUCCESS"]
    made = [step for step in steps if step.startswith("bnpl__") and step.count("__") == 1]
    assert made[0] == "bnpl__transactions"
    assert set(made) >= {"bnpl__installments", "bnpl__outcomes", "bnpl__customers", "bnpl__accounts"}
    checks = [e.event_specific_data for e in result.all_events if e.event_type_value == "ASSET_CHECK_EVALUATION"]
    assert {(c.asset_key.path[-1], c.check_name) for c in checks} >= {
        ("installments", "references"),
        ("outcomes", "references"),
        ("customers", "attributes"),
        ("devices", "references"),
    }
    assert [c for c in checks if not c.passed] == []


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
