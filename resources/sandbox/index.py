"""The sorted index of a world's current states, in step with its clock; finds an interval in O(log n + page)."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Final, Literal

from resources.sandbox.queries import Query
from resources.sandbox.states import Operation

Order = Literal["newest", "oldest", "shuffled"]
Slice = Callable[[int, int], list[int]]

_BITS: Final = 80  # a key is the effective second, then this many bits of the operation's number
_MASK: Final = (1 << _BITS) - 1
_MANY_CHANGES: Final = 2000  # so many at once are cheaper sorted anew than inserted one by one
_KEPT_SELECTIONS: Final = 16
_SHUFFLE: Final = 0x9E3779B97F4A7C15


def number_of(key: int) -> int:
    """Give the number of the operation a key stands for."""
    return key & _MASK


class Index:
    """The keys of all operations known at a time, sorted; `operations` is the world's own mapping."""

    def __init__(self, operations: Mapping[int, Operation]) -> None:
        self._operations = operations
        self._keys: list[int] = []
        self._pending: list[tuple[int, int]] = []
        self._at: int | None = None
        self._selections: OrderedDict[tuple[Query, Order], list[int]] = OrderedDict()

    def select(self, query: Query, now: int, order: Order) -> Slice:
        """Give what makes pages of a query's keys; for the interval alone nothing is copied."""
        self.catch_up(now)
        index = self._keys
        low = 0 if query.start is None else bisect_left(index, query.start << _BITS)
        high = len(index) if query.end is None else bisect_left(index, (query.end + 1) << _BITS)
        if query.by_time_alone and order == "newest":
            return lambda start, stop: index[max(low, high - stop) : max(low, high - start)][::-1]
        if query.by_time_alone and order == "oldest":
            return lambda start, stop: index[min(high, low + start) : min(high, low + stop)]
        kept = self._selections.get((query, order))
        if kept is None:
            kept = _ordered([key for key in index[low:high] if self._takes(query, key)], order)
            self._selections[query, order] = kept
            if len(self._selections) > _KEPT_SELECTIONS:
                self._selections.popitem(last=False)
        return lambda start, stop: kept[start:stop]

    def _takes(self, query: Query, key: int) -> bool:
        operation = self._operations[key & _MASK]
        return operation.current is not None and query.takes(operation, operation.current)

    def catch_up(self, now: int) -> None:
        """Bring the index to a time: apply what became visible since, or build it anew."""
        if self._at is None or now < self._at or self._due(now) > _MANY_CHANGES:
            self._rebuild(now)
            return
        self._at = now
        while self._pending and self._pending[-1][0] <= now:
            operation = self._operations.get(self._pending.pop()[1])
            if operation is not None:
                self.enter(operation, now)

    def _due(self, now: int) -> int:
        pending = self._pending
        if not pending or pending[-1][0] > now:
            return 0
        return len(pending) - bisect_left(pending, -now, key=lambda event: -event[0])

    def _rebuild(self, now: int) -> None:
        index: list[int] = []
        pending: list[tuple[int, int]] = []
        for number, operation in self._operations.items():
            states = operation.states
            current = operation.current = operation.at(now)
            if current is not None:
                index.append(current.effective << _BITS | number)
            if current is not states[-1]:
                pending.extend((state.visible, number) for state in states if state.visible > now)
        index.sort()
        pending.sort(reverse=True)
        self._keys, self._pending, self._at = index, pending, now
        self._selections.clear()

    def enter(self, operation: Operation, now: int) -> None:
        """Put an operation where its state of now belongs, and note the states still to come."""
        if self._at is None:
            return
        self.leave(operation)
        now = self._at = max(self._at, now)
        operation.current = operation.at(now)
        if operation.current is not None:
            insort(self._keys, operation.current.effective << _BITS | operation.number)
        for state in operation.states:
            event = (state.visible, operation.number)
            if state.visible > now and event not in self._pending:
                insort(self._pending, event, key=lambda known: (-known[0], -known[1]))

    def leave(self, operation: Operation) -> None:
        """Take an operation out."""
        current = operation.current
        if current is not None:
            key = current.effective << _BITS | operation.number
            at = bisect_left(self._keys, key)
            if at < len(self._keys) and self._keys[at] == key:
                del self._keys[at]
            operation.current = None
        self._selections.clear()


def _ordered(keys: list[int], order: Order) -> list[int]:
    if order == "shuffled":
        return sorted(keys, key=lambda key: number_of(key) * _SHUFFLE & ((1 << 64) - 1))
    return keys[::-1] if order == "newest" else keys
