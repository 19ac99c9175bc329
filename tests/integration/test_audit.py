"""Any figure can be followed back to a body that the platform signed, and no entry of the ledger can be altered
unnoticed.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest
from conftest import create_database, drop_database, url_of

from fixtures.commands import SETTINGS, client_of, execute, fetch_all
from pipelines.alerts.conditions import evaluate
from pipelines.audit.replay import Replayer
from pipelines.ingest.engine import SyncRequest, sync
from pipelines.ingest.operations import OPERATIONS
from resources.data_api.endpoints import DataApi
from resources.sandbox import DEMO_SECRET, DEMO_TOKEN, SandboxServer, World
from resources.settings import AlertSettings, SyncSettings
from resources.warehouse.engine import Warehouse
from resources.warehouse.ledger import delete_old_pages

FIRST, LAST = "2024-03-01", "2024-03-06"


@pytest.fixture(scope="module")
def original(server_url, template):
    """A database with several windows, in which one operation has changed since it was first seen; and its id."""
    name = "ecommpay_test_audit"
    create_database(server_url, name, template)
    with Warehouse(url_of(server_url, name)) as store:
        changed = load_twice(store)
    yield name, changed
    drop_database(server_url, name)


def load_twice(store):
    world = World.generate(seed=9, start=FIRST, days=6, operations=4_000, now="2024-04-01T00:00:00")
    with SandboxServer(world) as sandbox, client_of(sandbox.url) as client:
        load_pairs_of_days(store, client)
        changed = world.truth(None, FIRST, LAST)[5]["operation_id"]
        world.change(changed, effective=f"{LAST} 12:00:00", operation_status="error")
        load_pairs_of_days(store, client)
    return changed


def load_pairs_of_days(store, client):
    for first in (1, 3, 5):
        days = SyncRequest(date(2024, 3, first), date(2024, 3, first + 1))
        sync(OPERATIONS, days, DataApi(client), store, SETTINGS)


@pytest.fixture
def store_url(server_url, original):
    """A copy of it for each test."""
    name = "ecommpay_test_audit_copy"
    create_database(server_url, name, original[0])
    yield url_of(server_url, name)
    drop_database(server_url, name)


@pytest.fixture
def loaded(original, store_url):
    return original[1]


@pytest.fixture
def environment(store_url):
    return {
        "DATABASE_URL": store_url,
        "DATA_API_BASE_URL": "http://127.0.0.1:9/v1",  # nothing here asks the platform
        "DATA_API_TOKEN": DEMO_TOKEN,
        "DATA_API_SECRET": DEMO_SECRET,
    }


def test_an_untouched_store_is_verified_replayed_and_traced(command, loaded, environment, store):
    verified = command("verify", environment=environment)
    assert verified.returncode == 0, verified.stderr
    (entries,) = fetch_all(
        store, "SELECT count(*), max(encode(entry_hash, 'hex')) FILTER (WHERE entry_no = 1) AS h FROM sync.windows"
    )
    assert f"intact: account default, {entries['count']} entries, head " in verified.stdout
    assert command("verify", "--head", entries["h"], environment=environment).returncode == 0

    replayed = command("replay", "--from", FIRST, "--to", LAST, environment=environment)
    assert replayed.returncode == 0, replayed.stderr
    assert replayed.stdout.startswith("equal: ")

    traced = command("trace", loaded, environment=environment)
    assert traced.returncode == 0, traced.stderr
    assert traced.stdout.count("signature verified") == 2, "the state before, and the state now"
    assert f'"operation_id":"{loaded}"' in traced.stdout
    assert '"operation_status":"error"' in traced.stdout
    assert DEMO_SECRET not in traced.stdout


ALTER = "UPDATE sync.windows SET rows_met = rows_met + 1 WHERE entry_no = 2"
SWAP = """UPDATE sync.windows SET entry_no = -entry_no WHERE entry_no IN (1, 2);
          UPDATE sync.windows SET entry_no = 3 + entry_no WHERE entry_no < 0"""
TAMPERED = {
    "altered": (ALTER, 2, "it was altered"),
    "rehashed": (
        ALTER + "; UPDATE sync.windows w SET entry_hash = sync.entry_hash(w) WHERE entry_no = 2",
        3,
        "it does not follow the entry before it",
    ),
    "removed": ("DELETE FROM sync.windows WHERE entry_no = 2", 3, "entries before it were removed or reordered"),
    "swapped": (
        SWAP,
        1,
        "",
    ),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_the_first_entry_that_was_tampered_with_is_named(command, loaded, environment, store, name):
    statements, entry, reason = TAMPERED[name]
    execute(store, statements)
    done = command("verify", environment=environment)
    assert done.returncode == 1
    assert f"broken at entry {entry} " in done.stderr
    assert reason in done.stderr


@pytest.mark.parametrize("head", ["", "abc", "g" * 64, "0" * 63])
def test_a_mistyped_head_is_wrong_input_and_no_report_of_tampering(command, environment, head):
    done = command("verify", "--head", head, environment=environment)
    assert done.returncode == 2
    assert ("64 hexadecimal digits" if head else "it is empty; leave it out") in done.stderr
    assert "removed" not in done.stderr


def test_a_head_is_taken_from_the_text_of_a_heartbeat_and_said_to_be_contained(command, loaded, environment, store):
    entries = fetch_all(store, "SELECT entry_no, encode(entry_hash, 'hex') AS h FROM sync.windows ORDER BY entry_no")
    text = "".join(f"account default: entry {entry['entry_no']}, head {entry['h']}\n" for entry in entries[:2])
    done = command("verify", "--head", text, environment=environment)
    assert done.returncode == 0
    for entry in entries[:2]:
        assert f"contained: account default, entry {entry['entry_no']}, head {entry['h']}" in done.stdout
    done = command("verify", "--head", text.replace(entries[0]["h"], "0" * 64), environment=environment)
    assert done.returncode == 1
    assert "0" * 64 in done.stderr


def test_entries_removed_at_the_end_are_noticed_by_a_head_noted_earlier(command, loaded, environment, store):
    (last,) = fetch_all(store, "SELECT max(entry_no) AS no FROM sync.windows")
    (head,) = fetch_all(store, "SELECT encode(entry_hash, 'hex') AS h FROM sync.windows WHERE entry_no = :no", **last)
    execute(store, "DELETE FROM sync.windows WHERE entry_no = (SELECT max(entry_no) FROM sync.windows)")
    assert command("verify", environment=environment).returncode == 0, "the rest of the chain is whole"
    done = command("verify", "--head", head["h"], environment=environment)
    assert done.returncode == 1
    assert "entries at its end were removed" in done.stderr


DAMAGED_PAGES = {
    "its digest": "body_sha256 = sha256('')",
    "a byte of its body": "body_zstd = set_byte(body_zstd, 20, 255 - get_byte(body_zstd, 20))",
    "its body cut": "body_zstd = substring(body_zstd FROM 1 FOR 40)",
    "no zstd at all": "body_zstd = 'none'",
}


@pytest.mark.parametrize("name", DAMAGED_PAGES)
def test_a_damaged_page_is_told_by_trace_and_replay_in_one_clear_line(command, loaded, environment, store, name):
    execute(store, "UPDATE raw.pages SET " + DAMAGED_PAGES[name])
    traced = command("trace", loaded, environment=environment)
    assert traced.returncode == 1
    assert "the body of a raw page was altered or damaged" in traced.stderr
    assert "signature verified" not in traced.stdout
    replayed = command("replay", "--from", FIRST, "--to", LAST, environment=environment)
    assert replayed.returncode == 1
    assert "is not what the platform signed" in replayed.stderr


FIRST_WITH_AMOUNT = """
    operation_id = (SELECT min(operation_id) FROM core.operations WHERE sum_initial_amount IS NOT NULL)"""
STORE = {
    "an amount": (
        "UPDATE core.operations SET sum_initial_amount = sum_initial_amount + 1 WHERE " + FIRST_WITH_AMOUNT,
        "is stored otherwise",
    ),
    "a row": (
        "DELETE FROM core.operations WHERE operation_id = (SELECT min(operation_id) FROM core.operations)",
        "is missing in the store",
    ),
    "a former state": ("UPDATE core.operation_versions SET arn = '9'", "is stored otherwise"),
    "a page": (
        "UPDATE raw.pages SET body_sha256 = sha256('') WHERE page_id = (SELECT min(page_id) FROM raw.pages)",
        "is not what the platform signed",
    ),
    "all pages": ("DELETE FROM raw.pages", "raw pages are gone"),
}


@pytest.mark.parametrize("name", STORE)
def test_a_store_that_differs_from_the_signed_pages_is_noticed_by_the_replay(command, loaded, environment, store, name):
    statement, message = STORE[name]
    execute(store, statement)
    done = command("replay", "--from", FIRST, "--to", LAST, environment=environment)
    assert done.returncode == 1
    assert message in done.stderr


ALL = (
    "SELECT * FROM core.operations ORDER BY operation_id",
    "SELECT * FROM core.operation_versions ORDER BY 2, observed_at",
)
DAMAGE = {
    "all rows deleted": "DELETE FROM core.operations; DELETE FROM core.operation_versions",
    "rows altered": "UPDATE core.operations SET arn = 'x', sum_initial_amount = 7 WHERE right(operation_id, 1) = '3'",
    "a former state lost": "DELETE FROM core.operation_versions",
    "a former state that ends too early": "UPDATE core.operation_versions SET known_to = observed_at + interval '1 us'",
    "first seen altered": "UPDATE core.operations SET first_seen_at = first_seen_at - interval '1 day'",
    "an invented row": "INSERT INTO core.operations SELECT (jsonb_populate_record(o, jsonb_build_object("
    "'operation_id', '42'))).* FROM core.operations o LIMIT 1",
    "an invented row of no window": "INSERT INTO core.operations SELECT (jsonb_populate_record(o, jsonb_build_object("
    "'operation_id', '42', 'window_id', 4242))).* FROM core.operations o LIMIT 1",
}


@pytest.mark.parametrize("name", DAMAGE)
def test_what_was_lost_altered_or_invented_is_named_and_put_back_exactly(loaded, store, name):
    replayer = Replayer(store, "default", DEMO_SECRET)
    days = date.fromisoformat(FIRST), date.fromisoformat(LAST)
    before = [fetch_all(store, statement) for statement in ALL]
    execute(store, DAMAGE[name])
    told = []
    found = replayer.replay(*days, told.append)
    assert found.differences
    assert told == found.problems
    done = replayer.repair(found.damaged)
    assert done.impossible == ()
    assert done.states_put_back + done.states_removed > 0
    assert [fetch_all(store, statement) for statement in ALL] == before
    assert replayer.replay(*days, told.append).problems == []
    assert store.query("warehouse/ledger/verify", account=None) == []


def test_a_store_that_was_vacuumed_while_it_was_empty_is_put_back_row_by_row_by_key(loaded, store, store_url):
    """The planner believes such a table to be empty for as long as a transaction lasts, however much that writes."""
    replayer = Replayer(store, "default", DEMO_SECRET)
    with psycopg.connect(store_url, autocommit=True) as connection:
        connection.execute("DELETE FROM core.operations")
        connection.execute("VACUUM ANALYZE core.operations")
    found = replayer.replay(date.fromisoformat(FIRST), date.fromisoformat(LAST), [].append)
    with psycopg.connect(store_url, autocommit=True) as connection:
        connection.execute("SELECT pg_stat_reset()")
    put_back = replayer.repair(found.damaged).states_put_back
    with psycopg.connect(store_url, autocommit=True) as connection:
        connection.execute("SELECT pg_stat_clear_snapshot()")
        (read,) = connection.execute(
            "SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE schemaname = 'core' AND relname = 'operations'"
        ).fetchone()
    assert put_back > 3_300
    assert read < 30 * put_back


def test_the_command_puts_back_and_then_is_green(command, loaded, environment, store):
    execute(store, "DELETE FROM core.operations")
    done = command("replay", "--from", FIRST, "--to", LAST, "--repair", environment=environment)
    assert done.returncode == 0, done.stderr
    assert "put back: " in done.stdout
    assert re.search(r"and \d[\d,]* more", done.stdout), "not one line for each of thousands of rows"
    assert done.stdout.splitlines()[-1].startswith("equal: ")


def test_a_row_whose_pages_were_altered_is_left_as_it_is_and_named(command, loaded, environment, store):
    execute(store, "UPDATE raw.pages SET body_sha256 = sha256('') WHERE page_id = (SELECT min(page_id) FROM raw.pages)")
    execute(store, "UPDATE core.operations SET arn = 'x'")
    done = command("replay", "--from", FIRST, "--to", LAST, "--repair", environment=environment)
    assert done.returncode == 1
    assert "left as it is: operations " in done.stdout
    left = fetch_all(store, "SELECT count(DISTINCT window_id) FROM core.operations WHERE arn = 'x'")
    assert left == [{"count": 1}], "the rows of the window whose page cannot be trusted, and no other"


def test_pages_deleted_for_their_age_are_told_from_pages_that_are_gone(command, loaded, environment, store):
    execute(store, "UPDATE raw.pages SET received_at = received_at - interval '10 days'")
    deleted = delete_old_pages(store, "default", raw_days=10, batch=3)
    assert deleted.pages == sum(row["pages"] for row in fetch_all(store, "SELECT pages FROM raw.deletions")) > 3
    assert fetch_all(store, "SELECT count(*) FROM raw.pages") == [{"count": 0}]
    days = ("--from", FIRST, "--to", LAST)
    done = command("replay", *days, environment=environment)
    assert "raw pages are gone" in done.stderr, "the walks are younger than what was deleted for its age"
    assert "raw page is gone" in command("trace", loaded, environment=environment).stdout
    execute(store, "UPDATE raw.deletions SET received_before = now() + interval '1 day'")
    done = command("replay", *days, environment=environment)
    assert done.returncode == 1
    assert "deleted after 10 days (SYNC_RAW_DAYS)" in done.stdout
    assert "cannot be replayed, because their raw pages were deleted for their age" in done.stderr
    done = command("trace", loaded, environment=environment)
    assert (done.returncode, done.stdout.count("its raw page was deleted after 10 days")) == (0, 2)


TAMPERED_DELETIONS = {
    "altered": ("UPDATE raw.deletions SET pages = pages + 1 WHERE deletion_no = 2", 2, "it was altered"),
    "removed": ("DELETE FROM raw.deletions WHERE deletion_no = 1", 2, "were removed or reordered"),
    "replaced": (
        (
            "UPDATE raw.deletions SET raw_days = 1 WHERE deletion_no = 1;"
            "UPDATE raw.deletions d SET entry_hash = raw.deletion_hash(d) WHERE deletion_no = 1"
        ),
        2,
        "does not follow",
    ),
}


@pytest.mark.parametrize("name", TAMPERED_DELETIONS)
def test_the_first_deletion_that_was_tampered_with_is_named_by_verify_and_by_an_alert(
    command, loaded, environment, store, name
):
    execute(store, "UPDATE raw.pages SET received_at = received_at - interval '10 days'")
    delete_old_pages(store, "default", raw_days=10, batch=1)
    assert command("verify", environment=environment).returncode == 0
    statements, row, reason = TAMPERED_DELETIONS[name]
    for statement in statements.split(";"):
        execute(store, statement)
    done = command("verify", environment=environment)
    assert done.returncode == 1
    assert f"are broken at row {row} " in done.stderr
    assert reason in done.stderr
    told = evaluate(store, SyncSettings(), AlertSettings(), datetime.now(UTC)).alerts
    assert f"ledger_broken:deletions:{row}" in [alert.cause for alert in told]


def test_pages_are_deleted_by_age_only_and_never_with_zero_days(loaded, store):
    (before,) = fetch_all(store, "SELECT count(*) FROM raw.pages")
    assert delete_old_pages(store, "default", raw_days=0).pages == 0
    assert delete_old_pages(store, "default", raw_days=1).pages == 0
    assert fetch_all(store, "SELECT count(*) FROM raw.pages") == [before]
    assert fetch_all(store, "SELECT * FROM raw.deletions") == []


def test_a_page_removed_from_a_window_is_noticed_by_the_ledgers_digest(command, loaded, environment, store):
    execute(store, "DELETE FROM raw.pages WHERE page_id = (SELECT max(page_id) FROM raw.pages)")
    done = command("replay", "--from", FIRST, "--to", LAST, environment=environment)
    assert done.returncode == 1
    assert "not those that the ledger names" in done.stderr


def test_what_is_not_there_is_told_in_one_line(command, environment, empty_url):
    environment["DATABASE_URL"] = empty_url
    done = command("trace", "424242", environment=environment)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "migrations are pending" in done.stderr
    done = command("replay", "--from", FIRST, "--to", LAST, environment=environment)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)  # it makes no tables: it only reads
    assert command("marts", environment=environment).returncode == 0
    assert "the ledger is empty" in command("verify", environment=environment).stdout


def test_restatements_tell_what_changed_between_two_moments(loaded, store):
    (first,) = fetch_all(store, "SELECT max(finished_at) AS at FROM sync.runs WHERE run_id = 3")
    found = fetch_all(store, "SELECT * FROM core.restatements(:since, now())", since=first["at"])
    assert [(row["operation_id"], row["kind"], row["status_after"]) for row in found] == [(loaded, "changed", "error")]
    assert found[0]["status_before"] not in (None, "error")
    everything = fetch_all(store, "SELECT count(*) FROM core.restatements('-infinity', now()) WHERE kind = 'new'")
    assert everything == fetch_all(store, "SELECT count(*) FROM core.operations")


def test_coverage_and_proofs_follow_from_the_ledger(loaded, store):
    (covered,) = fetch_all(store, "SELECT covered_from::date::text, covered_to::date::text FROM sync.coverage")
    midnight = date.fromisoformat(LAST) + timedelta(days=1)  # the boundary second is in both of its neighbours
    assert covered == {"covered_from": FIRST, "covered_to": str(midnight)}
    proofs = fetch_all(store, "SELECT proved, count(*) FROM sync.proofs GROUP BY proved ORDER BY proved")
    assert [row["proved"] for row in proofs] == [False, True], "the first walks are proved by the second ones"
    assert fetch_all(store, "SELECT sum(operations)::bigint AS n FROM sync.lateness WHERE lateness = 'over 7 days'")[0][
        "n"
    ]
