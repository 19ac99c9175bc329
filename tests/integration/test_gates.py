"""A backfill gives way: to a short run's days, to its share of the platform, and to what the platform told others."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest

from fixtures.commands import client_of, differences, fetch_all, sync
from resources.sandbox import SandboxServer, World
from resources.settings import SyncSettings
from resources.warehouse.gates import is_backfill, open_gate
from resources.warehouse.rate_limit import TokenBudget

SETTINGS = SyncSettings(backfill_days=10)
YEAR = date(2024, 1, 1), date(2024, 12, 31)
NIGHT = date(2024, 3, 28), date(2024, 3, 31)
MARCH = date(2024, 3, 1), date(2024, 3, 31)


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
        with open_gate(store, SETTINGS, *NIGHT):
            events.append("night in")
            wait_until(lambda: somebody_waits(store))
            events.append("night out")

    with open_gate(store, SETTINGS, *YEAR) as gate:
        assert gate.windows_in_flight() == 4
        assert gate.enter(*MARCH, alone=True)
        thread = threading.Thread(target=night)
        thread.start()
        wait_until(lambda: somebody_waits(store))
        assert gate.windows_in_flight() == 1, "a short run is under way: only its share is left to the backfill"
        events.append("window lands")
        gate.leave(*MARCH)
        assert gate.enter(*MARCH, alone=True)
        events.append("next window")
        thread.join(20)
        wait_until(lambda: gate.windows_in_flight() == 4)  # PostgreSQL takes a moment to see that the night has gone
    assert events == ["window lands", "night in", "night out", "next window"]


def test_a_window_in_flight_does_not_lock_the_months_it_does_not_touch(store):
    with open_gate(store, SETTINGS, *YEAR) as gate:
        assert gate.enter(date(2024, 1, 1), date(2024, 2, 29), alone=True)
        with open_gate(store, SETTINGS, *NIGHT):
            assert not gate.enter(*MARCH, alone=False), "with a window in flight it does not wait, it comes again"
            assert gate.enter(date(2024, 4, 1), date(2024, 5, 1), alone=False)


def test_a_month_is_free_only_when_both_windows_of_it_have_landed(store):
    with open_gate(store, SETTINGS, *YEAR) as gate, open_gate(store, SETTINGS, *MARCH) as other:
        assert gate.enter(*MARCH, alone=True)
        assert gate.enter(*MARCH, alone=False)
        gate.leave(*MARCH)
        assert not other.enter(*MARCH, alone=False)
        gate.leave(*MARCH)
        assert other.enter(*MARCH, alone=False)


@pytest.mark.parametrize(
    ("days", "look_back", "expected"), [(31, 3, False), (32, 3, True), (61, 60, False), (63, 60, False), (64, 60, True)]
)
def test_a_run_is_a_backfill_by_its_length_but_never_the_nightly_one(days, look_back, expected):
    last = date.fromordinal(YEAR[0].toordinal() + days - 1)
    assert is_backfill(SyncSettings(look_back_days=look_back), YEAR[0], last) is expected


def test_a_nightly_run_over_the_same_days_ends_long_before_the_backfill(store):
    world = World.generate(seed=8, start="2024-03-01", days=31, operations=40_000, now="2024-05-01")
    with SandboxServer(world) as sandbox, ThreadPoolExecutor(1) as pool:
        sandbox.faults.always(("slow", 0.05))
        long_run = pool.submit(sync, sandbox, store, "2024-03-01", "2024-03-31", settings=SETTINGS)
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
            one.pace.shared, other.pace.shared = TokenBudget(store, "default"), TokenBudget(store, "default")
            sandbox.faults.next(("http_429", 1))
            with ThreadPoolExecutor(1) as pool:
                first = pool.submit(one.call, "balance/get", {}, expect="balance")
                wait_until(lambda: fetch_all(store, "SELECT 1 FROM sync.pace"))
                other.call("balance/get", {}, expect="balance")
                first.result(10)
        refused, *answered = sandbox.requests
    assert [request.status for request in sandbox.requests] == [429, 200, 200]
    assert all(request.at - refused.at >= 0.9 for request in answered)


def test_another_account_does_not_wait(store):
    TokenBudget(store, "default").slow_down(60)
    assert TokenBudget(store, "default").seconds_left() > 50
    assert TokenBudget(store, "second").seconds_left() <= 0


def test_a_shorter_pause_does_not_end_a_longer_one(store):
    TokenBudget(store, "default").slow_down(60)
    TokenBudget(store, "default").slow_down(1)
    assert TokenBudget(store, "default").seconds_left() > 50
