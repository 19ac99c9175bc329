"""What the API ought to answer: by going over all operations, and not by the index that it answers from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any

from resources.sandbox.states import Operation, State


def true_states(
    operations: Iterable[Operation], now: int, projects: Collection[int] | None, start: int | None, end: int | None
) -> list[tuple[Operation, State]]:
    """Give the operations of an interval (seconds, both ends included) with their states at `now`, newest first."""
    found = [
        (operation, state)
        for operation in operations
        if (projects is None or operation.project in projects)
        and (state := operation.at(now)) is not None
        and (start is None or start <= state.effective)
        and (end is None or state.effective <= end)
    ]
    found.sort(key=lambda pair: (pair[1].effective, pair[0].number), reverse=True)
    return found


def totals_of(states: Iterable[State]) -> list[dict[str, Any]]:
    """Count and add up states by type, status and currency of `sum_initial`."""
    counts: Counter[tuple[str, str, str]] = Counter()
    sums: Counter[tuple[str, str, str]] = Counter()
    for state in states:
        money = state.facts(all_fields=False).get("sum_initial") or {}
        key = (str(state.kind), str(state.status), str(money.get("currency") or ""))
        counts[key] += 1
        sums[key] += int(money.get("amount") or 0)
    return [
        {
            "operation_type": kind,
            "operation_status": status,
            "currency": currency,
            "count": count,
            "amount": sums[kind, status, currency],
        }
        for (kind, status, currency), count in sorted(counts.items())
    ]
