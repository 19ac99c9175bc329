"""The loader's promises, on a real PostgreSQL: all or nothing, the last observation wins, nothing is bent or lost.

One database serves all tests here, emptied before each; an example of a property has an account of its own.
"""

from __future__ import annotations

import itertools
import json
import random
import threading
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import psycopg
import pyarrow as pa
import pytest
import sqlalchemy
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier

import sql
from pipelines.sync.fields import KINDS
from pipelines.sync.normalize import normalize_operations, unite
from resources.errors import WarehouseBroken, WarehouseUnavailable
from resources.warehouse import ledger, load
from resources.warehouse.engine import Warehouse
from resources.warehouse.ledger import ControlTotal, LoadReport, Scope, WalkRecord
from resources.warehouse.load import RawPage, Reject, compress, control_totals, load_window, rows_digest
from resources.warehouse.locks import DaysAreBusy, range_lock
from support import fetch_all

PROPERTY = settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
START = datetime(2024, 3, 1, tzinfo=UTC)
accounts = map("account {}".format, itertools.count())
TABLES = ("core.operations", "core.operation_versions", "core.rejects", "raw.pages", "sync.windows")
STATEMENTS = (
    "ledger/next_window_id",
    "load/lock_account",
    "load/plan_by_key",
    "load/any_operation_stored",
    "load/stage_operations",
    "load/copy_operations",
    "load/staged_totals",
    "load/retire_operations",
    "load/insert_operations",
    "load/add_page",
    "load/add_reject",
    "load/add_window",
)


@pytest.fixture(scope="module")
def database_url(server_url, template):
    name = Identifier(f"ecommpay_test_{uuid.uuid4().hex[:12]}")
    with psycopg.connect(make_conninfo(server_url), autocommit=True) as connection:
        connection.execute(SQL("CREATE DATABASE {} TEMPLATE {}").format(name, Identifier(template)))
        yield make_conninfo(server_url, dbname=name.as_string().strip('"'))
        connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(name))


@pytest.fixture
def store(database_url):
    with Warehouse(database_url) as warehouse:
        with warehouse.transaction() as connection:
            for table in (*TABLES, "sync.runs"):
                connection.exec_driver_sql(f"DELETE FROM {table}")
        yield warehouse


def at(second: int) -> datetime:
    return START + timedelta(seconds=second)


def row(number, status="success", amount=100, **fields) -> dict:
    sum_initial = {"amount": amount, "currency": "EUR"}
    return {"operation_id": str(number), "operation_status": status, "sum_initial": sum_initial} | fields


def walk(second: int = 0) -> WalkRecord:
    return WalkRecord(START, START + timedelta(days=1), at(second), at(second), walks=1, drifts=0, pages=1, requests=2)


def started(store: Warehouse, account: str = "default", projects=(), days=1) -> Scope:
    interval = (START, START + timedelta(days=days))
    run_id = ledger.start_run(store, account=account, stream="operations", interval=interval, project_ids=projects)
    return Scope(account, run_id, tuple(projects))


def load_answers(
    store: Warehouse, answers: dict[int, list[dict]], account="default", pages=(), scope=None
) -> LoadReport:
    """Commit one window: second of the request → rows of its answer."""
    batch = unite([normalize_operations(rows, at(second)) for second, rows in sorted(answers.items())])
    scope = scope or started(store, account)
    return load_window(store, scope, walk(min(answers, default=0)), batch.frame, batch.rejects, pages)


def load_rows(store: Warehouse, *rows, second: int = 0, account="default", pages=(), scope=None) -> LoadReport:
    return load_answers(store, {second: [*rows]}, account, pages, scope)


def stored(store: Warehouse, account="default", what="*") -> list[dict]:
    statement = f"SELECT {what} FROM core.operations WHERE account = :account ORDER BY operation_id"
    return fetch_all(store, statement, account=account)


def versions(store: Warehouse, account="default") -> list[dict]:
    statement = "SELECT * FROM core.operation_versions WHERE account = :account ORDER BY operation_id, observed_at"
    return fetch_all(store, statement, account=account)


def known_at(store: Warehouse, moment: datetime, account="default") -> dict[str, str]:
    rows = fetch_all(
        store,
        "SELECT operation_id, operation_status FROM core.operations_as_of(:moment) WHERE account = :account",
        moment=moment,
        account=account,
    )
    assert len(rows) == len({row["operation_id"] for row in rows}), "an operation has one state at a moment"
    return {row["operation_id"]: row["operation_status"] for row in rows}


def everything(store: Warehouse) -> dict[str, list[dict]]:
    """All that is stored, with the physical place and version of each row."""
    return {table: fetch_all(store, f"SELECT ctid::text, xmin::text, * FROM {table} ORDER BY ctid") for table in TABLES}


def page_of(body: bytes = b'{"operations":[]}') -> RawPage:
    return RawPage(
        "operations/get", {"limit": 1000, "tz": "UTC"}, at(0), at(1), 0, len(body), b"digest", "sig", compress(body)
    )


def ledger_is_sound(store: Warehouse, account="default") -> bool:
    """Is the account's chain without a hole, each entry unaltered, and equal to what the store holds?"""
    entries = fetch_all(
        store,
        """SELECT entry_no, previous_hash, entry_hash, entry_hash = sync.entry_hash(w) AS intact,
                  totals_written = sync.written_totals(window_id) AS equal
           FROM sync.windows w WHERE account = :account ORDER BY entry_no""",
        account=account,
    )
    hashes = [bytes(32), *(entry["entry_hash"] for entry in entries)]
    return (
        [entry["entry_no"] for entry in entries] == list(range(1, len(entries) + 1))
        and [entry["previous_hash"] for entry in entries] == hashes[:-1]
        and len(set(hashes)) == len(hashes)
        and all(entry["intact"] and entry["equal"] for entry in entries)
    )


def cut_connections(store: Warehouse, name: str = "ecommpay-sync") -> None:
    """End every connection of that name, as a restart of the server or a firewall would."""
    with psycopg.connect(store.url, autocommit=True) as other:
        cut = other.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE application_name = %s AND datname = current_database()",
            [name],
        ).fetchall()
    assert cut, "there was a connection to cut"


# What is stored


def test_a_new_operation_is_stored_with_its_account_its_walk_and_when_it_was_seen(store):
    report = load_rows(store, row(1), row(2), second=5)
    assert (report.rows_met, report.rows_new, report.rows_changed, report.rows_unchanged) == (2, 2, 0, 0)
    for operation in stored(store):
        assert operation["account"] == "default"
        assert operation["window_id"] == report.window_id
        assert operation["observed_at"] == operation["first_seen_at"] == at(5)
    assert versions(store) == []
    assert ledger_is_sound(store)


def test_an_unchanged_row_is_not_rewritten_and_keeps_its_walk_and_its_times(store):
    load_rows(store, row(1), row(2, extra_field=1), second=5)
    before = stored(store, what="ctid::text, xmin::text, xmax::text, *")
    report = load_rows(store, row(1), row(2, extra_field=1), second=9)
    assert (report.rows_met, report.rows_new, report.rows_changed, report.rows_unchanged) == (2, 0, 0, 2)
    assert stored(store, what="ctid::text, xmin::text, xmax::text, *") == before
    assert versions(store) == []


def test_a_changed_row_leaves_its_predecessor_and_keeps_when_it_was_first_seen(store):
    load_rows(store, row(1, "processing"), row(2), second=5)
    (before, other) = stored(store)
    report = load_rows(store, row(1, "success"), row(2), row(3), second=9)
    assert (report.rows_met, report.rows_new, report.rows_changed, report.rows_unchanged) == (3, 1, 1, 1)
    now = stored(store)[0]
    assert (now["operation_status"], now["observed_at"], now["first_seen_at"]) == ("success", at(9), at(5))
    assert now["window_id"] == report.window_id
    assert versions(store) == [before | {"known_to": at(9)}]
    assert stored(store)[1] == other


def test_a_change_of_any_one_column_is_noticed_and_so_is_its_coming_and_going(store):
    """Every column by itself: from a value to another, to null, and back; what was known before stays known."""
    content = [name for name in KINDS if name != "operation_id"] + ["extra"]
    value = {"text": ("a", "b"), "time": ("2024-03-01 00:00:00", "2024-03-01 00:00:01"), "amount": (1, 2)}

    def with_value(name, which) -> dict:
        if name == "extra":
            return {"operation_id": name, "unknown": which}
        chosen = value[KINDS[name]][which]
        for money in ("sum_initial", "sum_converted"):
            if name.startswith(money):
                return {"operation_id": name, money: {name.removeprefix(f"{money}_"): chosen}}
        return {"operation_id": name, name: chosen}

    states = [
        [with_value(name, 0) for name in content],
        [with_value(name, 1) for name in content],
        [{"operation_id": name} for name in content],
        [with_value(name, 0) for name in content],
    ]
    known = []
    for second, rows in enumerate(states):
        report = load_rows(store, *rows, second=second)
        assert report.rows_changed + report.rows_new == len(content)
        known.append(stored(store))
    for second, rows in enumerate(known):
        statement = "SELECT * FROM core.operations_as_of(:moment) ORDER BY operation_id"
        assert fetch_all(store, statement, moment=at(second)) == rows
    assert ledger_is_sound(store)


def test_an_older_observation_that_commits_late_changes_nothing(store):
    load_rows(store, row(1, "success"), second=9)
    before = everything(store)
    report = load_rows(store, row(1, "processing"), second=5)
    assert (report.rows_new, report.rows_changed, report.rows_unchanged) == (0, 0, 1)
    assert {**everything(store), "sync.windows": None} == {**before, "sync.windows": None}
    assert ledger_is_sound(store)


def differences_of(store: Warehouse, window_id: int, *rows, second: int) -> list[tuple[str, str]]:
    """What a replay of a window with these rows says."""
    batch = unite([normalize_operations([*rows], at(second))])
    table = pa.Table.from_pandas(batch.frame, preserve_index=False)
    return [(found.key, found.reason) for found in load.staged_differences(store, "default", window_id, table)]


@pytest.mark.parametrize("known_before", [False, True])
def test_a_replay_takes_no_offence_at_what_was_observed_earlier_and_committed_late(store, known_before):
    """Seed 17 of the chaos suite: a row moved from one window to another while both were walked."""
    if known_before:
        load_rows(store, row(1, "initial"), second=0)
    later = load_rows(store, row(1, "success"), second=5)
    late = load_rows(store, row(1, "processing"), second=3)
    assert stored(store)[0]["operation_status"] == "success"
    assert differences_of(store, late.window_id, row(1, "processing"), second=3) == []
    assert differences_of(store, later.window_id, row(1, "success"), second=5) == []
    # what no earlier commit explains is a difference still
    assert differences_of(store, later.window_id, row(1, "error"), second=5) == [("1", "stored otherwise")]
    assert differences_of(store, late.window_id, row(2), second=3) == [("2", "missing in the store")]


def test_of_two_observations_of_the_same_moment_the_first_committed_stays(store):
    load_rows(store, row(1, "success"), second=5)
    load_rows(store, row(1, "decline"), second=5)
    assert [operation["operation_status"] for operation in stored(store)] == ["success"]
    assert versions(store) == []


def test_accounts_share_the_tables_and_nothing_else(store):
    load_rows(store, row(1, "success"), account="a")
    load_rows(store, row(1, "decline"), second=1, account="b")
    assert [operation["operation_status"] for operation in stored(store, "a")] == ["success"]
    assert [operation["operation_status"] for operation in stored(store, "b")] == ["decline"]
    assert versions(store, "a") == versions(store, "b") == []
    assert ledger_is_sound(store, "a")
    assert ledger_is_sound(store, "b")


def test_a_window_without_operations_is_a_complete_entry_of_the_ledger(store):
    report = load_rows(store)
    assert report == LoadReport(report.window_id)
    (entry,) = fetch_all(store, "SELECT verdict, rows_met, totals_met, totals_written FROM sync.windows")
    assert entry == {"verdict": "complete", "rows_met": 0, "totals_met": [], "totals_written": []}


def test_a_window_that_could_not_be_shown_complete_is_in_the_ledger_without_rows(store):
    because = "it moved — during every walk"
    ledger.add_incomplete_window(store, started(store), replace(walk(), incomplete_because=because))
    (entry,) = fetch_all(store, "SELECT verdict, reason, rows_met, rows_digest, entry_no FROM sync.windows")
    assert entry == {"verdict": "incomplete", "reason": because, "rows_met": 0, "rows_digest": None, "entry_no": 1}
    assert ledger_is_sound(store)


def test_the_signed_body_and_its_request_are_kept_as_they_came(store):
    body = b'{"operations":[],"signature":"\xc3\xa9"}' * 1_000
    load_rows(store, pages=[page_of(body), page_of()])
    first, second = fetch_all(store, "SELECT * FROM raw.pages ORDER BY page_id")
    assert pa.decompress(first["body_zstd"], first["body_bytes"], "zstd", asbytes=True) == body
    assert first["request"] == {"limit": 1000, "tz": "UTC"}
    assert first["window_id"] == second["window_id"]


# Last observation wins

STATES = ("processing", "awaiting 3ds result", "success", "decline")
SEEDS = range(3)
IDS = [f"{number:03}" for number in range(40)]

# operation id → when it was observed (second), and in what state; what one walk brings
Observed = dict[str, tuple[int, str]]


def load_observed(store: Warehouse, scope: Scope, observed: Observed) -> LoadReport:
    answers: dict[int, list[dict]] = {}
    for name, (second, state) in observed.items():
        answers.setdefault(second, []).append(row(name, state))
    return load_answers(store, answers, scope=scope)


def some_ids(chance: random.Random) -> list[str]:
    return chance.sample(IDS, chance.choice([1, 10, len(IDS)]))


@pytest.mark.parametrize("seed", SEEDS)
def test_in_whatever_order_walks_commit_each_operation_ends_as_it_was_observed_last(store, seed):
    """Walks observe at random moments; an operation's states follow each other and never return."""
    chance = random.Random(seed)
    changes = {name: sorted(chance.sample(range(30), chance.randrange(4))) for name in IDS}

    def observed(name: str) -> tuple[int, str]:
        second = chance.randrange(30)
        return second, STATES[sum(change <= second for change in changes[name])]

    walks = [{name: observed(name) for name in some_ids(chance)} for _ in range(8)]
    scope = started(store)
    reports = [load_observed(store, scope, each) for each in walks]
    found = {operation["operation_id"]: operation for operation in stored(store)}
    last = {name: max(each[name] for each in walks if name in each) for name in set().union(*walks)}
    assert {name: found[name]["operation_status"] for name in found} == {
        name: state for name, (_, state) in last.items()
    }
    first = {name: next(each[name] for each in walks if name in each) for name in last}
    assert {name: found[name]["first_seen_at"] for name in found} == {name: at(first[name][0]) for name in first}
    assert sum(report.rows_new for report in reports) == len(found)
    assert sum(report.rows_changed for report in reports) == len(versions(store)) > 0
    assert ledger_is_sound(store)
    # what was known follows without a gap and without an overlap, up to now
    until: dict[str, datetime] = {}
    for version in versions(store):
        name, known_from, known_to = (version[key] for key in ("operation_id", "observed_at", "known_to"))
        assert until.get(name, known_from) == known_from < known_to
        until[name] = known_to
    assert {name: found[name]["observed_at"] for name in until} == until


@pytest.mark.parametrize("seed", SEEDS)
def test_what_walks_observed_one_after_the_other_can_be_asked_for_as_of_every_moment(store, seed):
    """Here states do return: after success, processing, and success again."""
    chance = random.Random(seed)
    scope = started(store)
    truth: dict[str, str] = {}
    as_of = {-1: {}}
    for start in range(0, 24, 3):
        walk_of = {name: (start + chance.randrange(3), chance.choice(STATES[:2])) for name in some_ids(chance)}
        load_observed(store, scope, walk_of)
        for second in range(start, start + 3):
            truth = truth | {name: state for name, (when, state) in walk_of.items() if when == second}
            as_of[second] = truth
    assert len(versions(store)) > 10
    for second, expected in as_of.items():
        assert known_at(store, at(second)) == expected


def test_a_known_limit_a_state_that_returned_gives_way_to_one_observed_before_its_return(store):
    """An unchanged observation is not written, so its later time is not known to a walk that commits late.

    A at 10, A again at 20, then, late, B at 15: the store ends with B, though A was observed last. The next
    walk that meets the operation sets it right.
    """
    load_rows(store, row(1, "A"), second=10)
    load_rows(store, row(1, "A"), second=20)
    load_rows(store, row(1, "B"), second=15)
    assert [operation["operation_status"] for operation in stored(store)] == ["B"]
    load_rows(store, row(1, "A"), second=30)
    assert [operation["operation_status"] for operation in stored(store)] == ["A"]


# All or nothing


class Killed(BaseException):
    """Stands for kill -9: nothing of ours may catch it."""


def _kill(store: Warehouse, name: str) -> str:
    raise Killed


def _cut(store: Warehouse, name: str) -> str:
    cut_connections(store)
    return sql.text(name)


def _fail(store: Warehouse, name: str) -> str:
    return "SELECT 1 / 0"


WAYS = {
    "the process is killed": (_kill, Killed),
    "the connection is cut": (_cut, WarehouseUnavailable),
    "the statement fails": (_fail, WarehouseBroken),
}


@pytest.fixture
def loaded(store):
    """A store with something of everything in it."""
    load_rows(store, row(1, "processing"), row(2), {"arn": "without id"}, pages=[page_of()])
    return store


def load_second(store: Warehouse) -> LoadReport:
    """A window that has everything: a new, a changed, an unchanged row, a reject met before and a new one, pages."""
    rows = [row(1, "success"), row(2), row(3), {"arn": "without id"}, {"arn": "nor this"}]
    return load_rows(store, *rows, second=5, pages=[page_of(), page_of()])


def nothing_of_it_is_stored(store: Warehouse, before: dict) -> bool:
    staging = fetch_all(store, "SELECT relname FROM pg_class WHERE relname LIKE 'staging%'")
    return everything(store) == before and staging == []


def all_of_it_is_stored(store: Warehouse) -> bool:
    counts = {table: len(rows) for table, rows in everything(store).items()}
    return counts == dict(zip(TABLES, (3, 1, 2, 3, 2), strict=True)) and ledger_is_sound(store)


def test_these_are_the_statements_of_a_load_in_their_order(loaded, monkeypatch):
    names = []
    real = sql.text
    with monkeypatch.context() as patch:
        patch.setattr(sql, "text", lambda name: names.append(name) or real(name))
        load_second(loaded)
    assert tuple(name for name in names if name != "ledger/start_run") == STATEMENTS
    assert all_of_it_is_stored(loaded)


@pytest.mark.parametrize("statement", STATEMENTS)
def test_a_load_that_ends_at_any_statement_leaves_nothing_and_the_next_one_works(loaded, monkeypatch, statement):
    before = everything(loaded)
    real = sql.text
    for way, (interrupt, error) in WAYS.items():
        with monkeypatch.context() as patch:

            def text(name, interrupt=interrupt):
                if name != statement:
                    return real(name)
                patch.setattr(sql, "text", real)
                return interrupt(loaded, name)

            patch.setattr(sql, "text", text)
            with pytest.raises(error):
                load_second(loaded)
        assert nothing_of_it_is_stored(loaded, before), way
    load_second(loaded)
    assert all_of_it_is_stored(loaded)


def test_a_load_that_is_cut_off_in_the_middle_of_its_rows_leaves_nothing(loaded, monkeypatch):
    before = everything(loaded)
    write = psycopg.Copy.write

    def half(copy, data):
        write(copy, data[: len(data) // 2])
        cut_connections(loaded)
        write(copy, data[len(data) // 2 :])

    with monkeypatch.context() as patch:
        patch.setattr(psycopg.Copy, "write", half)
        with pytest.raises(WarehouseUnavailable):
            load_second(loaded)
    assert nothing_of_it_is_stored(loaded, before)
    load_second(loaded)
    assert all_of_it_is_stored(loaded)


@pytest.mark.parametrize("way", ["the process is killed", "the connection is cut"])
def test_a_load_that_ends_right_before_its_commit_leaves_nothing(loaded, way):
    before = everything(loaded)
    interrupt, error = WAYS[way]
    scope = started(loaded)
    sqlalchemy.event.listen(loaded._engine, "commit", lambda _: interrupt(loaded, STATEMENTS[0]), once=True)
    with pytest.raises(error):
        load_rows(loaded, row(1, "success"), row(3), {"arn": "nor this"}, second=5, pages=[page_of()], scope=scope)
    assert nothing_of_it_is_stored(loaded, before)
    load_second(loaded)
    assert all_of_it_is_stored(loaded)


LOSSES = {
    "a row is lost": lambda data: data[data.index(b"\n") + 1 :],
    "a row is doubled": lambda data: data[: data.index(b"\n") + 1] + data,
    "an amount is changed": lambda data: data.replace(b",4711,", b",4712,"),
    "an amount is lost": lambda data: data.replace(b",4711,", b",,"),
    "a currency is changed": lambda data: data.replace(b'"EUR"', b'"USD"', 1),
    "a status is lost": lambda data: data.replace(b'"success"', b"", 1),
    "nothing arrives": lambda data: b"",
}


@pytest.mark.parametrize("loss", LOSSES)
def test_rows_that_arrive_otherwise_than_they_were_sent_are_not_stored(loaded, monkeypatch, loss):
    before = everything(loaded)
    real = load._csv

    def changed(table):
        assert LOSSES[loss](real(table)) != real(table)
        return LOSSES[loss](real(table))

    with monkeypatch.context() as patch:
        patch.setattr(load, "_csv", changed)
        with pytest.raises(WarehouseBroken, match="what PostgreSQL received differs from what was sent") as error:
            load_rows(loaded, row(3), row(4, amount=4711), second=5)
    assert "\n" not in str(error.value)
    assert nothing_of_it_is_stored(loaded, before)


# Nothing is bent on the way

HOSTILE = [
    *("\\.", "\n\\.\n", "a\n\\.\nb", "\\N", "\\", "\\\\", '"', '""', '"\n"', "'", ",", ";", "\t", "\r", "\n", "\r\n"),
    *("=1+1", "@x", "-1", " ", "  a ", "NULL", "null", "a,b\nc,d", "\x01\x7f\x1b[0m", "\ufeff", "\u2028", "e\u0301"),
    *("😀", "%s", "%(account)s", ":account", "$1", "{}", "--", "/*", "'; DROP TABLE core.operations; --"),
]
hostile = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20),
    st.text(st.sampled_from('",\\.\r\n\t =Nn'), max_size=12),
)


@PROPERTY
@example(texts=list(itertools.pairwise([*HOSTILE, *reversed(HOSTILE)])))
@given(texts=st.lists(st.tuples(hostile, hostile), min_size=1, max_size=20))
def test_every_text_arrives_to_the_byte(store, texts):
    account = next(accounts)
    rows = [row(number, payment_description=a, arn=b, later={a: [b]}) for number, (a, b) in enumerate(texts)]
    report = load_rows(store, *rows, account=account)
    assert report.rows_new == len(texts)
    found = {operation["operation_id"]: operation for operation in stored(store, account)}
    for number, (a, b) in enumerate(texts):
        operation = found[str(number)]
        assert (operation["payment_description"], operation["arn"]) == (a or None, b or None)
        assert operation["extra"] == {"later": {a: [b]}}
    assert load_rows(store, *rows, second=1, account=account).rows_unchanged == len(texts), "and compares as equal"


@PROPERTY
@example(ids=HOSTILE)
@given(ids=st.lists(hostile.filter(bool), min_size=1, max_size=20, unique=True))
def test_whatever_an_id_is_made_of_it_is_its_own(store, ids):
    account = next(accounts)
    for second in range(2):
        load_rows(store, *(row(name, STATES[second]) for name in ids), second=second, account=account)
    assert [operation["operation_id"] for operation in stored(store, account)] == sorted(ids, key=str.encode)
    assert len(versions(store, account)) == len(ids)


@pytest.mark.parametrize("account", ["default", "it's", 'a"b', "a,b", "ü", "%s", ":x"])
def test_whatever_an_account_is_called_it_is_its_own(store, account):
    load_rows(store, row(1, "processing"), {"arn": "no id"}, account=account, pages=[page_of()])
    load_rows(store, row(1, "success"), second=1, account=account)
    assert [operation["account"] for operation in stored(store, account)] == [account]
    assert len(versions(store, account)) == 1
    assert ledger_is_sound(store, account)


def test_times_arrive_exactly_from_the_first_to_the_last(store):
    times = [
        "0001-01-01 00:00:00",
        "1969-12-31T23:59:59.999999Z",
        "2024-03-31T02:30:00.000001+01:00",
        "9999-12-31 23:59:59",
    ]
    load_rows(store, *(row(number, provider_date=time) for number, time in enumerate(times)))
    found = [operation["t"] for operation in stored(store, what="provider_date AT TIME ZONE 'UTC' AS t")]
    assert found == [
        datetime(1, 1, 1),
        datetime(1969, 12, 31, 23, 59, 59, 999_999),
        datetime(2024, 3, 31, 1, 30, 0, 1),
        datetime(9999, 12, 31, 23, 59, 59),
    ]


def test_a_number_in_extra_arrives_digit_by_digit(store):
    digits = {"a": 2**80, "b": Decimal("0.10"), "c": Decimal("12345678901234567890.123456789012345678901")}
    load_rows(store, row(1, **digits))
    found = stored(store, what="extra ->> 'a' AS a, extra ->> 'b' AS b, extra ->> 'c' AS c")
    assert found == [{name: str(number) for name, number in digits.items()}]


# Control totals


def test_sums_beyond_64_bits_are_exact_in_the_report_and_in_the_ledger(store):
    largest = 2**63 - 1
    report = load_rows(store, *(row(number, amount=largest) for number in range(3)))
    assert report.totals == (ControlTotal("EUR", None, "success", 3, 3 * largest),)
    (entry,) = fetch_all(store, "SELECT totals_met, totals_written FROM sync.windows")
    assert entry["totals_met"] == entry["totals_written"]
    assert entry["totals_met"] == [
        {"currency": "EUR", "type": None, "status": "success", "count": 3, "minor": str(3 * largest)}
    ]


@PROPERTY
@given(
    rows=st.lists(
        st.builds(
            lambda status, kind, currency, amount: {
                "operation_status": status,
                "operation_type": kind,
                "sum_initial": {"currency": currency, "amount": amount},
            },
            st.sampled_from(["success", "decline", None]),
            st.sampled_from(["sale", "é", None]),
            st.sampled_from(["EUR", "JPY", "XXQ", None]),
            st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
        ),
        max_size=12,
    )
)
def test_totals_never_mix_currencies_types_or_states_and_are_those_of_the_rows(store, rows):
    counts: Counter = Counter()
    sums: dict = {}
    for each in rows:
        money = each["sum_initial"]
        key = (money["currency"], each["operation_type"], each["operation_status"])
        counts[key] += 1
        if money["amount"] is not None:
            sums[key] = sums.get(key, 0) + money["amount"]
    account = next(accounts)
    report = load_rows(
        store, *(each | {"operation_id": str(number)} for number, each in enumerate(rows)), account=account
    )
    assert {(t.currency, t.type, t.status): (t.count, t.minor) for t in report.totals} == {
        key: (count, sums.get(key)) for key, count in counts.items()
    }
    assert len(report.totals) == len(counts)
    (entry,) = fetch_all(store, "SELECT * FROM sync.windows WHERE account = :account", account=account)
    assert entry["totals_met"] == entry["totals_written"], "the same totals in the same order, made by two programs"


def test_what_a_walk_wrote_adds_up_for_ever_whatever_replaces_it_later(store):
    first = load_rows(store, row(1, "processing"), row(2, "processing", 7))
    load_rows(store, row(1, "success"), row(2, "decline", 9), second=5)
    load_rows(store, row(1, "decline"), second=9)
    (written,) = fetch_all(store, "SELECT sync.written_totals(:id) AS totals", id=first.window_id)
    assert written["totals"] == [{"currency": "EUR", "type": None, "status": "processing", "count": 2, "minor": "107"}]
    assert ledger_is_sound(store)


def table_of(*rows, second=0) -> pa.Table:
    return pa.Table.from_pandas(unite([normalize_operations(rows, at(second))]).frame, preserve_index=False)


def test_the_same_rows_have_the_same_digest_whenever_they_were_observed(store):
    assert rows_digest(table_of(row(1), row(2))) == rows_digest(table_of(row(2), row(1), second=9))


@pytest.mark.parametrize(
    "other",
    [
        [row(1)],
        [row(1), row(2), row(3)],
        [row(1), row(2, "decline")],
        [row(1), row(2, amount=101)],
        [row(1), row(2, unknown=None, known=0)],
        [row(1), row(2, provider_date="2024-03-01 00:00:00.000001")],
        [row(1), row(2, arn=" ")],
        [row(1, arn="a"), row(2)],
    ],
)
def test_other_rows_have_another_digest(other):
    assert rows_digest(table_of(*other)) != rows_digest(table_of(row(1), row(2)))


def test_no_rows_have_no_totals():
    assert control_totals(table_of()) == []


# Rejects


def test_a_reject_met_again_is_marked_as_met_again_and_kept_once(store):
    rejected = {"arn": "no id"}
    first = load_rows(store, rejected, second=5)
    again = load_rows(store, rejected, row(1), second=9)
    load_rows(store, rejected, second=7)
    (reject,) = fetch_all(store, "SELECT * FROM core.rejects")
    assert (first.rows_met, first.rows_rejected, again.rows_met, again.rows_rejected) == (1, 1, 2, 1)
    assert (reject["first_seen_at"], reject["last_seen_at"]) == (at(5), at(9)), "an older walk does not set it back"
    assert reject["raw_json"] == '{"arn":"no id"}'
    assert reject["reason"] == "operation_id is missing"


def test_rejects_are_kept_to_the_byte_whatever_is_in_them(store):
    rejects = [{"arn": text, "number": 2**70} for text in [*HOSTILE, "\x00"]]
    load_rows(store, *rejects)
    found = fetch_all(store, "SELECT raw_json FROM core.rejects")
    assert sorted(json.loads(reject["raw_json"])["arn"] for reject in found) == sorted(each["arn"] for each in rejects)


def test_a_reject_with_a_raw_nul_is_stored_escaped(store):
    scope = started(store)
    frame = unite([]).frame
    load_window(store, scope, walk(), frame, [Reject("why", '"\x00"', at(0))], [])
    assert fetch_all(store, "SELECT raw_json FROM core.rejects") == [{"raw_json": '"\\u0000"'}]


# The ledger


def test_walks_that_commit_at_once_make_one_chain_and_count_each_change_once(store):
    together = threading.Barrier(4)

    def commit(worker: int) -> list[LoadReport]:
        scope = started(store)
        together.wait()
        return [
            load_rows(
                store, *(row(number, f"{turn} {worker}") for number in range(20)), second=5 * turn + worker, scope=scope
            )
            for turn in range(6)
        ]

    with ThreadPoolExecutor(4) as pool:
        reports = [report for done in pool.map(commit, range(4)) for report in done]
    assert ledger_is_sound(store)
    assert len({report.window_id for report in reports}) == 24
    assert sum(report.rows_new for report in reports) == len(stored(store)) == 20
    assert sum(report.rows_changed for report in reports) == len(versions(store))
    assert {operation["operation_status"] for operation in stored(store)} == {"5 3"}, "the last observation"


@contextmanager
def paused_before(monkeypatch, statement: str):
    """In the first thread that comes to it, the statement waits for the end of the block."""
    real, reached, go_on = sql.text, threading.Event(), threading.Event()

    def text(name):
        if name == statement and not reached.is_set():
            reached.set()
            go_on.wait(20)
        return real(name)

    with monkeypatch.context() as patch:
        patch.setattr(sql, "text", text)
        try:
            yield reached
        finally:
            go_on.set()


def waits_for_a_lock(store: Warehouse) -> bool:
    waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return any(fetch_all(store, waiting) or time.sleep(0.01) for _ in range(500))


def test_a_walk_that_meets_an_operation_while_another_is_storing_it_waits_and_then_sees_it(store, monkeypatch):
    """Without waiting it would find the row neither to retire nor to insert, and the later state would be lost."""
    load_rows(store, row(1, "processing"))
    with ThreadPoolExecutor(2) as pool:
        with paused_before(monkeypatch, "load/add_window") as reached:
            earlier = pool.submit(load_rows, store, row(1, "awaiting 3ds result"), row(2, "processing"), second=5)
            assert reached.wait(5)
            later = pool.submit(load_rows, store, row(1, "success"), row(2, "success"), second=9)
            assert waits_for_a_lock(store)
        assert (earlier.result().rows_new, earlier.result().rows_changed) == (1, 1)
        assert (later.result().rows_new, later.result().rows_changed) == (0, 2)
    assert {operation["operation_status"] for operation in stored(store)} == {"success"}
    assert len(versions(store)) == 3
    assert ledger_is_sound(store)


def test_a_window_that_is_incomplete_takes_its_place_in_the_chain_like_any_other(store):
    scope = started(store)
    incomplete = replace(walk(), incomplete_because="it moved")
    with ThreadPoolExecutor(1) as pool, store.transaction() as connection:
        ledger.add_window(connection, scope, incomplete, LoadReport(ledger.next_window_id(connection)))
        other = pool.submit(ledger.add_incomplete_window, store, scope, incomplete)
        assert waits_for_a_lock(store)
        connection.commit()
        other.result(5)
    assert ledger_is_sound(store)
    assert fetch_all(store, "SELECT count(*) FROM sync.windows") == [{"count": 2}]


def test_accounts_that_commit_at_once_have_a_chain_each(store):
    together = threading.Barrier(2)

    def commit(account: str) -> None:
        together.wait()
        for second in range(8):
            load_rows(store, row(1, str(second)), second=second, account=account)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(commit, "ab"))
    assert ledger_is_sound(store, "a")
    assert ledger_is_sound(store, "b")
    assert fetch_all(store, "SELECT account, max(entry_no) FROM sync.windows GROUP BY 1 ORDER BY 1") == [
        {"account": "a", "max": 8},
        {"account": "b", "max": 8},
    ]


def test_a_walk_that_fails_leaves_no_hole_in_the_chain(store):
    load_rows(store, row(1))
    with pytest.raises(WarehouseBroken):
        load_rows(store, scope=Scope("default", 999_999))
    load_rows(store, row(2), second=1)
    assert ledger_is_sound(store)


EDITS = {
    "text": "coalesce({0}, '') || 'x'",
    "bigint": "{0} + 1",
    "integer": "{0} + 1",
    "bigint[]": "array_append({0}, 7)",
    "timestamp with time zone": "{0} + interval '1 microsecond'",
    "jsonb": "{0} || '[1]'",
    "bytea": "set_byte({0}, 0, (get_byte({0}, 0) + 1) % 256)",
}


@pytest.mark.parametrize("verdict", ["complete", "incomplete"])
def test_an_edit_of_any_column_of_a_ledger_entry_shows(store, verdict):
    scope = started(store, projects=[5])
    if verdict == "complete":
        load_rows(store, row(1), scope=scope)
    else:
        ledger.add_incomplete_window(store, scope, replace(walk(), incomplete_because="it moved"))
    columns = fetch_all(
        store,
        "SELECT attname AS name, format_type(atttypid, NULL) AS type FROM pg_attribute "
        "WHERE attrelid = 'sync.windows'::regclass AND attnum > 0 AND NOT attisdropped",
    )
    edits = {column["name"]: EDITS[column["type"]].format(column["name"]) for column in columns}
    edits["verdict"] = "CASE verdict WHEN 'complete' THEN 'incomplete' ELSE 'complete' END"
    edits["run_id"] = str(started(store).run_id)
    intact = "SELECT entry_hash = sync.entry_hash(w) FROM sync.windows w"
    with psycopg.connect(store.url, options="-c timezone=Asia/Tokyo -c datestyle=SQL,DMY") as connection:
        assert connection.execute(intact).fetchall() == [(True,)], "in whatever session it is looked at"
        for name, edit in edits.items():
            with connection.transaction(force_rollback=True):
                connection.execute(f"UPDATE sync.windows SET {name} = {edit}")
                assert connection.execute(intact).fetchall() == [(False,)], f"an edit of {name} must show"
        assert connection.execute(intact).fetchall() == [(True,)]
    assert len(edits) == 28


def test_an_entry_that_is_taken_out_breaks_the_chain(store):
    for number in range(3):
        load_rows(store, row(number))
    with store.transaction() as connection:
        connection.exec_driver_sql("DELETE FROM sync.windows WHERE entry_no = 2")
    assert not ledger_is_sound(store)


def test_a_run_is_written_when_it_begins_and_when_it_ends(store):
    run_id = ledger.start_run(
        store, account="a", stream="operations", interval=(at(0), at(9)), project_ids=[7, 8], dagster_run_id="d"
    )
    (run,) = fetch_all(store, "SELECT * FROM sync.runs")
    assert run["run_id"] == run_id
    assert (run["state"], run["finished_at"], run["project_ids"]) == ("running", None, [7, 8])
    assert (run["interval_from"], run["interval_to"], run["dagster_run_id"]) == (at(0), at(9), "d")
    ledger.finish_run(store, run_id, "incomplete", "it moved", 12)
    (run,) = fetch_all(store, "SELECT state, message, requests, finished_at >= started_at AS ended FROM sync.runs")
    assert run == {"state": "incomplete", "message": "it moved", "requests": 12, "ended": True}


def load_empty(store: Warehouse, scope: Scope, hours_ago: float = 0, until=None) -> None:
    begun = datetime.now(UTC) - timedelta(hours=hours_ago)
    record = replace(walk(), walk_started_at=begun, walk_ended_at=begun)
    load_window(store, scope, replace(record, interval_to=until or record.interval_to), unite([]).frame, [], [])


def done_already(store: Warehouse, account="default", days=1, projects=(), look_back_days=3) -> list:
    asked = (START, START + timedelta(days=days))
    return ledger.unfinished_windows(store, account, asked, projects, look_back_days)


def test_a_run_over_the_same_days_continues_what_an_interrupted_one_committed(store):
    load_empty(store, started(store))
    assert done_already(store) == [(START, START + timedelta(days=1))]
    assert done_already(store, account="other") == []
    assert done_already(store, days=2) == []
    assert done_already(store, projects=[5]) == []


def test_nothing_is_continued_of_a_run_that_was_completed(store):
    load_empty(store, started(store))
    completed = started(store)
    load_empty(store, completed)
    ledger.finish_run(store, completed.run_id, "complete", None, 1)
    assert done_already(store) == []
    load_empty(store, started(store))
    assert len(done_already(store)) == 1


def test_walked_again_is_what_was_incomplete_or_walked_a_day_ago_or_lies_in_the_look_back(store):
    just_now = replace(walk(), walk_started_at=datetime.now(UTC), walk_ended_at=datetime.now(UTC))
    ledger.add_incomplete_window(store, started(store), replace(just_now, incomplete_because="it moved"))
    load_empty(store, started(store), hours_ago=25)
    load_empty(store, started(store), until=datetime.now(UTC) - timedelta(days=2))
    assert done_already(store) == []
    assert len(done_already(store, look_back_days=1)) == 1


# The lock of the days

MARCH = (date(2024, 3, 1), date(2024, 3, 31))
LOCKS = "ecommpay-sync lock"


@contextmanager
def held(store: Warehouse, first: date, last: date, account="default"):
    """Another run that holds the days, in a thread of its own, until the block ends."""
    holding, release = threading.Event(), threading.Event()

    def hold() -> None:
        with range_lock(store, account, first, last, 1):
            holding.set()
            release.wait(20)

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(hold)
        try:
            assert holding.wait(5)
            yield
        finally:
            release.set()
        other.result()


def is_busy(store: Warehouse, first: date, last: date, account="default", wait_seconds=0.1) -> bool:
    try:
        with range_lock(store, account, first, last, wait_seconds):
            return False
    except DaysAreBusy:
        return True


def test_a_second_run_over_the_same_days_waits_and_then_says_that_they_are_busy(store):
    begun = time.monotonic()
    with (
        held(store, *MARCH),
        pytest.raises(
            DaysAreBusy, match="another run has been loading operations of 2024-03-15 to 2024-03-15"
        ) as error,
        range_lock(store, "default", date(2024, 3, 15), date(2024, 3, 15), wait_seconds=1),
    ):
        pass
    assert 1 <= time.monotonic() - begun < 5
    assert "\n" not in str(error.value)


def test_a_second_run_begins_as_soon_as_the_first_has_ended(store):
    with ThreadPoolExecutor(1) as pool:
        with held(store, *MARCH):
            waiting = pool.submit(is_busy, store, *MARCH, wait_seconds=5)
            time.sleep(0.2)
            assert not waiting.done()
        assert waiting.result(5) is False


@pytest.mark.parametrize(
    ("first", "last", "busy"),
    [
        (date(2024, 3, 31), date(2024, 4, 1), True),
        (date(2023, 12, 31), date(2024, 3, 1), True),
        (date(2015, 1, 1), date(2026, 1, 1), True),
        (date(2024, 4, 1), date(2024, 12, 31), False),
        (date(2023, 3, 1), date(2024, 2, 29), False),
        (date(2025, 3, 1), date(2025, 3, 31), False),
    ],
)
def test_only_runs_that_share_a_month_wait_for_each_other(store, first, last, busy):
    with held(store, *MARCH):
        assert is_busy(store, first, last) == busy


def test_a_run_of_another_account_does_not_wait(store):
    with held(store, *MARCH, account="a"):
        assert not is_busy(store, *MARCH, account="b")


def test_a_run_that_gave_up_waiting_holds_nothing(store):
    with held(store, *MARCH):
        assert is_busy(store, date(2024, 1, 1), date(2024, 3, 31))
        assert not is_busy(store, date(2024, 1, 1), date(2024, 2, 29))


def test_a_lock_ends_with_its_block_even_if_that_fails(store):
    with pytest.raises(Killed), range_lock(store, "default", *MARCH, wait_seconds=1):
        raise Killed
    assert not is_busy(store, *MARCH)


def test_a_lock_dies_with_its_connection(store):
    with held(store, *MARCH):
        cut_connections(store, LOCKS)
        assert not is_busy(store, *MARCH)


def test_a_lock_on_an_unreachable_database_is_told_in_one_line():
    with (
        Warehouse("postgresql://loader:very-hidden@127.0.0.1:1/sales") as store,
        pytest.raises(WarehouseUnavailable, match=r"sales at 127\.0\.0\.1") as error,
        range_lock(store, "default", *MARCH),
    ):
        pass
    assert "very-hidden" not in str(error.value)
    assert "\n" not in str(error.value)
