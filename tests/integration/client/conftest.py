"""A sandbox and a client of it."""

from __future__ import annotations

import pytest

from fixtures.client import (
    NOW,
    ROWS,
    api_of,
)
from resources.sandbox import (
    Balance,
    SandboxServer,
    World,
)


@pytest.fixture
def sandbox():
    world = World.of(ROWS, now=NOW)
    world.balances = [Balance("one", "EUR", 198, 100), Balance("another", "JPY", 198, -5)]
    with SandboxServer(world) as server:
        yield server


@pytest.fixture
def api(sandbox):
    with api_of(sandbox.url) as made:
        yield made
