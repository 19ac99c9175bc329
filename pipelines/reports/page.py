"""The report of a day or a month as one HTML page: no script, no network, every text escaped; the data is elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipelines.reports import charts, first_screen, month
from pipelines.reports.document import (
    HISTORY_DAYS,
    Answer,
    CurrencyDay,
    CurrencyTotals,
    DayDocument,
    amount,
    break_name,
    change,
    digest,
    rate,
)
from pipelines.reports.month import MonthDocument
from pipelines.reports.one_currency import InOneCurrency
from resources.output import counted

SIGNS: dict[Answer, str] = {"yes": "✓", "no": "✗", "unknown": "?"}


@dataclass(frozen=True)
class Verdict:
    """One of the three answers at the top, and what to do where it is no yes; its sign is beside its colour."""

    answer: Answer
    title: str
    text: str
    command: str = ""


@dataclass(frozen=True)
class TotalsRow:
    """One currency of the table of totals: its figures beside earlier ones, and its last days as a small line."""

    total: CurrencyTotals
    before: tuple[CurrencyDay | None, ...]
    spark: str


def page(document: DayDocument, in_one: InOneCurrency | None = None) -> str:
    """Return the page of `document`; the same document always gives the same text."""
    return _render(
        "page.html.j2",
        document=document,
        day_name=f"{document.business_date:%A}, {document.business_date.day} {document.business_date:%B %Y}",
        sentence=sentence(document),
        first=first_screen.of_day(document),
        verdicts=list(_verdicts(document)),
        totals=day_totals(document),
        in_one=in_one,
        charts=list(_charts(document)),
        history_days=HISTORY_DAYS,
        most_charts=charts.MOST_LINES,
        balances=sorted(document.balances, key=lambda line: not line.unexplained_minor),
        open_breaks=sum(group.count for group in document.breaks),
        exponents=exponents_of(document),
        digest=digest(document),
    )


def month_page(document: MonthDocument, in_one: InOneCurrency | None = None) -> str:
    """Return the page of a month; the same document always gives the same text."""
    return _render(
        "month.html.j2",
        document=document,
        sentence=month.sentence(document),
        first=first_screen.of_month(document),
        verdicts=list(_month_verdicts(document)),
        totals=month_totals(document),
        in_one=in_one,
    )


def _render(template: str, **values: Any) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("pipelines.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    functions = (amount, rate, change, break_name, moment, first_screen.unusual)
    environment.globals.update({function.__name__: function for function in functions}, signs=SIGNS)
    return environment.get_template(template).render(values)


def sentence(document: DayDocument) -> str:
    """Return the day in one line: complete? reconciled? closed?"""
    complete = {"yes": "complete", "no": "not complete", "unknown": "not loaded yet"}[document.completeness.complete]
    count = sum(group.count for group in document.breaks)
    reconciled = {
        "yes": "reconciled",
        "no": f"not reconciled: {counted(count, 'open break')}",
        "unknown": "not reconciled against the merchant's books yet",
    }[document.reconciled]
    closed = f"closed by {document.close.closed_by}" if document.close else "not closed"
    return f"The day is {complete}, {reconciled}, and {closed}."


def day_totals(document: DayDocument) -> list[TotalsRow]:
    """Return each currency of the day, beside the day and the week before."""
    found = []
    for total in document.totals:
        volumes = [point.credit_minor for point in document.history if point.currency == total.currency]
        spark = _spark(total.currency, volumes, "last {} days")
        found.append(TotalsRow(total, (total.day_before, total.week_before), spark))
    return found


def month_totals(document: MonthDocument) -> list[TotalsRow]:
    """Return each currency over the sealed days, beside the month before."""
    before = {(total.currency, total.exponent): total.day for total in document.month_before}
    found = []
    for total in month.sums(day.totals for day in document.days):
        key = (total.currency, total.exponent)
        volumes = [
            sum(line.day.credit_minor for line in day.totals if (line.currency, line.exponent) == key)
            for day in document.sealed
        ]
        spark = _spark(total.currency, volumes, "{} sealed days")
        found.append(TotalsRow(total, (before.get(key),), spark))
    return found


def exponents_of(document: DayDocument) -> dict[str | None, int | None]:
    """Return the decimals of each currency; one that is missing is shown in minor units."""
    of_totals = ((total.currency, total.exponent) for total in document.totals)
    return dict[str | None, int | None]([*document.decimals.items(), *of_totals])


def moment(value: datetime | None) -> str:
    """Return a time as the report writes it."""
    return f"{value:%Y-%m-%d %H:%M:%S} UTC" if value else "—"


def _verdicts(document: DayDocument) -> Iterator[Verdict]:
    """Yield whether the day is complete, reconciled and closed."""
    proof, day, close = document.completeness, document.business_date, document.close
    todo = f"ecommpay-sync operations --from {day} --to {day}"
    walked = f"{counted(proof.windows, 'window')} over the day, every one walked to its end"
    yield {
        "yes": Verdict("yes", "Complete", walked),
        "no": Verdict("no", "Not complete", "a part of the day is not shown complete: run", todo),
        "unknown": Verdict("unknown", "Not loaded", "run", todo),
    }[proof.complete]
    found = counted(sum(group.count for group in document.breaks), "open break")
    yield {
        "yes": Verdict("yes", "Reconciled", "no open break"),
        "no": Verdict("no", found, "listed below, the largest of each currency first"),
        "unknown": Verdict("unknown", "Not reconciled", "no ledger entry of the merchant for this day"),
    }[document.reconciled]
    if close:
        yield Verdict(
            "yes", f"Closed by {close.closed_by}", f"{moment(close.closed_at)}, prepared by {close.prepared_by}"
        )
    else:
        todo = f"ecommpay-sync close --date {day} --by NAME"
        yield Verdict("unknown", "Not closed", "one person prepares it, another closes it:", todo)


def _month_verdicts(document: MonthDocument) -> Iterator[Verdict]:
    """Yield whether the month is sealed, matched and as it was sealed."""
    sealed, every, matches = len(document.sealed), len(document.days), document.matches
    if sealed == every:
        yield Verdict("yes", "Sealed", f"all of {counted(every, 'day')}")
    else:
        text = f"{sealed} of {every} days; the others are listed below with the next command"
        yield Verdict("no", "Not all sealed", text)
    if not matches.days_with_books:
        yield Verdict("unknown", "Not matched", "no sealed day was reconciled with the merchant's books")
    else:
        yield Verdict(
            "yes" if matches.matched == matches.required else "no",
            f"{rate(matches.matched, matches.required)} matched",
            f"{matches.matched:,} of {matches.required:,} operations that must be in the books, "
            f"on {counted(matches.days_with_books, 'day')}",
        )
    if not document.restatements:
        yield Verdict("yes", "Not restated", "no operation has changed since its day was sealed")
    else:
        count = sum(line.count for line in document.restatements)
        yield Verdict("no", "Restated since", f"operations that have changed since their day was sealed: {count:,}")


def _spark(currency: str, volumes: list[int], days: str) -> str:
    """Return a currency's volume of these days as a small line; of no day, nothing."""
    return charts.sparkline(volumes, f"Volume of {currency}, {days.format(len(volumes))}") if volumes else ""


def _charts(document: DayDocument) -> Iterator[tuple[str, str, str]]:
    """Yield each drawing with its title, and what it shows."""
    exponents = exponents_of(document)
    for currency, svg in charts.volume(document.history, exponents).items():
        yield f"Volume, {currency}", svg, "Successful sales, captures and recurring charges a day"
    if approved := charts.approval(document.history):
        yield "Approval rate", approved, "Approved of all final attempts, all currencies, by count"
    for currency, svg in charts.balances(document.balance_history, exponents, document.history).items():
        yield f"Balances, {currency}", svg, "Last snapshot of each day"
    if breaks := charts.breaks_by_age(document.breaks):
        yield "Open breaks by age", breaks, "Counted over all types and currencies"
