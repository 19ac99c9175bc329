"""The roles, each connected as itself: what it may do, and that it can do nothing else."""

from __future__ import annotations

import uuid
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier

import sql
from fixtures.commands import command, execute
from resources.warehouse.engine import Warehouse

QUESTIONS = sorted((sql.FOLDER / "bi/questions").glob("*.sql"))
PREFIX = f"t{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def granted(server_url, template):
    """A database with roles of its own names; both are gone afterwards."""
    name = f"ecommpay_test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(make_conninfo(server_url), autocommit=True) as connection:
        connection.execute(SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(template)))
        url = make_conninfo(server_url, dbname=name)
        parts = psycopg.conninfo.conninfo_to_dict(url)
        uri = f"postgresql://{parts['user']}@/{name}?host={parts['host']}"
        with Warehouse(uri) as store:
            # the table of another helper's migration, where that is not there yet
            execute(
                store,
                "CREATE SCHEMA IF NOT EXISTS recon; CREATE TABLE IF NOT EXISTS recon.breaks (account text, owner text, "
                "note text, amount_minor bigint)",
            )
        for _ in range(2):  # safe to run again
            done = command("grant", environment={"DATABASE_URL": uri, "SYNC_ROLE_PREFIX": PREFIX})
            assert (done.returncode, done.stderr) == (0, "")
        yield uri
        connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))
        for role in ("loader", "bi", "finance"):
            connection.execute(SQL("DROP ROLE {}").format(Identifier(f"{PREFIX}_{role}")))


def connected(url: str, role: str):
    return psycopg.connect(make_conninfo(url, user=f"{PREFIX}_{role}"), autocommit=True)


def url_as(url: str, role: str) -> str:
    head, tail = url.split("@", 1)
    return f"postgresql://{PREFIX}_{role}@{tail}" if head else url


DENIED = psycopg.errors.InsufficientPrivilege


@pytest.mark.parametrize("role", ["bi", "finance"])
@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM core.operations",
        "SELECT customer_email FROM core.operation_versions",
        "SELECT * FROM core.rejects",
        "SELECT document FROM core.documents",
        "SELECT * FROM core.documents_as_of(now())",
        "SELECT * FROM core.document_versions",
        "SELECT * FROM raw.pages",
        "SELECT * FROM sync.windows",
        "SELECT core.business_date(now())",
        "SELECT * FROM core.operations_as_of(now())",
        "INSERT INTO bi.dim_project VALUES ('a', 'b')",
        "UPDATE bi.daily_overview SET amount_minor = 0",
        "DELETE FROM bi.fct_payments",
        "TRUNCATE bi.dim_date",
        "DROP VIEW bi.fct_operations",
        "CREATE TABLE bi.mine (a int)",
        "CREATE TABLE public.mine (a int)",
        "CREATE SCHEMA mine",
        "CREATE ROLE mine",
        "CREATE OR REPLACE FUNCTION bi.today() RETURNS date LANGUAGE sql AS 'SELECT current_date'",
        "COPY bi.dim_date TO PROGRAM 'cat'",
        "SELECT pg_read_file('/etc/passwd')",
    ],
)
def test_a_reader_cannot_even_when_it_switches_read_only_off(granted, role, statement):
    with connected(granted, role) as connection:
        connection.execute("SET default_transaction_read_only = off")
        with pytest.raises(DENIED):
            connection.execute(statement)


@pytest.mark.parametrize("role", ["bi", "finance"])
def test_a_reader_reads_every_mart_within_a_time_limit(granted, role):
    with connected(granted, role) as connection:
        marts = connection.execute(
            "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = 'bi' AND c.relkind IN ('r', 'v')"
        ).fetchall()
        assert len(marts) >= 11
        for (mart,) in marts:
            connection.execute(SQL("SELECT * FROM {} LIMIT 1").format(Identifier(mart)))
        assert connection.execute("SHOW statement_timeout").fetchone() == ("30s",)
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("SET statement_timeout = '50ms'; SELECT pg_sleep(2)")


def test_bi_is_read_only_from_the_start_and_sees_nothing_of_recon(granted):
    with connected(granted, "bi") as connection:
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("CREATE TABLE public.mine (a int)")
        with pytest.raises(DENIED):
            connection.execute("SELECT * FROM recon.breaks")


def test_finance_reads_recon_and_writes_owner_and_note_of_a_break_alone(granted):
    with connected(granted, "finance") as connection:
        connection.execute("SELECT * FROM recon.breaks").fetchall()
        connection.execute("UPDATE recon.breaks SET owner = 'me', note = 'seen'")
        for statement in ("UPDATE recon.breaks SET account = 'x'", "DELETE FROM recon.breaks"):
            with pytest.raises(DENIED):
                connection.execute(statement)


def test_the_loader_runs_the_product_and_is_no_superuser(granted):
    environment = {"DATABASE_URL": url_as(granted, "loader"), "SYNC_ROLE_PREFIX": PREFIX}
    for arguments in (["marts", "--full"], ["status"], ["verify"]):
        done = command(*arguments, environment=environment)
        assert (done.returncode, done.stderr) == (0, ""), arguments
    with connected(granted, "loader") as connection:
        for statement in ("CREATE ROLE mine", "SELECT pg_read_file('/etc/passwd')", "CREATE DATABASE mine"):
            with pytest.raises(DENIED):
                connection.execute(statement)


def test_a_person_with_a_login_of_their_own_works_as_the_loader_and_is_named_beside_what_they_prepared(granted):
    name = f"{PREFIX}_ann"
    with psycopg.connect(granted, autocommit=True) as owner:
        owner.execute(SQL("CREATE ROLE {} LOGIN IN ROLE {}").format(Identifier(name), Identifier(f"{PREFIX}_loader")))
        try:
            done = command("status", environment={"DATABASE_URL": url_as(granted, "ann"), "SYNC_ROLE_PREFIX": PREFIX})
            assert (done.returncode, done.stderr) == (0, "")
            with connected(granted, "ann") as connection:
                row = connection.execute(
                    "INSERT INTO recon.close_preparations (account, business_date, prepared_by, figures_sha256) "
                    "VALUES ('default', '2024-03-05', 'Bob', '') RETURNING database_user"
                ).fetchone()
            assert row == (name,), "whatever name the command is told"
        finally:
            owner.execute(SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(Identifier(name)))


def test_b3_what_a_member_of_the_loader_makes_belongs_to_the_loader(granted):
    name = f"{PREFIX}_eve"
    with psycopg.connect(granted, autocommit=True) as owner:
        owner.execute(SQL("CREATE ROLE {} LOGIN IN ROLE {}").format(Identifier(name), Identifier(f"{PREFIX}_loader")))
        owner.execute("UPDATE core.settings SET value = 'old' WHERE key = 'bi_views_fingerprint'")
        for arguments in (["marts"], ["marts", "--full"]):
            done = command(*arguments, environment={"DATABASE_URL": url_as(granted, "eve")})
            assert (done.returncode, done.stderr) == (0, "")
        owners = owner.execute(
            "SELECT DISTINCT pg_get_userbyid(c.relowner) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname IN ('core', 'raw', 'sync', 'bi', 'recon')"
        ).fetchall()
        assert owners == [(f"{PREFIX}_loader",)]
        owner.execute(SQL("DROP ROLE {}").format(Identifier(name)))
    done = command("marts", environment={"DATABASE_URL": url_as(granted, "loader")})
    assert (done.returncode, done.stderr) == (0, "")


def test_b4_finance_writes_owner_and_note_of_a_break_that_is_there_and_its_history_names_the_login(granted):
    with psycopg.connect(granted, autocommit=True) as owner:
        (number,) = owner.execute(
            "INSERT INTO recon.breaks (account, break_key, business_date, reconciled_date, break_type, currency, "
            "amount_minor, detail) VALUES ('default', 'k', '2024-03-05', '2024-03-05', 'missing_in_ledger', 'EUR', "
            "100, 'found') RETURNING break_id"
        ).fetchone()
    with connected(granted, "finance") as connection:
        connection.execute("UPDATE recon.breaks SET owner = 'Ann', note = 'asked' WHERE break_id = %s", [number])
        event = connection.execute(
            "SELECT event, actor FROM recon.break_events WHERE break_id = %s ORDER BY event_id DESC LIMIT 1", [number]
        ).fetchone()
    assert event == ("changed", f"{PREFIX}_finance")


def test_b5_nothing_needs_a_right_to_create_once_the_database_is_migrated(granted):
    with psycopg.connect(granted, autocommit=True) as owner:
        database, loader = Identifier(owner.info.dbname), Identifier(f"{PREFIX}_loader")
        owner.execute(SQL("REVOKE CREATE ON DATABASE {} FROM {}").format(database, loader))
        try:
            for arguments in (["status"], ["marts"], ["verify"], ["breaks"]):
                done = command(*arguments, environment={"DATABASE_URL": url_as(granted, "loader")})
                assert (done.returncode, done.stderr) == (0, ""), arguments
        finally:
            owner.execute(SQL("GRANT CREATE ON DATABASE {} TO {}").format(database, loader))


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda file: Path(file).stem)
def test_each_question_has_a_title_and_a_comment_and_runs_in_its_readers_name(granted, question):
    statement = question.read_text(encoding="utf-8")
    title, comment, *_ = statement.splitlines()
    assert title.startswith("-- ")
    assert comment.startswith("-- ")
    of_recon = "recon." in statement
    with connected(granted, "finance" if of_recon else "bi") as connection:
        found = connection.execute("SELECT to_regclass('recon.balance_rollforward')") if of_recon else None
        if of_recon and found.fetchone()[0] is None:
            pytest.fail("recon.balance_rollforward is missing") if (sql.FOLDER / "reconciliation").exists() else None
            return
        connection.execute(statement).fetchall()


def test_an_owner_who_may_make_roles_but_is_no_superuser_can_grant(server_url):
    """As on managed servers."""
    name, prefix = f"ecommpay_test_{uuid.uuid4().hex[:12]}", f"m{uuid.uuid4().hex[:8]}"
    with psycopg.connect(make_conninfo(server_url), autocommit=True) as connection:
        connection.execute(SQL("CREATE ROLE {} LOGIN CREATEROLE").format(Identifier(name)))
        connection.execute(SQL("CREATE DATABASE {} OWNER {}").format(Identifier(name), Identifier(name)))
        host = psycopg.conninfo.conninfo_to_dict(server_url)["host"]
        url = f"postgresql://{name}@/{name}?host={host}"
        done = command("grant", environment={"DATABASE_URL": url, "SYNC_ROLE_PREFIX": prefix})
        again = command("marts", environment={"DATABASE_URL": url})
        connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))
        for role in (f"{prefix}_loader", f"{prefix}_bi", f"{prefix}_finance", name):
            connection.execute(SQL("DROP ROLE IF EXISTS {}").format(Identifier(role)))
    assert (done.returncode, done.stderr) == (0, "")
    assert (again.returncode, again.stderr) == (0, "")
