"""A backfill as a user meets it: forecast, few requests, each finished day in Dagster, stopped and continued."""

from __future__ import annotations

import re
import signal
import time
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from fixtures.commands import differences, fetch_all
from resources.sandbox import DEMO_SECRET, DEMO_TOKEN, SandboxServer, World

YEARS = ("2019-01-01", "2023-12-31")
DAYS_OF_YEARS = 1826
NOW = "2024-04-01T00:00:00"
LONGEST = 180 * 86_400


@pytest.fixture
def environment(store_url, tmp_path):
    return {
        "DATA_API_TOKEN": DEMO_TOKEN,
        "DATA_API_SECRET": DEMO_SECRET,
        "DATABASE_URL": store_url,
        "SYNC_DATA_DIR": str(tmp_path),
        "SYNC_RETRY_SECONDS": "5",
    }


def sparse_world():
    days = [f"20{year}-{month:02}-15 12:00:00" for year in range(19, 24) for month in range(1, 13)]
    rows = [{"operation_id": str(number), "operation_completed_at": day} for number, day in enumerate(days, 1)]
    return World.of(list(zip(rows, days, strict=True)), now=NOW)


def told_days(environment):
    with dg.DagsterInstance.from_config(str(Path(environment["SYNC_DATA_DIR"]) / "dagster")) as instance:
        return instance.get_materialized_partitions(dg.AssetKey("operations"))


def materialization_of(environment, day):
    with dg.DagsterInstance.from_config(str(Path(environment["SYNC_DATA_DIR"]) / "dagster")) as instance:
        (record,) = instance.fetch_materializations(
            dg.AssetRecordsFilter(dg.AssetKey("operations"), asset_partitions=[day]), limit=1
        ).records
        return {name: value.value for name, value in record.asset_materialization.metadata.items()}


def committed(store):
    return fetch_all(store, "SELECT count(*) FROM sync.windows")[0]["count"]


def test_five_sparse_years_cost_at_most_60_requests_forecast_included(command, environment, dagster_home, store):
    with SandboxServer(sparse_world()) as sandbox:
        environment |= {"DATA_API_BASE_URL": sandbox.url}
        done = command("operations", "--from", YEARS[0], "--to", YEARS[1], environment=environment)
        assert done.returncode == 0, done.stderr
        assert sandbox.request_count <= 60
        for request in sandbox.requests:
            interval = request.params["interval"]
            assert seconds_between(interval["from"], interval["to"]) <= LONGEST
        assert differences(store, sandbox.world, *YEARS) == {}
    assert done.stdout.startswith("forecast: 1,826 days, ")
    assert len(told_days(environment)) == DAYS_OF_YEARS
    stored = fetch_all(
        store,
        "SELECT (operation_completed_at AT TIME ZONE 'UTC')::date::text AS day, count(*) AS rows "
        "FROM core.operations GROUP BY 1 ORDER BY 2 DESC LIMIT 1",
    )[0]
    told = materialization_of(environment, stored["day"])
    assert (told["dagster/partition_row_count"], told["rows_new"], told["rows_changed"]) == (
        *(stored["rows"], stored["rows"]),
        0,
    )
    assert told["verdict"] == "complete"
    assert materialization_of(environment, "2021-02-16")["dagster/partition_row_count"] == 0


def seconds_between(first, last):
    return (
        time.mktime(time.strptime(last, "%Y-%m-%d %H:%M:%S"))
        - time.mktime(time.strptime(first, "%Y-%m-%d %H:%M:%S"))
        + 1
    )


def test_a_dry_run_forecasts_with_a_few_probes_and_writes_nothing(command, environment, store, tmp_path):
    with SandboxServer(sparse_world()) as sandbox:
        environment |= {"DATA_API_BASE_URL": sandbox.url}
        done = command("operations", "--from", YEARS[0], "--to", YEARS[1], "--dry-run", environment=environment)
        assert sandbox.request_count <= 12
    assert done.returncode == 0, done.stderr
    found = re.search(r"forecast: 1,826 days, (?:about )?(\d+)(?: \((\d+) to (\d+)\))? rows", done.stdout)
    assert found, done.stdout
    assert 50 <= int(found[1]) <= 70, "an operation a month for five years"
    assert "guessed from 1,826 days by looking at 3 places" in done.stdout
    assert fetch_all(store, "SELECT 1 FROM sync.runs") == []
    assert list(tmp_path.iterdir()) == [], "no Dagster home, no database"


def test_the_forecast_of_days_walked_before_comes_from_the_ledger(command, environment, dagster_home):
    with SandboxServer(sparse_world()) as sandbox:
        environment |= {"DATA_API_BASE_URL": sandbox.url}
        asked = ("operations", "--from", "2023-11-01", "--to", "2023-12-31")
        command(*asked, environment=environment)
        before = sandbox.request_count
        done = command(*asked, "--dry-run", environment=environment)
        assert sandbox.request_count == before
    assert re.search(r"forecast: 61 days, 2 rows, 4 requests", done.stdout), done.stdout
    assert "guessed from 61 days as the ledger counted them" in done.stdout


def test_a_short_run_asks_no_probe(command, environment, dagster_home):
    with SandboxServer(World.of(now=NOW)) as sandbox:
        environment |= {"DATA_API_BASE_URL": sandbox.url}
        done = command("operations", "--from", "2024-03-01", "--to", "2024-03-02", environment=environment)
        assert done.returncode == 0, done.stderr
        assert sandbox.request_count == 3  # an empty window is asked for three times
    assert "forecast" not in done.stdout


def test_after_kill_9_the_finished_days_are_in_dagster_and_the_next_command_continues_from_the_first_hole(
    command, environment, dagster_home, store
):
    world = World.generate(seed=4, start="2024-01-01", days=60, operations=40_000, now=NOW)
    asked = ("operations", "--from", "2024-01-01", "--to", "2024-02-29")
    with SandboxServer(world) as sandbox:
        environment |= {"DATA_API_BASE_URL": sandbox.url, "SYNC_WINDOWS_IN_FLIGHT": "1"}
        sandbox.faults.always(("slow", 0.1))
        with command.started(*asked, environment=environment) as running:
            until = time.monotonic() + 90
            while time.monotonic() < until and committed(store) < 3:
                time.sleep(0.05)
        assert running.returncode == -signal.SIGKILL
        sandbox.faults.clear()
        last = fetch_all(store, "SELECT max(interval_to) AS moment FROM sync.windows")[0]["moment"]
        covered = (last - timedelta(seconds=1)).date().isoformat()
        told = told_days(environment)
        assert 0 < len(told) < 60
        assert max(told) <= covered
        walked = committed(store)
        forecast = command(*asked, "--dry-run", environment=environment)
        assert re.search(r"\(\d+ more were done by an interrupted run\)", forecast.stdout), forecast.stdout
        finished = command(*asked, environment=environment)
        assert finished.returncode == 0, finished.stderr
        assert "an interrupted run already did" in finished.stderr
        assert differences(store, world, "2024-01-01", "2024-02-29") == {}
        assert len(told_days(environment)) == 60
    again = fetch_all(store, "SELECT interval_from FROM sync.windows GROUP BY 1, interval_to HAVING count(*) > 1")
    assert again == [], "what was committed is not walked again"
    assert committed(store) > walked
