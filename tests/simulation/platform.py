"""The simulated platform: rows that enter, leave, change and come late between requests; answers that are wrong."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from itertools import pairwise
from typing import Any

from pipelines.ingest.streams import Stream
from pipelines.ingest.walk import Page
from resources.data_api.client import Answer
from resources.data_api.clock import PlatformClock
from resources.data_api.errors import Aborted, BadSignature, BrokenBody, RateLimited, ServerError, Unreachable
from resources.data_api.pace import Caller, Concurrency, Pace
from resources.data_api.retry import RetryPolicy, retry
from simulation.scheduler import Scheduler, SimulatedCondition, sleep_unless_stopped

START = datetime(2024, 3, 1, tzinfo=UTC)
CONTENT_FAULTS = ("empty", "short", "capped", "repeated", "reversed")
FAILURES: dict[str, Callable[[], Exception]] = {
    "429": lambda: RateLimited("429"),
    "429 in 7 s": lambda: RateLimited("429", 7.0),
    "500": lambda: ServerError("500"),
    "503 in 3 s": lambda: ServerError("503", 3.0),
    "cut": lambda: Unreachable("cut"),
    "broken": lambda: BrokenBody("broken"),
    "unsigned": lambda: BadSignature("unsigned"),
}


@dataclass(frozen=True)
class Move:
    """Before the request of this number a row appears, moves or changes at `second`; None: it leaves."""

    before: int
    row: int
    second: float | None


@dataclass(frozen=True)
class Fault:
    """What the answer to the request of this number is instead."""

    request: int
    kind: str


@dataclass(frozen=True)
class Habits:
    """What the platform is like all the time."""

    cap: int = 4
    order: str = "newest"
    keeps_fractions: bool = True


@dataclass
class Platform:
    """The rows as they are now, and as they were before each request."""

    habits: Habits
    rows: dict[int, float]  # at which second of the day
    moves: list[Move] = field(default_factory=list)
    faults: Mapping[int, str] = field(default_factory=dict)
    untrusted: Callable[[], bool] = lambda: False
    requests: int = 0
    erred: int = 0

    def __post_init__(self) -> None:
        self.versions = dict.fromkeys(self.rows, 0)
        self.history: dict[int, list[tuple[int, float | None, int]]] = {
            row: [(0, second, 0)] for row, second in self.rows.items()
        }
        self._moves = sorted(self.moves, key=lambda move: move.before, reverse=True)
        self.asked: dict[tuple[float, float], list[int]] = {}  # requests of this run, by interval
        self._last_page: dict[tuple[float, float], list[int]] = {}
        self._last_was_wrong: dict[tuple[float, float], bool] = {}

    def answer(self, parameters: Mapping[str, Any]) -> tuple[int, list[tuple[int, float, int]]]:
        """Return the number of the request, and its rows: identity, second, version.

        Raises:
            Retryable: the fault of this request is a failure.
        """
        self.requests += 1
        while self._moves and self._moves[-1].before <= self.requests:
            self._move(self._moves.pop())
        fault = self.faults.get(self.requests)
        if fault in FAILURES:
            self.erred += 1
            failure = FAILURES[fault]()
            raise failure
        first, last = (seconds(parameters["interval"][end]) for end in ("from", "to"))
        offset, limit = parameters["offset"], min(parameters["limit"], self.habits.cap)
        rows = self.select(first, last)[offset : offset + limit]
        if not (offset and limit == 1):  # a probe: a walk rests on nothing that it says
            self.asked.setdefault((first, last), []).append(self.requests)
            rows = self._wrong(fault, (first, last), rows)
        return self.requests, [(row, self.rows[row], self.versions[row]) for row in rows]

    def rest(self) -> None:
        """Move all that still would, and answer rightly from now on."""
        while self._moves:
            self._move(self._moves.pop())
        self.faults = {}

    def _wrong(self, fault: str | None, window: tuple[float, float], page: list[int]) -> list[int]:
        # two in a row only of a platform that was caught before: what was never caught cannot be told from the truth
        if fault is not None and self._last_was_wrong.get(window) and not self.untrusted():
            fault = None
        answered = page
        if fault == "empty":
            answered = []
        elif fault == "short":
            answered = page[:-1]
        elif fault == "capped":
            answered = page[: max(1, len(page) // 2)]
        elif fault == "reversed":
            answered = page[::-1]
        elif fault == "repeated":
            answered = [row for row in self._last_page.get(window, page) if row in self.rows]
        self._last_was_wrong[window] = answered != page
        self.erred += answered != page
        self._last_page[window] = page
        return answered

    def select(self, first: float, last: float) -> list[int]:
        """Return the rows of a closed interval, in the platform's order."""
        found = [row for row, second in self.rows.items() if first <= self._compared(second) <= last]
        if self.habits.order == "by id":
            return sorted(found)
        sign = -1 if self.habits.order == "newest" else 1
        return sorted(found, key=lambda row: (sign * self._compared(self.rows[row]), row))

    def throughout(self, first: float, last: float, since: int, until: int) -> set[int]:
        """Return the rows that lay in an interval before each of these requests."""
        return {row for row in self.history if self._was_in(row, first, last, since, until)}

    def hid_a_move(self, first: float, last: float) -> bool:
        """Whether more than one row of an interval moved between two requests for it: pages may meet all the same."""
        times = [
            number
            for states in self.history.values()
            for (_, before, _), (number, after, _) in pairwise([(0, None, 0), *states])
            if number and any(s is not None and first <= self._compared(s) <= last for s in (before, after))
        ]
        return any(sum(one < time <= other for time in times) > 1 for one, other in pairwise(self.asked[first, last]))

    def _was_in(self, row: int, first: float, last: float, since: int, until: int) -> bool:
        was = False
        for number, second, _ in self.history[row]:
            inside = second is not None and first <= self._compared(second) <= last
            if number <= since:
                was = inside
            elif number <= until and not inside:
                return False
        return was

    def _compared(self, second: float) -> float:
        return second if self.habits.keeps_fractions else float(int(second))

    def _move(self, move: Move) -> None:
        if move.second is None:
            self.rows.pop(move.row, None)
        else:
            self.rows[move.row] = move.second
            self.versions[move.row] = self.versions.get(move.row, -1) + 1
        if move.row in self.versions:
            self.history.setdefault(move.row, []).append((self.requests, move.second, self.versions[move.row]))


@cache
def seconds(text: str) -> float:
    """Read a moment as the API does: seconds since the beginning of the day."""
    return (datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC) - START).total_seconds()


@dataclass(frozen=True)
class Rows:
    """What one answer brought: the number of its request, when it was requested, versions by row."""

    number: int
    requested_at: datetime
    versions: dict[str, int]


def page_of(stream: Stream, answer: Answer) -> Page[Rows]:
    """Read an answer of the simulated platform."""
    del stream
    document = answer.document
    rows = document["operations"]
    times = sorted(second for _, second, _ in rows)
    span = (START + timedelta(seconds=times[0]), START + timedelta(seconds=times[-1])) if times else None
    versions = {str(row): version for row, _, version in rows}
    return Page(tuple(str(row) for row, _, _ in rows), Rows(document["number"], answer.requested_at, versions), span)


class SimulatedClient:
    """Calls the simulated platform with our retries, our pace and our clock, on simulated time."""

    def __init__(self, scheduler: Scheduler, platform: Platform, chance: random.Random) -> None:
        self.scheduler = scheduler
        self.platform = platform
        self.chance = chance
        self.policy = RetryPolicy()
        self.clock = PlatformClock(lambda: scheduler.now, lambda: scheduler.now)
        self.pace = Pace(lambda: scheduler.now, sleep_unless_stopped(scheduler), lambda: SimulatedCondition(scheduler))

    @property
    def concurrency(self) -> Concurrency:
        return self.pace.concurrency

    def stop(self, caller: Caller) -> None:
        caller.stopped.set()

    def call(self, endpoint, parameters, *, expect, caller, offset=0) -> Answer:
        return retry(partial(self._attempt, endpoint, parameters, caller, offset), self.policy, self.pace, caller)

    def _attempt(self, endpoint, parameters, caller: Caller, offset: int, number: int) -> Answer:
        asked = self.scheduler.now
        with self.pace.request(caller) as slot:
            began = self.scheduler.now
            self.scheduler.sleep(0.1 + self.chance.random())
            try:
                answered, rows = self.platform.answer(parameters)
            finally:
                caller.counts.add(endpoint, 200, is_retry=number > 1)
            self.scheduler.sleep(self.chance.random())
            if caller.stopped.is_set():
                raise Aborted("the run was stopped")
            slot.kind = endpoint, offset.bit_length()
        return Answer(
            endpoint=endpoint,
            request=parameters,
            body=b"",
            requested_at=self.clock.at(began),
            received_at=self.clock.at(self.scheduler.now),
            platform_time=None,
            read={"operations": rows, "number": answered},
            waited=self.scheduler.now - asked,
        )
