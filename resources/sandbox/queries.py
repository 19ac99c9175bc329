"""Which operations are asked for: the conditions of a request, free of its wording; nothing is looked up."""

from __future__ import annotations

from dataclasses import dataclass

from resources.sandbox.states import Operation, State

Filter = frozenset[str]


@dataclass(frozen=True, slots=True)
class Query:
    """Which operations are asked for; None is no condition. Both ends of the interval are included."""

    start: int | None = None
    end: int | None = None
    projects: frozenset[int] | None = None
    types: Filter | None = None
    statuses: Filter | None = None
    customers: Filter | None = None
    email: str | None = None

    @property
    def by_time_alone(self) -> bool:
        """Tell whether the interval is the only condition."""
        return self == Query(self.start, self.end)

    def takes(self, operation: Operation, state: State) -> bool:
        """Tell whether an operation in this state fulfils all conditions but the interval."""
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
