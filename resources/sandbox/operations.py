"""Operations as the platform has them: their states, the conditions of a request, and the index of those known now."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import Any, Final, Literal

from resources.sandbox.fields import View

Order = Literal["newest", "oldest", "shuffled"]
Slice = Callable[[int, int], list[int]]

_BITS: Final = 80  # a key is the effective millisecond, then this many bits of the operation's number
_MASK: Final = (1 << _BITS) - 1
_MANY_CHANGES: Final = 2000  # so many at once are cheaper sorted anew than inserted one by one
_KEPT_SELECTIONS: Final = 16
_SHUFFLE: Final = 0x9E3779B97F4A7C15


@dataclass(eq=False, slots=True)
class State:
    """One state of an operation: `effective` selects it, the API knows it from `visible` on; both are seconds."""

    effective: float
    visible: int
    kind: object
    status: object
    fields: Mapping[str, Any] | None = None

    def facts(self, *, all_fields: bool = True) -> dict[str, Any]:
        """Give the fields, times as seconds; those on request may be missing unless all are asked for."""
        del all_fields
        return dict(self.fields or {})

    def row(self, view: View) -> dict[str, Any]:
        """Give the row that the API delivers."""
        return view.row(self.facts(all_fields=view.fields is not None))


@dataclass(eq=False, slots=True)
class Operation:
    """An operation: its states in the order they came about, and the one that holds now."""

    number: int
    project: int
    states: list[State]
    current: State | None = None

    @property
    def id(self) -> str:
        """Give its id as the API shows it."""
        return str(self.states[-1].facts(all_fields=False)["operation_id"])

    def at(self, now: int) -> State | None:
        """Give the last state that is visible at a time."""
        return next((state for state in reversed(self.states) if state.visible <= now), None)


@dataclass(frozen=True, slots=True)
class Query:
    """Which operations a request asks for; None is no condition. Both ends of the interval are included."""

    start: int | None = None
    end: int | None = None
    projects: frozenset[int] | None = None
    types: frozenset[str] | None = None
    statuses: frozenset[str] | None = None
    customers: frozenset[str] | None = None
    email: str | None = None

    @property
    def by_time_alone(self) -> bool:
        """Return whether the interval is the only condition."""
        return self == Query(self.start, self.end)

    def takes(self, operation: Operation, state: State) -> bool:
        """Return whether an operation in this state fulfils all conditions but the interval."""
        if self.projects is not None and operation.project not in self.projects:
            return False
        if self.types is not None and state.kind not in self.types:
            return False
        if self.statuses is not None and state.status not in self.statuses:
            return False
        if self.customers is None and self.email is None:
            return True
        facts = state.facts()
        if self.customers is not None and facts.get("customer_id") not in self.customers:
            return False
        return self.email is None or facts.get("customer_email") == self.email


class Index:
    """The operations known at a time, sorted by effective time; `operations` is the world's own mapping."""

    def __init__(self, operations: Mapping[int, Operation]) -> None:
        self._operations = operations
        self._keys: list[int] = []
        self._pending: list[tuple[int, int]] = []  # a heap of when a state becomes visible, and whose
        self._at: int | None = None
        self._selections: OrderedDict[tuple[Query, Order], list[int]] = OrderedDict()

    def select(self, query: Query, now: int, order: Order) -> Slice:
        """Give what makes pages of the numbers of a query's operations; for the interval alone nothing is copied."""
        self.catch_up(now)
        keys = self._keys
        low = 0 if query.start is None else bisect_left(keys, query.start * 1000 << _BITS)
        high = len(keys) if query.end is None else bisect_left(keys, query.end * 1000 + 1 << _BITS)
        if query.by_time_alone and order == "newest":
            return lambda start, stop: _numbers(keys[max(low, high - stop) : max(low, high - start)][::-1])
        if query.by_time_alone and order == "oldest":
            return lambda start, stop: _numbers(keys[min(high, low + start) : min(high, low + stop)])
        found = self._selections.get((query, order))
        if found is None:
            found = _ordered([key for key in keys[low:high] if self._takes(query, key)], order)
            self._selections[query, order] = found
            if len(self._selections) > _KEPT_SELECTIONS:
                self._selections.popitem(last=False)
        return lambda start, stop: _numbers(found[start:stop])

    def catch_up(self, now: int) -> None:
        """Bring the index to a time: apply what became visible since, or build it anew."""
        if self._at is None or now < self._at:
            self._rebuild(now)
            return
        self._at = now
        due: set[int] = set()
        while self._pending and self._pending[0][0] <= now:
            due.add(heappop(self._pending)[1])
        if len(due) > _MANY_CHANGES:
            self._rebuild(now)
            return
        for number in due & self._operations.keys():
            self._place(self._operations[number], now)

    def enter(self, operation: Operation, now: int) -> None:
        """Put an operation where its state of now belongs, and note the states still to come."""
        if self._at is None:
            return
        self._at = max(self._at, now)
        self._place(operation, self._at)
        for state in operation.states:
            if state.visible > self._at:
                heappush(self._pending, (state.visible, operation.number))

    def leave(self, operation: Operation) -> None:
        """Take an operation out."""
        if operation.current is not None:
            key = _key(operation.current, operation.number)
            at = bisect_left(self._keys, key)
            if at < len(self._keys) and self._keys[at] == key:
                del self._keys[at]
            operation.current = None
        self._selections.clear()

    def _place(self, operation: Operation, now: int) -> None:
        self.leave(operation)
        operation.current = operation.at(now)
        if operation.current is not None:
            insort(self._keys, _key(operation.current, operation.number))

    def _rebuild(self, now: int) -> None:
        keys: list[int] = []
        pending: list[tuple[int, int]] = []
        for number, operation in self._operations.items():
            current = operation.current = operation.at(now)
            if current is not None:
                keys.append(_key(current, number))
            if current is not operation.states[-1]:
                pending.extend((state.visible, number) for state in operation.states if state.visible > now)
        keys.sort()
        heapify(pending)
        self._keys, self._pending, self._at = keys, pending, now
        self._selections.clear()

    def _takes(self, query: Query, key: int) -> bool:
        operation = self._operations[key & _MASK]
        return operation.current is not None and query.takes(operation, operation.current)


def _key(state: State, number: int) -> int:
    return round(state.effective * 1000) << _BITS | number


def _numbers(keys: list[int]) -> list[int]:
    return [key & _MASK for key in keys]


def _ordered(keys: list[int], order: Order) -> list[int]:
    if order == "shuffled":
        return sorted(keys, key=lambda key: (key & _MASK) * _SHUFFLE & ((1 << 64) - 1))
    return keys[::-1] if order == "newest" else keys
