"""The report of a day or a month as one HTML page: no script, no network, every text escaped; the data is elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from importlib import resources as files
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from markupsafe import Markup

SIGNS: dict[Answer, str] = {"yes": "✓", "no": "✗", "unknown": "?"}


@dataclass(frozen=True)
class Verdict:
    """One of the three answers at the top: a sign and words, so that colour is never the only sign."""

    answer: Answer
    title: str
    text: str
    command: str = ""  # what to run about it

    @property
    def sign(self) -> str:
        """The answer as a character."""
        return SIGNS[self.answer]


@dataclass(frozen=True)
class Chart:
    """A drawing with its title and what it shows."""

    title: str
    svg: Markup
    caption: str


@dataclass(frozen=True)
class TotalsRow:
    """One currency of the table of totals: its figures beside earlier ones, and its last days as a small line."""

    total: CurrencyTotals
    before: tuple[CurrencyDay | None, ...]
    is_unusual: bool
    spark: Markup | str


def page(document: DayDocument, in_one: InOneCurrency | None = None) -> str:
    """Return the page of `document`; the same document always gives the same text."""
    return _render(
        "page.html.j2",
        document=document,
        day_name=f"{document.business_date:%A}, {document.business_date.day} {document.business_date:%B %Y}",
        sentence=sentence(document),
        first=first_screen.of_day(document),
        verdicts=verdicts(document),
        totals=_totals(document),
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
        verdicts=[_all_sealed(document), _matched(document), _as_sealed(document)],
        totals=month_totals(document),
        in_one=in_one,
        unusual=first_screen.unusual,
    )


def _render(template: str, **values: Any) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("pipelines.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    css = files.files("pipelines.reports").joinpath("templates/page.css").read_text(encoding="utf-8")
    return environment.get_template(template).render(
        css=Markup(css),  # noqa: S704 - a file of ours
        amount=amount,
        rate=rate,
        change=change,
        break_name=break_name,
        moment=moment,
        **values,
    )


def sentence(document: DayDocument) -> str:
    """Return the day in one line: complete? reconciled? closed?"""
    complete = {"yes": "complete", "no": "not complete", "unknown": "not loaded yet"}[document.completeness.complete]
    count = sum(group.count for group in document.breaks)
    reconciled = {
        "yes": "reconciled",
        "no": f"not reconciled: {count:,} open break{'s' * (count != 1)}",
        "unknown": "not reconciled against the merchant's books yet",
    }[document.reconciled]
    closed = f"closed by {document.close.closed_by}" if document.close else "not closed"
    return f"The day is {complete}, {reconciled}, and {closed}."


def verdicts(document: DayDocument) -> list[Verdict]:
    """Return the three answers at the top, each with what to do when it is not a yes."""
    return [_complete(document), _reconciled(document), _closed(document)]


def month_totals(document: MonthDocument) -> list[TotalsRow]:
    """Return each currency over the sealed days, beside the month before."""
    before = {(total.currency, total.exponent): total.day for total in document.month_before}
    days = [{(total.currency, total.exponent): total.day for total in day.totals} for day in document.sealed]
    found = []
    for total in month.sums(day.totals for day in document.days):
        key = (total.currency, total.exponent)
        volumes = [day[key].credit_minor if key in day else 0 for day in days]
        spark = _spark(total.currency, volumes, "{} sealed days")
        found.append(TotalsRow(total, (before.get(key),), is_unusual=False, spark=spark))
    return found


def exponents_of(document: DayDocument) -> dict[str | None, int | None]:
    """Return the decimals of each currency; one that is missing is shown in minor units."""
    known: dict[str | None, int | None] = {}
    known.update(document.decimals)
    known.update((total.currency, total.exponent) for total in document.totals)
    return known


def moment(value: datetime | None) -> str:
    """Return a time as the report writes it."""
    return f"{value:%Y-%m-%d %H:%M:%S} UTC" if value else "—"


def _complete(document: DayDocument) -> Verdict:
    proof = document.completeness
    if proof.complete == "yes":
        return Verdict(
            "yes",
            "Complete",
            f"{proof.windows:,} window{'s' * (proof.windows != 1)} over the day, every one walked to its end",
        )
    todo = f"ecommpay-sync operations --from {document.business_date} --to {document.business_date}"
    if proof.complete == "no":
        return Verdict("no", "Not complete", "a part of the day is not shown complete: run", todo)
    return Verdict("unknown", "Not loaded", "run", todo)


def _reconciled(document: DayDocument) -> Verdict:
    count = sum(group.count for group in document.breaks)
    if document.reconciled == "yes":
        return Verdict("yes", "Reconciled", "no open break")
    if document.reconciled == "no":
        return Verdict(
            "no", f"{count:,} open break{'s' * (count != 1)}", "listed below, the largest of each currency first"
        )
    return Verdict("unknown", "Not reconciled", "no ledger entry of the merchant for this day")


def _closed(document: DayDocument) -> Verdict:
    close = document.close
    if close:
        text = f"{moment(close.closed_at)}, prepared by {close.prepared_by}"
        return Verdict("yes", f"Closed by {close.closed_by}", text)
    todo = f"ecommpay-sync close --date {document.business_date} --by NAME"
    return Verdict("unknown", "Not closed", "one person prepares it, another closes it:", todo)


def _all_sealed(document: MonthDocument) -> Verdict:
    sealed, every = len(document.sealed), len(document.days)
    if sealed == every:
        return Verdict("yes", "Sealed", f"all of {every} day{'s' * (every != 1)}")
    text = f"{sealed} of {every} days; the others are listed below with the next command"
    return Verdict("no", "Not all sealed", text)


def _matched(document: MonthDocument) -> Verdict:
    matches = document.matches
    if not matches.days_with_books:
        return Verdict("unknown", "Not matched", "no sealed day was reconciled with the merchant's books")
    days = f"{matches.days_with_books} day{'s' * (matches.days_with_books != 1)}"
    return Verdict(
        "yes" if matches.matched == matches.required else "no",
        f"{rate(matches.matched, matches.required)} matched",
        f"{matches.matched:,} of {matches.required:,} operations that must be in the books, on {days}",
    )


def _as_sealed(document: MonthDocument) -> Verdict:
    if not document.restatements:
        return Verdict("yes", "Not restated", "no operation has changed since its day was sealed")
    count = sum(line.count for line in document.restatements)
    return Verdict("no", "Restated since", f"operations that have changed since their day was sealed: {count:,}")


def _totals(document: DayDocument) -> list[TotalsRow]:
    volumes: dict[str, list[int]] = {}
    for point in document.history:
        volumes.setdefault(point.currency, []).append(point.credit_minor)
    return [
        TotalsRow(
            total,
            (total.day_before, total.week_before),
            bool(first_screen.unusual(total, "")),
            _spark(total.currency, volumes.get(total.currency, []), "last {} days"),
        )
        for total in document.totals
    ]


def _spark(currency: str, volumes: list[int], days: str) -> Markup | str:
    """Return a currency's volume of these days as a small line; of no day, nothing."""
    from markupsafe import Markup, escape

    if not volumes:
        return ""
    return Markup(charts.sparkline(volumes, escape(f"Volume of {currency}, {days.format(len(volumes))}")))  # noqa: S704


def _charts(document: DayDocument) -> Iterator[Chart]:
    from markupsafe import Markup

    exponents = {str(currency): exponent for currency, exponent in exponents_of(document).items()}
    for currency, svg in charts.volume(document.history, exponents).items():
        yield Chart(f"Volume, {currency}", Markup(svg), "Successful sales, captures and recurring charges a day")  # noqa: S704
    approved = charts.approval(document.history)
    if approved:
        caption = "Approved of all final attempts, all currencies, by count"
        yield Chart("Approval rate", Markup(approved), caption)  # noqa: S704
    for currency, svg in charts.balances(document.balance_history, exponents, document.history).items():
        yield Chart(f"Balances, {currency}", Markup(svg), "Last snapshot of each day")  # noqa: S704
    breaks = charts.breaks_by_age(document.breaks)
    if breaks:
        yield Chart("Open breaks by age", Markup(breaks), "Counted over all types and currencies")  # noqa: S704
