"""The report as a spreadsheet: exact figures, no formula in any cell, the same bytes for the same document.

A spreadsheet's numbers hold 15 digits; an amount with more is written as text, or it would be rounded.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from pipelines.reports import month
from pipelines.reports.document import DayDocument, amount, break_name, digest, rate
from pipelines.reports.month import MonthDocument
from pipelines.reports.one_currency import InOneCurrency
from pipelines.reports.page import TotalsRow, day_totals, exponents_of, moment, month_totals, sentence
from resources.output import Column, cells

if TYPE_CHECKING:
    from xlsxwriter.format import Format
    from xlsxwriter.workbook import Workbook

MOST_DIGITS = 15
LONGEST_TEXT = 16_000  # a longer one is cut; a cell holds 32,767 units, of which some characters take two
WIDEST = 60
MOVED = {  # amounts of a balance
    "Opening": "opening_minor",
    "Movements": "movements_minor",
    "Unexplained": "unexplained_minor",
    "Closing": "closing_minor",
}
CREATED = datetime(2020, 1, 1)  # noqa: DTZ001 - a constant, so that the bytes do not depend on the clock


@dataclass(frozen=True)
class Money:
    """An amount of a cell: minor units and the currency's decimals."""

    minor: int | None
    exponent: int | None


@dataclass(frozen=True)
class Sheet:
    """A table of the workbook."""

    name: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


def workbook(document: DayDocument, in_one: InOneCurrency | None = None) -> bytes:
    """Return the XLSX file of a day."""
    return tables(f"Daily close {document.business_date}", [*sheets(document), *_in_one_currency(in_one)])


def month_workbook(document: MonthDocument, in_one: InOneCurrency | None = None) -> bytes:
    """Return the XLSX file of a month."""
    return tables(f"Monthly close {document.month:%Y-%m}", [*_month_sheets(document), *_in_one_currency(in_one)])


def tables(title: str, pages: Sequence[Sheet]) -> bytes:
    """Return the XLSX file of these tables."""
    import xlsxwriter

    out = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(out, options) as book:
        book.set_properties({"title": title, "created": CREATED})
        format_of = cache(lambda **properties: book.add_format(properties))  # one of each
        for sheet in pages:
            _write(book, sheet, format_of)
    return out.getvalue()


def money_columns(columns: Mapping[str, str], exponent_of: Callable[[Any], int | None]) -> dict[str, Column]:
    """Return columns of amounts by their titles, each an attribute of a line in minor units."""

    def column(name: str) -> Column:
        return lambda line: Money(getattr(line, name), exponent_of(line))

    return {title: column(name) for title, name in columns.items()}


def sheets(document: DayDocument) -> list[Sheet]:
    """Return the tables of the workbook."""
    exponents, proof = exponents_of(document), document.completeness

    def money(**columns: str) -> dict[str, Column]:
        return money_columns(columns, lambda line: exponents.get(line.currency))

    summary = [
        ("Day", document.business_date),
        ("Account", document.account),
        ("Reporting zone", document.reporting_zone),
        ("In one line", sentence(document)),
        ("Known at", moment(document.known_at)),
        ("Windows", proof.windows),
        ("Incomplete windows", proof.incomplete_windows),
        ("Rows", proof.rows),
        ("Rejects", proof.rejects),
        ("Without a hole through", moment(proof.covered_through)),
        ("Ledger head", proof.ledger_head),
        ("Content SHA-256", digest(document)),
    ]
    return [
        Sheet("Summary", ("What", "Value"), summary),
        _totals("Totals", day_totals(document), "Volume the day before", "Volume a week before"),
        _sheet("Balances", document.balances, {"Balance": "balance_name", "Currency": "currency"}, money(**MOVED)),
        _sheet(
            "Breaks",
            document.breaks,
            {"Type": _break_type, "Age (days)": "age", "Currency": "currency", "Breaks": "count"},
            money(Amount="amount_minor"),
        ),
        _sheet(
            "Largest breaks",
            document.largest_breaks,
            {"Break": "break_id", "Type": _break_type, "State": "state"},
            {"Day": "business_date", "Currency": "currency"},
            money(Amount="amount_minor"),
            {"Operation": "operation_id", "Reference": "reference", "Owner": "owner", "Note": "note"},
            {"Due": "due_date"},
            {"Mark": lambda line: ", ".join(["new"] * line.is_new + ["overdue"] * line.is_overdue) or None},
        ),
        _sheet(
            "Owners",
            document.queue,
            {"Owner": lambda line: line.owner or "nobody yet"},
            {"Open breaks": "count", "New": "new", "Overdue": "overdue", "Oldest (days)": "oldest_days"},
        ),
        _sheet(
            "Restatements",
            document.restatements,
            {"Operation": "operation_id", "What": "kind", "Status before": "status_before", "after": "status_after"},
            {"Currency": "currency"},
            money(Before="amount_before", After="amount_after"),
            {"Known from": _moment("known_from"), "Known since": _moment("known_to")},
        ),
    ]


def _moment(name: str) -> Column:
    return lambda line: moment(getattr(line, name))


def _sheet(name: str, lines: Sequence[Any], *columns: Mapping[str, Column]) -> Sheet:
    """Return a table with a row for each line, each column by its title."""
    return Sheet(name, *cells(lines, *columns))


def _break_type(line: Any) -> str:
    return break_name(line.break_type)


def _totals(name: str, rows: Sequence[TotalsRow], *before: str) -> Sheet:
    """Return the table of a period's currencies, their volumes beside those of the periods before."""
    lines = []
    for row in rows:
        day, earlier = row.total.day, [other.credit_minor if other else None for other in row.before]
        minors = (day.credit_minor, day.debit_minor, day.credit_minor - day.debit_minor, *earlier)
        amounts = (Money(minor, row.total.exponent) for minor in minors)
        lines.append((row.total.currency, *amounts, day.attempts, day.approved, day.operations))
    return Sheet(name, ("Currency", "Volume", "Out", "Net", *before, "Attempts", "Approved", "Operations"), lines)


def _in_one_currency(in_one: InOneCurrency | None) -> list[Sheet]:
    """Return each day of each currency in the reporting currency, with the rate that was applied."""
    if in_one is None:
        return []
    name = in_one.currency
    columns = (
        *("Day", "Currency", "Volume, exact", "Out, exact", f"Volume, {name}", f"Out, {name}"),
        *("Rate", "Source", "Day of the rate", "Left out"),
    )
    rows: list[tuple[Any, ...]] = []
    for line in in_one.days:
        exact = (Money(minor, line.exponent) for minor in (line.exact.credit_minor, line.exact.debit_minor))
        converted = (Money(minor, in_one.exponent) for minor in (line.credit_minor, line.debit_minor))
        rate = line.rate
        applied = (f"1 {rate.base} = {rate.rate} {rate.quote}", rate.source, rate.day) if rate else (None,) * 3
        mark = "left out" if line.credit_minor is None else None
        rows.append((line.business_date, line.exact.currency, *exact, *converted, *applied, mark))
    sums = (Money(minor, in_one.exponent) for minor in (in_one.credit_minor, in_one.debit_minor))
    rows.append(("Total", *(None,) * 3, *sums, *(None,) * 3, in_one.left_out or None))
    return [Sheet(f"In {name}", columns, rows)]


def _month_sheets(document: MonthDocument) -> list[Sheet]:
    matches = document.matches
    summary = [
        ("Month", f"{document.month:%Y-%m}"),
        ("Account", document.account),
        ("Reporting zone", document.reporting_zone),
        ("In one line", month.sentence(document)),
        ("Days with books", matches.days_with_books),
        ("Operations that must be in the books", matches.required),
        ("Matched", matches.matched),
        ("Match rate", rate(matches.matched, matches.required)),
        *((f"Matches by {name}", count) for name, count in matches.by_pass),
    ]

    def money_of(currency: str, **columns: str) -> dict[str, Column]:
        return money_columns(columns, lambda line: document.decimals.get(getattr(line, currency) or ""))

    def money(**columns: str) -> dict[str, Column]:
        return money_columns(columns, attrgetter("exponent"))

    return [
        Sheet("Summary", ("What", "Value"), summary),
        _totals("Currencies", month_totals(document), "Volume the month before"),
        _sheet(
            "Totals",
            document.totals,
            {"Currency": "currency", "Type": "type", "Status": "status", "Operations": "count"},
            money(Amount="minor"),
        ),
        _sheet(
            "Balances",
            document.balances,
            {"Balance": "balance_name", "Currency": "currency", "From": "opening_day"},
            money(**MOVED),
            {"To": "closing_day"},
        ),
        _sheet(
            "Breaks",
            document.breaks,
            {"Type": _break_type, "Now": "state", "Age (days)": "age", "Currency": "currency", "Breaks": "count"},
            money_of("currency", Amount="minor"),
        ),
        _sheet(
            "Restatements",
            document.restatements,
            {"Day": "business_date", "What": "kind", "Operations": "count", "Currency sealed": "currency_before"},
            money_of("currency_before", Sealed="minor_before"),
            {"Currency now": "currency_after"},
            money_of("currency_after", Now="minor_after"),
            {"Known since": _moment("known_at")},
        ),
        _sheet(
            "Days",
            document.days,
            {"Day": "business_date", "State": lambda day: "sealed" if day.seal else "not sealed"},
            {"Operations": "operations"},
            {"Prepared by": _sealed("prepared_by"), "Closed by": _sealed("closed_by"), "Row": _sealed("close_no")},
            {"Document SHA-256": _sealed("document_sha256"), "Head of the chain": _sealed("entry_hash")},
            {"Why not": "reason", "Next command": "command"},
        ),
    ]


def _sealed(name: str) -> Column:
    return lambda day: getattr(day.seal, name, None)


def _write(book: Workbook, sheet: Sheet, format_of: Callable[..., Format]) -> None:
    """Write a table with its head frozen and its columns wide enough."""
    page = book.add_worksheet(sheet.name)
    page.freeze_panes(1, 0)
    columns = zip(*sheet.rows, strict=True) if sheet.rows else [()] * len(sheet.columns)
    for number, (name, values) in enumerate(zip(sheet.columns, columns, strict=True)):
        right = any(isinstance(value, Money | int) for value in values) and sheet.name != "Summary"
        page.write_string(0, number, name, format_of(bold=True, bottom=1, align="right" if right else "left"))
        page.set_column(number, number, min(WIDEST, max(len(text) for text in (name, *map(_text, values))) + 2))
        for row, value in enumerate(values, start=1):
            content, properties = _cell(value)
            if content is not None:
                # a text, also when it is copied on: a merchant's "=1+1" is no formula
                write = page.write_string if isinstance(content, str) else page.write
                write(row, number, content, format_of(**properties))


def _cell(value: Any) -> tuple[Any, dict[str, Any]]:
    """Return what a cell holds, if anything, and the properties of its format."""
    if value is None:
        return None, {}
    if isinstance(value, Money):
        if value.minor is None:
            return None, {}
        if value.exponent is None or len(str(abs(value.minor))) > MOST_DIGITS:
            return _text(value), {"align": "right"}
        decimals = f".{'0' * value.exponent}" if value.exponent else ""
        # at most 15 digits: the nearest double shows exactly these
        return value.minor / 10**value.exponent, {"num_format": f"#,##0{decimals}"}
    if isinstance(value, int | date):
        is_date = isinstance(value, date)
        return value, {"num_format": "yyyy-mm-dd", "align": "left"} if is_date else {"num_format": "#,##0"}
    text = str(value)
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…", {"quote_prefix": True}


def _text(value: Any) -> str:
    if isinstance(value, Money):
        return "" if value.minor is None else amount(value.minor, value.exponent)
    return "" if value is None else str(value)
