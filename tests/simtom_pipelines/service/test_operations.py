"""Settings, log lines and the commands of the service."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner

from generators import ConfigError, get_generator
from simtom_pipelines import logs
from simtom_pipelines.cli import app
from simtom_pipelines.service.server import ServerError, listen
from simtom_pipelines.settings import Settings, load_settings


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("SIMTOM_"):
            monkeypatch.delenv(name)


@pytest.fixture
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before[0], before[1]
    structlog.reset_defaults()


def test_settings_are_read_from_the_environment(clean: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "PORT": "9000",
        "MAX_RATE": "0",
        "COMPAT": "true",
        "TOKEN": "s3cret",
        "LOG_FORMAT": "json",
    }.items():
        monkeypatch.setenv(f"SIMTOM_{name}", value)
    found = load_settings()
    assert (found.port, found.max_rate, found.compat, found.log_format) == (9000, 0, True, "json")
    assert found.token is not None
    assert found.token.get_secret_value() == "s3cret"


@pytest.mark.parametrize(
    "name, value", [("PORT", "70000"), ("MAX_RATE", "-1"), ("LOG_LEVEL", "loud"), ("COMPAT", "si")]
)
def test_wrong_setting_is_named(clean: None, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"SIMTOM_{name}", value)
    with pytest.raises(ConfigError, match=f"'{name.lower()}'.*{value}"):
        load_settings()


def test_settings_command_shows_values_origins_and_no_secrets(clean: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMTOM_TOKEN", "opensesame")
    monkeypatch.setenv("SIMTOM_STORAGE_OPTIONS", '{"aws_secret_access_key": "hush"}')
    for arguments in (["settings"], ["settings", "--json"]):
        text = CliRunner().invoke(app, arguments).output
        assert "opensesame" not in text
        assert "hush" not in text
    rows = {row["variable"]: row for row in json.loads(text)}
    assert set(rows) == {f"SIMTOM_{name.upper()}" for name in Settings.model_fields}
    assert rows["SIMTOM_TOKEN"]["source"] == "environment"
    assert (rows["SIMTOM_PORT"]["value"], rows["SIMTOM_PORT"]["source"]) == ("8000", "default")


@pytest.mark.parametrize("kind", ["json", "console"])
def test_log_lines_of_us_and_of_libraries_have_one_form(
    kind: str, capsys: pytest.CaptureFixture[str], logging_as_before: None
) -> None:
    logs.configure(Settings(log_format=kind))
    structlog.get_logger("simtom").info("stream ended", records=3)
    logging.getLogger("uvicorn.error").warning("from a library")
    structlog.get_logger("simtom").debug("too fine")
    try:
        raise ValueError("broken")
    except ValueError as error:
        structlog.get_logger("simtom").error("stream broke", exc_info=error)
    lines = capsys.readouterr().err.strip().splitlines()
    if kind == "console":
        assert "records=3" in lines[0]
        assert "from a library" in lines[1]
        return
    found = [json.loads(line) for line in lines]
    assert [line["event"] for line in found] == ["stream ended", "from a library", "stream broke"]
    assert (found[0]["records"], found[1]["level"]) == (3, "warning")
    assert found[2]["exception"][0]["exc_type"] == "ValueError"


def test_address_that_is_taken_is_told() -> None:
    with listen(Settings(port=0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServerError, match=f"'127.0.0.1' and SIMTOM_PORT {port} cannot be listened on"):
            listen(Settings(port=port))


def test_service_listens_on_loopback_by_default(clean: None) -> None:
    with listen(Settings(port=0)) as listening:
        assert listening.getsockname()[0] == "127.0.0.1"


def stream(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["stream", *arguments])


def test_stream_command_writes_the_days_at_a_rate(tmp_path: Path, clean: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "out.ndjson"
    done = stream(
        "bnpl", "--rate", "500", "--arrival", "poisson", "--total-records", "40", "--start", "2024-11-29",
        "--seed", "3", "--base-daily-volume", "30", "--output", str(path),
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    found = [json.loads(line)["transaction_id"] for line in path.read_text().splitlines()]
    generator = get_generator("bnpl", seed=3, base_daily_volume=30)
    days = [generator.generate(date(2024, 11, 29) + timedelta(n)) for n in range(4)]
    assert found == [i for frame in days for i in frame["transaction_id"]][:40]


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["bnpl", "--rate", "5", "--time-compression", "2"], "rate_per_second and time_compression are both given"),
        (["bnpl", "--arrival", "poisson"], "without rate_per_second"),
        (["bnpl/customers"], "only event tables"),
        (["nope"], "unknown dataset 'nope'; known: "),
        (["bnpl", "--set", "sed=3"], "unknown field 'sed'"),
    ],
)
def test_stream_that_cannot_be_is_refused(
    arguments: list[str], words: str, tmp_path: Path, clean: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = stream(*arguments)
    assert done.exit_code != 0
    assert words in str(done.exception)


def test_commands_of_the_service_do_not_load_dagster() -> None:
    code = (
        "import sys; from simtom_pipelines.service import create_app; from simtom_pipelines.settings import Settings; "
        "create_app(Settings()); "
        "print('dagster' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
