"""What the service says of itself, its generators and datasets, and the numbers that its page plots."""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path

import pytest

import simtom_pipelines
from generators import generator_class, get_generator, list_generators
from simtom_pipelines.lake import ParquetLake
from tests.simtom_pipelines.service.serving import DAY, Service

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def test_health_tells_state_and_resources(service: Service) -> None:
    found = service.get("/health").json()
    assert (found["status"], found["version"]) == ("healthy", simtom_pipelines.__version__)
    assert found["generators_available"] == len(found["generators"]) == len(list_generators())
    assert found["memory_bytes"] > 50e6
    assert found["uptime_seconds"] > 0


def test_every_generator_is_listed_with_its_own_config(service: Service) -> None:
    found = {each["name"]: each for each in service.get("/generators").json()["generators"]}
    assert sorted(found) == sorted(info.name for info in list_generators())
    for name, each in found.items():
        cls = generator_class(name)
        assert each["description"] == cls.description
        assert set(each["config_schema"]["properties"]) == set(cls.config_type.model_fields)


def test_schema_has_config_and_tables(service: Service) -> None:
    found = service.get("/generators/bnpl/schema").json()
    assert found["tables"]["transactions"]["properties"]["amount"]["type"] == "number"
    assert "base_default_rate" in found["config"]["properties"]


def test_datasets_tell_what_is_stored(service: Service) -> None:
    found = {each["name"]: each for each in service.get("/datasets").json()["datasets"]}
    assert set(found) == {"bnpl", "calm"}
    events = found["bnpl"]["tables"][0]
    assert (events["name"], events["partitions"], events["first"]) == ("transactions", 3, DAY)
    assert found["calm"]["tables"][0]["partitions"] == 0
    assert found["bnpl"]["config"] == {"base_daily_volume": 60, "seed": 3}


def test_partitions_are_those_of_the_lake(service: Service, folder: Path) -> None:
    found = service.get("/datasets/bnpl/partitions").json()
    lake = ParquetLake(str(folder / "lake"))
    for each in found["partitions"]:
        stored = lake.partition("bnpl", "transactions", date.fromisoformat(each["date"]))
        assert stored is not None
        assert (each["rows"], each["bytes"], each["fingerprint"]) == (
            stored.rows, stored.bytes, stored.footer.fingerprint,
        )  # fmt: skip
    assert len(found["partitions"]) == found["total"] == 3
    page = service.get("/datasets/bnpl/partitions?limit=1&offset=1&start=2024-11-29").json()
    assert ([each["date"] for each in page["partitions"]], page["total"]) == (["2024-11-30"], 2)


@pytest.mark.parametrize("name", [info.name for info in list_generators()])
def test_volume_of_a_year_is_the_generators(service: Service, name: str) -> None:
    found = service.get(f"/generators/{name}/volume?year=2024&base_daily_volume=500&seed=2").json()
    generator = get_generator(name, base_daily_volume=500, seed=2)
    days = [date(2024, 1, 1) + timedelta(n) for n in range(366)]
    assert found["expected"] == pytest.approx([generator.expected(day) for day in days], abs=0.01)
    assert len(found["drawn"]) == 366
    assert set(found["events"]) <= {day.isoformat() for day in days}


@pytest.mark.parametrize("name", [info.name for info in list_generators()])
@pytest.mark.parametrize("day, hours", [("2024-11-29", 24), ("2024-03-10", 23), ("2024-11-03", 25)])
def test_shape_of_a_day_is_its_rows(service: Service, name: str, day: str, hours: int) -> None:
    found = service.get(f"/generators/{name}/shape?day={day}&base_daily_volume=300").json()
    assert len(found["rows"]) == len(found["expected"]) == 4 * hours
    generator = get_generator(name, base_daily_volume=300)
    assert sum(found["rows"]) == generator.generate(date.fromisoformat(day)).height
    assert sum(found["expected"]) == pytest.approx(generator.plan(date.fromisoformat(day)).rows, abs=1)


def test_shape_takes_the_config_of_a_dataset(service: Service) -> None:
    found = service.get("/generators/bnpl/shape?day=2024-11-29&dataset=bnpl").json()
    assert sum(found["rows"]) == get_generator("bnpl", base_daily_volume=60, seed=3).generate(date(2024, 11, 29)).height
    assert service.get("/generators/bnpl/shape?dataset=nope").status_code == 404


@pytest.mark.parametrize(
    "path, field",
    [
        ("volume?year=12", "year"), ("shape?day=2024-02-30", "day"), ("shape?day=1650-01-01", "day"),
        ("shape?seed=-1", "seed"), ("volume?base_daily_volume=99999999", "base_daily_volume"),
    ],
)  # fmt: skip
def test_plot_of_what_cannot_be_is_refused(service: Service, path: str, field: str) -> None:
    answer = service.get(f"/generators/bnpl/{path}")
    assert answer.status_code == 422
    assert field in answer.json()["detail"][0]["loc"]


def test_root_is_a_page_for_browsers_and_the_health_for_programs(service: Service) -> None:
    page = service.get("/", headers=HTML)
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    for accept in ("application/json", "*/*", "application/json, text/html"):
        assert service.get("/", headers={"Accept": accept}).json()["status"] == "healthy"
    assert service.get("/?compat=simtom", headers=HTML).json()["status"] == "healthy"


def test_page_needs_nothing_from_elsewhere(service: Service) -> None:
    folder = Path(simtom_pipelines.__file__).parent / "service" / "page"
    for path in sorted(folder.iterdir()):
        answer = service.get(f"/page/{path.name}")
        assert answer.status_code == 200
        assert "https://" not in answer.text
        assert "http://" not in answer.text.replace("http://www.w3.org/2000/svg", "")


def test_openapi_has_examples_and_answers(service: Service) -> None:
    paths = service.get("/openapi.json").json()["paths"]
    stream = paths["/stream/{name}"]["post"]
    assert stream["requestBody"]["content"]["application/json"]["examples"]
    assert {"200", "404", "422", "429"} <= set(stream["responses"])
    assert "rate_per_second" in stream["requestBody"]["content"]["application/json"]["schema"]["properties"]


def test_the_page_of_the_api_loads_nothing_from_elsewhere(service: Service) -> None:
    page = service.get("/docs").text
    loaded = re.findall(r"<(?:script|link)[^>]+(?:src|href)=\"([^\"]+)\"", page)
    assert len(loaded) >= 2
    for address in loaded:
        assert address.startswith("/"), address
        assert service.get(address).status_code == 200
