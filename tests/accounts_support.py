"""Two accounts at one sandbox: what each token sees, with one project that both see; how they are loaded.

The fixtures are those of tests/integration/accounts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date

import pytest

from pipelines.sync.operations import OperationsRequest, sync_operations
from resources.data_api.endpoints import DataApi
from resources.sandbox import Account, SandboxServer, World
from resources.settings import SyncSettings
from support import client_of

FIRST, LAST = "2024-03-01", "2024-03-03"
DAYS = ("--from", FIRST, "--to", LAST)
TOKEN = {"acme": "acme-token-made-up-of-30-chars", "globex": "globex-token-made-up-30-chars-"}
SECRET = {name: f"{name}-secret-that-opens-nothing" for name in TOKEN}
SETTINGS = {name: SyncSettings(account=name) for name in TOKEN}


@dataclass(frozen=True)
class Two:
    """The platform, and which projects each of the two tokens sees; `shared` is seen by both."""

    world: World
    sandbox: SandboxServer
    seen: dict[str, tuple[int, int]]
    shared: int


@contextmanager
def two_accounts() -> Iterator[Two]:
    world = World.generate(seed=5, start=FIRST, days=3, operations=900, now="2024-04-01T00:00:00")
    own, shared, other = sorted(world.projects)[:3]
    seen = {"acme": (own, shared), "globex": (shared, other)}
    accounts = [Account(name, TOKEN[name], SECRET[name], projects=seen[name]) for name in TOKEN]
    with SandboxServer(world, accounts=accounts) as sandbox:
        yield Two(world, sandbox, seen, shared)


def load(sandbox, store, name, first=FIRST, last=LAST):
    request = OperationsRequest(date.fromisoformat(first), date.fromisoformat(last))
    with client_of(sandbox.url, TOKEN[name], SECRET[name]) as client:
        return sync_operations(DataApi(client), store, SETTINGS[name], request)


def truth(world, projects, first=FIRST, last=LAST):
    return world.truth(projects, first, f"{last} 23:59:59")


@pytest.fixture(scope="module")
def two():
    with two_accounts() as served:
        yield served


@pytest.fixture
def world(two):
    return two.world


@pytest.fixture
def sandbox(two):
    return two.sandbox


@pytest.fixture
def seen(two):
    return two.seen


@pytest.fixture
def shared(two):
    return two.shared


@pytest.fixture
def environment(sandbox, store_url, tmp_path):
    home = tmp_path / "dagster"
    home.mkdir()
    (tmp_path / "globex_token").write_text(TOKEN["globex"] + "\n")
    (tmp_path / "globex_secret").write_text(SECRET["globex"] + "\n")
    (tmp_path / "accounts.toml").write_text(
        f'[accounts.acme]\ntoken = "{TOKEN["acme"]}"\nsecret = "{SECRET["acme"]}"\n\n'
        '[accounts.globex]\ntoken_file = "globex_token"\nsecret_file = "globex_secret"\n'
    )
    for name in ("accounts.toml", "globex_token", "globex_secret"):
        (tmp_path / name).chmod(0o600)
    return {
        "ACCOUNTS_FILE": str(tmp_path / "accounts.toml"),
        "DATA_API_BASE_URL": sandbox.url,
        "DATABASE_URL": store_url,
        "DAGSTER_HOME": str(home),
        "SYNC_DATA_DIR": str(tmp_path / "data"),
        "SYNC_RETRY_SECONDS": "5",
    }
