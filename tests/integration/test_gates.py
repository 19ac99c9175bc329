"""A backfill gives way to a short run and to what the platform told others, and commits wait their turn."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import date

import pytest

from fixtures.commands import client_of, differences, execute, fetch_all, sync
from pipelines.ingest.engine import FIRST_IN_FLIGHT, LOADED_AT_ONCE, SyncRequest
from pipelines.ingest.engine import sync as load_stream
from pipelines.ingest.operations import OPERATIONS
from resources.data_api.endpoints import DataApi
from resources.sandbox import SandboxServer, World
from resources.settings import SyncSettings
from resources.warehouse.engine import run
from resources.warehouse.locks import TokenBudget, is_backfill, open_locks

SETTINGS = SyncSettings(backfill_days=10)
YEAR = date(2024, 1, 1), date(2024, 12, 31)
NIGHT = date(2024, 3, 28), date(2024, 3, 31)
MARCH = date(2024, 3, 1), date(2024, 3, 31)


@contextmanager
def begun(store, days, stream="operations"):
    """A run over these days, which holds its locks; the throttle of a backfill."""
    with open_locks(store, "default", stream) as locks:
        yield locks.begin(*days, SETTINGS, SETTINGS.look_back_days)


def wait_until(holds, seconds=20):
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.01)


def somebody_waits(store):
    return fetch_all(
        store,
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    )[0]["count"]


def test_a_short_run_is_let_in_when_the_backfills_window_lands_and_before_its_next_one(store):
    """The order of events, not of time: the backfill asks for March again at once, and gets it last."""
    events = []

    def night():
        with begun(store, NIGHT):
            events.append("night in")
            wait_until(lambda: somebody_waits(store))
            events.append("night out")

    with begun(store, YEAR) as throttle:
        assert throttle.windows_in_flight() == SETTINGS.windows_in_flight
        assert throttle.acquire(*MARCH, is_first=True)
        thread = threading.Thread(target=night)
        thread.start()
        wait_until(lambda: somebody_waits(store))
        assert throttle.windows_in_flight() == 1, "a short run is under way: only its share is left to the backfill"
        events.append("window lands")
        throttle.release(*MARCH)
        assert throttle.acquire(*MARCH, is_first=True)
        events.append("next window")
        thread.join(20)
        # PostgreSQL takes a moment to see that the night has gone
        wait_until(lambda: throttle.windows_in_flight() == SETTINGS.windows_in_flight)
    assert events == ["window lands", "night in", "night out", "next window"]


def test_a_window_in_flight_does_not_lock_the_months_it_does_not_touch(store):
    with begun(store, YEAR) as throttle:
        assert throttle.acquire(date(2024, 1, 1), date(2024, 2, 29), is_first=True)
        with begun(store, NIGHT):
            assert not throttle.acquire(*MARCH, is_first=False), "with a window in flight it does not wait"
            assert throttle.acquire(date(2024, 4, 1), date(2024, 5, 1), is_first=False)


def test_a_month_is_free_only_when_both_windows_of_it_have_landed(store):
    with begun(store, YEAR) as throttle, begun(store, MARCH) as other:
        assert throttle.acquire(*MARCH, is_first=True)
        assert throttle.acquire(*MARCH, is_first=False)
        throttle.release(*MARCH)
        assert not other.acquire(*MARCH, is_first=False)
        throttle.release(*MARCH)
        assert other.acquire(*MARCH, is_first=False)


@pytest.mark.parametrize(
    ("days", "look_back", "expected"), [(31, 3, False), (32, 3, True), (61, 60, False), (63, 60, False), (64, 60, True)]
)
def test_a_run_is_a_backfill_by_its_length_but_never_the_nightly_one(days, look_back, expected):
    last = date.fromordinal(YEAR[0].toordinal() + days - 1)
    assert is_backfill(SyncSettings(look_back_days=look_back), YEAR[0], last) is expected


@pytest.mark.parametrize(
    ("look_back", "days", "expected"), [(60, 63, False), (60, 64, True), (3, 31, False), (3, 32, True)]
)
def test_a_night_of_fraud_reports_is_none_by_their_own_look_back(look_back, days, expected):
    last = date.fromordinal(YEAR[0].toordinal() + days - 1)
    settings = SyncSettings(look_back_days=3, fraud_look_back_days=look_back)
    assert is_backfill(settings, YEAR[0], last, look_back) is expected
    assert is_backfill(settings, YEAR[0], last) is (days > 31)


def test_the_look_back_of_the_stream_itself_decides_what_a_backfill_is():
    last = date.fromordinal(YEAR[0].toordinal() + 45)
    assert is_backfill(SyncSettings(), YEAR[0], last)
    assert not is_backfill(SyncSettings(), YEAR[0], last, look_back_days=45)


def test_a_nightly_run_over_the_same_days_ends_long_before_the_backfill(store):
    world = World.generate(seed=8, start="2024-03-01", days=31, operations=40_000, now="2024-05-01")
    with SandboxServer(world) as sandbox, ThreadPoolExecutor(1) as pool:
        sandbox.faults.always(("slow", 0.05))
        few = SyncSettings(backfill_days=10, windows_in_flight=4)  # else all of it is in flight when the night comes
        long_run = pool.submit(sync, sandbox, store, "2024-03-01", "2024-03-31", settings=few)
        wait_until(lambda: fetch_all(store, "SELECT 1 FROM sync.windows"), 60)
        night = sync(sandbox, store, "2024-03-28", "2024-03-31", settings=SETTINGS)
        at_its_end = fetch_all(store, "SELECT state FROM sync.runs ORDER BY run_id")
        report = long_run.result(120)
        sandbox.faults.clear()
        assert differences(store, world, "2024-03-01", "2024-03-31") == {}
    assert [row["state"] for row in at_its_end] == ["running", "complete"]
    assert night.rows_met == len(world.truth(None, "2024-03-28", "2024-03-31 23:59:59"))
    assert report.rows_met == len(world.truth(None, "2024-03-01", "2024-03-31 23:59:59"))
    # and no window of the one was walked while the other walked the same seconds
    assert (
        fetch_all(
            store,
            "SELECT 1 FROM sync.windows a JOIN sync.windows b ON a.run_id < b.run_id "
            "AND a.interval_from <= b.interval_to AND b.interval_from <= a.interval_to "
            "AND a.walk_started_at < b.committed_at AND b.walk_started_at < a.committed_at",
        )
        == []
    )


def test_a_429_to_one_process_makes_the_others_wait_too(store):
    """Two clients as of two processes: they share nothing but the database."""
    with SandboxServer(World.of(now="2024-05-01")) as sandbox:
        with client_of(sandbox.url) as one, client_of(sandbox.url) as other:
            sandbox.faults.next(("http_429", 1))
            with (
                DataApi(one).run(TokenBudget(store, "default")) as api,
                DataApi(other).run(TokenBudget(store, "default")) as other_api,
                ThreadPoolExecutor(1) as pool,
            ):
                first = pool.submit(api.balances)
                wait_until(lambda: fetch_all(store, "SELECT 1 FROM sync.pace"))
                other_api.balances()
                first.result(10)
        refused, *answered = sandbox.requests
    assert [request.status for request in sandbox.requests] == [429, 200, 200]
    assert all(request.at - refused.at >= 0.9 for request in answered)


def seconds_left(store, account):
    return TokenBudget(store, account).exchange("a process", 2).seconds_left


def test_another_account_does_not_wait(store):
    TokenBudget(store, "default").slow_down(60)
    assert seconds_left(store, "default") > 50
    assert seconds_left(store, "second") <= 0


def test_processes_share_what_they_have_found_about_requests_in_flight(store):
    one, other = TokenBudget(store, "default"), TokenBudget(store, "default")
    first = one.exchange("one", 12)
    assert (first.processes, first.in_flight_limit) == (1, None)
    second = other.exchange("other", 2)
    assert (second.processes, second.others_in_flight, second.in_flight_limit) == (2, 12, 12)
    one.leave("one")
    execute(store, "UPDATE sync.requests_in_flight SET seen_at = seen_at - interval '1 hour' WHERE process = 'other'")
    later = TokenBudget(store, "default").exchange("later", 2)
    assert (later.processes, later.in_flight_limit) == (1, 12), "one that ended, or was killed, leaves what it found"
    stranger = TokenBudget(store, "second").exchange("stranger", 2)
    assert (stranger.processes, stranger.in_flight_limit) == (1, None)


def test_a_run_that_has_ended_gives_its_share_back(store):
    def active():
        return [row["is_active"] for row in fetch_all(store, "SELECT is_active FROM sync.requests_in_flight")]

    with SandboxServer(World.of(now="2024-05-01")) as sandbox, client_of(sandbox.url) as client:
        for _ in range(2):
            with DataApi(client).run(TokenBudget(store, "default")) as api:
                api.balances()
                assert active() == [True]
            assert active() == [False]


def test_a_shorter_pause_does_not_end_a_longer_one(store):
    TokenBudget(store, "default").slow_down(60)
    TokenBudget(store, "default").slow_down(1)
    assert seconds_left(store, "default") > 50


def test_while_a_commit_waits_windows_are_walked_and_only_two_sessions_wait_for_it(store):
    """Who waits for its turn must hold neither a connection nor its rows in three forms."""
    two_days = replace(OPERATIONS, longest=2 * 86_400)
    request = SyncRequest(date(2024, 3, 1), date(2024, 3, 10))
    world = World.generate(seed=5, start="2024-03-01", days=10, operations=2_000, now="2024-04-01T00:00:00")
    with SandboxServer(world) as sandbox, client_of(sandbox.url) as client, ThreadPoolExecutor(1) as pool:
        with store.transaction() as holder:
            run(holder, "warehouse/load/lock_account", account=SETTINGS.account)
            loading = pool.submit(load_stream, two_days, request, DataApi(client), store, SETTINGS)
            wait_until(lambda: somebody_waits(store) == LOADED_AT_ONCE)
            wait_until(lambda: sandbox.request_count >= 3 * FIRST_IN_FLIGHT)
            time.sleep(0.2)
            assert somebody_waits(store) == LOADED_AT_ONCE < FIRST_IN_FLIGHT
        assert loading.result(30).windows == 5
    assert differences(store, world, "2024-03-01", "2024-03-10") == {}
