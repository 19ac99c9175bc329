"""What the report of one business day says, as data, and how figures and names are written in it.

Drawing it is in `page`, `charts` and `workbook`.

The document is complete: page and workbook are made from it alone, so that a sealed one gives the same bytes again.
Only a total in one currency is not in it (`one_currency`): that is of rates, and no exact figure.
Amounts are integers in minor units of the currency beside them, times are UTC.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from typing import Any, Literal

from resources.currencies import with_decimals

FORMAT = 1
HISTORY_DAYS = 28  # of the charts
WEEKS = 8  # of the same weekday, that make a day usual
LARGEST = 12  # breaks, restatements and late operations that are listed

Answer = Literal["yes", "no", "unknown"]

MINUS = "\u2212"  # as wide as a plus, and no beginning of a formula

AGES = ("0–1", "2–3", "4–7", "8–30", "over 30")

BREAK_TYPES = {
    "missing_in_ledger": "Missing in our ledger",
    "missing_at_platform": "Missing at the platform",
    "amount": "Amount differs",
    "currency": "Currency differs",
    "status": "Status differs",
    "fee": "Fee differs",
    "duplicate_in_ledger": "Twice in our ledger",
    "duplicate_at_platform": "Twice at the platform",
    "timing": "Booked on another day",
    "rounding": "Rounding",
    "orphan_refund": "Refund without its payment",
    "refund_above_capture": "Refunded more than captured",
    "late_change": "Changed after the close",
    "balance": "Balance movement unexplained",
}


@dataclass(frozen=True)
class CurrencyDay:
    """One currency's figures of one business day.

    Attempts are final sales, authorisations and recurring charges; approved ones among them succeeded. Volumes are
    of successful operations: `credit_minor` came in, `debit_minor` (refunds, reversals, payouts) went out.
    """

    currency: str
    operations: int
    attempts: int
    approved: int
    credit_minor: int
    debit_minor: int


@dataclass(frozen=True)
class CurrencyTotals:
    """The day of one currency beside the day before and the same weekday of the week before."""

    currency: str
    exponent: int | None  # decimals of the currency; None: unknown, amounts are shown in minor units
    day: CurrencyDay
    day_before: CurrencyDay | None
    week_before: CurrencyDay | None
    weekdays: tuple[CurrencyDay, ...] = ()  # the same weekday of the last WEEKS weeks that had an operation


@dataclass(frozen=True)
class HistoryPoint:
    """One currency on one day of the charts."""

    business_date: date
    currency: str
    attempts: int
    approved: int
    credit_minor: int


@dataclass(frozen=True)
class BalanceDay:
    """A balance over the day: opening + movements + unexplained = closing, all in minor units; None: no snapshot.

    `is_explained`: lag of the platform explains what is left, or a person did.
    """

    balance_name: str
    currency: str
    opening_minor: int | None
    movements_minor: int | None
    closing_minor: int | None
    unexplained_minor: int | None
    is_explained: bool = False


@dataclass(frozen=True)
class BalancePoint:
    """The last snapshot of a balance on one day of the charts."""

    business_date: date
    balance_name: str
    currency: str
    amount_minor: int


@dataclass(frozen=True)
class BreakGroup:
    """Open breaks of one type, age and currency."""

    break_type: str
    age: str
    currency: str | None
    count: int
    amount_minor: int | None


@dataclass(frozen=True)
class BreakLine:
    """One of the largest breaks of its currency; `reference` is the ledger entry or the balance."""

    break_id: str
    break_type: str
    state: str
    business_date: date
    age: str
    currency: str | None
    amount_minor: int | None
    operation_id: str | None
    reference: str | None
    owner: str | None
    note: str | None
    due_date: date | None = None
    is_overdue: bool = False
    is_new: bool = False  # found since the day ended


@dataclass(frozen=True)
class OwnerQueue:
    """The open breaks of one owner; None: those that nobody owns."""

    owner: str | None
    count: int
    new: int  # found since the day ended
    overdue: int
    oldest_days: int


@dataclass(frozen=True)
class Matching:
    """How much of the day the merchant's own books have; days closed are those of the day's month, up to it."""

    operations: int
    operations_alone: int
    days_closed: int


@dataclass(frozen=True)
class Restatement:
    """An operation of an earlier day that is known otherwise since the moment `known_from`."""

    operation_id: str
    kind: str
    known_from: datetime
    known_to: datetime
    status_before: str | None
    status_after: str | None
    currency: str | None
    amount_before: int | None
    amount_after: int | None


@dataclass(frozen=True)
class Completeness:
    """The proof: which windows cover the day, and the ledger's head."""

    complete: Answer
    windows: int
    incomplete_windows: int
    requests: int
    rows: int
    rejects: int
    covered_through: datetime | None
    rewalked: Answer  # a fresh, independent walk met the same rows
    ledger_entries: int
    ledger_head: str | None


@dataclass(frozen=True)
class Lateness:
    """How many operations of the day were first seen how long after they were completed."""

    bucket: str
    operations: int


@dataclass(frozen=True)
class Close:
    """Who sealed the day, and when."""

    prepared_by: str
    closed_by: str
    closed_at: datetime


@dataclass(frozen=True)
class DayDocument:
    """Everything that the report of a business day shows."""

    format: int
    account: str
    business_date: date
    reporting_zone: str
    known_at: datetime
    totals: tuple[CurrencyTotals, ...]
    history: tuple[HistoryPoint, ...]
    balances: tuple[BalanceDay, ...]
    balance_history: tuple[BalancePoint, ...]
    reconciled: Answer
    breaks: tuple[BreakGroup, ...]
    largest_breaks: tuple[BreakLine, ...]
    restatements: tuple[Restatement, ...]
    completeness: Completeness
    lateness: tuple[Lateness, ...]
    late_because: str | None
    close: Close | None = None
    decimals: dict[str, int] = field(default_factory=dict)  # of each currency that is named anywhere, if known
    queue: tuple[OwnerQueue, ...] = ()
    matching: Matching | None = None  # None: the day was not held against own books
    new_breaks: tuple[BreakLine, ...] = ()  # found since the day ended, the largest of each currency first


def to_json(document: DayDocument) -> bytes:
    """Return the document as canonical JSON: the same document always gives the same bytes."""
    return bytes(_adapter().dump_json(document))


def from_sealed(figures: Mapping[str, Any]) -> DayDocument:
    """Return the document in the sealed figures of a day, as `to_json` wrote it."""
    document: DayDocument = _adapter().validate_python(figures["report"])
    return document


def digest(document: DayDocument) -> str:
    """Return the SHA-256 of the canonical JSON."""
    return hashlib.sha256(to_json(document)).hexdigest()


@cache
def _adapter() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(DayDocument)


def amount(minor: int | None, exponent: int | None) -> str:
    """Return an exact amount as `with_decimals` writes it, with a real minus sign; None is a dash."""
    if minor is None:
        return "—"
    return with_decimals(minor, exponent).replace("-", MINUS)


def change(now: int, before: int | None) -> str:
    """Return the relative change from `before` with its direction in words: `▲ 12.3 %`."""
    if before is None:
        return "no figure"
    if before == 0:
        return "same" if now == 0 else "▲ from 0"
    tenths = rounded(1000 * (now - before), abs(before))
    if tenths == 0:
        return "same"
    return f"{'▲' if tenths > 0 else '▼'} {abs(tenths) // 10:,}.{abs(tenths) % 10} %"


def rate(part: int, whole: int) -> str:
    """Return part ÷ whole in per cent with one decimal, exactly rounded."""
    if not whole:
        return "—"
    tenths = rounded(1000 * part, whole)
    return f"{tenths // 10}.{tenths % 10} %"


def break_name(kind: str) -> str:
    """Return the name of a break type as a person reads it."""
    return BREAK_TYPES.get(kind, kind.replace("_", " ").capitalize())


def rounded(numerator: int, denominator: int) -> int:
    """Return numerator ÷ denominator (positive), rounded half away from zero, in integers."""
    magnitude = (2 * abs(numerator) + denominator) // (2 * denominator)
    return -magnitude if numerator < 0 else magnitude
