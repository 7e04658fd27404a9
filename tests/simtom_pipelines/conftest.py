from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simtom_pipelines.dagster_world import World, world


@pytest.fixture
def dagster_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with world(tmp_path, monkeypatch) as made:
        yield made
