"""A month of operations behind the sandbox's Data API; a second account sees two of its projects."""

from __future__ import annotations

import pytest

from fixtures.sandbox import OTHER_SECRET, OTHER_TOKEN
from resources.sandbox import Account, SandboxServer, World


@pytest.fixture(scope="module")
def sandbox():
    world = World.generate(seed=7, start="2024-03-01", days=31, operations=2500, now="2024-05-20")
    other = Account("other", OTHER_TOKEN, OTHER_SECRET, projects={198, 3055}, time_zone="UTC", risks=False)
    with SandboxServer(world, accounts=[Account(), other]) as server:
        yield server
