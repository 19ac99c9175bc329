"""The world behind the sandbox: operations, a clock, and what is known of them at its time; no wire."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from threading import RLock
from typing import Any, Final

from resources.sandbox.documents import Balance, Documents, Fraud, Move, draw_balances, draw_fraud, payouts
from resources.sandbox.generate import DrawnState, draw_operations
from resources.sandbox.operations import (
    TIMES,
    Index,
    Moment,
    Operation,
    Order,
    Query,
    Slice,
    State,
    View,
    as_second,
    instant,
    plain_row,
    seconds,
)
from resources.sandbox.requests import Account

_STRANGE: Final = 1 << 72  # numbers from here on are given to ids that are no plain number
_FIRST_NEW: Final = 6_435_212_159_990  # new ids come after it, where there is no plain one


class World:
    """All operations, balances, fraud reports and documents, and the clock that decides what of them is known.

    Make one with `World.generate(...)` or, by hand, with `World.of([...])`. With `fractions` what is drawn or moved
    happens within a second: the ends of an interval are compared with that exactly, and whole seconds are shown.
    """

    def __init__(self, *, now: Moment | None = None, order: Order = "newest", fractions: bool = False) -> None:
        self.order: Order = order
        self.fractions = fractions
        self.balances: list[Balance | Mapping[str, Any]] = []
        self.top_ups: list[Move] = []
        self.frauds: list[Fraud] = []
        self.documents = Documents()
        self.lock = RLock()
        self._fixed = None if now is None else seconds(now)
        self._operations: dict[int, Operation] = {}
        self._payments: dict[str, list[Operation]] | None = None
        self._strange: dict[str, int] = {}
        self._greatest = 0
        self._index = Index(self._operations)

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
            world._operations[operation.number] = operation
        world.balances = list(draw_balances(seed, first))
        drawn = (operation.states[-1] for operation in world._operations.values())
        suspects = (state for state in drawn if isinstance(state, DrawnState) and state.likely_fraud)
        world.frauds = [draw_fraud(state) for state in suspects]
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
            facts = _facts(given)
            text = str(facts.get("operation_id", ""))
            number = self._new_number(text)
            at = self._effective(given, facts) if effective is None else instant(effective)
            state = _state(at, int(at) if visible is None else seconds(visible), facts)
            project = str(facts.get("project_id") or "")
            operation = Operation(number, int(project) if project.isdecimal() else 0, [state])
            self._operations[number] = operation
            self._payments = None
            self._index.enter(operation, self.now)
            return text

    def change(
        self, operation_id: str | int, *, effective: Moment | None = None, visible: Moment | None = None, **fields: Any
    ) -> None:
        """Give an operation a new state, effective and visible now unless given otherwise.

        Effective in the future, it is visible already: it has left every earlier interval.
        """
        with self.lock:
            operation = self._get(operation_id)
            at = self.now if effective is None else instant(effective)
            facts = {**operation.states[-1].facts(), **_facts(fields)}
            operation.states.append(_state(at, min(int(at), self.now) if visible is None else seconds(visible), facts))
            self._index.enter(operation, self.now)

    def remove(self, operation_id: str | int) -> None:
        """Take an operation out of the world, as if it had never been."""
        with self.lock:
            operation = self._get(operation_id)
            self._index.leave(operation)
            del self._operations[operation.number]
            self._payments = None

    def top_up(self, project: int, currency: str, minor: int, at: Moment | None = None) -> None:
        """Add to a project's balance (negative: take from it) what is in no operation."""
        self.top_ups.append(Move(project, currency, self.now if at is None else seconds(at), minor))

    def new_id(self) -> str:
        """Give an operation id that is greater than all plain ones there are and were given."""
        with self.lock:
            if not self._greatest:
                self._greatest = max((number for number in self._operations if number < _STRANGE), default=_FIRST_NEW)
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

    def page(self, query: Query, offset: int, limit: int) -> list[State]:
        """Give the current states of a page, in the world's order."""
        with self.lock:
            found = [self._operations[number].current for number in self._select(query)(offset, offset + limit)]
            return [state for state in found if state is not None]

    def ids(self, query: Query) -> list[str]:
        """Give the ids of all operations of a query, in the world's order."""
        return [str(state.facts(all_fields=False)["operation_id"]) for state in self.page(query, 0, len(self))]

    def sample(self, query: Query, count: int, chance: Random) -> list[str]:
        """Give the ids of some operations of a query."""
        with self.lock:
            found = self._select(query)(0, len(self))
            return [self._operations[number].id for number in chance.sample(found, min(count, len(found)))]

    def sample_outside(self, query: Query, count: int, chance: Random) -> list[str]:
        """Give the ids of some operations which only the interval keeps out of a query."""
        with self.lock:
            inside = set(self._select(query)(0, len(self)))
            anywhere = self._select(replace(query, start=None, end=None))(0, len(self))
            tried = chance.sample(anywhere, min(len(anywhere), 20 * count))
            return [self._operations[number].id for number in tried if number not in inside][:count]

    def example(self, query: Query, chance: Random) -> dict[str, Any]:
        """Give the facts of an operation of a query, or plain ones that fulfil it."""
        anywhere = replace(query, start=None, end=None)
        found = self.sample(query, 1, chance) or self.sample(anywhere, 1, chance)
        if found:
            return self._get(found[0]).states[-1].facts()
        return plain_row(self.new_id()) | ({"project_id": str(min(query.projects))} if query.projects else {})

    def by_payment(self, payment_id: str, account: Account) -> list[State]:
        """Give the current states of a payment's operations, oldest id first."""
        with self.lock:
            self._index.catch_up(self.now)
            if self._payments is None:
                self._payments = {}
                for operation in self._operations.values():
                    name = operation.states[0].facts(all_fields=False).get("payment_id")
                    self._payments.setdefault(str(name), []).append(operation)
            found = [one for one in self._payments.get(payment_id, ()) if account.sees(one.project)]
            found.sort(key=lambda operation: operation.number)
            return [operation.current for operation in found if operation.current]

    def balance_rows(self, account: Account) -> list[Mapping[str, Any]]:
        """Give the balances that an account sees, as the API shows them now."""
        moves = [*payouts(state for _, state in self.true_states()), *self.top_ups]
        return [
            balance.at(self.now, moves) if isinstance(balance, Balance) else balance
            for balance in self.balances
            if not isinstance(balance, Balance) or account.sees(balance.project)
        ]

    # What it ought to answer: by going over all operations, and not by the index that it answers from

    def truth(
        self,
        projects: Account | Collection[int] | None = None,
        start: Moment | None = None,
        end: Moment | None = None,
        *,
        tz: str = "UTC",
        fields: Sequence[str] | None = None,
    ) -> list[dict[str, Any]]:
        """Give the rows of a period as they should be delivered now, newest first whatever the world's order is."""
        view = View(tz, fields=None if fields is None else tuple(fields))
        return [state.row(view) for _, state in self.true_states(projects, start, end)]

    def totals(
        self, projects: Account | Collection[int] | None = None, start: Moment | None = None, end: Moment | None = None
    ) -> list[dict[str, Any]]:
        """Count and add up the truth of a period per type, status and currency of `sum_initial`."""
        counts: Counter[tuple[str, str, str]] = Counter()
        sums: Counter[tuple[str, str, str]] = Counter()
        for _, state in self.true_states(projects, start, end):
            money = state.facts(all_fields=False).get("sum_initial") or {}
            key = (str(state.kind), str(state.status), str(money.get("currency") or ""))
            counts[key] += 1
            sums[key] += int(money.get("amount") or 0)
        names = ("operation_type", "operation_status", "currency")
        return [
            {**dict(zip(names, key, strict=True)), "count": count, "amount": sums[key]}
            for key, count in sorted(counts.items())
        ]

    def true_states(
        self, projects: Account | Collection[int] | None = None, start: Moment | None = None, end: Moment | None = None
    ) -> list[tuple[Operation, State]]:
        """Give the operations of a period with their states now, newest first.

        A period is of whole seconds, as they are shown: with `fractions` it has what comes after its last second began.
        """
        seen = projects.projects if isinstance(projects, Account) else projects
        low, high = (None if moment is None else seconds(moment) for moment in (start, end))
        with self.lock:
            now = self.now
            found = [
                (operation, state)
                for operation in self._operations.values()
                if (seen is None or operation.project in seen)
                and (state := operation.at(now)) is not None
                and (low is None or low <= state.effective)
                and (high is None or state.effective < high + 1)
            ]
        found.sort(key=lambda pair: (pair[1].effective, pair[0].number), reverse=True)
        return found

    # Inside

    def _select(self, query: Query) -> Slice:
        return self._index.select(query, self.now, self.order)

    def _get(self, operation_id: str | int) -> Operation:
        operation = self._find(str(operation_id))
        if operation is None:
            raise KeyError(f"No operation {operation_id}")
        return operation

    def _find(self, text: str) -> Operation | None:
        return self._operations.get(int(text) if _is_plain(text) else self._strange.get(text, -1))

    def _new_number(self, text: str) -> int:
        """Give the number by which an operation with this id is to be kept."""
        if self._find(text) is not None:
            raise ValueError(f"There is an operation {text} already")
        number = int(text) if _is_plain(text) else self._strange.setdefault(text, _STRANGE + len(self._strange))
        if 0 < self._greatest < number < _STRANGE:
            self._greatest = number
        return number

    def _effective(self, given: Mapping[str, Any], facts: Mapping[str, Any]) -> float:
        for name in ("operation_completed_at", "operation_created_at"):
            if isinstance(facts.get(name), int):
                return instant(given[name])
        return self.now


def _state(effective: float, visible: int, facts: Mapping[str, Any]) -> State:
    return State(effective, visible, facts.get("operation_type"), facts.get("operation_status"), facts)


def _facts(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Give the facts of fields as a test writes them: times may be seconds or text."""
    return {name: as_second(value) if name in TIMES else value for name, value in fields.items()}


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 20 and (text == "0" or text[0] != "0")
