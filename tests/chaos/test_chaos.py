"""Chaos, by seed: every fault of the sandbox at random, cut database connections, killed runs; then one clean run.

The promise: the store then holds exactly what the sandbox holds, and every window that says complete was.
More seeds: `make chaos SEEDS="100 101 102"`.
"""

from __future__ import annotations

import os
import random
from contextlib import suppress
from datetime import date

import pytest

from pipelines.sync.operations import OperationsRequest, sync_operations
from resources.data_api.endpoints import DataApi
from resources.data_api.retry import RetryPolicy
from resources.errors import SyncError
from resources.sandbox import Faults, SandboxServer, World
from resources.sandbox.faults import NAMES
from resources.settings import SyncSettings
from support import client_of, differences, execute, fetch_all, sync

SEEDS = [int(seed) for seed in os.environ.get("SEEDS", "1 2 3 4 5 6 7 8").split()]
FIRST, LAST = "2024-03-01", "2024-03-08"
PATIENT = RetryPolicy(attempts=30, first_wait=0.001, longest_wait=0.01, bad_signature_attempts=20)
RUNS = 4


class Killed(BaseException):
    """Stands for kill -9: nothing of ours may catch it."""


class KilledAtRandom:
    """A progress that kills the run, or every database connection, after some window."""

    def __init__(self, chance: random.Random, store):
        self.chance, self.store = chance, store

    def begin(self, what, holes):
        pass

    def committed(self, window, report):
        if self.chance.random() < 0.1:
            raise Killed
        if self.chance.random() < 0.1:
            execute(
                self.store,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND datname = current_database()",
            )

    def end(self):
        pass


@pytest.mark.parametrize("seed", SEEDS)
def test_after_any_chaos_one_clean_run_makes_the_store_exact(store, seed):
    chance = random.Random(seed)
    operations = chance.choice([300, 5_000, 14_000])
    order = chance.choice(["newest", "oldest", "shuffled"])
    world = World.generate(seed=seed, start=FIRST, days=8, operations=operations, now="2024-03-20", order=order)
    rates = dict.fromkeys(NAMES, 0.03) | {"http_429": (0.02, 0.01), "http_429_date": 0.0, "slow": (0.02, 0.01)}
    settings = SyncSettings(windows_in_flight=chance.choice([1, 4]))
    request = OperationsRequest(date.fromisoformat(FIRST), date.fromisoformat(LAST))
    survived = 0
    with SandboxServer(world, faults=Faults(seed, rates)) as sandbox:
        for _ in range(RUNS):
            with client_of(sandbox.url, policy=PATIENT) as client, suppress(SyncError, Killed):
                sync_operations(DataApi(client), store, settings, request, KilledAtRandom(chance, store))
            survived = sum(sandbox.faults.counts.values())
            world.advance(3_600)
        sandbox.faults.clear()
        report = sync(sandbox, store, FIRST, LAST, settings=settings)
        if report.resumed_windows:  # it continued a killed run; since that one's walks the world has moved on
            sync(sandbox, store, FIRST, LAST, settings=settings)
        found = differences(store, world, FIRST, LAST)
    # what has left the days since it was met is rightly in the store still, in the state it had
    assert found.keys() <= {"too_much"}, found
    moved = {row["operation_id"] for row in world.truth()}
    assert set(found.get("too_much", [])) <= moved
    (counted,) = fetch_all(
        store,
        "SELECT count(*) AS windows, count(*) FILTER (WHERE entry_hash = sync.entry_hash(w)) AS intact, "
        "count(*) FILTER (WHERE totals_written = sync.written_totals(window_id)) AS equal FROM sync.windows w",
    )
    assert counted["windows"] == counted["intact"] == counted["equal"]
    doubled = fetch_all(
        store, "SELECT operation_id FROM core.operations GROUP BY account, operation_id HAVING count(*) > 1"
    )
    lost = len(found.get("lost", []))
    print(f"seed {seed}: {survived} faults survived, {lost} rows lost, {len(doubled)} doubled")
    assert doubled == []
