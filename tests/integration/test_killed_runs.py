"""A run whose process is gone never counts as running: the views say so at once, the next run writes it down."""

import subprocess
import sys

import pytest

from fixtures.commands import ROOT, SETTINGS, execute, fetch_all
from pipelines.marts import build_marts
from resources.data_api.caller import RequestCounts
from resources.warehouse import ledger

HOLD = """
import sys, time
from resources.data_api.caller import RequestCounts
from resources.warehouse import ledger
from resources.warehouse.engine import Warehouse
with ledger.run(Warehouse(sys.argv[1]), RequestCounts(), account="default", stream="balances") as run:
    print(run.run_id, flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def views(store):
    build_marts(store, SETTINGS)


@pytest.fixture
def killed(store, store_url):
    """The number of a run whose process was killed with SIGKILL, a minute after it had begun."""
    command = [sys.executable, "-c", HOLD, store_url]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        number = int(process.stdout.readline())
        begun_a_minute_ago(store)
        assert states(store) == {number: ("running", "running")}, "its process lives"
        process.kill()
    wait_until_gone(store)
    return number


def test_the_views_say_of_a_killed_run_that_it_failed_before_anything_else_runs(store, killed):
    assert states(store) == {killed: ("running", "failed")}
    (row,) = fetch_all(store, "SELECT verdict, cause FROM bi.data_freshness WHERE stream = 'balances'")
    assert row["verdict"] == "never loaded"
    assert "was killed; the next one goes on from there" in row["cause"]


def test_status_calls_it_killed(store, killed):
    assert [row.state for row in store.query("cli/status/runs", account=None, most=5)] == ["killed"]


def test_the_next_run_of_the_account_writes_down_that_it_failed(store, killed):
    with begin(store) as run:
        assert states(store) == {killed: ("failed", "failed"), run.run_id: ("running", "running")}
    (row,) = fetch_all(store, f"SELECT message, finished_at, error_kind FROM sync.runs WHERE run_id = {killed}")
    assert row["error_kind"] == "interrupted"
    assert row["message"] == "its process was killed, or lost the database; what it had committed stays"
    assert row["finished_at"] is not None


def test_a_run_of_another_account_leaves_it_alone(store, killed):
    with begin(store, "other"):
        assert states(store)[killed] == ("running", "failed")


def test_a_run_that_lives_or_has_ended_is_not_touched(store):
    with begin(store) as ended:
        pass
    with begin(store) as first:
        begun_a_minute_ago(store)
        with begin(store) as second:
            assert states(store) == {
                ended.run_id: ("complete", "complete"),
                first.run_id: ("running", "running"),
                second.run_id: ("running", "running"),
            }


def begin(store, account="default"):
    return ledger.run(store, RequestCounts(), account=account, stream="balances")


def begun_a_minute_ago(store):
    execute(store, "UPDATE sync.runs SET started_at = started_at - interval '1 minute'")


def wait_until_gone(store):
    """PostgreSQL notices that a client is gone within moments."""
    for _ in range(1000):
        if not fetch_all(store, "SELECT FROM pg_stat_activity WHERE application_name = 'ecommpay-sync lock'"):
            return
        execute(store, "SELECT pg_sleep(0.01)")
    pytest.fail("the killed process still has its connection")


def states(store):
    """For each run: its state in the ledger, and what bi.ops_runs makes of it."""
    rows = fetch_all(
        store, "SELECT run_id, r.state, o.state AS shown FROM sync.runs r JOIN bi.ops_runs o USING (run_id)"
    )
    return {row["run_id"]: (row["state"], row["shown"]) for row in rows}
