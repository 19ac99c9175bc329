"""The ledger of walks: one chain an account, without holes; what a run continues."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

import sql
from fixtures.commands import fetch_all, waits_for_a_lock
from fixtures.load import (
    START,
    at,
    ledger_is_sound,
    load_rows,
    row,
    started,
    stored,
    typed,
    versions,
    walk,
)
from pipelines.ingest.operations import OPERATIONS
from resources.data_api.pace import RequestCounts
from resources.errors import ConfigError, Incomplete, WarehouseBroken, WarehouseUnavailable
from resources.warehouse import ledger
from resources.warehouse.engine import Warehouse
from resources.warehouse.ledger import ControlTotal, LoadReport, Scope, WalkRecord, sum_totals
from resources.warehouse.load import load_window
from resources.warehouse.locks import DaysAreBusy


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


def test_a_walk_that_meets_an_operation_while_another_is_storing_it_waits_and_then_sees_it(store, monkeypatch):
    """Without waiting it would find the row neither to retire nor to insert, and the later state would be lost."""
    load_rows(store, row(1, "processing"))
    with ThreadPoolExecutor(2) as pool:
        with paused_before(monkeypatch, "warehouse/ledger/add_window") as reached:
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
    counts = RequestCounts()
    asked = {"interval": (at(0), at(9)), "project_ids": [7, 8], "dagster_run_id": "d"}
    with suppress(Incomplete), ledger.run(store, counts, account="a", stream="operations", **asked) as this:
        (run,) = fetch_all(store, "SELECT * FROM sync.runs")
        assert run["run_id"] == this.run_id == this.scope.run_id
        assert (run["state"], run["finished_at"], run["project_ids"]) == ("running", None, [7, 8])
        assert (run["interval_from"], run["interval_to"], run["dagster_run_id"]) == (at(0), at(9), "d")
        for number in range(12):
            counts.add("operations/get", 200, is_retry=number > 9)
        raise Incomplete("it moved")
    (run,) = fetch_all(
        store, "SELECT state, error_kind, message, requests, finished_at >= started_at AS ended FROM sync.runs"
    )
    kind = "incomplete"
    assert run == {"state": kind, "error_kind": kind, "message": "it moved", "requests": 12, "ended": True}
    assert fetch_all(store, "SELECT endpoint, status, requests, retries FROM sync.requests") == [
        {"endpoint": "operations/get", "status": 200, "requests": 12, "retries": 2}
    ]


@pytest.mark.parametrize(
    ("error", "state", "kind", "message"),
    [
        (ConfigError("no such day."), "failed", "config", "no such day."),
        (WarehouseUnavailable("no room."), "failed", "warehouse_unavailable", "no room."),
        (WarehouseBroken("no table."), "failed", "warehouse_broken", "no table."),
        (DaysAreBusy("operations of today", 60), "failed", "days_busy", None),
        (ZeroDivisionError("secret"), "failed", "unexpected", "unexpected: ZeroDivisionError"),
        (KeyboardInterrupt("secret"), "failed", "interrupted", "stopped from outside"),
    ],
)
def test_a_failure_keeps_its_kind_and_only_a_message_of_ours(store, error, state, kind, message):
    with pytest.raises(type(error)), ledger.run(store, RequestCounts(), account="a", stream="operations"):
        raise error
    (run,) = fetch_all(store, "SELECT state, error_kind, message FROM sync.runs")
    assert run == {"state": state, "error_kind": kind, "message": message or str(error)}


@pytest.mark.parametrize(("say", "state"), [("message", "complete"), ("skipped", "skipped")])
def test_a_run_that_ends_well_has_no_kind_of_error(store, say, state):
    with ledger.run(store, RequestCounts(), account="a", stream="operations") as run:
        setattr(run, say, "so it was")
    (row,) = fetch_all(store, "SELECT state, error_kind, message FROM sync.runs")
    assert row == {"state": state, "error_kind": None, "message": "so it was"}


def load_empty(store: Warehouse, scope: Scope, hours_ago: float = 0, until=None) -> None:
    begun = datetime.now(UTC) - timedelta(hours=hours_ago)
    record = replace(walk(), walk_started_at=begun, walk_ended_at=begun)
    load_window(
        store, OPERATIONS, scope, replace(record, interval_to=until or record.interval_to), typed({}).frame, [], []
    )


def done_already(store: Warehouse, account="default", days=1, projects=(), look_back_days=3, hours=0) -> list:
    asked, now = (START, START + timedelta(days=days)), datetime.now(UTC) + timedelta(hours=hours)
    done = ledger.windows_already_done(store, account, asked, projects, look_back_days, now=now)
    return [(window.interval_from, window.interval_to) for window in done]


def test_a_run_over_the_same_days_continues_what_an_interrupted_one_committed(store):
    load_empty(store, started(store))
    assert done_already(store) == [(START, START + timedelta(days=1))]
    assert done_already(store, account="other") == []
    assert done_already(store, days=2) == []
    assert done_already(store, projects=[5]) == []


def test_what_is_continued_is_told_by_the_time_of_who_continues_and_not_by_the_databases(store):
    load_empty(store, started(store), hours_ago=30, until=datetime.now(UTC) - timedelta(days=4, hours=1))
    assert done_already(store) == []
    assert len(done_already(store, hours=-10)) == 1
    assert done_already(store, hours=-30) == [], "within the look-back then"


def test_nothing_is_continued_of_a_run_that_was_completed(store):
    load_empty(store, started(store))
    asked = (START, START + timedelta(days=1))
    with ledger.run(store, RequestCounts(), account="default", stream="operations", interval=asked) as completed:
        load_empty(store, completed.scope)
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


def test_a_run_keeps_which_windows_it_does_not_walk_again(store):
    load_empty(store, started(store))
    load_empty(store, started(store))
    asked = (START, START + timedelta(days=1))
    done = ledger.windows_already_done(store, "default", asked, (), 3, now=datetime.now(UTC))
    run_ids = [started(store).run_id for _ in range(3)]
    ledger.note_resumed_windows(store, run_ids[0], done)
    ledger.note_resumed_windows(store, run_ids[1], [])
    rows = store.query("warehouse/ledger/resumed_windows", run_ids=run_ids[:2])
    assert len(done) == 2
    assert sorted(rows) == sorted((run_ids[0], window.window_id) for window in done)


def test_a_stream_was_loaded_once_a_run_of_it_was_complete(store):
    def was_loaded():
        asked = [("a", "fraud"), ("a", "balances"), ("b", "fraud")]
        return [ledger.was_loaded(store, account, stream) for account, stream in asked]

    with suppress(Incomplete), ledger.run(store, RequestCounts(), account="a", stream="fraud"):
        raise Incomplete("it moved")
    with ledger.run(store, RequestCounts(), account="a", stream="fraud") as run:
        run.skipped = "no right"
    assert was_loaded() == [False, False, False]
    with ledger.run(store, RequestCounts(), account="a", stream="fraud"):
        pass
    assert was_loaded() == [True, False, False]


def test_totals_are_added_by_currency_type_and_status_and_without_an_amount_there_is_no_sum(store):
    sale, refund, none = (("EUR", "sale", "success"), ("EUR", "refund", "success"), (None, None, None))
    parts = [
        [ControlTotal(*sale, 1, 2**63), ControlTotal(*none, 1, None)],
        [ControlTotal(*sale, 2, None), ControlTotal(*refund, 1, None), ControlTotal(*none, 2, None)],
        [ControlTotal(*sale, 1, 2**63), ControlTotal(*refund, 1, -5)],
    ]
    assert sum_totals(*parts) == (
        ControlTotal(*sale, 4, 2**64),
        ControlTotal(*none, 3, None),
        ControlTotal(*refund, 2, -5),
    )


def test_a_window_keeps_the_totals_of_what_it_met_and_they_are_what_it_wrote(store):
    huge = 2**63 - 1
    rows = [row(1, amount=huge), row(2, amount=huge), row(3, None), row(4) | {"sum_initial": None}, row(5, "decline")]
    report = load_rows(store, *rows)
    met = {(total.currency, total.type, total.status): (total.count, total.minor) for total in report.totals}
    assert met == {
        ("EUR", None, "success"): (2, 2 * huge),
        ("EUR", None, None): (1, 100),
        (None, None, "success"): (1, None),
        ("EUR", None, "decline"): (1, 100),
    }
    with store.transaction() as connection:
        assert sorted(ledger.written_totals(connection, report.window_id), key=repr) == sorted(report.totals, key=repr)
    assert ledger_is_sound(store)


def test_a_window_is_written_as_it_was_walked(store):
    scope = started(store, projects=[7, 5])
    record = WalkRecord(at(0), at(9), at(10), at(20), walks=3, drifts=2, pages=4, requests=5)
    report = LoadReport(0, rows_met=15, rows_new=1, rows_changed=2, rows_unchanged=3, rows_rejected=9)
    with store.transaction() as connection:
        report = replace(report, window_id=ledger.next_window_id(connection))
        assert ledger.add_window(connection, scope, record, report, digest="a", pages_digest="b")
        total = ControlTotal("EUR", "sale", "success", 1, 5)
        other = replace(report, window_id=ledger.next_window_id(connection), totals=(total,))
        assert not ledger.add_window(connection, scope, record, other), "nothing of it was written"
    ledger.add_incomplete_window(store, scope, replace(record, incomplete_because="it moved"))
    first, _, incomplete = fetch_all(store, "SELECT * FROM sync.windows ORDER BY entry_no")
    wanted = {
        **{name: value for name, value in vars(record).items() if name != "incomplete_because"},
        **{name: getattr(report, name) for name in ("rows_met", "rows_new", "rows_changed", "rows_unchanged")},
        "rows_rejected": 9,
        "account": "default",
        "stream": "operations",
        "run_id": scope.run_id,
        "project_ids": [7, 5],
        "rows_digest": "a",
        "pages_digest": "b",
        "verdict": "complete",
        "reason": None,
    }
    assert {name: first[name] for name in wanted} == wanted
    assert (incomplete["verdict"], incomplete["reason"], incomplete["rows_met"]) == ("incomplete", "it moved", 0)
