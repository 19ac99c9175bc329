"""The report of a month as data, gathered from the sealed days alone; drawing it is in `page` and `workbook`.

Totals, balances and matches are read from the sealed documents. What happened to breaks and operations afterwards is
not in them: it is counted from the store, for the sealed days only. A day that is not sealed is named, with the next
command, and adds nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from typing import Any

from sqlalchemy import Connection

from pipelines.reconciliation.close import (
    Sealed,
    days_of_month,
    latest_preparation,
    obstacle,
    reporting_zone,
    sealed_days,
)
from pipelines.reports.document import CurrencyDay, CurrencyTotals, OwnerQueue, from_sealed
from pipelines.reports.figures import lines, owner_queues
from resources.warehouse.engine import run

COUNTED = tuple(item.name for item in fields(CurrencyDay) if item.name != "currency")
TOTAL_KEY = ("currency", "exponent", "type", "status", "is_success", "sign")


@dataclass(frozen=True)
class Seal:
    """Who sealed a day, when, and as which row of the chain."""

    close_no: int
    document_sha256: str
    entry_hash: str
    prepared_by: str
    closed_by: str
    known_at: datetime
    with_open_breaks: bool


@dataclass(frozen=True)
class MonthDay:
    """A day of the month: sealed, or why it is not and the command that comes next."""

    business_date: date
    seal: Seal | None
    operations: int | None = None
    reason: str | None = None
    command: str | None = None
    is_of_data: bool = False  # whoever is on call has to load or walk it again
    is_ready: bool = False  # nothing is in the way of preparing and closing it
    totals: tuple[CurrencyTotals, ...] = ()  # each currency's figures, as sealed

    @property
    def is_waiting(self) -> bool:
        """Whether the day is over, and not sealed."""
        return self.seal is None and self.command is not None


@dataclass(frozen=True)
class Total:
    """Operations of one currency, type and status, added over the sealed days, in minor units."""

    currency: str | None
    exponent: int | None
    type: str
    status: str
    is_success: bool
    sign: int
    count: int
    minor: int | None


@dataclass(frozen=True)
class MonthBalance:
    """A balance over the sealed days; `unexplained_minor` is None where a day between the two ends is not sealed.

    `is_explained`: it has breaks on these days, and none is open.
    """

    balance_name: str
    currency: str
    exponent: int | None
    opening_day: date
    opening_minor: int | None
    movements_minor: int
    unexplained_minor: int | None
    closing_day: date
    closing_minor: int | None
    is_explained: bool = False


@dataclass(frozen=True)
class MonthBreaks:
    """Breaks of the sealed days by what became of them; age in days until then; if open, to the month's end."""

    break_type: str
    state: str
    age: str
    currency: str | None
    count: int
    minor: int | None


@dataclass(frozen=True)
class MonthRestatement:
    """Operations of a sealed day that are known otherwise by now."""

    business_date: date
    kind: str
    currency_before: str | None
    currency_after: str | None
    count: int
    minor_before: int | None
    minor_after: int | None
    known_at: datetime


@dataclass(frozen=True)
class Matches:
    """How much of the sealed days was found in the books: required operations, those among them, matches by pass."""

    days_with_books: int
    required: int
    matched: int
    entries: int
    by_pass: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class MonthDocument:
    """Everything that the report of a month shows."""

    account: str
    month: date
    reporting_zone: str
    days: tuple[MonthDay, ...]
    totals: tuple[Total, ...]
    balances: tuple[MonthBalance, ...]
    breaks: tuple[MonthBreaks, ...]
    restatements: tuple[MonthRestatement, ...]
    matches: Matches
    decimals: dict[str, int]
    month_before: tuple[CurrencyTotals, ...] = ()  # each currency's sums, where every day of both months is sealed
    queue: tuple[OwnerQueue, ...] = ()  # the open breaks of all days up to the month's last, by owner

    @property
    def sealed(self) -> tuple[MonthDay, ...]:
        """The days that are sealed."""
        return tuple(day for day in self.days if day.seal)


def sentence(document: MonthDocument) -> str:
    """Return in one line how far the month is closed."""
    sealed, every = len(document.sealed), len(document.days)
    if sealed == every:
        return f"All {every} days are sealed."
    return f"{sealed} of {every} days are sealed: the figures are of these days only."


def gather_month(connection: Connection, account: str, days: Sequence[date]) -> MonthDocument:
    """Return what the sealed ones of these days say, and what became known of them since.

    Raises:
        WarehouseBroken: what is stored of a day is not what was sealed.
    """
    seals = sealed_days(connection, account, days[0], days[-1])
    sealed = {day: seal.figures for day, seal in seals.items()}
    decimals = {name: digits for figures in sealed.values() for name, digits in figures["report"]["decimals"].items()}
    of_sealed = {"account": account, "days": list(seals)}
    explained = {tuple(row) for row in run(connection, "reports/month/explained_balances", **of_sealed)}
    return MonthDocument(
        account=account,
        month=days[0].replace(day=1),
        reporting_zone=reporting_zone(connection),
        days=tuple(_day(connection, account, day, seals.get(day)) for day in days),
        totals=totals_of(sealed.values()),
        balances=tuple(_balances(sealed, decimals, explained)),
        breaks=lines(connection, MonthBreaks, "reports/month/breaks", **of_sealed, last=days[-1]),
        restatements=restatements_of(connection, account, list(seals)),
        matches=_matches(sealed.values()),
        decimals=decimals,
        month_before=_month_before(connection, account, days[0]) if len(seals) == len(days) else (),
        queue=owner_queues(connection, account, days[-1]),
    )


def sums(days: Iterable[Iterable[CurrencyTotals]]) -> tuple[CurrencyTotals, ...]:
    """Return the figures of each currency and its decimals added over days, the most operations first."""
    found = defaultdict[tuple[str, int | None], Counter[str]](Counter)
    for total in chain.from_iterable(days):
        found[total.currency, total.exponent].update({name: getattr(total.day, name) for name in COUNTED})
    lines = [
        CurrencyTotals(currency, exponent, CurrencyDay(currency, **added), None, None)
        for (currency, exponent), added in found.items()
    ]
    return tuple(sorted(lines, key=lambda line: (-line.day.operations, line.currency)))


def totals_of(documents: Iterable[Mapping[str, Any]]) -> tuple[Total, ...]:
    """Return the control totals of sealed documents, added by currency, decimals, type and status."""
    found: dict[tuple[Any, ...], tuple[int, int | None]] = {}
    for document in documents:
        for row in document["totals"]["day"]:
            key = tuple(row[name] for name in TOTAL_KEY)
            count, minor = found.get(key, (0, None))
            added = minor if row["minor"] is None else (minor or 0) + int(row["minor"])
            found[key] = count + row["count"], added
    ordered = sorted(found.items(), key=lambda item: tuple(map(str, item[0])))
    return tuple(
        Total(**dict(zip(TOTAL_KEY, key, strict=True)), count=count, minor=minor) for key, (count, minor) in ordered
    )


def restatements_of(connection: Connection, account: str, days: Sequence[date]) -> tuple[MonthRestatement, ...]:
    """Return what is known otherwise of sealed days by now."""
    return lines(connection, MonthRestatement, "reports/month/restatements", account=account, days=list(days))


def _day(connection: Connection, account: str, day: date, sealed: Sealed | None) -> MonthDay:
    if sealed:
        count = sum(row["count"] for row in sealed.figures["totals"]["day"])
        return MonthDay(day, seal_of(sealed), count, totals=from_sealed(sealed.figures).totals)
    found = obstacle(connection, account, day, datetime.now(UTC))
    if found:
        return MonthDay(day, None, reason=found.reason, command=found.command or None, is_of_data=found.is_of_data)
    preparation = latest_preparation(connection, account, day)
    reason = f"is prepared by {preparation.by}" if preparation else "can be prepared"
    command = f"ecommpay-sync close --date {day} --by NAME"
    return MonthDay(day, None, reason=reason, command=command, is_ready=True)


def _month_before(connection: Connection, account: str, first: date) -> tuple[CurrencyTotals, ...]:
    """Return the sums of the month before; nothing if a day of it is not sealed, for then it is no measure."""
    days = days_of_month(first.replace(day=1) - timedelta(days=1))
    seals = sealed_days(connection, account, days[0], days[-1])
    return sums(from_sealed(seal.figures).totals for seal in seals.values()) if len(seals) == len(days) else ()


def seal_of(sealed: Sealed) -> Seal:
    """Return who sealed a day, and when."""
    of_row = {name: getattr(sealed, name) for name in ("close_no", "document_sha256", "entry_hash")}
    said = {name: sealed.figures[name] for name in ("prepared_by", "closed_by", "with_open_breaks")}
    return Seal(**of_row, **said, known_at=datetime.fromisoformat(sealed.figures["known_at"]))


def _balances(
    documents: Mapping[date, Mapping[str, Any]], decimals: Mapping[str, int], explained: Collection[tuple[str, str]]
) -> Iterator[MonthBalance]:
    lines = defaultdict[tuple[str, str], list[tuple[date, Mapping[str, Any]]]](list)
    for day, document in documents.items():
        for row in document["balances"]:
            lines[row["balance_name"], row["currency"]].append((day, row))
    for key, rows in sorted(lines.items()):
        (first, opening), (last, closing) = rows[0], rows[-1]
        is_whole = (last - first).days + 1 == len(rows)
        ends = opening["opening_minor"], closing["closing_minor"]
        opened, closed = (None if minor is None else int(minor) for minor in ends)
        moved = sum(int(row["movements_minor"]) for _, row in rows)
        unexplained = None if opened is None or closed is None or not is_whole else closed - opened - moved
        yield MonthBalance(
            *key, decimals.get(key[1]), first, opened, moved, unexplained, last, closed, is_explained=key in explained
        )


def _matches(documents: Iterable[Mapping[str, Any]]) -> Matches:
    books = [document["books"] for document in documents if document["books"]["has_books"]]
    by_pass = Counter[str]()
    for figures in books:
        by_pass.update(figures["matches"])
    required = sum(figures["operations_required"] for figures in books)
    return Matches(
        len(books),
        required,
        required - sum(figures["operations_alone"] for figures in books),
        sum(figures["entries"] for figures in books),
        tuple(sorted(by_pass.items())),
    )
