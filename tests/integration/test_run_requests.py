"""The ledger's requests of a run are its own, whatever else one client has sent before, meanwhile or for others."""

from __future__ import annotations

from datetime import date

import pytest

from fixtures.commands import client_of, execute, fetch_all
from pipelines.audit.spot_check import spot_check
from pipelines.ingest.balances import sync_balances
from pipelines.ingest.engine import SyncRequest, sync
from pipelines.ingest.operations import OPERATIONS
from pipelines.reconciliation.reconcile import prove_completeness
from resources.data_api.endpoints import DataApi
from resources.errors import SyncError
from resources.sandbox import Account, SandboxServer, World
from resources.settings import SyncSettings

DAY = date(2024, 3, 1)
SETTINGS = SyncSettings(spot_check_sample=5)


@pytest.fixture(scope="module")
def world():
    return World.generate(seed=5, start="2024-03-01", days=1, operations=1_500, now="2024-04-01T00:00:00")


def runs(store) -> list[tuple]:
    """Each run's stream, its requests, and what of them was counted by endpoint and status."""
    rows = fetch_all(
        store,
        "SELECT stream, runs.requests, sum(r.requests) AS counted, sum(r.retries) AS retries, "
        "array_agg(DISTINCT r.endpoint) AS endpoints "
        "FROM sync.runs AS runs LEFT JOIN sync.requests AS r USING (run_id) GROUP BY run_id ORDER BY run_id",
    )
    return [tuple(row.values()) for row in rows]


def test_b22_a_night_with_one_client_records_each_runs_requests_once_and_to_itself(world, store):
    days = SyncRequest(DAY, DAY)
    with SandboxServer(world) as sandbox, client_of(sandbox.url) as client:
        api = DataApi(client)
        sent = {}
        for name, work in {
            "first": lambda: sync(OPERATIONS, days, api, store, SETTINGS),
            "operations": lambda: sync(OPERATIONS, days, api, store, SETTINGS),
            "balances": lambda: sync_balances(api, store, "default"),
            "completeness": lambda: prove_completeness(api, store, SETTINGS, DAY),
            "spot check": lambda: spot_check(api, store, SETTINGS, DAY),
        }.items():
            before = sandbox.request_count
            work()
            sent[name] = sandbox.request_count - before
    found = runs(store)
    assert [stream for stream, *_ in found[:5]] == ["operations", *list(sent)[1:]]
    assert [requests for _, requests, *_ in found[:4]] == list(sent.values())[:4]
    assert sum(requests for _, requests, *_ in found[4:]) == sent["spot check"], "with what it loaded, as another run"
    assert all(requests == counted > 0 and retries == 0 for _, requests, counted, retries, _ in found)
    assert [endpoints for *_, endpoints in found[:5]] == [
        ["operations/get"],
        ["operations/get"],
        ["balance/get"],
        ["operations/get"],
        ["operations/get-by-payment"],
    ]


def test_what_a_spot_check_loads_is_a_run_of_its_own(world, store):
    with SandboxServer(world) as sandbox, client_of(sandbox.url) as client:
        sync(OPERATIONS, SyncRequest(DAY, DAY), DataApi(client), store, SETTINGS)
        execute(store, "UPDATE core.operations SET rrn = 'damaged'")
        before = sandbox.request_count
        spot_check(DataApi(client), store, SETTINGS, DAY)
        sent = sandbox.request_count - before
    (_, first, *_), (checked, checks, *_), (loaded, loads, *_) = runs(store)
    assert (checked, loaded) == ("spot check", "operations")
    assert first > 0
    assert checks + loads == sent
    assert checks == 2 * SETTINGS.spot_check_sample, "each payment once, and again since all of them differ"


def test_the_requests_of_a_run_that_failed_are_its_own_too(world, store):
    account = Account()
    with SandboxServer(world, accounts=[account]) as sandbox, client_of(sandbox.url) as client:
        api = DataApi(client)
        sync(OPERATIONS, SyncRequest(DAY, DAY), api, store, SETTINGS)
        sandbox.accounts.delete(account.name)
        for work in (
            lambda: sync_balances(api, store, "default"),
            lambda: spot_check(api, store, SETTINGS, DAY),
            lambda: prove_completeness(api, store, SETTINGS, DAY),
        ):
            with pytest.raises(SyncError, match="401"):
                work()
    assert [row[:3] for row in runs(store)[1:]] == [
        ("balances", 1, 1),
        ("spot check", 1, 1),
        ("completeness", 1, 1),
    ]
