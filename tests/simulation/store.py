"""The simulated store: what PostgreSQL does for a run, in a few lines that can be read; commits are atomic."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from pipelines.ingest.walk import Page
from pipelines.ingest.windows import Window
from resources.errors import WarehouseUnavailable
from resources.warehouse.ledger import DoneWindow, LoadReport, Neighbours, WalkRecord
from simulation.platform import START, Platform, Rows
from simulation.scheduler import Scheduler


class Committed(NamedTuple):
    """The number of a committed window."""

    window_id: int


class Loss(AssertionError):
    """A promise was broken."""


@dataclass(frozen=True)
class State:
    """What the store knows of a row."""

    version: int
    observed_at: datetime


@dataclass(frozen=True)
class Entry:
    """A window of the ledger."""

    window_id: int
    run: int
    window: Window
    verdict: str
    keys: frozenset[str] = frozenset()
    counted: frozenset[str] = frozenset()  # in its totals
    changed: frozenset[str] = frozenset()


@dataclass
class SimulatedStore:
    """What outlives a killed process."""

    rows: dict[str, State] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    completed: set[int] = field(default_factory=set)  # runs
    runs: int = 0
    walks: int = 0
    excused: int = 0  # windows that met the known limit of offset pages: a row entered behind one that left

    def done(self) -> list[Entry]:
        """Return what runs have committed since the last complete one."""
        since = max(self.completed, default=0)
        return [entry for entry in self.entries if entry.run > since and entry.verdict == "complete"]

    def execute(self, _statement, parameters):
        """Answer the only question that `Neighbours` asks of a connection: which windows are committed."""
        ids = {entry.window_id for entry in self.entries}
        return _Result([Committed(number) for number in parameters["ids"] if number in ids])


@dataclass(frozen=True)
class _Result:
    rows: list
    returns_rows = True

    def all(self) -> list:
        return self.rows


@dataclass
class RunStore:
    """The store as one run has it; `failing` are the commits at which the database is away."""

    store: SimulatedStore
    platform: Platform
    scheduler: Scheduler
    run: int
    failing: frozenset[int] = frozenset()
    done: tuple[Entry, ...] = ()

    def __post_init__(self) -> None:
        keys = {entry.window_id: entry.keys for entry in self.done}
        done = [DoneWindow(entry.window.first, entry.window.last, entry.window_id) for entry in self.done]
        self.neighbours = Neighbours(done, keys.__getitem__)

    def load(self, record: WalkRecord, pages: list[Page[Rows]]) -> LoadReport:
        self._lose_nothing(record, pages)
        self.scheduler.sleep(0.01)
        store = self.store
        store.walks += 1
        window_id = store.walks
        observed: dict[str, State] = {}
        for page in sorted(pages, key=lambda page: page.payload.requested_at):
            for key, version in page.payload.versions.items():
                observed[key] = State(version, page.payload.requested_at)
        keys = frozenset(observed)
        shared = self.neighbours.counted(store, record, window_id, keys)  # type: ignore[arg-type]
        if window_id in self.failing:
            raise WarehouseUnavailable("the database is away")
        new = {key for key in keys if key not in store.rows}
        changed = frozenset(
            key
            for key in keys - new
            if store.rows[key].observed_at < observed[key].observed_at
            and store.rows[key].version != observed[key].version
        )
        for key in new | changed:
            store.rows[key] = observed[key]
        counted = (keys - shared) | changed
        window = Window(record.interval_from, record.interval_to)
        store.entries.append(Entry(window_id, self.run, window, "complete", keys, counted, changed))
        self.scheduler.sleep(0.01)
        unchanged = len(counted) - len(new) - len(changed)
        counts = {"rows_met": len(counted), "rows_new": len(new), "rows_changed": len(changed)}
        return LoadReport(window_id, **counts, rows_unchanged=unchanged)

    def cancel(self) -> None:
        """Nothing: commits are atomic here."""

    def add_incomplete(self, record: WalkRecord) -> None:
        self.scheduler.sleep(0.01)
        self.store.walks += 1
        window = Window(record.interval_from, record.interval_to)
        self.store.entries.append(Entry(self.store.walks, self.run, window, "incomplete"))
        self.scheduler.sleep(0.01)

    def _lose_nothing(self, record: WalkRecord, pages: list[Page[Rows]]) -> None:
        first, last = ((edge - START).total_seconds() for edge in (record.interval_from, record.interval_to))
        asked = self.platform.asked[first, last]
        must = self.platform.throughout(first, last, asked[0], asked[-1])
        lost = {str(row) for row in must} - {key for page in pages for key in page.ids}
        if lost and self.platform.hid_a_move(first, last):
            self.store.excused += 1
        elif lost:
            raise Loss(f"{Window(record.interval_from, record.interval_to)} is called complete without {sorted(lost)}")
