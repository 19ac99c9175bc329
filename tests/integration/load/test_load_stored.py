"""What a load stores: new, changed and unchanged rows, bodies and rejects, each in its place."""

from __future__ import annotations

import json
from dataclasses import replace

import pyarrow as pa
import pytest

from fixtures.commands import execute, fetch_all
from fixtures.load import (
    HOSTILE,
    at,
    everything,
    ledger_is_sound,
    load_rows,
    page_of,
    row,
    started,
    stored,
    typed,
    versions,
    walk,
)
from pipelines.ingest.fraud import IDENTIFYING
from pipelines.ingest.operations import OPERATIONS
from pipelines.ingest.registry import TYPED
from pipelines.ingest.schema import EXTRA
from pipelines.ingest.streams import Stream
from resources.warehouse import ledger
from resources.warehouse.engine import Warehouse
from resources.warehouse.ledger import LoadReport
from resources.warehouse.load import (
    Reject,
    WindowRows,
    body_of,
    load_window,
    merge_again,
    readable_body,
    staged_differences,
)

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


VALUES = {
    **dict.fromkeys(("id", "text"), ("a", "b")),
    "time": ("2024-03-01 00:00:00", "2024-03-01 00:00:01"),
    "amount": (1, 2),
    "decimal": ("1.00", "1.01"),
    "integer": (1, 2),
}
IDS = {"operations": ("operation_id",), "fraud": IDENTIFYING}
VERSIONS = {"operations": "core.operation_versions", "fraud": "core.fraud_report_versions"}


def with_value(stream: Stream, column: str, which: int) -> dict:
    """A row with an id of its own that has a value in one column."""
    if column == EXTRA:
        return {"operation_id": column, "unknown": which}
    chosen = VALUES[stream.schema.columns[column]][which]
    for money in stream.schema.sums:
        if column.startswith(money):
            return {"operation_id": column, money: {column.removeprefix(f"{money}_"): chosen}}
    return {"operation_id": column, column: chosen}


def known(store: Warehouse, stream: Stream, second: int) -> list:
    """The rows of a stream as they were known at a moment."""
    return fetch_all(
        store,
        f"""SELECT to_jsonb(c) AS row FROM {stream.table} c WHERE observed_at <= :moment
            UNION ALL
            SELECT to_jsonb(v) - 'known_to' FROM {VERSIONS[stream.name]} v
            WHERE observed_at <= :moment AND known_to > :moment
            ORDER BY 1""",
        moment=at(second),
    )


@pytest.mark.parametrize("stream", TYPED, ids=lambda stream: stream.name)
def test_a_change_of_any_one_column_is_noticed_and_so_is_its_coming_and_going(store, stream):
    """Every column by itself: from a value to another, to null, and back; what was known before stays known."""
    content = [name for name in (*stream.schema.typed, EXTRA) if name not in IDS[stream.name]]
    states = [
        [with_value(stream, name, 0) for name in content],
        [with_value(stream, name, 1) for name in content],
        [{"operation_id": name} for name in content],
        [with_value(stream, name, 0) for name in content],
    ]
    scope = started(store, stream=stream.name)
    remembered = []
    for second, rows in enumerate(states):
        typed_rows = typed({second: rows}, stream)
        report = load_window(store, stream, scope, walk(second), typed_rows.frame, typed_rows.rejects, [])
        assert (report.rows_changed + report.rows_new, report.rows_rejected) == (len(content), 0)
        remembered.append(known(store, stream, second))
        assert staged_differences(store, stream, "default", WindowRows(report.window_id, typed_rows.frame)) == []
    assert [known(store, stream, second) for second in range(len(states))] == remembered
    assert ledger_is_sound(store)


def test_what_was_known_at_a_moment_is_told_by_as_of(store):
    for second, status in enumerate(("processing", "success")):
        load_rows(store, row(1, status), row(2), second=second)
    for second in range(2):
        as_of = "SELECT to_jsonb(o) AS row FROM core.operations_as_of(:moment) o ORDER BY 1"
        assert fetch_all(store, as_of, moment=at(second)) == known(store, OPERATIONS, second)


def test_an_older_observation_that_commits_late_changes_nothing(store):
    load_rows(store, row(1, "success"), second=9)
    before = everything(store)
    report = load_rows(store, row(1, "processing"), second=5)
    assert (report.rows_new, report.rows_changed, report.rows_unchanged) == (0, 0, 1)
    assert {**everything(store), "sync.windows": None} == {**before, "sync.windows": None}
    assert ledger_is_sound(store)


def differences_of(store: Warehouse, window_id: int, *rows, second: int) -> list[tuple[str, str]]:
    """What a replay of a window with these rows says."""
    frame = typed({second: [*rows]}).frame
    found = staged_differences(store, OPERATIONS, "default", WindowRows(window_id, frame))
    return [(difference.key, difference.reason) for difference in found]


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
    load_window(store, OPERATIONS, scope, walk(), typed({}).frame, [Reject("why", '"\x00"', at(0))], [])
    assert fetch_all(store, "SELECT raw_json FROM core.rejects") == [{"raw_json": '"\\u0000"'}]


def test_a_body_comes_back_as_it_was_sent_and_a_damaged_one_not_at_all():
    body = b'{"operations":[]}' * 1_000
    page = replace(page_of(body), body_bytes=len(body))
    assert len(page.body_zstd) < len(body)
    assert body_of(page) == readable_body(page) == body
    assert readable_body(replace(page, body_zstd=b"no frame")) is None


def test_the_states_of_a_row_are_built_again_from_its_windows_and_what_was_altered_or_missing_is_counted(store):
    first = load_rows(store, row(1, "processing"), row(2))
    second = load_rows(store, row(1, "success"), second=5)
    windows = [
        WindowRows(first.window_id, typed({0: [row(1, "processing")]}).frame),
        WindowRows(second.window_id, typed({5: [row(1, "success")]}).frame),
    ]
    sound = stored(store), versions(store)
    for damage, counted in (
        ("SELECT 1", (0, 0)),
        ("UPDATE core.operations SET sum_initial_amount = 7 WHERE operation_id = '1'", (1, 1)),
        ("DELETE FROM core.operation_versions", (1, 0)),
        ("DELETE FROM core.operations WHERE operation_id = '1'", (1, 0)),
    ):
        execute(store, damage)
        assert merge_again(store, OPERATIONS, "default", ["1"], windows) == counted
        assert (stored(store), versions(store)) == sound
