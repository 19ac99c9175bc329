"""The roles, each connected as itself: what it may do, and that it can do nothing else."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from subprocess import CompletedProcess

import psycopg
import pytest
from conftest import create_database, drop_database, url_of
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier

import sql
from fixtures.commands import fetch_all
from fixtures.debian_server import OLD_VERSION, debian_server
from pipelines.cli.demo_data import write_faultless_ledger
from resources.sandbox import DEMO_SECRET, DEMO_TOKEN, SandboxServer, World
from resources.warehouse.engine import Warehouse

DAY = "2024-03-02"
DAYS = "--from 2024-03-01 --to 2024-03-03"
DOCUMENTS = '[documents.rates]\nendpoint = "currency-rates/get"\n'
DOCUMENTS += 'params = { filter = { interval = { from = "{from}", to = "{to}" } } }\ninterval = { days = 1 }\n'
FIELDS = (
    "operation_id,payment_id,project_id,operation_type,operation_status,operation_created_at,operation_completed_at"
)
FIELDS += ",sum_initial,sum_converted,customer_id,customer_email"
# what the docs tell people who work as the loader to do, in this order, by one and the other of them in turn
STEPS = (
    f"operations {DAYS}",
    "documents",
    "balances",
    "spot-check --sample 5",
    "marts --full",
    "ledger import {folder}/books.csv",
    f"reconcile --date {DAY}",
    "breaks assign {break_id} --to Ann --by Bob",
    "breaks --output {folder}/breaks.csv",
    "explain {break_id} --by Ann --note late",
    "unmatch --operation {operation_id} --entry {entry_id} --by Ann --note no",
    f"reconcile --date {DAY}",
    "match --operation {operation_id} --entry {entry_id} --by Bob --note yes",
    f"reconcile --date {DAY}",
    f"report --date {DAY}",
    f"close --date {DAY} --by Ann",
    f"close --date {DAY} --by Bob",
    f"report --date {DAY} --evidence --output {{folder}}/evidence.zip",
    f"reopen --date {DAY} --by Bob --reason late",
    "settings apply",
    "verify",
    f"replay {DAYS}",
    "trace {operation_id}",
    "alert",
    "doctor",
    "erase --customer {customer_id}",
    "marts",
    "verify",
)
NOTE_OF_DDL = """
CREATE SCHEMA noted;
CREATE TABLE noted.ddl (object text);
CREATE FUNCTION noted.note() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO noted.ddl SELECT command_tag || ' ' || object_identity FROM pg_event_trigger_ddl_commands()
    WHERE coalesce(schema_name, '') !~ '^pg_temp';
END $$;
CREATE EVENT TRIGGER note ON ddl_command_end EXECUTE FUNCTION noted.note();
"""
OF_THE_STEPS = """
SELECT (SELECT min(break_id) FROM recon.breaks) AS break_id,
       (SELECT max(customer_id) FROM core.operations) AS customer_id,
       coalesce(d.operation_id, m.operation_id) AS operation_id, coalesce(d.entry_id, m.entry_id) AS entry_id
FROM (SELECT min(operation_id) AS operation_id, min('L' || operation_id) AS entry_id FROM recon.matches) m
LEFT JOIN (SELECT operation_id, entry_id FROM recon.manual_matches LIMIT 1) d ON true
"""
QUESTIONS = sorted((sql.FOLDER / "bi/questions").glob("*.sql"))
PREFIX = f"t{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="module", params=["the tests' own", OLD_VERSION])
def server(request, server_url):
    """A server's URL: of the tests' own PostgreSQL, and of an old one."""
    if request.param != OLD_VERSION:
        yield server_url
        return
    with debian_server() as url:
        yield url


@pytest.fixture(scope="module")
def granted(server, command):
    """A database with roles of its own names; both are gone afterwards."""
    name = f"ecommpay_test_{uuid.uuid4().hex[:12]}"
    create_database(server, name)
    url = url_of(server, name)
    for _ in range(2):  # safe to run again
        done = command("grant", environment={"DATABASE_URL": url, "SYNC_ROLE_PREFIX": PREFIX})
        assert (done.returncode, done.stderr) == (0, "")
    yield url
    drop_database(server, name)
    with psycopg.connect(make_conninfo(server), autocommit=True) as connection:
        for role in ("loader", "bi", "finance"):
            connection.execute(SQL("DROP ROLE {}").format(Identifier(f"{PREFIX}_{role}")))


@dataclass
class Work:
    """What came of the steps that people took in the loader's name."""

    url: str
    ends: dict[str, CompletedProcess[str]] = field(default_factory=dict)
    ddl: dict[str, list[str]] = field(default_factory=dict)  # by step: which objects were made or changed


@pytest.fixture(scope="module")
def work(granted, command, tmp_path_factory):
    """Two people who are members of the loader take all of its steps in turn, over tables that fill with rows."""
    folder = tmp_path_factory.mktemp("loader")
    (folder / "documents.toml").write_text(DOCUMENTS, encoding="utf-8")
    command.dagster_home(folder / "dagster")
    world = World.generate(seed=7, start="2024-03-01", days=3, operations=300, now="2024-03-10")
    people = [f"{PREFIX}_kim", f"{PREFIX}_lee"]
    done = Work(granted)
    with psycopg.connect(granted, autocommit=True) as owner, SandboxServer(world) as sandbox:
        owner.execute(NOTE_OF_DDL)
        owner.execute("CREATE SCHEMA seen; DROP SCHEMA seen")
        assert owner.execute("DELETE FROM noted.ddl RETURNING object").fetchall() == [("CREATE SCHEMA seen",)]
        for person in people:
            role = Identifier(f"{PREFIX}_loader")
            owner.execute(SQL("CREATE ROLE {} LOGIN IN ROLE {}").format(Identifier(person), role))
        environment = {
            "SYNC_ROLE_PREFIX": PREFIX,
            "SYNC_DATA_DIR": str(folder),
            "SYNC_REPORT_DIR": str(folder / "reports"),
            "SYNC_FIELDS": FIELDS,
            "DOCUMENTS_FILE": str(folder / "documents.toml"),
            "DATA_API_BASE_URL": sandbox.url,
            "DATA_API_TOKEN": DEMO_TOKEN,
            "DATA_API_SECRET": DEMO_SECRET,
        }
        for number, step in enumerate(STEPS):
            with Warehouse(granted) as store:
                if step.startswith("ledger"):
                    write_faultless_ledger(store, "default", date.fromisoformat(DAY), folder / "books.csv")
                    lines = (folder / "books.csv").read_text(encoding="utf-8").splitlines(keepends=True)
                    (folder / "books.csv").write_text("".join(lines[:-1]), encoding="utf-8")  # a break
                words = fetch_all(store, OF_THE_STEPS)[0]
            arguments = [word.format(folder=folder, **words) for word in step.split(" ")]
            url = login(granted, people[number % 2])
            done.ends[f"{number} {step}"] = command(*arguments, environment=environment | {"DATABASE_URL": url})
            noted = owner.execute("DELETE FROM noted.ddl RETURNING object").fetchall()
            done.ddl[f"{number} {step}"] = [made for (made,) in noted]
        yield done
        for person in people:
            owner.execute(SQL("DROP ROLE {}").format(Identifier(person)))


def connected(url: str, role: str):
    return psycopg.connect(make_conninfo(url, user=f"{PREFIX}_{role}"), autocommit=True)


def url_as(url: str, role: str) -> str:
    return login(url, f"{PREFIX}_{role}")


def login(url: str, user: str) -> str:
    return f"postgresql://{user}@{url.split('@', 1)[1]}"


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


def test_bi_is_read_only_from_the_start_and_sees_nothing_of_recon(granted, command):
    with connected(granted, "bi") as connection:
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("CREATE TABLE public.mine (a int)")
        with pytest.raises(DENIED):
            connection.execute("SELECT * FROM recon.breaks")


def test_finance_reads_recon_and_writes_owner_and_note_of_a_break_alone(granted, command):
    with connected(granted, "finance") as connection:
        connection.execute("SELECT * FROM recon.breaks").fetchall()
        connection.execute("UPDATE recon.breaks SET owner = 'me', note = 'seen'")
        for statement in ("UPDATE recon.breaks SET account = 'x'", "DELETE FROM recon.breaks"):
            with pytest.raises(DENIED):
                connection.execute(statement)


def test_the_loader_does_all_that_the_docs_tell_it_to_do(work):
    assert {
        step: (end.returncode, end.stdout[-300:], end.stderr) for step, end in work.ends.items() if end.returncode
    } == {}


def test_b3_nothing_is_made_when_nothing_is_pending(work):
    assert {step: objects for step, objects in work.ddl.items() if objects} == {}


def test_the_loader_runs_the_product_and_is_no_superuser(granted, command):
    environment = {"DATABASE_URL": url_as(granted, "loader"), "SYNC_ROLE_PREFIX": PREFIX}
    for arguments in (["marts", "--full"], ["status"], ["verify"]):
        done = command(*arguments, environment=environment)
        assert (done.returncode, done.stderr) == (0, ""), arguments
    with connected(granted, "loader") as connection:
        for statement in ("CREATE ROLE mine", "SELECT pg_read_file('/etc/passwd')", "CREATE DATABASE mine"):
            with pytest.raises(DENIED):
                connection.execute(statement)


def test_a_person_with_a_login_of_their_own_works_as_the_loader_and_is_named_beside_what_they_prepared(
    granted, command
):
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


def test_b3_what_a_member_of_the_loader_makes_belongs_to_the_loader(granted, command):
    name = f"{PREFIX}_eve"
    with psycopg.connect(granted, autocommit=True) as owner:
        owner.execute(SQL("CREATE ROLE {} LOGIN IN ROLE {}").format(Identifier(name), Identifier(f"{PREFIX}_loader")))
        # as after an upgrade that brings a view
        owner.execute("DROP VIEW bi.ops_lateness; UPDATE core.settings SET value = 'old' WHERE key LIKE 'bi_views%'")
        for arguments in (["marts"], ["marts", "--full"]):
            done = command(*arguments, environment={"DATABASE_URL": url_as(granted, "eve")})
            assert (done.returncode, done.stderr) == (0, "")
        assert owners_of_all(owner) == {f"{PREFIX}_loader"}
        owner.execute(SQL("DROP ROLE {}").format(Identifier(name)))
    done = command("marts", environment={"DATABASE_URL": url_as(granted, "loader")})
    assert (done.returncode, done.stderr) == (0, "")


def owners_of_all(connection) -> set[str]:
    rows = connection.execute(
        "SELECT pg_get_userbyid(c.relowner) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname IN ('core', 'raw', 'sync', 'bi', 'recon') UNION SELECT pg_get_userbyid(nspowner) "
        "FROM pg_namespace WHERE nspname IN ('core', 'raw', 'sync', 'bi', 'recon') UNION SELECT "
        "pg_get_userbyid(p.proowner) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
        "WHERE n.nspname IN ('core', 'raw', 'sync', 'bi', 'recon')"
    ).fetchall()
    return {owner for (owner,) in rows}


def test_b3_what_a_member_makes_in_an_empty_database_belongs_to_the_databases_owner(server, command):
    role, member = (f"{PREFIX}_{name}" for name in ("first", "max"))
    name = f"ecommpay_test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as owner:
        owner.execute(
            SQL("CREATE ROLE {0} LOGIN; CREATE ROLE {1} LOGIN IN ROLE {0}").format(*map(Identifier, (role, member)))
        )
        create_database(server, name)
        owner.execute(SQL("ALTER DATABASE {} OWNER TO {}").format(Identifier(name), Identifier(role)))
        try:
            for user in (member, role):
                done = command("marts", environment={"DATABASE_URL": login(url_of(server, name), user)})
                assert (done.returncode, done.stderr) == (0, "")
            with psycopg.connect(url_of(server, name)) as connection:
                assert owners_of_all(connection) == {role}
            owner.execute(SQL("DROP ROLE {}").format(Identifier(member)))
        finally:
            drop_database(server, name)
            owner.execute(SQL("DROP ROLE IF EXISTS {}, {}").format(Identifier(member), Identifier(role)))


def test_b4_finance_writes_owner_and_note_of_a_break_that_is_there_and_its_history_names_the_login(granted, command):
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


def test_b5_nothing_needs_a_right_to_create_once_the_database_is_migrated(granted, command):
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


def test_an_owner_who_may_make_roles_but_is_no_superuser_can_grant(server, command):
    """As on managed servers."""
    name, prefix = f"ecommpay_test_{uuid.uuid4().hex[:12]}", f"m{uuid.uuid4().hex[:8]}"
    with psycopg.connect(make_conninfo(server), autocommit=True) as connection:
        connection.execute(SQL("CREATE ROLE {} LOGIN CREATEROLE").format(Identifier(name)))
        connection.execute(SQL("CREATE DATABASE {} OWNER {}").format(Identifier(name), Identifier(name)))
        url = login(url_of(server, name), name)
        done = command("grant", environment={"DATABASE_URL": url, "SYNC_ROLE_PREFIX": prefix})
        again = command("marts", environment={"DATABASE_URL": url})
        connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))
        for role in (f"{prefix}_loader", f"{prefix}_bi", f"{prefix}_finance", name):
            connection.execute(SQL("DROP ROLE IF EXISTS {}").format(Identifier(role)))
    assert (done.returncode, done.stderr) == (0, "")
    assert (again.returncode, again.stderr) == (0, "")
