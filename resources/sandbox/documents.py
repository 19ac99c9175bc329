"""What the sandbox serves where the platform's response formats are not public: plausible, and made up.

Chargebacks and lines of the financial report are drawn from operations, or told by hand; rates follow from the day.
Requests are read in parameters.py, answered in api.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Final

from resources.sandbox.fields import DECIMALS, major_units
from resources.sandbox.pools import USD_WORTH
from resources.sandbox.states import DrawnState, State
from resources.sandbox.times import DAY, Moment, seconds, text, zone

LISTS: Final = {"chargeback/list": "chargebacks", "financial-reporting/operations": "operations"}
RATES: Final = "currency-rates/get"
ONE_CHARGEBACK: Final = "chargeback/get"
ENDPOINTS: Final = (*LISTS, ONE_CHARGEBACK, RATES)
_STAGES: Final = ("retrieval request", "first chargeback", "pre-arbitration", "arbitration")
_REASONS: Final = ("10.4", "4837", "13.1", "4853", "C08")
_TIMES: Final = frozenset({"created_at", "updated_at", "settled_at"})


@dataclass(frozen=True, slots=True)
class Document:
    """One document: selected by `at`, known from then on; its times are seconds, the rest as it is shown."""

    at: int
    project: int
    fields: dict[str, Any]

    @classmethod
    def told(cls, at: Moment, project: int = 198, /, **fields: Any) -> Document:
        """Make a document by hand."""
        return cls(seconds(at), project, fields)

    def shown(self) -> dict[str, Any]:
        """Give it as the API shows it, times in UTC."""
        utc = zone("UTC")
        return {
            name: text(value, utc, "plain") if name in _TIMES and type(value) is int else value
            for name, value in self.fields.items()
        }


@dataclass(slots=True)
class Documents:
    """The documents of a world, by endpoint; `drawn` once they are there, so that nobody pays who does not ask."""

    lists: dict[str, list[Document]] = field(default_factory=lambda: {name: [] for name in LISTS})
    drawn: bool = False

    def tell(self, endpoint: str, documents: Iterable[Document]) -> None:
        """Set the documents of an endpoint by hand; nothing is drawn then."""
        self.lists[endpoint] = list(documents)
        self.drawn = True

    def draw(self, states: Iterable[State]) -> None:
        """Draw from operations, once."""
        if self.drawn:
            return
        self.drawn = True
        for state in states:
            if not isinstance(state, DrawnState) or state.status != "success":
                continue
            facts = state.facts()
            self.lists["financial-reporting/operations"].append(_report_line(facts))
            if state.kind in {"sale", "auth", "recurring"} and int(facts["operation_id"]) // 10 % 37 == 0:
                self.lists["chargeback/list"].append(_chargeback(facts))

    def between(self, endpoint: str, start: int | None, end: int | None) -> list[Document]:
        """Give the documents of an interval, the newest first."""
        found = [
            item
            for item in self.lists[endpoint]
            if (start is None or start <= item.at) and (end is None or item.at <= end)
        ]
        return sorted(found, key=lambda item: (item.at, str(item.fields.get("id", ""))), reverse=True)

    def move(self, endpoint: str, name: str, count: int, within: tuple[int, int], now: int, chance: Random) -> int:
        """Let documents leave an interval, as by a change now, or appear anywhere in it; give how many did."""
        start, end = within
        inside = self.between(endpoint, start, end)
        if name == "rows_leave":
            later = max(now, end + 1)
            for item in (left := chance.sample(inside, min(count, len(inside)))):
                changed = {**item.fields, "status": "changed", "updated_at": later}
                self.lists[endpoint].remove(item)
                self.lists[endpoint].append(Document(later, item.project, changed))
            return len(left)
        if not inside:
            return 0
        for number in range(count):
            like = chance.choice(inside)
            at = chance.randint(start, end)
            new = {**like.fields, "id": f"late-{len(self.lists[endpoint])}-{number}", "updated_at": at}
            self.lists[endpoint].append(replace(like, at=at, fields=new))
        return count


def rates(start: int, end: int) -> Iterator[dict[str, Any]]:
    """Give the reference rates of the days of an interval: numbers, not texts."""
    for day in range(start // DAY, end // DAY + 1):
        for number, (currency, worth) in enumerate(USD_WORTH.items()):
            wobble = 1 + (day * 31 + number * 17) % 101 / 10_000
            yield {
                "base": currency,
                "quote": "USD",
                "rate": float(f"{worth * wobble:.6g}"),
                "date": text(day * DAY, zone("UTC"), "plain")[:10],
            }


def _chargeback(facts: dict[str, Any]) -> Document:
    number = int(facts["operation_id"])
    created = int(facts["operation_completed_at"] or facts["operation_created_at"]) + number % (9 * DAY)
    updated = created + number % (2 * DAY)
    fields = {
        "id": number * 10 + 7,
        "operation_id": number,
        "payment_id": facts["payment_id"],
        "project_id": int(facts["project_id"]),
        "amount": facts["sum_initial"]["amount"],
        "currency": facts["sum_initial"]["currency"],
        "stage": _STAGES[number // 10 % len(_STAGES)],
        "reason_code": _REASONS[number // 10 % len(_REASONS)],
        "status": "open" if number // 10 % 3 else "won",
        "customer": {"id": facts["customer_id"], "email": facts["customer_email"]},
        "arn": facts["arn"],
        "created_at": created,
        "updated_at": updated,
    }
    return Document(updated, fields["project_id"], fields)


def _report_line(facts: dict[str, Any]) -> Document:
    amount, currency = facts["sum_initial"]["amount"], facts["sum_initial"]["currency"]
    at = int(facts["operation_completed_at"] or facts["operation_created_at"])
    fields = {
        "operation_id": facts["operation_id"],
        "payment_id": facts["payment_id"],
        "project_id": int(facts["project_id"]),
        "type": facts["operation_type"],
        "amount": major_units(amount, currency),
        "currency": currency,
        "fees": [
            {"name": "processing", "amount": major_units(amount * 29 // 1000, currency), "currency": currency},
            {
                "name": "fixed",
                "amount": major_units(10 ** DECIMALS.get(currency, 2) // 4, currency),
                "currency": currency,
            },
        ],
        "fee_rate": 0.029,
        "settled_at": at,
    }
    return Document(at, fields["project_id"], fields)
