"""What the API serves besides operations: balances, fraud reports, and documents whose formats are made up here.

All are drawn from operations, or written by hand; reference rates follow from the day.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from random import Random
from typing import Any, Final

from resources.sandbox.generate import BANKS, COUNTRIES, PROJECTS, USD_WORTH, DrawnState
from resources.sandbox.operations import DAY, DECIMALS, Moment, Projects, State, instant, major_units, text

_FRAUD_TIMES: Final = ("row_updated_at", "fraud_report_date", "received_on", "purchase_date")
_FRAUD_FIELDS: Final = (
    *("payment_id", "operation_id", "tr_amount", "tr_ccy", "account_number", "payment_method_type"),
    *("row_updated_at", "customer_id", "project_name", "project_id", "arn", "fraud_type"),
    *("fraud_report_date", "issuer_country", "received_on", "purchase_date", "channel_amount_in_usd"),
    *("issuer_bank_name", "bin", "country_by_ip", "customer_email"),
)
_FRAUD_TYPES: Final = (
    *("Card Not Present Fraud", "Lost Fraud", "Stolen Fraud", "Counterfeit Card Fraud"),
    *("Account Takeover Fraud", "Fraudulent Use of Account Number", "", "Miscellaneous"),
)
CHARGEBACKS: Final = "chargeback/list"
REPORT: Final = "financial-reporting/operations"
LISTS: Final = (CHARGEBACKS, REPORT)
_STAGES: Final = ("retrieval request", "first chargeback", "pre-arbitration", "arbitration")
_REASONS: Final = ("10.4", "4837", "13.1", "4853", "C08")
_TIMES: Final = frozenset({*_FRAUD_TIMES, "created_at", "updated_at", "settled_at"})

# Balances


@dataclass(frozen=True, slots=True)
class Move:
    """Money that came to a project's balance at a second, or left it (negative minor units)."""

    project: int
    currency: str
    at: int
    minor: int


@dataclass(frozen=True, slots=True)
class Balance:
    """One OUT balance; its currency need not be the one in its name. Left out, `since` is never: it does not move."""

    name: str
    currency: str
    project: int
    amount: int
    since: float = math.inf

    def at(self, now: int, moves: Iterable[Move]) -> dict[str, str]:
        """Give the balance as the API shows it: a decimal string of minor units under its currency."""
        own = (move for move in moves if (move.project, move.currency) == (self.project, self.currency))
        moved = sum(move.minor for move in own if self.since < move.at <= now)
        return {"name": self.name, self.currency: str(self.amount + moved)}


def payouts(states: Iterable[State]) -> Iterator[Move]:
    """Give what successful payouts took, each at the second of its completion."""
    for state in states:
        if state.kind == "payout" and state.status == "success":
            facts = state.facts(all_fields=False)
            money, completed = facts.get("sum_initial") or {}, facts.get("operation_completed_at")
            if isinstance(completed, int) and isinstance(money.get("amount"), int):
                project = str(facts.get("project_id") or 0)
                yield Move(int(project), str(money.get("currency")), completed, -money["amount"])


def draw_balances(seed: int, since: int) -> Iterator[Balance]:
    """Draw a balance per project and currency; the first is in another currency than its name says."""
    chance = Random(seed)  # noqa: S311  reproducible, not secret
    yield Balance("Project_Cosmo1_balance_USD", "SGD", 198, 310_099)
    yield Balance("Reserve — never used", "EUR", 198, 0)
    for project, (_, name, currencies, _) in PROJECTS.items():
        for currency in dict.fromkeys(currencies):
            amount = chance.randrange(-50_000, 2_000_000_000) * (-1 if currency == "KWD" else 1)
            yield Balance(f"{name} balance {currency}", currency, project, amount, since)


# Reports and documents


@dataclass(frozen=True, slots=True)
class Document:
    """One document: selected by `at`, known from then on; its times are seconds, the rest as it is shown."""

    at: float
    project: int
    fields: dict[str, Any]

    @classmethod
    def new(cls, at: Moment, project: int = 198, /, **fields: Any) -> Document:
        """Make a document by hand."""
        return cls(instant(at), project, fields)

    def shown(self) -> dict[str, Any]:
        """Give it as the API shows it, times in UTC."""
        return {
            name: _utc(value) if name in _TIMES and type(value) in {int, float} else value
            for name, value in self.fields.items()
        }


class Fraud(Document):
    """One fraud report, selected by `received_on` among others."""

    @classmethod
    def new(cls, **fields: Any) -> Fraud:  # type: ignore[override]
        """Make a report by hand; times may be seconds or text, and what is left out is empty."""
        times = {name: instant(fields.get(name, "2024-03-01 00:00:00")) for name in _FRAUD_TIMES}
        facts = {**dict.fromkeys(_FRAUD_FIELDS, ""), "project_id": "198", "operation_id": 0, **fields, **times}
        facts["report_and_purchase_date_difference"] = int(times["fraud_report_date"] - times["purchase_date"]) // DAY
        return cls(times["received_on"], int(facts["project_id"]), facts)


def draw_frauds(states: Iterable[State]) -> Iterator[Fraud]:
    """Draw the reports about operations: few payments are reported some day."""
    for state in states:
        if isinstance(state, DrawnState) and state.is_paid and state.draft.dice % 401 == 0:
            yield _fraud(state.facts(), state.effective % 1)


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
        self.drawn = True
        for state in states:
            if isinstance(state, DrawnState) and state.status == "success":
                facts = state.facts()
                self.lists[REPORT].append(_report_line(facts, state.effective % 1))
                if state.is_paid and state.draft.number // 10 % 37 == 0:
                    self.lists[CHARGEBACKS].append(_chargeback(facts, state.effective % 1))

    def between(self, endpoint: str, start: float | None, end: float) -> list[Document]:
        """Give the documents of an interval, the newest first."""
        return newest(self.lists[endpoint], start, end)


def newest(documents: Iterable[Document], start: float | None, end: float, projects: Projects = None) -> list[Document]:
    """Give the documents of an interval and of projects, the newest first."""
    found = (item for item in documents if (start is None or start <= item.at) and item.at <= end)
    seen = (item for item in found if projects is None or item.project in projects)
    return sorted(seen, key=lambda item: (item.at, str(item.fields.get("id", ""))), reverse=True)


def rates(start: int, end: int) -> Iterator[dict[str, Any]]:
    """Give the reference rates of the days of an interval: numbers, not texts."""
    for day in range(start // DAY, end // DAY + 1):
        for number, (currency, worth) in enumerate(USD_WORTH.items()):
            rate = float(f"{worth * (1 + (day * 31 + number * 17) % 101 / 10_000):.6g}")
            yield {"base": currency, "quote": "USD", "rate": rate, "date": _utc(day * DAY)[:10]}


def _fraud(operation: dict[str, Any], fraction: float) -> Fraud:
    number, purchased = int(operation["operation_id"]), int(operation["operation_created_at"])
    reported = purchased + DAY + number % (20 * DAY)
    received = reported + number % (3 * DAY)
    amount, currency = operation["sum_initial"]["amount"], operation["sum_initial"]["currency"]
    usd = amount * USD_WORTH[currency] / 10 ** DECIMALS.get(currency, 2)
    alike = {name: operation[name] for name in _FRAUD_FIELDS if name in operation}
    own = {
        "operation_id": number,
        "tr_amount": major_units(amount, currency),
        "tr_ccy": currency,
        "row_updated_at": received + 60 + fraction,
        "fraud_type": _pick(_FRAUD_TYPES, number),
        "fraud_report_date": reported,
        "issuer_country": _pick(COUNTRIES, number),
        "received_on": received + fraction,
        "purchase_date": purchased,
        "channel_amount_in_usd": f"{usd:.2f}",
        "issuer_bank_name": _pick(BANKS, number),
    }
    return Fraud.new(**alike | own)


def _chargeback(facts: dict[str, Any], fraction: float) -> Document:
    number = int(facts["operation_id"])
    created = int(facts["operation_completed_at"] or facts["operation_created_at"]) + number % (9 * DAY)
    updated = created + number % (2 * DAY) + fraction
    fields = {
        "id": number * 10 + 7,
        "operation_id": number,
        "payment_id": facts["payment_id"],
        "project_id": int(facts["project_id"]),
        "amount": facts["sum_initial"]["amount"],
        "currency": facts["sum_initial"]["currency"],
        "stage": _pick(_STAGES, number),
        "reason_code": _pick(_REASONS, number),
        "status": "open" if number // 10 % 3 else "won",
        "customer": {"id": facts["customer_id"], "email": facts["customer_email"]},
        "arn": facts["arn"],
        "created_at": created,
        "updated_at": updated,
    }
    return Document(updated, fields["project_id"], fields)


def _report_line(facts: dict[str, Any], fraction: float) -> Document:
    amount, currency = facts["sum_initial"]["amount"], facts["sum_initial"]["currency"]
    at = int(facts["operation_completed_at"] or facts["operation_created_at"]) + fraction
    fees = {"processing": amount * 29 // 1000, "fixed": 10 ** DECIMALS.get(currency, 2) // 4}
    fields = {
        "operation_id": facts["operation_id"],
        "payment_id": facts["payment_id"],
        "project_id": int(facts["project_id"]),
        "type": facts["operation_type"],
        "amount": major_units(amount, currency),
        "currency": currency,
        "fees": [
            {"name": name, "amount": major_units(fee, currency), "currency": currency} for name, fee in fees.items()
        ],
        "fee_rate": 0.029,
        "settled_at": at,
    }
    return Document(at, fields["project_id"], fields)


def _pick(values: Sequence[str], number: int) -> str:
    return values[number // 10 % len(values)]


def _utc(second: float) -> str:
    return text(second, UTC, "plain")
