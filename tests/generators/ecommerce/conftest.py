from __future__ import annotations

import pytest

from tests.generators.ecommerce.bnpl_world import World


@pytest.fixture(scope="session")
def world() -> World:
    """The data of the default seed, made once a session."""
    return World()


@pytest.fixture(scope="session", params=[1, 2, 3])
def large_world(request: pytest.FixtureRequest) -> World:
    """Other seeds at three times the volume."""
    return World(seed=request.param, scale=3)
