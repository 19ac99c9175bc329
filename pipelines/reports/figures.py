"""Gathers the document of a business day from the store, as known at one moment; statements: sql/reports."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, TypeVar
from zoneinfo import ZoneInfo

from pipelines.reports.document import (
    FORMAT,
    HISTORY_DAYS,
    LARGEST,
    WEEKS,
    Answer,
    BalanceDay,
    BalancePoint,
    BreakGroup,
    BreakLine,
    Completeness,
    CurrencyDay,
    CurrencyTotals,
    DayDocument,
    HistoryPoint,
    Lateness,
    Matching,
    OwnerQueue,
    Restatement,
)
from resources.warehouse.engine import run

if TYPE_CHECKING:
    from sqlalchemy import Connection


def gather(connection: Connection, account: str, day: date, zone: str) -> DayDocument:
    """Return what the store says of the business day `day` of the reporting zone `zone`, in one transaction."""
    facts = _Facts(connection, account, day, zone)
    known_at = connection.exec_driver_sql("SELECT now()").scalar_one().astimezone(UTC)
    completeness = facts.completeness()
    groups = facts.lines(BreakGroup, "reports/figures/breaks", day=day)
    document = DayDocument(
        format=FORMAT,
        account=account,
        business_date=day,
        reporting_zone=zone,
        known_at=known_at,
        totals=facts.totals(),
        history=facts.history(),
        balances=facts.lines(BalanceDay, "reports/figures/balances", day=day),
        balance_history=facts.lines(BalancePoint, "reports/figures/balance_history", **facts.back(HISTORY_DAYS - 1)),
        reconciled=facts.reconciled(groups),
        breaks=groups,
        largest_breaks=facts.largest_breaks(),
        restatements=facts.lines(
            Restatement,
            "reports/figures/restatements",
            day=day,
            known_from=facts.began_at,
            known_to=known_at,
            most=LARGEST,
        ),
        completeness=completeness,
        lateness=facts.lines(Lateness, "reports/figures/lateness", **facts.of_day),
        late_because=facts.late_because(completeness),
        queue=owner_queues(connection, account, day),
        new_breaks=facts.largest_breaks(only_new=True),
        matching=next(iter(facts.lines(Matching, "reports/figures/matching", day=day)), None),
    )
    return replace(document, decimals=facts.decimals(_currencies(document)))


def owner_queues(connection: Connection, account: str, day: date) -> tuple[OwnerQueue, ...]:
    """Return the open breaks up to the day, by owner: how many, how many found since it ended, how many overdue."""
    rows = run(connection, "reports/figures/queue", account=account, day=day)
    return tuple(OwnerQueue(**row._asdict()) for row in rows)


def _currencies(document: DayDocument) -> set[str | None]:
    named = (
        *(document.totals, document.history, document.balances, document.balance_history),
        *(document.breaks, document.largest_breaks, document.new_breaks, document.restatements),
    )
    return {line.currency for lines in named for line in lines}


Line = TypeVar("Line")


class _Facts:
    """The questions of one day, each a statement of sql/report."""

    def __init__(self, connection: Connection, account: str, day: date, zone: str) -> None:
        self.connection = connection
        self.day = day
        self.began_at = _start_of(day, zone)
        self.account = account
        self.of_day = {"starts_at": self.began_at, "ends_at": _start_of(day + timedelta(days=1), zone)}
        self.zone = zone
        self._by_day = self._days_by_currency()
        self._exponents = {row.currency: row.exponent for row in self._query("reports/figures/exponents", day=day)}

    def totals(self) -> tuple[CurrencyTotals, ...]:
        """Each currency of the day, the most operations first."""
        exponents = self._exponents
        today = self._by_day.get(self.day, {})
        before = self._by_day.get(self.day - timedelta(days=1), {})
        weeks = [self._by_day.get(self.day - timedelta(weeks=back), {}) for back in range(1, WEEKS + 1)]
        shown = sorted(today, key=lambda currency: (-today[currency].operations, currency))
        return tuple(
            CurrencyTotals(
                name,
                exponents.get(name),
                today[name],
                before.get(name),
                weeks[0].get(name),
                tuple(week[name] for week in weeks if name in week),
            )
            for name in shown
        )

    def decimals(self, currencies: set[str | None]) -> dict[str, int]:
        """The decimals of these currencies on the day, as far as they are known."""
        return {name: decimals for name, decimals in self._exponents.items() if name in currencies}

    def history(self) -> tuple[HistoryPoint, ...]:
        """The days of the charts; a day without an operation of a currency has zeros."""
        days = [self.day - timedelta(days=back) for back in range(HISTORY_DAYS - 1, -1, -1)]
        nothing: dict[str, CurrencyDay] = {}
        currencies = sorted({name for day in days for name in self._by_day.get(day, nothing)})
        points = []
        for day in days:
            for name in currencies:
                found = self._by_day.get(day, nothing).get(name)
                counts = (found.attempts, found.approved, found.credit_minor) if found else (0, 0, 0)
                points.append(HistoryPoint(day, name, *counts))
        return tuple(points)

    def lines(self, kind: type[Line], name: str, **parameters: Any) -> tuple[Line, ...]:
        """The rows of a statement about the account, as lines of the document; times are UTC."""
        rows = (row._asdict() for row in self._query(name, **parameters))
        return tuple(
            kind(**{name: cell.astimezone(UTC) if isinstance(cell, datetime) else cell for name, cell in row.items()})
            for row in rows
        )

    def largest_breaks(self, *, only_new: bool = False) -> tuple[BreakLine, ...]:
        """The open breaks to look at first; with `only_new`, of those found since the day ended."""
        scope = {"day": self.day, "most": LARGEST, "only_new": only_new}
        return self.lines(BreakLine, "reports/figures/largest_breaks", **scope)

    def reconciled(self, groups: Iterable[BreakGroup]) -> Answer:
        """Whether the day was reconciled with the merchant's books, and nothing is open."""
        if any(groups):
            return "no"
        (row,) = self._query("reports/figures/reconciled", day=self.day)
        return "yes" if row.reconciled else "unknown"

    def completeness(self) -> Completeness:
        """The windows over the day and the ledger's head."""
        (row,) = self._query("reports/figures/completeness", **self.of_day)
        walked = self._query("reports/figures/rewalked", day=self.day)
        answer: Answer = "yes" if row.covered else ("no" if row.windows or row.incomplete_windows else "unknown")
        return Completeness(
            complete=answer,
            windows=row.windows,
            incomplete_windows=row.incomplete_windows,
            requests=int(row.requests),
            rows=int(row.rows),
            rejects=int(row.rejects),
            covered_through=row.covered_through and row.covered_through.astimezone(UTC),
            rewalked=("yes" if walked[0].equal else "no") if walked else "unknown",
            ledger_entries=row.ledger_entries or 0,
            ledger_head=row.ledger_head,
        )

    def late_because(self, completeness: Completeness) -> str | None:
        """Why the day is not complete: what the last run over it said."""
        if completeness.complete == "yes":
            return None
        rows = self._query("reports/figures/last_failure", **self.of_day)
        return f"The last run over this day ended {rows[0].state}: {rows[0].message}" if rows else None

    def _days_by_currency(self) -> dict[date, dict[str, CurrencyDay]]:
        found: dict[date, dict[str, CurrencyDay]] = {}
        for row in self._query("reports/figures/days_by_currency", **self.back(7 * WEEKS)):
            found.setdefault(row.business_date, {})[row.currency] = CurrencyDay(
                row.currency, row.operations, row.attempts, row.approved, int(row.credit_minor), int(row.debit_minor)
            )
        return found

    def back(self, days: int) -> dict[str, Any]:
        """The parameters of a statement about the day and so many days before it."""
        return {**self.of_day, "starts_at": _start_of(self.day - timedelta(days=days), self.zone), "zone": self.zone}

    def _query(self, name: str, **parameters: Any) -> list[Any]:
        return list(run(self.connection, name, account=self.account, **parameters))


def _start_of(day: date, zone: str) -> datetime:
    """Return the first moment of a business day: of two midnights (America/Havana, in autumn) the first."""
    return datetime.combine(day, time.min, ZoneInfo(zone)).astimezone(UTC)
