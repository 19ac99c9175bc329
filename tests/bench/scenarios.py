"""Six behaviours of a server that cuts offset pages from live data, and what a reader loses or doubles under each.

Who reads is the caller's: tests read with our engine, `completeness.py` with ours and with other paginators.
A row counts as lost if it was in the interval before the first request and still is after the last one, but
was not handed on; as doubled for each time it was handed on again. Rows that arrive or leave meanwhile may be
met or not.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from resources.sandbox import Faults, SandboxServer, World

FIRST, LAST = date(2024, 3, 1), date(2024, 3, 14)  # no longer: ours sends a probe beside the first page of what is
NOW = "2024-04-02 12:00:00"
ROWS = 5_000
MOVED = 10  # rows after each of the first four answers


@dataclass(frozen=True)
class Behaviour:
    """What the server does; `faults` makes it do so."""

    name: str
    title: str
    faults: Callable[[], Faults]


@dataclass(frozen=True)
class Handed:
    """What a reader handed on: the ids, how many rows it took for them, and whether it called that a success."""

    ids: frozenset[str]
    rows: int
    green: bool

    @classmethod
    def of(cls, ids: Iterable[str], *, green: bool) -> Handed:
        """Count a stream of ids."""
        handed = list(ids)
        return cls(frozenset(handed), len(handed), green)


@dataclass(frozen=True)
class Outcome:
    """Rows lost and doubled, and whether the run ended green."""

    lost: int
    doubled: int
    green: bool


Read = Callable[[SandboxServer], Handed]


def _after_first_answers(fault: str) -> Faults:
    faults = Faults(seed=3)
    faults.next((fault, MOVED), times=4, endpoint="operations/get")
    return faults


def _always_capped() -> Faults:
    faults = Faults()
    faults.always(("capped_page", 500))
    return faults


BEHAVIOURS = (
    Behaviour("stable", "nothing moves", Faults),
    Behaviour("arriving", "40 rows arrive during the walk", lambda: _after_first_answers("late_rows")),
    Behaviour("leaving", "40 rows leave during the walk", lambda: _after_first_answers("rows_leave")),
    Behaviour("capped", "the server caps pages at 500", _always_capped),
    Behaviour("short", "the second page is one row short", lambda: Faults.script({2: "short_page"})),
    Behaviour("empty", "the third page is empty, once", lambda: Faults.script({3: "empty_page"})),
)


def world(rows: int = ROWS) -> World:
    """Operations at random seconds of the interval."""
    chance = random.Random(8)
    start = datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC)
    seconds = (LAST - FIRST + timedelta(days=1)).total_seconds()
    times = [start + timedelta(seconds=int(chance.random() * seconds)) for _ in range(rows)]
    return World.of([({"operation_id": str(number)}, time) for number, time in enumerate(times, 1)], now=NOW)


def outcome_of(behaviour: Behaviour, read: Read, rows: int = ROWS) -> Outcome:
    """Let a reader read from a fresh server that behaves so."""
    with SandboxServer(world(rows), faults=behaviour.faults()) as sandbox:
        before = _there(sandbox.world)
        handed = read(sandbox)
        stayed = before & _there(sandbox.world)
    return Outcome(len(stayed - handed.ids), handed.rows - len(handed.ids), handed.green)


def _there(world: World) -> set[str]:
    return {row["operation_id"] for row in world.truth(None, f"{FIRST} 00:00:00", f"{LAST} 23:59:59")}
