"""After a crash of anything the next run goes on at the first hole: nothing half-written, nothing walked twice.

Real ones: kill -9 of a process, a database ended without a word, a disk without space, two runs at once.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import psycopg
import pytest

from fixtures.commands import differences, fetch_all, sync
from resources.errors import WarehouseUnavailable
from resources.sandbox import SandboxServer, World
from resources.settings import SyncSettings
from resources.warehouse.engine import Warehouse

FIRST, LAST, NOW = "2024-03-01", "2024-03-04", "2024-04-01T00:00:00"
ROWS = 14_000  # several windows
ONE_AT_A_TIME = SyncSettings(windows_in_flight=1)
SCRIPT = Path(__file__).parents[1] / "fixtures" / "sync_process.py"


@pytest.fixture
def own_url(own_server):
    with own_server.database() as url:
        yield url


@pytest.fixture(scope="module")
def world():
    return World.generate(seed=5, start=FIRST, days=4, operations=ROWS, now=NOW)


@pytest.fixture
def sandbox(world):
    with SandboxServer(world) as server:
        yield server


def started(sandbox, url) -> subprocess.Popen:
    arguments = [sandbox.url, url, FIRST, LAST, "1", "1"]
    return subprocess.Popen([sys.executable, str(SCRIPT), *arguments], stdout=subprocess.PIPE, text=True)


def windows_of(store) -> list[tuple]:
    return [tuple(row.values()) for row in fetch_all(store, "SELECT interval_from, interval_to FROM sync.windows")]


def goes_on_at_the_first_hole(sandbox, store) -> bool:
    """Run again: what was committed before is not walked again, the rest is, and then all is there."""
    done = windows_of(store)
    asked_before = sandbox.request_count
    report = sync(sandbox, store, FIRST, LAST, settings=ONE_AT_A_TIME)
    walked = windows_of(store)[len(done) :]
    overlaps = [one for one in walked for other in done if one[0] < other[1] and other[0] < one[1]]
    assert sandbox.request_count > asked_before
    assert (report.resumed_windows, overlaps) == (len(done), [])
    return differences(store, sandbox.world, FIRST, LAST) == {}


def test_after_kill_9_of_a_process_between_its_windows(sandbox, store, store_url):
    with started(sandbox, store_url) as process:
        for told in ("begun", "committed", "committed"):
            assert process.stdout.readline().strip() == told
        process.kill()
    assert len(windows_of(store)) >= 2
    assert goes_on_at_the_first_hole(sandbox, store)


def test_after_a_power_cut_that_ends_process_and_database_at_once(sandbox, own_server, own_url):
    with started(sandbox, own_url) as process:
        for told in ("begun", "committed"):
            assert process.stdout.readline().strip() == told
        process.kill()
        own_server.crash()
    own_server.start_again()
    with Warehouse(own_url) as store:
        assert len(windows_of(store)) >= 1, "what was committed has survived"
        assert goes_on_at_the_first_hole(sandbox, store)


def test_after_the_database_was_lost_in_the_middle_of_a_run(sandbox, own_server, own_url):
    with started(sandbox, own_url) as process:
        for told in ("begun", "committed"):
            assert process.stdout.readline().strip() == told
        own_server.crash()
        assert process.wait(60) == 1, "it says so and ends, and does not wait for ever"
    own_server.start_again()
    with Warehouse(own_url) as store:
        assert goes_on_at_the_first_hole(sandbox, store)


@pytest.mark.parametrize("table", ["raw.pages", "core.operations"])
def test_after_a_full_disk(sandbox, own_server, own_url, table):
    """The kernel itself refuses each write to the table: its file is /dev/full, until there is space again."""
    rows = own_server.file_of(own_url, table)
    aside = rows.with_name(f"{rows.name}.aside")
    rows.rename(aside)
    rows.symlink_to("/dev/full")
    with Warehouse(own_url) as store:
        with pytest.raises(WarehouseUnavailable, match=r"No space left on device.*free some space"):
            sync(sandbox, store, FIRST, LAST, settings=ONE_AT_A_TIME)
        rows.unlink()
        aside.rename(rows)
    with Warehouse(own_url) as store:
        assert windows_of(store) == []
        assert [run["state"] for run in fetch_all(store, "SELECT state FROM sync.runs")] == ["failed"]
        assert goes_on_at_the_first_hole(sandbox, store)


def test_of_two_runs_over_the_same_days_at_once_both_end_and_the_store_is_exact(sandbox, store, store_url):
    with started(sandbox, store_url) as one, started(sandbox, store_url) as other:
        assert (one.wait(120), other.wait(120)) == (0, 0)
    assert differences(store, sandbox.world, FIRST, LAST) == {}
    assert store.query("warehouse/ledger/verify", account=None) == []
    runs = fetch_all(store, "SELECT state, started_at, finished_at FROM sync.runs ORDER BY started_at")
    assert [run["state"] for run in runs] == ["complete", "complete"]
    assert runs[0]["finished_at"] <= runs[1]["started_at"], "one after the other"


def test_the_days_of_a_run_that_was_killed_are_free_at_once(sandbox, store, store_url):
    with started(sandbox, store_url) as process:
        assert process.stdout.readline().strip() == "begun"
        process.kill()
    began = time.monotonic()
    sync(sandbox, store, FIRST, LAST)
    assert time.monotonic() - began < 60
    assert differences(store, sandbox.world, FIRST, LAST) == {}


def test_a_run_whose_lock_connection_was_cut_shuts_no_one_out_and_the_store_is_exact(sandbox, store, store_url):
    """The lock dies with its connection, so a second run may begin while the first still works: both stay right."""
    with started(sandbox, store_url) as process:
        assert process.stdout.readline().strip() == "begun"
        with psycopg.connect(store_url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'ecommpay-sync lock' AND datname = current_database()"
            )
        second = threading.Thread(target=sync, args=(sandbox, store, FIRST, LAST))
        second.start()
        process.wait(120)
        second.join(120)
    assert differences(store, sandbox.world, FIRST, LAST) == {}
    assert store.query("warehouse/ledger/verify", account=None) == []
