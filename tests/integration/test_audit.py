"""Any figure can be followed back to a body that the platform signed, and no entry of the ledger can be altered
unnoticed.
"""

from __future__ import annotations

import pytest
from conftest import create_database, drop_database, url_of

from resources.sandbox import DEMO_SECRET, DEMO_TOKEN, SandboxServer, World
from resources.warehouse.engine import Warehouse
from support import command, execute, fetch_all, sync

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
    world = World.generate(seed=9, start=FIRST, days=6, operations=11_500, now="2024-04-01T00:00:00")
    with SandboxServer(world) as sandbox:
        sync(sandbox, store, FIRST, LAST)
        changed = world.truth(None, FIRST, LAST)[5]["operation_id"]
        world.change(changed, effective=f"{LAST} 12:00:00", operation_status="error")
        sync(sandbox, store, FIRST, LAST)
    return changed


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


def test_an_untouched_store_is_verified_replayed_and_traced(loaded, environment, store):
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
def test_the_first_entry_that_was_tampered_with_is_named(loaded, environment, store, name):
    statements, entry, reason = TAMPERED[name]
    execute(store, statements)
    done = command("verify", environment=environment)
    assert done.returncode == 1
    assert f"broken at entry {entry} " in done.stderr
    assert reason in done.stderr


def test_entries_removed_at_the_end_are_noticed_by_a_head_noted_earlier(loaded, environment, store):
    (last,) = fetch_all(store, "SELECT max(entry_no) AS no FROM sync.windows")
    (head,) = fetch_all(store, "SELECT encode(entry_hash, 'hex') AS h FROM sync.windows WHERE entry_no = :no", **last)
    execute(store, "DELETE FROM sync.windows WHERE entry_no = (SELECT max(entry_no) FROM sync.windows)")
    assert command("verify", environment=environment).returncode == 0, "the rest of the chain is whole"
    done = command("verify", "--head", head["h"], environment=environment)
    assert done.returncode == 1
    assert "entries at its end were removed" in done.stderr


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
def test_a_store_that_differs_from_the_signed_pages_is_noticed_by_the_replay(loaded, environment, store, name):
    statement, message = STORE[name]
    execute(store, statement)
    done = command("replay", "--from", FIRST, "--to", LAST, environment=environment)
    assert done.returncode == 1
    assert message in done.stderr


def test_what_is_not_there_is_told_in_one_line(environment, empty_url):
    environment["DATABASE_URL"] = empty_url
    done = command("trace", "424242", environment=environment)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "424242 is not in core.operations" in done.stderr
    done = command("replay", "--from", FIRST, "--to", LAST, environment=environment)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "the ledger is empty" in command("verify", environment=environment).stdout


def test_restatements_tell_what_changed_between_two_moments(loaded, store):
    (first,) = fetch_all(store, "SELECT max(finished_at) AS at FROM sync.runs WHERE run_id = 1")
    found = fetch_all(store, "SELECT * FROM core.restatements(:since, now())", since=first["at"])
    assert [(row["operation_id"], row["kind"], row["status_after"]) for row in found] == [(loaded, "changed", "error")]
    assert found[0]["status_before"] not in (None, "error")
    everything = fetch_all(store, "SELECT count(*) FROM core.restatements('-infinity', now()) WHERE kind = 'new'")
    assert everything == fetch_all(store, "SELECT count(*) FROM core.operations")


def test_coverage_and_proofs_follow_from_the_ledger(loaded, store):
    (covered,) = fetch_all(store, "SELECT covered_from::date::text, covered_to::date::text FROM sync.coverage")
    assert covered == {"covered_from": FIRST, "covered_to": LAST}
    proofs = fetch_all(store, "SELECT proved, count(*) FROM sync.proofs GROUP BY proved ORDER BY proved")
    assert [row["proved"] for row in proofs] == [False, True], "the first walks are proved by the second ones"
    assert fetch_all(store, "SELECT sum(operations)::bigint AS n FROM sync.lateness WHERE lateness = 'over 7 days'")[0][
        "n"
    ]
