"""The world behind the sandbox: operations, a clock, and what is known of them at its time; no wire."""

from __future__ import annotations

import math
import time
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import count
from operator import attrgetter
from threading import RLock
from typing import Any, Final, Literal

from resources.sandbox import documents
from resources.sandbox.generate import draw_operations
from resources.sandbox.operations import (
    Moment,
    Operation,
    Projects,
    Query,
    State,
    View,
    as_facts,
    instant,
    plain_row,
    scramble,
    seconds,
    zone,
)

Order = Literal["newest", "oldest", "shuffled"]
Known = tuple[Operation, State]  # an operation, and its state at the time of the world's clock
_FIRST_NEW: Final = 6_435_212_159_990  # new ids come after it, where there is no greater one
_ACTIONS: Final = ("operation_completed_at", "operation_created_at")  # the time by default is that of the latest


class World:
    """All operations, balances, fraud reports and documents, and the clock that decides what of them is known.

    Make one with `World.generate(...)` or, by hand, with `World.of([...])`. With `fractions` what is drawn or moved
    happens within a second: the ends of an interval are compared with that exactly, and whole seconds are shown.
    """

    def __init__(self, *, now: Moment | None = None, order: Order = "newest", fractions: bool = False) -> None:
        self.order: Order = order
        self.fractions = fractions
        self.balances: list[documents.Balance | Mapping[str, Any]] = []
        self.top_ups: list[documents.Move] = []
        self.frauds: list[documents.Fraud] = []
        self.documents = documents.Documents()
        self.lock = RLock()
        self._fixed = None if now is None else seconds(now)
        self._operations: dict[str, Operation] = {}
        self._payments: dict[str, list[Operation]] = {}
        self._greatest = _FIRST_NEW
        self._odd_numbers = count(1 << 72)  # of ids that are no plain number: behind all that are
        # What is known from one second to before another, sorted, and the seconds that it is sorted by
        self._known_since, self._known_until = 0.0, 0.0
        self._known: list[Known] = []
        self._effective: list[float] = []
        self._select = lru_cache(maxsize=16)(self._select_anew)

    @classmethod
    def generate(
        cls, *, seed: int = 1, start: Moment | None = None, days: int = 31, operations: int = 20_000, **options: Any
    ) -> World:
        """Draw a world of `days` UTC days from `start` on; left out, the last of them is today.

        Without `now` the clock is the real one: what becomes visible later shows up when its time comes.
        """
        first = seconds(datetime.now(UTC).date() - timedelta(days=days - 1) if start is None else start)
        world = cls(**options)
        for operation in draw_operations(seed, first, days, operations, fractions=world.fractions):
            world._operations[operation.id] = operation
            world._greatest = operation.number
        world.balances = list(documents.draw_balances(seed, first))
        world.frauds = list(documents.draw_frauds(operation.states[-1] for operation in world._operations.values()))
        return world

    @classmethod
    def of(
        cls, operations: Iterable[Mapping[str, Any] | tuple[Mapping[str, Any], Moment]] = (), **options: Any
    ) -> World:
        """Make a world by hand: each operation a dict of fields, or a pair of it and its effective time."""
        world = cls(**options)
        for item in operations:
            fields, effective = item if isinstance(item, tuple) else (item, None)
            world.add(fields, effective)
        return world

    # The clock

    @property
    def now(self) -> int:
        """Give the world's second: the fixed one, or the real one."""
        return int(time.time()) if self._fixed is None else self._fixed

    def set_now(self, moment: Moment | None) -> None:
        """Set the clock to a fixed time, or with None back to the real one."""
        self._fixed = None if moment is None else seconds(moment)

    def advance(self, by: int) -> None:
        """Set the clock so many seconds on (and fix it there)."""
        self._fixed = self.now + by

    # Changes by hand

    def add(
        self,
        fields: Mapping[str, Any],
        effective: Moment | None = None,
        visible: Moment | None = None,
        *,
        exact: bool = False,
    ) -> str:
        """Add an operation and give its id. Default fields left out get plain values, unless `exact`.

        Its effective time left out is `operation_completed_at`, else `operation_created_at`, else now.
        """
        with self.lock:
            given = dict(fields) if exact else {**plain_row(self.new_id()), **fields}
            facts = as_facts(given)
            operation_id, project = str(facts.get("operation_id", "")), str(facts.get("project_id") or "")
            if operation_id in self._operations:
                raise ValueError(f"There is an operation {operation_id} already")
            if effective is None:
                times = (given[name] for name in _ACTIONS if isinstance(facts.get(name), int))
                effective = next(times, self.now)
            state = _state(instant(effective), visible, facts)
            number = self._number(operation_id)
            operation = Operation(operation_id, number, int(project) if project.isdecimal() else 0, [state])
            self._operations[operation_id] = operation
            self._has_changed()
            return operation_id

    def change(
        self, operation_id: str | int, *, effective: Moment | None = None, visible: Moment | None = None, **fields: Any
    ) -> None:
        """Give an operation a new state, effective and visible now unless given otherwise.

        Effective in the future, it is visible already: it has left every earlier interval.
        """
        with self.lock:
            operation = self._get(operation_id)
            at = self.now if effective is None else instant(effective)
            facts = {**operation.states[-1].facts(), **as_facts(fields)}
            operation.states.append(_state(at, min(int(at), self.now) if visible is None else visible, facts))
            self._has_changed()

    def remove(self, operation_id: str | int) -> None:
        """Take an operation out of the world, as if it had never been."""
        with self.lock:
            del self._operations[self._get(operation_id).id]
            self._has_changed()

    def top_up(self, project: int, currency: str, minor: int, at: Moment | None = None) -> None:
        """Add to a project's balance (negative: take from it) what is in no operation."""
        self.top_ups.append(documents.Move(project, currency, self.now if at is None else seconds(at), minor))

    def new_id(self) -> str:
        """Give an operation id that is greater than all plain ones there are and were given."""
        with self.lock:
            self._greatest += 10
            return str(self._greatest)

    # What the API answers from

    def __len__(self) -> int:
        return len(self._operations)

    @property
    def operations(self) -> list[Operation]:
        """Give all operations with all their states."""
        return list(self._operations.values())

    @property
    def projects(self) -> list[int]:
        """Give the ids of the projects there are operations of."""
        return sorted({operation.project for operation in self._operations.values()})

    def select(self, query: Query) -> Sequence[Known]:
        """Give the operations that a request asks for, in the world's order."""
        with self.lock:
            if not self._known_since <= (now := self.now) < self._known_until:
                self._known = self.true_states()[::-1]
                self._effective = [state.effective for _, state in self._known]
                states = (state for operation in self._operations.values() for state in operation.states)
                to_come = (state.visible for state in states if state.visible > now)
                self._known_since, self._known_until = now, min(to_come, default=math.inf)
                self._select.cache_clear()
            return self._select(query)

    def page(self, query: Query, offset: int, limit: int) -> list[State]:
        """Give the current states of a page, in the world's order."""
        return [state for _, state in self.select(query)[offset : offset + limit]]

    def ids(self, query: Query) -> list[str]:
        """Give the ids of all operations of a query, in the world's order."""
        return [operation.id for operation, _ in self.select(query)]

    def by_payment(self, payment_id: str, projects: Projects) -> list[State]:
        """Give the current states of a payment's operations, oldest id first."""
        with self.lock:
            if not self._payments:
                for operation in sorted(self._operations.values(), key=attrgetter("number")):
                    name = operation.states[0].facts(all_fields=False).get("payment_id")
                    self._payments.setdefault(str(name), []).append(operation)
            now = self.now
            found = [one for one in self._payments.get(payment_id, ()) if projects is None or one.project in projects]
            return [state for operation in found if (state := operation.at(now)) is not None]

    def balance_rows(self, projects: Projects) -> list[Mapping[str, Any]]:
        """Give the balances of projects, as the API shows them now."""
        moves = [*documents.payouts(state for _, state in self.true_states()), *self.top_ups]
        return [
            balance.at(self.now, moves) if isinstance(balance, documents.Balance) else balance
            for balance in self.balances
            if not isinstance(balance, documents.Balance) or projects is None or balance.project in projects
        ]

    def documents_of(self, endpoint: str, query: Query, projects: Projects) -> list[documents.Document]:
        """Give the documents of an interval that are known now, the newest first; the first time they are drawn."""
        with self.lock:
            if not self.documents.drawn:
                self.documents.draw(state for _, state in self.true_states())
            end = self.now if query.end is None else min(query.end, self.now)
            return documents.newest(self.documents.lists[endpoint], query.start, end, projects)

    # What it ought to answer, by going over all operations

    def truth(
        self,
        projects: Projects = None,
        start: Moment | None = None,
        end: Moment | None = None,
        *,
        tz: str = "UTC",
        fields: Sequence[str] | None = None,
    ) -> list[dict[str, Any]]:
        """Give the rows of a period as they should be delivered now, newest first whatever the world's order is."""
        view = View(zone(tz), fields=None if fields is None else tuple(fields))
        return [state.row(view) for _, state in self.true_states(projects, start, end)]

    def totals(
        self, projects: Projects = None, start: Moment | None = None, end: Moment | None = None
    ) -> list[dict[str, Any]]:
        """Count and add up the truth of a period per type, status and currency of `sum_initial`."""
        amounts: defaultdict[tuple[str, str, str], list[int]] = defaultdict(list)
        for _, state in self.true_states(projects, start, end):
            money = state.facts(all_fields=False).get("sum_initial") or {}
            key = (str(state.kind), str(state.status), str(money.get("currency") or ""))
            amounts[key].append(int(money.get("amount") or 0))
        names = ("operation_type", "operation_status", "currency", "count", "amount")
        return [dict(zip(names, (*key, len(found), sum(found)), strict=True)) for key, found in sorted(amounts.items())]

    def true_states(
        self, projects: Projects = None, start: Moment | None = None, end: Moment | None = None
    ) -> list[Known]:
        """Give the operations of a period with their states now, newest first.

        A period is of whole seconds, as they are shown: with `fractions` it has what comes after its last second began.
        """
        low = -math.inf if start is None else seconds(start)
        high = math.inf if end is None else seconds(end) + 1
        with self.lock:
            now = self.now
            found = [
                (operation, state)
                for operation in self._operations.values()
                if (projects is None or operation.project in projects)
                and (state := operation.at(now)) is not None
                and low <= state.effective < high
            ]
        found.sort(key=lambda pair: pair[0].number, reverse=True)
        found.sort(key=lambda pair: pair[1].effective, reverse=True)
        return found

    # Inside

    def _get(self, operation_id: str | int) -> Operation:
        operation = self._operations.get(str(operation_id))
        if operation is None:
            raise KeyError(f"No operation {operation_id}")
        return operation

    def _number(self, operation_id: str) -> int:
        """Give the number by which an operation with this id is sorted among those of the same time."""
        if operation_id.isascii() and operation_id.isdecimal() and len(operation_id) < 20:
            number = int(operation_id)
            if str(number) == operation_id:
                self._greatest = max(self._greatest, number)
                return number
        return next(self._odd_numbers)

    def _has_changed(self) -> None:
        self._known_until, self._payments = 0.0, {}

    def _select_anew(self, query: Query) -> Sequence[Known]:
        low = 0 if query.start is None else bisect_left(self._effective, query.start)
        high = len(self._known) if query.end is None else bisect_right(self._effective, query.end)
        found = self._known[low:high]
        if query != Query(query.start, query.end):
            found = [known for known in found if query.takes(*known)]
        if self.order == "shuffled":
            found.sort(key=lambda known: scramble(known[0].number))
        return found if self.order != "newest" else found[::-1]


def _state(effective: float, visible: Moment | None, facts: Mapping[str, Any]) -> State:
    known_from = int(effective) if visible is None else seconds(visible)
    return State(effective, known_from, facts.get("operation_type"), facts.get("operation_status"), facts)
