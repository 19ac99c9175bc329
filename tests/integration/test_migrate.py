"""Migrating: each file once, in order, whole or not at all, whoever runs it at the same time; and what can be wrong."""

from __future__ import annotations

import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier, Literal

import sql
from fixtures.commands import execute, fetch_all
from resources.errors import ConfigError, WarehouseBroken, WarehouseUnavailable
from resources.warehouse import engine
from resources.warehouse.engine import Warehouse
from resources.warehouse.migrate import fingerprint, migrate

FILES = sql.migrations()
NAMES = [f"{version:04} {name}" for version, name, _ in FILES]
NEXT = FILES[-1][0] + 1
OURS = "SELECT nspname FROM pg_namespace WHERE nspname IN ('core', 'raw', 'sync', 'made')"
PASSWORD = "very-hidden"


@pytest.fixture
def empty(empty_url):
    with Warehouse(empty_url) as warehouse:
        yield warehouse


@pytest.fixture
def role_url(server_url, empty_url):
    """The URL of an empty database, in the name of a role without any right of its own."""
    name = f"ecommpay_test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(make_conninfo(server_url), autocommit=True) as connection:
        connection.execute(SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(Identifier(name), Literal(PASSWORD)))
        yield make_conninfo(empty_url, user=name, password=PASSWORD)
        connection.execute(SQL("DROP ROLE {}").format(Identifier(name)))


def given_files(monkeypatch, *files) -> None:
    monkeypatch.setattr(sql, "migrations", lambda: list(files))


def applied(store: Warehouse) -> list[tuple]:
    rows = fetch_all(store, "SELECT version, name, sha256 FROM sync.migrations ORDER BY version")
    return [(row["version"], row["name"], row["sha256"]) for row in rows]


def is_one_line(error: pytest.ExceptionInfo) -> bool:
    return "\n" not in str(error.value) and PASSWORD not in str(error.value)


# Applying


def test_an_empty_database_gets_every_file_in_order(empty):
    assert migrate(empty) == NAMES
    assert applied(empty) == [(version, name, fingerprint(statements)) for version, name, statements in FILES]
    for table in ("core.operations", "core.balance_snapshots", "raw.pages", "sync.windows"):
        assert fetch_all(empty, f"SELECT count(*) FROM {table}") == [{"count": 0}]


def test_a_migrated_database_is_left_as_it_is(empty):
    migrate(empty)
    before = fetch_all(empty, "SELECT xmin::text, * FROM sync.migrations")
    assert migrate(empty) == []
    assert fetch_all(empty, "SELECT xmin::text, * FROM sync.migrations") == before


def test_only_what_is_new_is_applied(store, monkeypatch):
    given_files(monkeypatch, *FILES, (NEXT, "more", "CREATE SCHEMA made"), (NEXT + 1, "still_more", "SELECT 1"))
    assert migrate(store) == [f"{NEXT:04} more", f"{NEXT + 1:04} still_more"]
    assert migrate(store) == []


def test_each_file_has_a_number_of_its_own():
    versions = [version for version, _, _ in FILES]
    assert versions[0] == 1
    assert versions == sorted({*versions})


def test_of_several_that_migrate_an_empty_database_at_once_one_does_and_the_others_wait(empty_url):
    together = threading.Barrier(4)

    def one(_) -> list[str]:
        with Warehouse(empty_url) as store:
            together.wait()
            return migrate(store)

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(one, range(4)))
    assert sorted(done) == [[], [], [], NAMES]


def test_one_that_comes_later_waits_for_the_one_at_work(empty_url, monkeypatch):
    given_files(monkeypatch, *FILES, (NEXT, "slow", "SELECT pg_sleep(0.3)"))
    with Warehouse(empty_url) as first, Warehouse(empty_url) as second, ThreadPoolExecutor(1) as pool:
        working = pool.submit(migrate, first)
        time.sleep(0.15)
        assert migrate(second) == []
        assert working.done()
        assert working.result() == [*NAMES, f"{NEXT:04} slow"]


# Refusing


def test_an_applied_file_that_was_edited_is_named_and_nothing_is_applied(store, monkeypatch):
    (version, name, statements), *rest = FILES
    before = applied(store)
    given_files(monkeypatch, (version, name, f"{statements}\n-- a remark"), *rest, (NEXT, "more", "CREATE SCHEMA made"))
    with pytest.raises(WarehouseBroken, match=f"sql/migrations/{version:04}_{name}.sql was edited") as error:
        migrate(store)
    assert is_one_line(error)
    assert applied(store) == before
    assert {"nspname": "made"} not in fetch_all(store, OURS)


def test_a_database_of_before_the_first_release_is_refused_in_one_line(empty):
    execute(
        empty,
        "CREATE SCHEMA sync;"
        "CREATE TABLE sync.migrations (version integer, name text, sha256 text, applied_at timestamptz);"
        "INSERT INTO sync.migrations VALUES (1, 'ledger', repeat('0', 64), now())",
    )
    with pytest.raises(WarehouseBroken, match=r"made before the first release .* load into an empty database"):
        migrate(empty)
    assert fetch_all(empty, OURS) == [{"nspname": "sync"}]


def test_other_line_endings_are_no_edit(store, monkeypatch):
    given_files(monkeypatch, *((version, name, text.replace("\n", "\r\n")) for version, name, text in FILES))
    assert migrate(store) == []


def test_a_database_newer_than_the_product_is_left_alone(store, monkeypatch):
    given_files(monkeypatch, *FILES[:-1])
    with pytest.raises(WarehouseBroken, match=f"has migration {NEXT - 1:04}, which this version .* not know") as error:
        migrate(store)
    assert is_one_line(error)
    assert len(applied(store)) == len(FILES)


def test_a_server_that_is_too_old_is_refused_before_anything_is_made(empty, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(engine, "OLDEST_SERVER", 990_000)
        with pytest.raises(WarehouseBroken, match=r"this server is PostgreSQL \d\d; "):
            migrate(empty)
    assert fetch_all(empty, OURS) == []


# Failing

FAILURES = {
    "a statement fails": ("CREATE SCHEMA made; SELECT 1 / 0", WarehouseBroken, "division by zero"),
    "it is no SQL": ("CREATE SCHEMA made; CREATE NONSENSE", WarehouseBroken, "syntax error"),
    "the connection is cut": (
        "CREATE SCHEMA made; SELECT pg_terminate_backend(pg_backend_pid())",
        WarehouseUnavailable,
        "terminating connection|closed the connection",
    ),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_migration_that_fails_leaves_nothing_of_itself_or_of_those_before_it(empty, monkeypatch, failure):
    statements, error_type, said = FAILURES[failure]
    with monkeypatch.context() as patch:
        given_files(patch, *FILES, (NEXT, "good", "CREATE TABLE sync.good ()"), (NEXT + 1, "bad", statements))
        with pytest.raises(error_type, match=said) as error:
            migrate(empty)
    assert is_one_line(error)
    assert fetch_all(empty, OURS) == []
    assert migrate(empty) == NAMES


def test_a_migration_that_fails_leaves_a_migrated_database_as_it_was(store, monkeypatch):
    given_files(monkeypatch, *FILES, (NEXT, "good", "CREATE SCHEMA made"), (NEXT + 1, "bad", "SELECT 1 / 0"))
    before = applied(store)
    with pytest.raises(WarehouseBroken):
        migrate(store)
    assert applied(store) == before
    assert {"nspname": "made"} not in fetch_all(store, OURS)


# A database that cannot be reached, or refuses


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://loader:{PASSWORD}@127.0.0.1:1/sales",
        f"postgresql://loader:{PASSWORD}@no-such-host.invalid/sales",
        f"postgresql://loader:{PASSWORD}@/sales?host=/no/such/folder",
    ],
)
def test_an_unreachable_database_is_told_in_one_line_without_the_password(url):
    with (
        Warehouse(url) as store,
        pytest.raises(WarehouseUnavailable, match=r"sales at .* is not available: .* check") as error,
    ):
        migrate(store)
    assert is_one_line(error)
    assert PASSWORD not in repr(store)


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://loader:{PASSWORD}%zz@127.0.0.1:1/sales",
        f"postgresql://loader:a@{PASSWORD}@127.0.0.1:1/sales",
        f"postgresql://loader:a/{PASSWORD}@127.0.0.1:1/sales",
        f"postgresql://loader:{PASSWORD}@127.0.0.1:1/sales?no_such_option=1",
        f"nonsense {PASSWORD}",
    ],
)
def test_a_url_that_cannot_be_read_is_told_without_the_password(url):
    with pytest.raises(ConfigError, match="write special characters of user and password percent-encoded") as error:
        Warehouse(url)
    assert is_one_line(error)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgresql://loader:p%40ss@db.example:5432/sales", "sales at db.example"),
        ("postgresql://loader:p?s%25s@db.example/sales", "sales at db.example"),
        ("postgres://db.example", "the default database at db.example"),
        ("postgresql://loader@/sales?host=/run/postgresql", "sales at /run/postgresql"),
        ("postgresql://loader@/sales?host=@abstract", "sales at @abstract"),
        ("postgresql:///sales", "sales at the local socket"),
    ],
)
def test_a_warehouse_says_where_it_is_and_not_who_goes_there(url, place):
    with Warehouse(url) as store:
        assert store.place() == place
        assert repr(store) == f"Warehouse({place})"


def test_a_role_that_may_not_make_schemas_is_told_what_it_lacks(role_url):
    with (
        Warehouse(role_url) as store,
        pytest.raises(
            WarehouseUnavailable,
            match=r"refused: permission denied for database .* as the owner of the database, run `ecommpay-sync grant`",
        ) as error,
    ):
        migrate(store)
    assert is_one_line(error)


def test_a_role_without_rights_to_the_tables_is_told_what_it_lacks(empty, role_url):
    migrate(empty)
    with (
        Warehouse(role_url) as store,
        pytest.raises(
            WarehouseUnavailable,
            match="permission denied for schema sync — as the owner of the database, run `ecommpay-sync grant`",
        ) as error,
    ):
        store.query("warehouse/ledger/next_window_id")
    assert is_one_line(error)


def test_a_message_never_holds_a_value_of_a_row(store):
    execute(store, "ALTER TABLE sync.migrations ADD UNIQUE (name)")
    with pytest.raises(WarehouseBroken, match="duplicate key value violates unique constraint") as error:
        execute(store, "INSERT INTO sync.migrations (version, name, sha256) SELECT 99, name, '' FROM sync.migrations")
    assert is_one_line(error)
    assert "0001" not in str(error.value)
    assert FILES[3][1] not in str(error.value)


def test_a_pool_survives_the_loss_of_all_its_connections(store):
    execute(store, "SELECT 1")
    with psycopg.connect(store.url, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE application_name = 'ecommpay-sync' AND datname = current_database()"
        )
    execute(store, "SELECT 1")
