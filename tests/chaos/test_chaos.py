"""Chaos, by seed: every fault of the sandbox at random, kill -9, crashes of the database; then clean runs.

In every fifth seed (in all of them: `make chaos JUMPS=1`) the loader's clock jumps by up to a day, to and fro.

The promise: after a clean run over all days to which rows have moved the store holds exactly what the sandbox
holds, no row more and none less, and everything that the ledger says of it is so.
More seeds: `make chaos SEEDS="100 101"` or `make chaos SEEDS=1-200`.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from fixtures.commands import client_of, differences, execute, fetch_all, same, sync
from fixtures.own_server import OwnServer
from fixtures.shifted_clock import ShiftedClock
from fixtures.sync_process import PATIENT
from pipelines.audit.replay import Replayer
from pipelines.ingest.engine import SyncRequest
from pipelines.ingest.engine import sync as load_stream
from pipelines.ingest.operations import OPERATIONS
from resources.data_api.endpoints import DataApi
from resources.errors import SyncError
from resources.sandbox import DEMO_SECRET, Faults, SandboxServer, World
from resources.sandbox.faults import NAMES
from resources.sandbox.operations import View
from resources.settings import SyncSettings
from resources.warehouse.engine import Warehouse

FIRST, LAST = "2024-03-01", "2024-03-08"
NOW, EVERYTHING = "2024-03-20", ("2024-03-01", "2024-03-31")  # what leaves the days goes to the time it leaves at
RUNS = 4
DAY = 86_400
RATES = dict.fromkeys(NAMES, 0.03) | {"http_429": (0.02, 0.01), "http_429_date": 0.002, "slow": (0.02, 0.01)}


def seeds_of(text: str) -> list[int]:
    """Read "1 2 3", "1,2,3" or "1-200"."""
    seeds: list[int] = []
    for part in text.replace(",", " ").split():
        first, _, last = part.partition("-")
        seeds += range(int(first), int(last or first) + 1)
    return seeds


SEEDS = seeds_of(os.environ.get("SEEDS", "") or "1-4")


class Killed(BaseException):
    """Stands for kill -9 of a thread: nothing of ours may catch it."""


@dataclass
class Chaos:
    """One seed's world, and the ways in which a run over it can be disturbed."""

    seed: int
    url: str
    server: OwnServer | None  # of its own, so that it may be crashed
    chance: random.Random
    sandbox: SandboxServer
    settings: SyncSettings
    clock: ShiftedClock | None = None  # of the loaders; None: it is right
    counts: dict[str, int] = field(default_factory=lambda: {"kills": 0, "crashes": 0, "cuts": 0, "jumps": 0})

    def disturbed_run(self) -> None:
        if self.clock:
            self.process_whose_clock_jumps()
            return
        ways: list[Callable[[], None]] = [self.run_that_is_killed, self.run_whose_connections_are_cut, self.two_runs]
        if self.seed % 2 == 0:
            ways = [self.process_that_is_killed, self.run_that_is_killed]
        if self.server:
            ways += [self.run_while_the_database_crashes, self.run_while_a_backend_is_killed]
        self.chance.choice(ways)()

    # what a run meets

    def run_that_is_killed(self) -> None:
        self.run(_AtRandom(self.chance, self._kill))

    def run_whose_connections_are_cut(self) -> None:
        self.run(_AtRandom(self.chance, self._cut))

    def two_runs(self) -> None:
        """At once, over the same days: one waits for the other, or for its end."""
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda _: self.run(), range(2)))

    def process_that_is_killed(self) -> None:
        """A real process, and a real kill -9, wherever it is just then."""
        with self.process() as process:
            self._after_some_requests(lambda: process.poll() is not None)
            if process.poll() is None:
                process.kill()
                self.counts["kills"] += 1

    def process_whose_clock_jumps(self) -> None:
        """Its clock is right at the start, mostly, and then jumps until it ends; some are killed on the way."""
        assert self.clock is not None
        jumps = 0 if self.chance.random() < 0.8 else 1
        self.clock.shift(jumps * self.chance.randint(-DAY, DAY))
        is_killed = self.chance.random() < 0.3
        with self.process(times=2, environment=self.clock.environment) as process:
            while process.poll() is None:
                time.sleep(self.chance.random() * 0.2)
                self.clock.shift(self.chance.choice([0, 1, 1]) * self.chance.randint(-DAY, DAY))
                jumps += 1
                if is_killed and jumps > 5 and self.chance.random() < 0.1:
                    process.kill()
                    self.counts["kills"] += 1
                    break
        self.counts["jumps"] += jumps

    @contextmanager
    def process(self, times: int = 1, environment: dict[str, str] | None = None) -> Iterator[subprocess.Popen]:
        arguments = [self.sandbox.url, self.url, FIRST, LAST, str(self.settings.windows_in_flight), str(times)]
        script = Path(__file__).parents[1] / "fixtures" / "sync_process.py"
        with subprocess.Popen(
            [sys.executable, str(script), *arguments],
            env=os.environ | (environment or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()  # it has begun, or it could not
            yield process

    def run_while_the_database_crashes(self) -> None:
        server = self.server
        assert server is not None

        def crash() -> None:
            server.crash()
            time.sleep(self.chance.random() * 0.2)
            server.start_again()

        self._run_while(crash)

    def run_while_a_backend_is_killed(self) -> None:
        server = self.server
        assert server is not None
        self._run_while(lambda: server.kill_a_backend(self.url))

    # how it is done

    def run(self, progress=None) -> None:
        request = SyncRequest(date.fromisoformat(FIRST), date.fromisoformat(LAST))
        # a connection and a client of its own, as a process has them
        with (
            Warehouse(self.url) as store,
            client_of(self.sandbox.url, policy=PATIENT) as client,
            suppress(SyncError, Killed),
        ):
            load_stream(OPERATIONS, request, DataApi(client), store, self.settings, progress)

    def _run_while(self, strike: Callable[[], None]) -> None:
        over = threading.Event()

        def wait_and_strike() -> None:
            self._after_some_requests(over.is_set)
            strike()

        with ThreadPoolExecutor(1) as pool:
            struck = pool.submit(wait_and_strike)
            self.run()
            over.set()
            before = self.counts["crashes"]
            struck.result()
            self.counts["crashes"] = before + 1

    def _after_some_requests(self, over: Callable[[], bool]) -> None:
        """Wait until a number of requests has been answered, and a moment more: a walk, a COPY or a commit is on."""
        until = self.sandbox.request_count + self.chance.randint(0, 4 + len(self.sandbox.world) // 700)
        moment = self.chance.random() * 0.1
        while self.sandbox.request_count < until and not over():
            time.sleep(0.003)
        time.sleep(moment)

    def _kill(self) -> None:
        self.counts["kills"] += 1
        raise Killed

    def _cut(self) -> None:
        self.counts["cuts"] += 1
        with Warehouse(self.url) as store:
            execute(
                store,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND datname = current_database()",
            )


@dataclass
class _AtRandom:
    """A progress that does something after some window."""

    chance: random.Random
    act: Callable[[], None]

    def begin(self, what, holes):
        pass

    def committed(self, window, report):
        if self.chance.random() < 0.2:
            self.act()

    def end(self):
        pass


@pytest.mark.parametrize("seed", SEEDS)
def test_after_any_chaos_a_clean_run_makes_the_store_exact(request, figures, tmp_path, seed):
    chance = random.Random(seed)
    world = World.generate(
        seed=seed,
        start=FIRST,
        days=8,
        operations=chance.choice([300, 2_500, 11_000]),
        now=NOW,
        order=chance.choice(["newest", "oldest", "shuffled"]),
    )
    settings = SyncSettings(windows_in_flight=chance.choice([1, 4]))
    with ExitStack() as stack:
        server = request.getfixturevalue("own_server") if seed % 4 < 2 else None
        url = stack.enter_context(server.database()) if server else request.getfixturevalue("store_url")
        sandbox = stack.enter_context(SandboxServer(world, faults=Faults(seed, RATES)))
        clock = ShiftedClock(tmp_path) if seed % 5 == 0 or os.environ.get("JUMPS") else None
        chaos = Chaos(seed, url, server, chance, sandbox, settings, clock)
        for _ in range(RUNS // 2 if clock else RUNS):
            chaos.disturbed_run()
            world.advance(3_600)
        sandbox.faults.clear()
        with Warehouse(url) as store:
            figures |= {"seed": seed, "faults survived": sandbox.faults.counts.total()} | chaos.counts
            check(store, sandbox, settings, figures)


def check(store: Warehouse, sandbox: SandboxServer, settings: SyncSettings, figures: dict[str, int]) -> None:
    """Run clean over the days, and then over all days that rows went to; look at everything that is promised."""
    world = sandbox.world
    report = sync(sandbox, store, FIRST, LAST, settings=settings)
    if report.resumed_windows:  # it continued a killed run; since that one's walks the world has moved on
        report = sync(sandbox, store, FIRST, LAST, settings=settings)
    # of what has left the days since it was met the store keeps a state that it had; all else is as it is
    found = differences(store, world, FIRST, LAST)
    assert found.keys() <= {"too_much"}, found
    invented = states_that_never_were(store, world)
    assert invented == []
    every_second_of_the_days_is_in_a_complete_window(store, report.run_id, FIRST, LAST)

    report = sync(sandbox, store, *EVERYTHING, settings=settings)
    every_second_of_the_days_is_in_a_complete_window(store, report.run_id, *EVERYTHING)
    assert len(world.truth(None, *(f"{day} 00:00:00" for day in EVERYTHING))) == len(world.truth()), "none lies beyond"
    found = differences(store, world, *EVERYTHING)
    doubled = known_twice(store)
    figures["rows"] = len(world.truth())
    figures["rows lost"] = len(found.get("lost", [])) + len(found.get("different", []))
    figures["rows doubled"] = len(found.get("too_much", [])) + len(doubled)
    assert (found, doubled) == ({}, [])
    assert totals_of(store) == totals_of_truth(world)
    the_ledger_is_right(store)
    first, last = map(date.fromisoformat, EVERYTHING)
    rebuilt = Replayer(store, "default", DEMO_SECRET).replay(first, last, print)
    assert rebuilt.problems == []


def states_that_never_were(store: Warehouse, world: World) -> list[str]:
    """Stored states, also those of the past, which no operation of the world ever had."""
    stored = fetch_all(store, "SELECT * FROM core.operations")
    columns = ", ".join(stored[0]) if stored else "*"
    stored += fetch_all(store, f"SELECT {columns} FROM core.operation_versions")
    ever = {str(o.states[0].facts()["operation_id"]): o.states for o in world.operations}
    return [
        row["operation_id"]
        for row in stored
        if not any(same(state.row(View()), row) for state in reversed(ever.get(row["operation_id"], [])))
    ]


def known_twice(store: Warehouse) -> list[dict]:
    """Operations with two states at one moment: two rows, a row and a version, or two versions."""
    return fetch_all(
        store,
        """
        WITH known AS (
            SELECT account, operation_id, observed_at, 'infinity'::timestamptz AS known_to FROM core.operations
            UNION ALL
            SELECT account, operation_id, observed_at, known_to FROM core.operation_versions
        )
        SELECT operation_id FROM (
            SELECT *, lead(observed_at) OVER (PARTITION BY account, operation_id ORDER BY observed_at, known_to) AS next
            FROM known
        ) AS ordered
        WHERE next < known_to OR known_to < observed_at
        """,
    )


def totals_of(store: Warehouse) -> dict[tuple, tuple]:
    rows = fetch_all(
        store,
        "SELECT operation_type, operation_status, coalesce(sum_initial_currency, '') AS currency, count(*), "
        "coalesce(sum(sum_initial_amount), 0)::bigint AS amount FROM core.operations GROUP BY 1, 2, 3",
    )
    return {tuple(row.values())[:3]: (row["count"], row["amount"]) for row in rows}


def totals_of_truth(world: World) -> dict[tuple, tuple]:
    return {
        (row["operation_type"], row["operation_status"], row["currency"]): (row["count"], row["amount"])
        for row in world.totals()
    }


def every_second_of_the_days_is_in_a_complete_window(store: Warehouse, run_id: int, first: str, last: str) -> None:
    windows = fetch_all(
        store,
        "SELECT interval_from, interval_to, verdict FROM sync.windows WHERE run_id = :run_id ORDER BY interval_from",
        run_id=run_id,
    )
    assert {window["verdict"] for window in windows} == {"complete"}
    edge = datetime.fromisoformat(first).replace(tzinfo=UTC)
    for window in windows:
        assert window["interval_from"] == edge, "no hole, and no more than the boundary second in common"
        edge = window["interval_to"]
    assert edge == datetime.fromisoformat(last).replace(tzinfo=UTC) + timedelta(days=1)
    (run,) = fetch_all(store, "SELECT state, message FROM sync.runs WHERE run_id = :run_id", run_id=run_id)
    assert run["state"] == "complete", run


def the_ledger_is_right(store: Warehouse) -> None:
    assert store.query("warehouse/ledger/verify", account=None) == []
    (counted,) = fetch_all(
        store,
        "SELECT count(*) AS windows, count(*) FILTER (WHERE totals_written = sync.written_totals(window_id)) AS equal, "
        "count(*) FILTER (WHERE (SELECT count(*) FROM raw.pages p WHERE p.window_id = w.window_id) = 0 "
        "AND rows_met > 0) AS without_pages FROM sync.windows w",
    )
    assert counted["windows"] == counted["equal"]
    assert counted["without_pages"] == 0
    (orphans,) = fetch_all(
        store,
        "SELECT count(*) FROM raw.pages p "
        "WHERE NOT EXISTS (SELECT FROM sync.windows w WHERE w.window_id = p.window_id)",
    )
    assert orphans["count"] == 0, "what a killed load wrote is gone with it"
