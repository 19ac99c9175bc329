"""The world behind the sandbox: operations, a clock, and what is known of them at its time; no wire."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from threading import RLock
from typing import Any

from resources.sandbox.accounts import Account
from resources.sandbox.balances import Balance, Move, draw_balances, payouts
from resources.sandbox.documents import Documents
from resources.sandbox.fields import plain_row
from resources.sandbox.frauds import Fraud, draw_frauds
from resources.sandbox.ids import Ids
from resources.sandbox.index import Index, Order, Slice, number_of
from resources.sandbox.queries import Query
from resources.sandbox.rows import View, row_of
from resources.sandbox.states import DrawnState, Operation, State, told
from resources.sandbox.times import Moment, seconds
from resources.sandbox.truth import totals_of, true_states


class World:
    """All operations, balances and fraud reports, and the clock that decides what of them is known.

    Make one with `World.generate(...)` or, by hand, with `World.of([...])`.
    """

    def __init__(self, *, now: Moment | None = None, order: Order = "newest") -> None:
        self.order: Order = order
        self.balances: list[Balance | Mapping[str, Any]] = []
        self.top_ups: list[Move] = []
        self.frauds: list[Fraud] = []
        self.documents = Documents()
        self._fixed = None if now is None else seconds(now)
        self._operations: dict[int, Operation] = {}
        self._payments: dict[str, list[Operation]] | None = None
        self._ids = Ids(self._operations)
        self._index = Index(self._operations)
        self.lock = RLock()

    @classmethod
    def generate(
        cls,
        *,
        seed: int = 1,
        start: Moment | None = None,
        days: int = 31,
        operations: int = 20_000,
        now: Moment | None = None,
        order: Order = "newest",
    ) -> World:
        """Draw a world of `days` UTC days from `start` on; left out, the last of them is today.

        `now=None` is the real clock: what becomes visible later shows up when its time comes.
        """
        from resources.sandbox.generate import draw_operations

        if start is None:
            start = datetime.now(UTC).date() - timedelta(days=days - 1)
        world = cls(now=now, order=order)
        first = seconds(start)
        for operation in draw_operations(seed, first, days, operations):
            world._operations[operation.number] = operation
        world.balances = list(draw_balances(seed, first))
        drawn = (operation.states[-1] for operation in world._operations.values())
        suspects = [state for state in drawn if isinstance(state, DrawnState) and state.likely_fraud]
        world.frauds = draw_frauds(suspects)
        return world

    @classmethod
    def of(
        cls,
        operations: Iterable[Mapping[str, Any] | tuple[Mapping[str, Any], Moment]] = (),
        *,
        now: Moment | None = None,
        order: Order = "newest",
    ) -> World:
        """Make a world by hand: each operation a dict of fields, or a pair of it and its effective time."""
        world = cls(now=now, order=order)
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
            facts = told(dict(fields) if exact else {**plain_row(self.new_id()), **fields})
            text = str(facts.get("operation_id", ""))
            number = self._ids.take(text)
            at = self._effective(facts, effective)
            state = State(at, at if visible is None else seconds(visible), facts)
            project = str(facts.get("project_id") or "")
            operation = Operation(number, int(project) if project.isdecimal() else 0, [state])
            self._operations[number] = operation
            self._payments = None
            self._index.enter(operation, self.now)
            return text

    def change(
        self,
        operation_id: str | int,
        *,
        effective: Moment | None = None,
        visible: Moment | None = None,
        **fields: Any,
    ) -> None:
        """Give an operation a new state, effective and visible now if not told otherwise.

        Effective in the future, it is visible already: it has left every earlier interval.
        """
        with self.lock:
            operation = self._ids.get(operation_id)
            at = self.now if effective is None else seconds(effective)
            facts = {**operation.states[-1].facts(), **told(fields)}
            operation.states.append(State(at, min(at, self.now) if visible is None else seconds(visible), facts))
            self._index.enter(operation, self.now)

    def remove(self, operation_id: str | int) -> None:
        """Take an operation out of the world, as if it had never been."""
        with self.lock:
            operation = self._ids.get(operation_id)
            self._index.leave(operation)
            del self._operations[operation.number]
            self._payments = None

    def top_up(self, project: int, currency: str, minor: int, at: Moment | None = None) -> None:
        """Add to a project's balance (negative: take from it) what no operation tells of."""
        self.top_ups.append(Move(project, currency, self.now if at is None else seconds(at), minor))

    def new_id(self) -> str:
        """Give an operation id that is greater than all plain ones there are and were given."""
        with self.lock:
            return self._ids.new()

    # What the API answers from

    def __len__(self) -> int:
        return len(self._operations)

    @property
    def projects(self) -> list[int]:
        """Give the ids of the projects there are operations of."""
        return sorted({operation.project for operation in self._operations.values()})

    def page(self, query: Query, offset: int, limit: int) -> list[State]:
        """Give the current states of a page, in the world's order."""
        with self.lock:
            keys = self._selected(query)
            return [
                state
                for key in keys(offset, offset + limit)
                if (state := self._operations[number_of(key)].current) is not None
            ]

    def ids(self, query: Query) -> list[str]:
        """Give the ids of all operations of a query, in the world's order."""
        return [str(state.facts(all_fields=False)["operation_id"]) for state in self.page(query, 0, len(self))]

    def sample(self, query: Query, count: int, chance: Random) -> list[str]:
        """Give the ids of some operations of a query."""
        with self.lock:
            keys = self._selected(query)(0, len(self))
            return [self._id(key) for key in chance.sample(keys, min(count, len(keys)))]

    def sample_outside(self, query: Query, count: int, chance: Random) -> list[str]:
        """Give the ids of some operations which only the interval keeps out of a query."""
        with self.lock:
            inside = set(self._selected(query)(0, len(self)))
            anywhere = self._selected(replace(query, start=None, end=None))(0, len(self))
            tried = chance.sample(anywhere, min(len(anywhere), 20 * count))
            return [self._id(key) for key in tried if key not in inside][:count]

    def example(self, query: Query, chance: Random) -> dict[str, Any]:
        """Give the facts of an operation of a query, or plain ones that fulfil it."""
        anywhere = replace(query, start=None, end=None)
        found = self.sample(query, 1, chance) or self.sample(anywhere, 1, chance)
        if found:
            return self._ids.get(found[0]).states[-1].facts()
        plain = plain_row(self.new_id())
        if query.projects:
            plain["project_id"] = str(min(query.projects))
        return plain

    def by_payment(self, payment_id: str, account: Account) -> list[State]:
        """Give the current states of a payment's operations, oldest id first."""
        with self.lock:
            self._index.catch_up(self.now)
            if self._payments is None:
                self._payments = {}
                for operation in self._operations.values():
                    name = operation.states[0].facts(all_fields=False).get("payment_id")
                    self._payments.setdefault(str(name), []).append(operation)
            found = [o for o in self._payments.get(payment_id, ()) if o.current and account.sees(o.project)]
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

    # What it ought to answer

    def truth(
        self,
        projects: Account | Collection[int] | None = None,
        start: Moment | None = None,
        end: Moment | None = None,
        *,
        tz: str = "UTC",
        fields: Sequence[str] | None = None,
    ) -> list[dict[str, Any]]:
        """Give the rows the API should deliver now, by going over all operations and not by its index.

        In order of effective time, newest first, whatever the world's order is.
        """
        view = View(tz, fields=None if fields is None else tuple(fields))
        return [row_of(state, view) for _, state in self.true_states(projects, start, end)]

    def totals(
        self,
        projects: Account | Collection[int] | None = None,
        start: Moment | None = None,
        end: Moment | None = None,
    ) -> list[dict[str, Any]]:
        """Count and add up the truth of an interval per type, status and currency of `sum_initial`."""
        return totals_of(state for _, state in self.true_states(projects, start, end))

    def true_states(
        self,
        projects: Account | Collection[int] | None = None,
        start: Moment | None = None,
        end: Moment | None = None,
    ) -> list[tuple[Operation, State]]:
        """Give the operations of an interval with their states now, newest first, by going over all."""
        seen = projects.projects if isinstance(projects, Account) else projects
        low, high = (None if moment is None else seconds(moment) for moment in (start, end))
        with self.lock:
            return true_states(self._operations.values(), self.now, seen, low, high)

    # Inside

    def _id(self, key: int) -> str:
        return str(self._operations[number_of(key)].states[-1].facts(all_fields=False)["operation_id"])

    def _selected(self, query: Query) -> Slice:
        return self._index.select(query, self.now, self.order)

    def _effective(self, facts: Mapping[str, Any], given: Moment | None) -> int:
        if given is not None:
            return seconds(given)
        for name in ("operation_completed_at", "operation_created_at"):
            if isinstance(facts.get(name), int):
                return int(facts[name])
        return self.now
