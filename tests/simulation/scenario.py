"""A scenario by seed: runs over a platform that moves and errs, killed anywhere, then a clean one; and the verdict."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from functools import partial
from itertools import pairwise
from typing import Any

from pipelines.ingest import engine, walk, windows
from pipelines.ingest.engine import Engine, SyncRequest, Walker
from pipelines.ingest.operations import OPERATIONS
from resources.data_api.endpoints import DataApi
from resources.data_api.pace import MOST, Caller
from resources.errors import SyncError
from resources.settings import SyncSettings
from simulation.platform import CONTENT_FAULTS, FAILURES, START, Fault, Habits, Move, Platform, SimulatedClient, page_of
from simulation.scheduler import Killed, Scheduler, SimulatedWorkers
from simulation.store import Loss, RunStore, SimulatedStore

DAY = SyncRequest(START.date(), START.date())
SECONDS = 86_400
LATER = timedelta(days=10)


@dataclass(frozen=True)
class Scenario:
    """Everything that a seed decides; what it lists can be shortened."""

    seed: int
    habits: Habits
    longest: int  # seconds of a window
    in_flight: int
    rows: tuple[tuple[int, float], ...]
    moves: tuple[Move, ...] = ()
    faults: tuple[Fault, ...] = ()
    kills: tuple[int, ...] = ()  # of each disturbed run: the wait at which it is killed; 0: it is not
    failing_commits: tuple[int, ...] = ()

    def __str__(self) -> str:
        lines = [f"seed {self.seed}: {self.habits}, windows of {self.longest} s, {self.in_flight} in flight"]
        lines += [f"  row {row} at second {second}" for row, second in self.rows]
        lines += [f"  before request {m.before}: row {m.row} to {m.second}" for m in self.moves]
        lines += [f"  request {fault.request} is answered: {fault.kind}" for fault in self.faults]
        lines += [f"  run {n} is killed at its wait {at}" for n, at in enumerate(self.kills, 1) if at]
        lines += [f"  commit {number} fails" for number in self.failing_commits]
        return "\n".join(lines)


@dataclass(frozen=True)
class Outcome:
    """What happened; `broken`: which promise was, in a sentence."""

    broken: str | None = None
    requests: int = 0
    rows: int = 0
    faults: int = 0
    runs: int = 0
    excused: int = 0


def generate(seed: int) -> Scenario:
    """Make the scenario of a seed."""
    chance = random.Random(seed)
    longest = chance.choice([SECONDS, SECONDS // 2, 20_000, 10_000])
    edges = [*range(0, SECONDS, longest), SECONDS]

    def second() -> float:
        near = chance.random()
        if near < 0.3:
            moment = chance.choice(edges) + chance.choice([-1, -0.5, -0.001, 0, 0.001, 0.5, 1])
        elif near < 0.5:
            moment = 43_000 + chance.choice([0, 0, 0, 0.25, 0.5, 1])
        else:
            moment = round(chance.uniform(0, SECONDS), chance.choice([0, 3]))
        return min(max(0.0, float(moment)), float(SECONDS))

    count = chance.choice([0, 1, 2, 5, 7, 10, 15, 25, 40, 90])
    ids = chance.sample(range(1, 100), count)
    moving = chance.choice([0, 0, 1, 3, 8])
    wrong = chance.choice([0, 0, 1, 3, 8])
    last = 20 + count
    moves = tuple(
        Move(
            chance.randint(1, last),
            chance.choice(ids) if ids and chance.random() < 0.6 else chance.randint(100, 199),
            None if chance.random() < 0.4 else second(),
        )
        for _ in range(moving)
    )
    kinds = (*CONTENT_FAULTS, *CONTENT_FAULTS, *FAILURES)
    numbers = chance.sample(range(1, last), min(wrong, last - 1))
    faults = {number: chance.choice(kinds) for number in numbers}
    if wrong and chance.random() < 0.3:  # of a platform that errs in the same way twice in a row
        faults |= {number + 1: kind for number, kind in faults.items()}
    return Scenario(
        seed=seed,
        habits=Habits(
            chance.choice([3, 4, 4, 5, 8]), chance.choice(["newest", "oldest", "by id"]), chance.random() < 0.7
        ),
        longest=longest,
        in_flight=chance.choice([1, 2, 4]),
        rows=tuple((row, second()) for row in ids),
        moves=moves,
        faults=tuple(Fault(number, kind) for number, kind in sorted(faults.items())),
        kills=tuple(chance.choice([0, chance.randint(1, 150)]) for _ in range(chance.choice([0, 1, 1, 2]))),
        failing_commits=(chance.randint(1, 8),) if chance.random() < 0.15 else (),
    )


@contextmanager
def small() -> Iterator[None]:
    """Let pages and windows be small, so that a scenario is: a page has 4 rows at most, ten pages are deep."""
    sizes: list[tuple[Any, str, Any]] = [
        (walk, "LIMIT", 4), (walk, "DEEPEST", 36), (walk, "LOOKS_DEEP", 28),
        (engine, "DEEPEST", 36), (engine, "MAY_BE_CUT", timedelta(seconds=30_000)), (windows, "ROWS_A_WINDOW", 18),
    ]  # fmt: skip
    usual = [(module, name, getattr(module, name)) for module, name, _ in sizes]
    logging.disable(logging.CRITICAL)
    try:
        for module, name, size in sizes:
            setattr(module, name, size)
        yield
    finally:
        logging.disable(logging.NOTSET)
        for module, name, size in usual:
            setattr(module, name, size)


class Simulation:
    """One scenario under way."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.chance = random.Random(scenario.seed)
        self.store = SimulatedStore()
        self.now = (START + LATER).timestamp()
        self.walker: Walker[Any] | None = None
        self.platform = Platform(
            scenario.habits,
            dict(scenario.rows),
            list(scenario.moves),
            {fault.request: fault.kind for fault in scenario.faults},
            lambda: self.walker is not None and self.walker.suspicion.server_untrusted,
        )

    def run(self) -> Outcome:
        """Run it to its end and say whether every promise was kept."""
        random.seed(self.scenario.seed)  # the jitter of retries
        broken = None
        try:
            for kill_at in self.scenario.kills:
                self._one_run(kill_at or None)
            self.platform.rest()
            for _ in range(4):  # what was killed is continued; then all of it is walked once more
                if self._one_run(None) and not self.resumed:
                    break
            else:
                raise Loss("runs over a platform at rest are not complete")
            self._store_is_as_the_platform()
        except AssertionError as error:
            broken = f"{type(error).__name__}: {error}"
        return Outcome(
            broken,
            self.platform.requests,
            len(self.platform.history),
            self.platform.erred + len(self.scenario.moves) + sum(map(bool, self.scenario.kills)),
            self.store.runs,
            self.store.excused,
        )

    def _one_run(self, kill_at: int | None) -> bool:
        """Return whether a run was complete."""
        store, scenario = self.store, self.scenario
        store.runs += 1
        scheduler = Scheduler(self.chance, self.now, kill_at)
        self.platform.asked.clear()
        client: Any = SimulatedClient(scheduler, self.platform, self.chance)
        settings = SyncSettings(windows_in_flight=scenario.in_flight)
        api = DataApi(client, Caller(most_in_flight=MOST, is_run=True))
        stream = replace(OPERATIONS, longest=scenario.longest)
        self.walker = Walker(stream, api, settings, page_of)
        done = store.done()
        self.resumed = len(done)
        run_store = RunStore(
            store, self.platform, scheduler, store.runs, frozenset(scenario.failing_commits), tuple(done)
        )
        workers = partial(SimulatedWorkers, scheduler)
        this = Engine(self.walker, run_store, store.runs, None, _Silent(), workers)
        try:
            report = scheduler.run(lambda: this.load(DAY, [entry.window for entry in done]))
        except (SyncError, Killed):
            return False
        finally:
            self.now = scheduler.now + 60
        self._all_is_covered(done)
        self._a_row_is_counted_once(done)
        counted = [len(entry.counted) for entry in store.entries if entry.run == store.runs]
        if report.rows_met != sum(counted):
            raise Loss(f"the report counts {report.rows_met} rows, the ledger {sum(counted)}")
        store.completed.add(store.runs)
        return True

    def _all_is_covered(self, done) -> None:
        mine = [entry for entry in self.store.entries if entry.run == self.store.runs]
        edge = START
        for entry in sorted([*done, *mine], key=lambda entry: entry.window):
            if entry.verdict != "complete" or entry.window.first > edge:
                raise Loss(f"a complete run leaves {edge} to {entry.window.first} out")
            edge = max(edge, entry.window.last)
        if edge != START + timedelta(days=1):
            raise Loss(f"a complete run ends at {edge}")

    def _a_row_is_counted_once(self, done) -> None:
        """Of two windows that share a second, in one run or in the one that it continues, one counts a row."""
        mine = [*done, *(entry for entry in self.store.entries if entry.run == self.store.runs)]
        by_time = sorted(mine, key=lambda entry: entry.window)
        for one, other in pairwise(by_time):
            later = max(one, other, key=lambda entry: entry.window_id)
            if twice := (one.counted & other.counted) - later.changed:
                raise Loss(f"{one.window} and {other.window} both count {sorted(twice)}")

    def _store_is_as_the_platform(self) -> None:
        for row, version in self.platform.versions.items():
            stored = self.store.rows.get(str(row))
            if row in self.platform.rows and (stored is None or stored.version != version):
                raise Loss(f"row {row} is {version} at the platform and {stored} in the store")
            if stored is not None and stored.version not in {state for _, _, state in self.platform.history[row]}:
                raise Loss(f"row {row} never was {stored.version}")


class _Silent:
    def begin(self, what, holes) -> None: ...

    def committed(self, window, report) -> None: ...

    def end(self) -> None: ...


def run(scenario: Scenario) -> Outcome:
    """Run a scenario."""
    return Simulation(scenario).run()


def shrink(scenario: Scenario) -> Scenario:
    """Return the scenario with everything taken out that the failure does not need."""
    lists = [each.name for each in fields(scenario) if isinstance(getattr(scenario, each.name), tuple)]
    size = None
    while size != (size := sum(len(getattr(scenario, name)) for name in lists)):
        for name in lists:
            part = max(1, len(getattr(scenario, name)) // 2)
            while part:
                at = 0
                while at < len(whole := getattr(scenario, name)):
                    shorter = replace(scenario, **{name: whole[:at] + whole[at + part :]})
                    if run(shorter).broken:
                        scenario = shorter
                    else:
                        at += part
                part //= 2
    return scenario


def first_failure(seeds) -> tuple[Scenario, Outcome] | None:
    """Return the first seed's scenario that breaks a promise, and how."""
    for seed in seeds:
        if (outcome := run(scenario := generate(seed))).broken:
            return scenario, outcome
    return None
