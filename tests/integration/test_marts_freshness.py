"""The mart of freshness: how far the data reaches, whether it is late, and why."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from fixtures.commands import client_of, execute, fetch_all
from fixtures.marts import SETTINGS, START, freshness, load, op
from pipelines.ingest.balances import sync_balances
from pipelines.marts import build_marts
from resources.data_api.endpoints import DataApi
from resources.data_api.pace import RequestCounts
from resources.errors import ConfigError
from resources.sandbox import SandboxServer, World
from resources.warehouse import ledger

NOW = "2024-03-20 00:00:00"


def test_freshness_says_how_far_the_data_reaches_and_when_the_next_run_is_due(store):
    load(store, op(1))
    build_marts(store, SETTINGS)
    row = freshness(store)
    assert (row["verdict"], row["is_late"], row["cause"]) == ("fresh", False, None)
    assert row["data_as_of_at"] == START + timedelta(days=1)
    assert datetime.now(UTC) < row["next_run_due_at"] <= datetime.now(UTC) + timedelta(days=1)
    assert (row["next_run_due_at"].hour, row["next_run_due_at"].minute) == (3, 30)
    assert row["closed_through_date"] is None


def test_a_run_that_did_not_come_is_late_and_the_daemon_is_named(store):
    load(store, op(1))
    build_marts(store, SETTINGS)
    execute(store, "UPDATE sync.due SET next_run_at = now() - interval '2 hours'")
    execute(
        store,
        "UPDATE sync.windows SET committed_at = now() - interval '9 hours'",
    )
    row = freshness(store)
    assert (row["verdict"], row["is_late"]) == ("late", True)
    assert "has not started: is the daemon running?" in row["cause"]


def test_a_run_that_failed_tells_its_own_message_as_the_cause(store):
    load(store, op(1))
    build_marts(store, SETTINGS)
    with (
        pytest.raises(ConfigError),
        ledger.run(store, RequestCounts(), account="default", stream="operations"),
    ):
        raise ConfigError("the platform refused the token")
    row = freshness(store)
    assert (row["verdict"], row["cause"]) == ("incomplete", "the platform refused the token")


@pytest.mark.parametrize("stream", ["spot check", "completeness"])
def test_b22_a_run_that_loads_nothing_is_no_stream_that_could_be_late(store, stream):
    load(store, op(1))
    with ledger.run(store, RequestCounts(), account="default", stream=stream):
        pass
    build_marts(store, SETTINGS)
    execute(store, "UPDATE sync.due SET next_run_at = now() - interval '2 hours'")
    rows = fetch_all(store, "SELECT stream, verdict FROM bi.data_freshness ORDER BY stream")
    assert [row["stream"] for row in rows] == ["operations"]
    assert fetch_all(store, "SELECT stream FROM bi.ops_runs ORDER BY run_id")[-1] == {"stream": stream}


def test_balances_of_the_sandbox_reach_the_marts(store):
    world = World.generate(seed=3, start="2024-03-01", days=2, operations=10, now=NOW)
    with SandboxServer(world) as sandbox, client_of(sandbox.url) as client:
        sync_balances(DataApi(client), store, "default", None)
    build_marts(store, SETTINGS)
    (row,) = fetch_all(store, "SELECT count(*) AS n FROM bi.fct_balances_daily WHERE snapshots = 1")
    assert row["n"] > 0
    assert freshness(store, "balances")["verdict"] == "fresh"
