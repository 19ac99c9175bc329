"""A platform that keeps fractions and compares them exactly: no row lies between two windows, none is counted twice."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from fixtures.commands import client_of, execute, fetch_all
from fixtures.exact_platform import ExactPlatform, times_between
from fixtures.examples import examples
from fixtures.load import Killed
from pipelines.audit.replay import Replayer
from pipelines.ingest.engine import SyncRequest, sync
from pipelines.ingest.forecast import LogProgress
from pipelines.ingest.fraud import FRAUD, sync_fraud
from pipelines.ingest.operations import OPERATIONS
from pipelines.reconciliation.reconcile import prove_completeness
from resources.data_api.endpoints import DataApi
from resources.sandbox import DEMO_SECRET
from resources.settings import SyncSettings

FIRST, LAST = date(2024, 3, 1), date(2024, 3, 2)
START = datetime(2024, 3, 1, tzinfo=UTC)
END = START + timedelta(days=2)
IN_FLIGHT = SyncSettings(windows_in_flight=4)


def load(platform, store, first=FIRST, last=LAST, longest=OPERATIONS.longest, stream=OPERATIONS, progress=None):
    """Load the days, in windows of `longest` seconds."""
    with client_of(platform.url) as client:
        stream = replace(stream, longest=longest)
        return sync(stream, SyncRequest(first, last), DataApi(client), store, IN_FLIGHT, progress)


class KilledAfter(LogProgress):
    """Ends a run as kill -9 does, once it has committed some windows."""

    def __init__(self, windows: int) -> None:
        super().__init__()
        self.windows = windows

    def committed(self, window, report):
        self.windows -= 1
        if not self.windows:
            raise Killed


def stored(store) -> set[int]:
    return {int(row["operation_id"]) for row in fetch_all(store, "SELECT operation_id FROM core.operations")}


def figures(store) -> dict:
    """Rows and control totals of all windows of the ledger."""
    (row,) = fetch_all(
        store,
        "WITH totals AS (SELECT (t ->> 'count')::bigint AS n, (t ->> 'minor')::bigint AS minor"
        " FROM sync.windows, jsonb_array_elements(totals_met) t)"
        "SELECT sum(rows_met)::bigint AS rows, sum(rows_new)::bigint AS new,"
        " (SELECT sum(n)::bigint FROM totals) AS counted, (SELECT sum(minor)::bigint FROM totals) AS minor"
        " FROM sync.windows WHERE verdict = 'complete'",
    )
    return row


def replayed(store):
    result = Replayer(store, "default", DEMO_SECRET).replay(FIRST, LAST, lambda _: None)
    assert result.problems == []
    assert store.query("warehouse/ledger/verify", account=None) == []
    return result


@pytest.mark.parametrize("whole_seconds", [False, True])
@pytest.mark.parametrize("seed", range(examples(4)))
def test_a16_no_row_is_lost_between_two_windows_and_none_is_counted_twice(store, seed, whole_seconds):
    chance = random.Random(seed)
    longest = chance.randint(7_000, 15_000)
    edges = [START + timedelta(seconds=start) for start in range(0, 2 * 86_400 + 1, longest)]
    near = [edge + timedelta(milliseconds=chance.randint(-1000, 1000)) for edge in edges for _ in range(4)]
    times = [moment for moment in (*near, *edges, *times_between(chance, START, END, 100)) if START <= moment <= END]
    if whole_seconds:
        times = [moment.replace(microsecond=0) for moment in times]
    with ExactPlatform(times).running() as platform:
        report = load(platform, store, longest=longest)
        again = load(platform, store, longest=longest)
    assert stored(store) == set(range(len(times)))
    assert report.windows > 10
    assert (report.rows_met, report.rows_new) == (len(times), len(times))
    assert (again.rows_met, again.rows_new, again.rows_changed) == (len(times), 0, 0)
    for one in (report, again):
        assert sum(total.count for total in one.totals) == len(times)
        assert sum(total.minor for total in one.totals) == sum(range(len(times)))
    found = figures(store)
    assert (found["rows"], found["new"], found["counted"]) == (2 * len(times), len(times), 2 * len(times))
    assert found["minor"] == 2 * sum(range(len(times)))
    assert replayed(store).rows == 2 * len(times)
    (coverage,) = fetch_all(store, "SELECT covered_from, covered_to FROM sync.coverage")
    assert coverage == {"covered_from": START, "covered_to": END}
    assert store.query("cli/status/holes") == []


def test_a16_no_row_is_lost_between_the_days_of_two_runs(store):
    midnight = START + timedelta(days=1)
    times = [midnight + timedelta(milliseconds=number) for number in (-1000, -999, -500, -1, 0, 1, 500, 999, 1000)]
    with ExactPlatform(times).running() as platform:
        one = load(platform, store, FIRST, FIRST)
        other = load(platform, store, LAST, LAST)
    assert stored(store) == set(range(len(times)))
    assert one.rows_met + other.rows_met == len(times) + 1, "each run counts what it met; midnight is met by both"
    (coverage,) = fetch_all(store, "SELECT covered_from, covered_to FROM sync.coverage")
    assert coverage == {"covered_from": START, "covered_to": END}
    assert replayed(store).problems == []


@pytest.mark.parametrize("stream", [OPERATIONS, FRAUD], ids=lambda stream: stream.name)
def test_a_run_that_continues_killed_ones_counts_no_row_of_a_boundary_second_again(store, stream):
    edges = [START + timedelta(hours=hour) for hour in range(0, 49, 4)]
    times = [edge + timedelta(milliseconds=number) for edge in edges for number in (-999, 0, 1)][1:-1]
    with ExactPlatform(times).running() as platform:
        for windows in (3, 2):
            with suppress(Killed):
                load(platform, store, longest=4 * 3_600, stream=stream, progress=KilledAfter(windows))
        report = load(platform, store, longest=4 * 3_600, stream=stream)
        assert 5 <= report.resumed_windows < len(edges) - 1
    found = figures(store)
    assert (found["rows"], found["new"], found["counted"]) == (len(times), len(times), len(times))
    assert replayed(store).rows == len(times)


def test_a_day_replayed_alone_counts_as_its_run_did(store):
    midnight = START + timedelta(days=1)
    times = [midnight + timedelta(milliseconds=number) for number in range(-3000, 3001, 250)]
    with ExactPlatform(times).running() as platform:
        report = load(platform, store, longest=86_400)
    assert (report.windows, report.rows_met) == (2, len(times))
    days = [Replayer(store, "default", DEMO_SECRET).replay(day, day, lambda _: None) for day in (FIRST, LAST)]
    assert [result.problems for result in days] == [[], []]
    assert sum(result.rows for result in days) == len(times)


def test_more_rows_in_one_second_than_are_walked_at_once_are_met_and_proved(store):
    chance = random.Random(7)
    second = START + timedelta(hours=5)
    times = times_between(chance, second, second + timedelta(seconds=1), 11_000)
    with ExactPlatform(times).running() as platform:
        report = load(platform, store, FIRST, FIRST)
    assert stored(store) == set(range(len(times)))
    assert report.rows_met == len(times)
    assert replayed(store).rows == len(times)


def test_a_total_that_was_altered_with_its_rows_left_alone_is_found_by_replay(store):
    with ExactPlatform([START + timedelta(hours=1)]).running() as platform:
        load(platform, store, FIRST, FIRST)
    fetch_all(store, "UPDATE sync.windows SET totals_met = '[]' RETURNING 1")
    result = Replayer(store, "default", DEMO_SECRET).replay(FIRST, FIRST, lambda _: None)
    assert any("control totals of the ledger" in problem for problem in result.problems)


def test_reports_of_fraud_between_two_days_arrive_too(store):
    midnight = START + timedelta(days=1)
    times = [midnight + timedelta(milliseconds=number) for number in (-999, -500, -1, 0, 1, 999)]
    with ExactPlatform(times).running() as platform, client_of(platform.url) as client:
        for day in (FIRST, LAST):
            sync_fraud(DataApi(client), store, IN_FLIGHT, SyncRequest(day, day))
    assert fetch_all(store, "SELECT count(*) AS n FROM core.fraud_reports") == [{"n": len(times)}]


def test_a_day_is_proved_with_its_own_operations_and_not_with_those_of_the_midnight_after_it(store):
    midnight = START + timedelta(days=1)
    times = [midnight + timedelta(milliseconds=number) for number in (-60_000, -999, -1, 0, 0, 1, 500)]
    with ExactPlatform(times).running() as platform, client_of(platform.url) as client:
        load(platform, store)
        one, other = (prove_completeness(DataApi(client), store, IN_FLIGHT, day) for day in (FIRST, LAST))
    assert (one.verdict, other.verdict) == ("complete", "complete")
    assert (one.rows_walked, other.rows_walked) == (3, 4)
    assert one.totals_walked == one.totals_stored
    assert one.digest_walked == one.digest_stored


def test_a_forged_row_of_any_stream_is_found_where_that_stream_has_a_window(store):
    times = [START + timedelta(hours=1)]
    columns = "(account, {}, observed_at, first_seen_at, window_id)"
    forged = f"INSERT INTO core.{{}} {columns} VALUES ('default', 'forged', now(), now(), 0)"
    with ExactPlatform(times).running() as platform, client_of(platform.url) as client:
        load(platform, store, FIRST, FIRST)
        sync_fraud(DataApi(client), store, IN_FLIGHT, SyncRequest(LAST, LAST))
    execute(store, forged.format("operations", "operation_id"))
    execute(store, forged.format("fraud_reports", "report_key"))
    found = [Replayer(store, "default", DEMO_SECRET).replay(day, day, lambda _: None).problems for day in (FIRST, LAST)]
    assert found == [
        ["operation forged is stored, but from no window of the ledger"],
        ["report forged is stored, but from no window of the ledger"],
    ]
