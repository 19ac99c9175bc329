"""Whatever environment, role, database or pooler say: what is read and written is right, or refused in one line."""

from __future__ import annotations

import re
import socketserver
import struct
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
import sqlalchemy.exc
from conftest import drop_database, url_of
from psycopg.sql import SQL, Identifier

from fixtures.client import free_port
from fixtures.commands import differences, execute, fetch_all, sync
from fixtures.pooler import pgbouncer
from resources.errors import ConfigError, SyncError, WarehouseBroken, WarehouseUnavailable
from resources.sandbox import DEMO_SECRET, DEMO_TOKEN, SandboxServer, World
from resources.warehouse.engine import Warehouse
from resources.warehouse.failures import BY_SQLSTATE, explain
from resources.warehouse.migrate import migrate

FIRST, LAST = "2024-03-01", "2024-03-02"
SETTINGS = (
    "SELECT name, setting FROM pg_settings WHERE context = 'user' "
    "AND name NOT IN ('application_name', 'lock_timeout') ORDER BY name"
)
PG_VARIABLES = sorted(
    {option.envvar.decode() for option in psycopg.pq.Conninfo.get_defaults() if option.envvar}
    | {"PGTZ", "PGDATESTYLE", "PGGEQO", "PGSERVICEFILE", "PGSYSCONFDIR", "PGLOCALEDIR"}
)
VALUES = {
    "PGTZ": "Asia/Tokyo",
    "PGDATESTYLE": "German",
    "PGGEQO": "off",
    "PGCLIENTENCODING": "LATIN1",
    "PGOPTIONS": "-c timezone=Asia/Tokyo -c search_path=recon -c statement_timeout=2s -c lock_timeout=1",
    "PGCONNECT_TIMEOUT": "1",
    "PGSSLMODE": "require",
    "PGSSLNEGOTIATION": "direct",
    "PGTARGETSESSIONATTRS": "read-only",
    "PGHOST": "no-such-host.invalid",
    "PGHOSTADDR": "192.0.2.1",
    "PGDATABASE": "postgres",
}
HOSTILE = {  # of a role or a database
    "timezone": "Europe/Berlin",
    "datestyle": "German, DMY",
    "intervalstyle": "iso_8601",
    "client_encoding": "LATIN1",
    "bytea_output": "escape",
    "extra_float_digits": "-15",
    "array_nulls": "off",
    "transform_null_equals": "on",
    "search_path": "recon",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "statement_timeout": "2s",
    "lock_timeout": "1ms",
    "idle_in_transaction_session_timeout": "2s",
    "idle_session_timeout": "2s",
    "row_security": "on",
    "gin_fuzzy_search_limit": "1",
}


@pytest.fixture(scope="module")
def world():
    world = World.generate(seed=5, start=FIRST, days=2, operations=120, now="2024-04-01T00:00:00")
    world.change(world.truth(None, FIRST, LAST)[0]["operation_id"], effective=FIRST, arn="Café Ørsted 東京")
    return world


def is_right(world: World, url: str) -> bool:
    """Load a little by that way, and hold what is stored against the truth, by a way nobody has tampered with."""
    with SandboxServer(world) as sandbox, Warehouse(url) as store:
        sync(sandbox, store, FIRST, LAST)
        assert differences(store, world, FIRST, LAST) == {}
        for row in fetch_all(store, "SELECT operation_id, operation_created_at::text AS at FROM core.operations"):
            assert row["at"].endswith("+00"), row
    return True


def set_for_database(store_url: str, settings: dict[str, str]) -> None:
    with psycopg.connect(store_url, autocommit=True) as connection:
        name = Identifier(connection.info.dbname)
        for setting, value in settings.items():
            connection.execute(SQL("ALTER DATABASE {} SET {} = {}").format(name, Identifier(setting), value))


def settings_or_refusal(url: str) -> tuple[list[dict], SyncError | None]:
    try:
        with Warehouse(url) as store:
            return fetch_all(store, SETTINGS), None
    except SyncError as error:
        return [], error


def one_line(error: BaseException) -> str:
    assert "\n" not in str(error)
    return str(error)


# What libpq reads from the environment


@pytest.mark.parametrize("variable", PG_VARIABLES)
def test_a1_no_variable_of_libpq_changes_what_a_session_is(store, monkeypatch, variable):
    expected = fetch_all(store, SETTINGS)
    monkeypatch.setenv(variable, VALUES.get(variable, "nonsense"))
    found, refusal = settings_or_refusal(store.url)
    if refusal:
        assert "PostgreSQL (" in one_line(refusal)
        assert variable not in {"PGTZ", "PGDATESTYLE", "PGCLIENTENCODING", "PGGEQO", "PGAPPNAME", "PGHOST"}
    else:
        assert found == expected


@pytest.mark.parametrize("variable", ["PGTZ", "PGDATESTYLE", "PGOPTIONS", "PGCLIENTENCODING"])
def test_a1_a_variable_that_the_server_does_not_take_is_refused(store_url, monkeypatch, variable):
    monkeypatch.setenv(variable, "-c no.such=1 --nonsense" if variable == "PGOPTIONS" else "nonsense")
    _, refusal = settings_or_refusal(store_url)
    if variable != "PGCLIENTENCODING":  # ours stands instead
        assert "PG… variables" in one_line(refusal)
        assert isinstance(refusal, ConfigError)


def test_a1_a_load_under_other_zones_and_encodings_is_the_truth(store_url, monkeypatch, world):
    for name in ("PGTZ", "PGDATESTYLE", "PGCLIENTENCODING", "PGOPTIONS"):
        monkeypatch.setenv(name, VALUES[name])
    assert is_right(world, store_url)


# What roles and databases set


def test_a3_a_load_is_the_truth_whatever_the_database_sets(store_url, world):
    set_for_database(store_url, HOSTILE)
    assert is_right(world, store_url)


def test_a3_a_load_is_the_truth_whatever_the_role_sets(server_url, store_url, world):
    role = f"t{uuid.uuid4().hex[:8]}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(SQL("CREATE ROLE {} LOGIN SUPERUSER").format(Identifier(role)))
        try:
            for setting, value in HOSTILE.items():
                connection.execute(
                    SQL("ALTER ROLE {} SET {} = {}").format(Identifier(role), Identifier(setting), value)
                )
            assert is_right(world, store_url.replace("postgresql://postgres@", f"postgresql://{role}@"))
        finally:
            connection.execute(SQL("DROP ROLE {}").format(Identifier(role)))


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1", "EUC_JP"])
def test_a3_a_database_of_another_encoding_is_refused(command, server_url, encoding):
    name = f"ecommpay_test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(
            SQL("CREATE DATABASE {} ENCODING {} LOCALE 'C' TEMPLATE template0").format(Identifier(name), encoding)
        )
    try:
        done = command("marts", environment={"DATABASE_URL": url_of(server_url, name)})
    finally:
        drop_database(server_url, name)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"has the encoding {encoding}" in done.stderr
    assert done.stderr.count("\n") == 1


def test_b11_a_read_only_server_is_unavailable_and_named_as_one(store_url):
    set_for_database(store_url, {"default_transaction_read_only": "on"})
    with Warehouse(store_url) as store, pytest.raises(WarehouseUnavailable, match=r"is read-only .* replica") as error:
        migrate(store)
    one_line(error.value)


def test_the_doctor_says_that_a_server_is_read_only(command, store_url):
    set_for_database(store_url, {"default_transaction_read_only": "on"})
    done = command("doctor", environment={"DATABASE_URL": store_url})
    assert re.search("^FAIL  database .* is read-only", done.stdout, re.MULTILINE)


def test_triggers_that_are_switched_off_are_refused(store_url):
    set_for_database(store_url, {"session_replication_role": "replica"})
    with Warehouse(store_url) as store, pytest.raises(ConfigError, match="session_replication_role is replica"):
        migrate(store)


# Poolers


def test_a2_a_load_through_a_pool_in_session_mode_is_the_truth(store_url, tmp_path, world):
    set_for_database(store_url, HOSTILE)
    with pgbouncer(store_url, tmp_path / "pool", "session") as url:
        assert is_right(world, url)


@pytest.mark.parametrize("arguments", [["doctor"], ["marts"], ["operations", "--from", FIRST, "--to", LAST]])
def test_b10_a_pool_in_transaction_mode_is_refused_at_once(command, store_url, tmp_path, arguments):
    with pgbouncer(store_url, tmp_path / "pool", "transaction") as url, SandboxServer(World.of()) as sandbox:
        done = command(
            *arguments,
            environment={
                "DATABASE_URL": url,
                "DATA_API_BASE_URL": sandbox.url,
                "DATA_API_TOKEN": DEMO_TOKEN,
                "DATA_API_SECRET": DEMO_SECRET,
                "SYNC_DATA_DIR": str(tmp_path / "data"),
            },
        )
    assert done.returncode == 2
    assert "is behind a pooler in transaction mode" in done.stdout + done.stderr
    assert len(done.stderr.splitlines()) <= 1


# The URL


def test_b9_what_the_url_asks_for_is_kept_and_ours_is_added(store_url):
    url = f"{store_url}&options=-c%20work_mem%3D7MB&application_name=finance-night&connect_timeout=7"
    with Warehouse(url) as store:
        (row,) = fetch_all(
            store,
            "SELECT current_setting('work_mem') AS memory, current_setting('TimeZone') AS zone, "
            "current_setting('application_name') AS application",
        )
    assert row == {"memory": "7MB", "zone": "UTC", "application": "finance-night"}


def test_b9_a_role_that_the_url_takes_on_stays(server_url, store_url):
    role = f"t{uuid.uuid4().hex[:8]}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(SQL("CREATE ROLE {}").format(Identifier(role)))
        try:
            with Warehouse(f"{store_url}&options=-c%20role%3D{role}") as store:
                assert fetch_all(store, "SELECT current_user::text AS name") == [{"name": role}]
        finally:
            connection.execute(SQL("DROP ROLE {}").format(Identifier(role)))


def test_b12_as_many_connections_as_threads_that_need_one(store):
    together = threading.Barrier(20, timeout=60)
    failures = []

    def hold() -> None:
        try:
            with store.transaction():
                together.wait()
        except (SyncError, threading.BrokenBarrierError) as error:
            failures.append(error)

    threads = [threading.Thread(target=hold) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_b13_the_file_of_the_url_is_read_at_each_new_connection(store_url, tmp_path):
    file = tmp_path / "url"
    file.write_text(f"{store_url}\n")
    with Warehouse(store_url, url_file=str(file)) as store:
        assert fetch_all(store, "SELECT 1 AS one") == [{"one": 1}]
        file.write_text(f"{store_url}&application_name=rotated\n")
        with store.connect() as connection:
            assert connection.execute("SHOW application_name").fetchone() == ("rotated",)


def test_b25_a_wrong_login_or_database_ends_with_2_and_a_server_that_is_away_with_1(command, server_url, store_url):
    away = f"postgresql://postgres@127.0.0.1:{free_port()}/sales"
    cases = {
        store_url.replace("postgresql://postgres@", "postgresql://nobody_here@"): (2, "refused the login"),
        url_of(server_url, "no_such_database"): (2, "has no such database"),
        away: (1, "is not available"),
    }
    for url, (exit_code, words) in cases.items():
        done = command("status", environment={"DATABASE_URL": url})
        assert done.returncode == exit_code
        assert words in done.stderr
        assert done.stderr.count("\n") == 1


# Waits


@pytest.fixture
def impatient(store_url):
    """The warehouse of somebody who waits for a lock for a second only, and a session that holds one."""
    url = f"{store_url}&options=-c%20lock_timeout%3D1200"
    with (
        psycopg.connect(store_url, application_name="excel") as holder,
        Warehouse(url, lock_seconds=1.2) as store,
    ):
        yield store, holder


@pytest.mark.parametrize(
    ("held", "work"),
    [
        ("SELECT * FROM bi.fct_payments", "TRUNCATE bi.fct_payments"),
        ("UPDATE recon.tolerances SET set_by = 'Bob Private'", "LOCK TABLE recon.tolerances"),
        ("LOCK sync.migrations", "SELECT * FROM sync.migrations"),
    ],
)
def test_b7_a_wait_for_a_lock_ends_and_names_who_holds_it(impatient, held, work):
    store, holder = impatient
    holder.execute(held)
    with pytest.raises(WarehouseUnavailable, match="kept us waiting for a lock") as error:
        execute(store, work)
    said = one_line(error.value)
    assert "held by postgres (excel, pid " in said
    assert f"UTC, idle in transaction: {' '.join(held.split()[:3])}" in said
    assert "Private" not in said


def test_b7_a_command_that_waits_ends_within_five_seconds_of_sigterm(store_url):
    with psycopg.connect(store_url) as holder:
        holder.execute("LOCK sync.migrations")
        waiting = subprocess.Popen([f"{sys.prefix}/bin/ecommpay-sync", "marts"], env={"DATABASE_URL": store_url})
        wait_until(store_url, waits=True, seconds=60)
        waiting.terminate()
        wait_until(store_url, waits=False, seconds=5)
        assert waiting.wait(timeout=60) != 0


def wait_until(store_url: str, *, waits: bool, seconds: float) -> None:
    give_up_at = time.monotonic() + seconds
    with psycopg.connect(store_url, autocommit=True) as other:
        while (other.execute("SELECT FROM pg_locks WHERE NOT granted").fetchone() is not None) is not waits:
            assert time.monotonic() < give_up_at
            time.sleep(0.1)


@pytest.mark.parametrize(
    "statement",
    [
        "SET LOCAL statement_timeout = '50ms'; SELECT pg_sleep(5)",
        "SET LOCAL idle_in_transaction_session_timeout = '50ms'; SELECT pg_sleep(0)",
        "SELECT pg_cancel_backend(pg_backend_pid()); SELECT pg_sleep(1)",
    ],
)
def test_b8_a_time_out_is_named_as_one(store, statement):
    def work() -> None:
        with store.transaction() as connection:
            connection.exec_driver_sql(statement)
            time.sleep(0.5)
            connection.exec_driver_sql("SELECT 1")

    with pytest.raises(WarehouseUnavailable, match="took longer than a time-out allows") as error:
        work()
    one_line(error.value)


def test_b8_no_time_out_of_a_database_that_the_server_knows_ends_what_we_do(store_url):
    with psycopg.connect(store_url) as connection:
        known = connection.execute(
            "SELECT name FROM pg_settings WHERE context = 'user' AND unit = 'ms' AND name LIKE '%timeout'"
        ).fetchall()
    set_for_database(store_url, {name: "100ms" for (name,) in known})
    with Warehouse(store_url) as store:
        for _ in range(2):  # the second time on a connection that was idle
            with store.transaction() as connection:
                connection.exec_driver_sql("SELECT pg_sleep(0.2)")
                time.sleep(0.2)
                connection.exec_driver_sql("SELECT 1")
            time.sleep(0.2)


@pytest.mark.parametrize(
    "change",
    [
        "DROP TABLE core.rejects CASCADE",
        "DROP SCHEMA core CASCADE",
        "DROP FUNCTION sync.was_killed CASCADE",
        "ALTER TABLE core.rejects DROP COLUMN reason CASCADE",
    ],
)
def test_a_database_that_was_not_restored_whole_is_named_as_that(store, command, change):
    execute(store, change)
    done = command("status", environment={"DATABASE_URL": store.url})
    assert done.returncode == 1
    assert "lacks what a migration made: " in done.stderr
    assert "restore it as docs/runbook.md says" in done.stderr


# The table of failures


@pytest.mark.parametrize("sqlstate", sorted(BY_SQLSTATE))
def test_every_failure_has_a_kind_and_an_advice(store, sqlstate):
    code = sqlstate if len(sqlstate) == 5 else f"{sqlstate}000"
    try:
        with psycopg.connect(store.url) as connection:
            connection.execute(
                f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{code}', MESSAGE = 'a message\nof two lines'; END $$"
            )
    except psycopg.Error as error:
        explained = explain(error, "sales at db")
        assert type(explained) is BY_SQLSTATE[sqlstate].kind
        assert one_line(explained).startswith(
            f"PostgreSQL (sales at db) {BY_SQLSTATE[sqlstate].event}: a message of two"
        )
    else:
        pytest.fail("nothing was raised")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (sqlalchemy.exc.TimeoutError("QueuePool limit"), WarehouseUnavailable),
        (sqlalchemy.exc.InvalidRequestError("closed"), WarehouseBroken),
        (psycopg.OperationalError("the connection is lost"), WarehouseUnavailable),
        (psycopg.InterfaceError("the connection is closed"), WarehouseUnavailable),
        (psycopg.DataError("text fields cannot contain NUL"), WarehouseBroken),
        (ConnectionResetError("reset"), WarehouseUnavailable),
        (UnicodeError("cannot decode"), WarehouseBroken),
    ],
)
def test_errors_without_a_sqlstate_have_a_kind_too(error, kind):
    assert type(explain(error, "sales at db")) is kind


def refusal(url: str) -> SyncError:
    with pytest.raises(SyncError) as error, Warehouse(url) as store:
        store.query("warehouse/reference/is_loaded")
    one_line(error.value)
    return error.value


@pytest.mark.parametrize(
    ("sqlstate", "kind", "event"),
    [
        ("28P01", ConfigError, "refused the login"),
        ("28000", ConfigError, "refused the login"),
        ("3D000", ConfigError, "has no such database"),
        ("42501", ConfigError, "refused the connection"),
        ("42704", ConfigError, "refused the connection"),
        ("22023", ConfigError, "refused the connection"),
        ("53300", WarehouseUnavailable, "has no connection left"),
        ("57P03", WarehouseUnavailable, "is not available"),
        ("57P01", WarehouseUnavailable, "ended the connection"),
        ("XX000", WarehouseBroken, "could not execute"),
    ],
)
def test_b25_a_refused_connection_has_its_kind_in_whatever_language_the_server_speaks(sqlstate, kind, event):
    with server_that_refuses(sqlstate, "пароль не підійшов: authentication failed, no such database") as url:
        error = refusal(url)
    assert type(error) is kind
    assert event in str(error)
    assert "пароль не підійшов" in str(error)


@pytest.mark.parametrize(
    ("words", "kind", "event"),
    [
        ("password authentication failed", ConfigError, "refused the login"),
        ("no such user: sales", ConfigError, "refused the login"),
        ("no such database: sales", ConfigError, "has no such database"),
        ("unsupported startup parameter: options", ConfigError, "refused the connection"),
        ("server login has been failing, try again later (server_login_retry)", WarehouseUnavailable, "not available"),
        ("no more connections allowed (max_client_conn)", WarehouseUnavailable, "is not available"),
    ],
)
def test_b25_what_pgbouncer_says_under_its_one_code_is_told_apart(words, kind, event):
    with server_that_refuses("08P01", words) as url:
        error = refusal(url)
    assert type(error) is kind
    assert event in str(error)


@contextmanager
def server_that_refuses(sqlstate: str, words: str) -> Iterator[str]:
    """A server that answers every start with a refusal, as PostgreSQL and PgBouncer write it."""
    fields = f"SFATAL\0C{sqlstate}\0M{words}\0\0".encode()
    answer = b"E" + struct.pack("!i", len(fields) + 4) + fields

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            while start := self.request.recv(4096):
                if len(start) == 8:  # for TLS, or GSS
                    self.request.sendall(b"N")
                else:
                    self.request.sendall(answer)
                    return

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"postgresql://sales:x@127.0.0.1:{server.server_address[1]}/sales"
        finally:
            server.shutdown()


def test_what_libpq_itself_does_not_take_is_a_setting_and_a_server_that_nobody_finds_is_away(store_url):
    away = f"postgresql://postgres@127.0.0.1:{free_port()}/sales"
    cases = {
        f"{store_url}&require_auth=scram-sha-256": ConfigError,
        f"{store_url}&channel_binding=require": ConfigError,
        f"{store_url}&sslmode=nonsense": ConfigError,
        f"{away}?sslmode=nonsense": ConfigError,
        f"{away}?service=no_such_service": ConfigError,
        f"{away}?port=99999": ConfigError,
        "postgresql://sales:hush@127.0.0.1:0/sales": ConfigError,
        "postgresql://sales:hush/sales": ConfigError,
        "postgresql://127.0.0.1:5432,127.0.0.1:x/sales": ConfigError,
        f"{store_url}&target_session_attrs=standby": WarehouseUnavailable,
        f"{away}?sslmode=require": WarehouseUnavailable,
        away: WarehouseUnavailable,
        "postgresql://no-such-host.invalid/sales": WarehouseUnavailable,
        "postgresql:///sales?host=/no/such/folder": WarehouseUnavailable,
    }
    assert {url: type(refusal(url)) for url in cases} == cases


def test_a_server_without_tls_is_a_setting_where_tls_is_required_and_one_that_hangs_up_is_away():
    with server_that_refuses("28P01", "x") as url:
        assert type(refusal(f"{url}?sslmode=require")) is ConfigError
    with socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for mode in ("prefer", "require"):
            url = f"postgresql://sales:x@127.0.0.1:{server.server_address[1]}/sales?sslmode={mode}"
            assert type(refusal(url)) is WarehouseUnavailable
        server.shutdown()


def test_an_undescribed_failure_of_the_server_is_broken(store):
    with pytest.raises(WarehouseBroken, match="could not execute a statement of ours"):
        execute(store, "SELECT 1 / 0")
