"""Gathers the document of a business day from the store, as known at one moment; statements: sql/reports."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import Connection

from pipelines.nights import starts_at
from pipelines.reports import document as model
from resources.warehouse.engine import run


def gather(connection: Connection, account: str, day: date, zone: str) -> model.DayDocument:
    """Return what the store says of the business day `day` of the reporting zone `zone`, in one transaction."""
    facts = _Facts(connection, account, day, zone)
    known_at = connection.exec_driver_sql("SELECT now()").scalar_one().astimezone(UTC)
    (completeness,) = facts.lines(model.Completeness, "reports/figures/completeness", day=day, **facts.of_day)
    groups = facts.lines(model.BreakGroup, "reports/figures/breaks", day=day)
    since = {"known_from": facts.began_at, "known_to": known_at}
    document = model.DayDocument(
        format=model.FORMAT,
        account=account,
        business_date=day,
        reporting_zone=zone,
        known_at=known_at,
        totals=facts.totals(),
        history=facts.history(),
        balances=facts.lines(model.BalanceDay, "reports/figures/balances", day=day),
        balance_history=facts.lines(
            model.BalancePoint, "reports/figures/balance_history", **facts.back(model.HISTORY_DAYS - 1)
        ),
        reconciled=facts.reconciled(groups),
        breaks=groups,
        largest_breaks=facts.largest_breaks(),
        restatements=facts.lines(
            model.Restatement, "reports/figures/restatements", day=day, most=model.LARGEST, **since
        ),
        completeness=completeness,
        lateness=facts.lines(model.Lateness, "reports/figures/lateness", **facts.of_day),
        late_because=facts.late_because(completeness),
        queue=owner_queues(connection, account, day),
        new_breaks=facts.largest_breaks(only_new=True),
        matching=next(iter(facts.lines(model.Matching, "reports/figures/matching", day=day)), None),
    )
    named = (
        *(document.totals, document.history, document.balances, document.balance_history),
        *(document.breaks, document.largest_breaks, document.new_breaks, document.restatements),
    )
    currencies = {line.currency for lines in named for line in lines}
    decimals = {name: digits for name, digits in facts.exponents.items() if name in currencies}
    return replace(document, decimals=decimals)


def owner_queues(connection: Connection, account: str, day: date) -> tuple[model.OwnerQueue, ...]:
    """Return the open breaks up to the day, by owner: how many, how many found since it ended, how many overdue."""
    return lines(connection, model.OwnerQueue, "reports/figures/queue", account=account, day=day)


Line = TypeVar("Line")


def lines(connection: Connection, kind: type[Line], name: str, **parameters: Any) -> tuple[Line, ...]:
    """Return the rows of a statement as lines of a document; times are UTC."""
    rows = (row._asdict() for row in run(connection, name, **parameters))
    return tuple(
        kind(**{name: cell.astimezone(UTC) if isinstance(cell, datetime) else cell for name, cell in row.items()})
        for row in rows
    )


class _Facts:
    """The questions of one day, each a statement of sql/reports."""

    def __init__(self, connection: Connection, account: str, day: date, zone: str) -> None:
        self.connection = connection
        self.day = day
        self.began_at = starts_at(day, zone)
        self.account = account
        self.of_day = {"starts_at": self.began_at, "ends_at": starts_at(day + timedelta(days=1), zone)}
        self.zone = zone
        self._by_day = defaultdict[date, dict[str, model.CurrencyDay]](dict)
        for row in self._query("reports/figures/days_by_currency", **self.back(7 * model.WEEKS)):
            self._by_day[row.business_date][row.currency] = model.CurrencyDay(
                row.currency, row.operations, row.attempts, row.approved, row.credit_minor, row.debit_minor
            )
        self.exponents = {row.currency: row.exponent for row in self._query("reports/figures/exponents", day=day)}

    def totals(self) -> tuple[model.CurrencyTotals, ...]:
        """Each currency of the day, the most operations first."""
        today, before = self._by_day[self.day], self._by_day[self.day - timedelta(days=1)]
        weeks = [self._by_day[self.day - timedelta(weeks=back)] for back in range(1, model.WEEKS + 1)]
        return tuple(
            model.CurrencyTotals(
                name,
                self.exponents.get(name),
                today[name],
                before.get(name),
                weeks[0].get(name),
                tuple(week[name] for week in weeks if name in week),
            )
            for name in sorted(today, key=lambda currency: (-today[currency].operations, currency))
        )

    def history(self) -> tuple[model.HistoryPoint, ...]:
        """The days of the charts; a day without an operation of a currency has zeros."""
        days = [self.day - timedelta(days=back) for back in range(model.HISTORY_DAYS - 1, -1, -1)]
        currencies = sorted({name for day in days for name in self._by_day[day]})
        nothing = model.CurrencyDay("", 0, 0, 0, 0, 0)
        return tuple(
            model.HistoryPoint(day, name, it.attempts, it.approved, it.credit_minor)
            for day in days
            for name in currencies
            for it in [self._by_day[day].get(name, nothing)]
        )

    def lines(self, kind: type[Line], name: str, **parameters: Any) -> tuple[Line, ...]:
        """The rows of a statement about the account, as lines of the document."""
        return lines(self.connection, kind, name, account=self.account, **parameters)

    def largest_breaks(self, *, only_new: bool = False) -> tuple[model.BreakLine, ...]:
        """The open breaks to look at first; with `only_new`, of those found since the day ended."""
        scope = {"day": self.day, "most": model.LARGEST, "only_new": only_new}
        return self.lines(model.BreakLine, "reports/figures/largest_breaks", **scope)

    def reconciled(self, groups: Iterable[model.BreakGroup]) -> model.Answer:
        """Whether the day was reconciled with the merchant's books, and nothing is open."""
        if any(groups):
            return "no"
        (row,) = self._query("reports/figures/reconciled", day=self.day)
        return "yes" if row.reconciled else "unknown"

    def late_because(self, completeness: model.Completeness) -> str | None:
        """Why the day is not complete: what the last run over it said."""
        if completeness.complete == "yes":
            return None
        rows = self._query("reports/figures/last_failure", **self.of_day)
        return f"The last run over this day ended {rows[0].state}: {rows[0].message}" if rows else None

    def back(self, days: int) -> dict[str, Any]:
        """The parameters of a statement about the day and so many days before it."""
        return {**self.of_day, "starts_at": starts_at(self.day - timedelta(days=days), self.zone), "zone": self.zone}

    def _query(self, name: str, **parameters: Any) -> list[Any]:
        return list(run(self.connection, name, account=self.account, **parameters))
