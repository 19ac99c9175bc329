"""A sandbox and a client of it; no test of the client looks for the machine's certificates unless it says so."""

from __future__ import annotations

import ssl

import pytest

from fixtures.client import (
    NOW,
    ROWS,
    api_of,
)
from resources.data_api import transport
from resources.sandbox import (
    Balance,
    SandboxServer,
    World,
)


@pytest.fixture(autouse=True)
def no_certificates(request, monkeypatch):
    """Reading all certificates of the machine takes longer than most tests; those about TLS do it."""
    if "certificate" not in request.fixturenames:
        bare = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        monkeypatch.setattr(transport, "tls_context", lambda: bare)


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
