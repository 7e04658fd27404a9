from __future__ import annotations

import re

import pytest

from generators import generator_class, list_generators
from simtom_pipelines.data_guide import FOLDER, guide

NAMES = [info.name for info in list_generators()]


@pytest.mark.parametrize("name", NAMES)
def test_page_is_current(name: str) -> None:
    assert (FOLDER / f"{name}.md").read_text() == guide(generator_class(name)), "stale: run `make docs`"


@pytest.mark.parametrize("name", NAMES)
def test_page_says_of_every_column_when_it_is_known(name: str) -> None:
    cls = generator_class(name)
    page = guide(cls)
    for table in cls.tables:
        section = page.split(f"## {name}/{table.name}\n")[1].split("\n## ")[0]
        lines = re.findall(r"^\| `(\w+)` \|(.*)\|$", section, re.MULTILINE)
        assert [column for column, _ in lines] == table.names
        for column, line in lines:
            known = line.split(" | ")[4].strip()
            assert known, column
            if table[column].known_at is not None:
                assert known not in ("later", "with the event"), f"{table.name}.{column} needs a text in `known`"


def test_no_page_is_left_over() -> None:
    assert {page.stem for page in FOLDER.glob("*.md")} == set(NAMES)


def test_end_of_a_version_is_known_when_it_ends() -> None:
    found = 0
    for info in list_generators():
        lines = [line for line in guide(generator_class(info.name)).splitlines() if line.startswith("| `valid_to`")]
        assert all("| when the version ends |" in line for line in lines)
        found += len(lines)
    assert found >= 7
