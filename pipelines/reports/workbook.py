"""The report as a spreadsheet: exact figures, no formula in any cell, the same bytes for the same document.

A spreadsheet's numbers hold 15 digits; an amount with more is written as text, or it would be rounded.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from pipelines.reports import month
from pipelines.reports.document import CurrencyDay, CurrencyTotals, DayDocument, amount, break_name, digest, rate
from pipelines.reports.month import MonthDay, MonthDocument
from pipelines.reports.one_currency import InOneCurrency
from pipelines.reports.page import exponents_of, moment, month_totals, sentence

if TYPE_CHECKING:
    from xlsxwriter.format import Format
    from xlsxwriter.workbook import Workbook
    from xlsxwriter.worksheet import Worksheet

Column = str | Callable[[Any], Any]  # the attribute of a line, or what makes the cell of it

MOST_DIGITS = 15
LONGEST_TEXT = 16_000  # a longer one is cut; a cell holds 32,767 units, of which some characters take two
WIDEST = 60
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
    columns: tuple[str, ...]
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
        writer = _Writer(book)
        for sheet in pages:
            writer.sheet(sheet)
    return out.getvalue()


def sheets(document: DayDocument) -> list[Sheet]:
    """Return the tables of the workbook."""
    exponents = exponents_of(document)

    def money(name: str) -> Column:
        return lambda line: Money(getattr(line, name), exponents.get(line.currency))

    return [
        _summary(document),
        Sheet(
            "Totals",
            _total_columns("Volume the day before", "Volume a week before"),
            [_total_row(total, total.day_before, total.week_before) for total in document.totals],
        ),
        _sheet(
            "Balances",
            document.balances,
            {
                "Balance": "balance_name",
                "Currency": "currency",
                "Opening": money("opening_minor"),
                "Movements": money("movements_minor"),
                "Unexplained": money("unexplained_minor"),
                "Closing": money("closing_minor"),
            },
        ),
        _sheet(
            "Breaks",
            document.breaks,
            {
                "Type": _break_type,
                "Age (days)": "age",
                "Currency": "currency",
                "Breaks": "count",
                "Amount": money("amount_minor"),
            },
        ),
        _sheet(
            "Largest breaks",
            document.largest_breaks,
            {
                "Break": "break_id",
                "Type": _break_type,
                "State": "state",
                "Day": "business_date",
                "Currency": "currency",
                "Amount": money("amount_minor"),
                "Operation": "operation_id",
                "Reference": "reference",
                "Owner": "owner",
                "Note": "note",
                "Due": "due_date",
                "Mark": lambda line: ", ".join(["new"] * line.is_new + ["overdue"] * line.is_overdue) or None,
            },
        ),
        _sheet(
            "Owners",
            document.queue,
            {
                "Owner": lambda line: line.owner or "nobody yet",
                "Open breaks": "count",
                "New": "new",
                "Overdue": "overdue",
                "Oldest (days)": "oldest_days",
            },
        ),
        _sheet(
            "Restatements",
            document.restatements,
            {
                "Operation": "operation_id",
                "What": "kind",
                "Status before": "status_before",
                "after": "status_after",
                "Currency": "currency",
                "Before": money("amount_before"),
                "After": money("amount_after"),
                "Known from": lambda line: moment(line.known_from),
                "Known since": lambda line: moment(line.known_to),
            },
        ),
    ]


def _sheet(name: str, lines: Sequence[Any], columns: Mapping[str, Column]) -> Sheet:
    """Return a table with a row for each line, each column by its title."""
    values = [attrgetter(column) if isinstance(column, str) else column for column in columns.values()]
    return Sheet(name, tuple(columns), [[value(line) for value in values] for line in lines])


def _break_type(line: Any) -> str:
    return break_name(line.break_type)


def _total_columns(*before: str) -> tuple[str, ...]:
    return ("Currency", "Volume", "Out", "Net", *before, "Attempts", "Approved", "Operations")


def _total_row(total: CurrencyTotals, *before: CurrencyDay | None) -> tuple[Any, ...]:
    day, exponent = total.day, total.exponent
    earlier = [other.credit_minor if other else None for other in before]
    minors = (day.credit_minor, day.debit_minor, day.credit_minor - day.debit_minor, *earlier)
    amounts = (Money(minor, exponent) for minor in minors)
    return (total.currency, *amounts, day.attempts, day.approved, day.operations)


def _summary(document: DayDocument) -> Sheet:
    proof = document.completeness
    rows = [
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
    return Sheet("Summary", ("What", "Value"), rows)


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
    currencies = [_total_row(row.total, *row.before) for row in month_totals(document)]

    def money(name: str) -> Column:
        return lambda line: Money(getattr(line, name), line.exponent)

    def money_of(name: str, currency: str) -> Column:
        return lambda line: Money(getattr(line, name), document.decimals.get(getattr(line, currency) or ""))

    return [
        Sheet("Summary", ("What", "Value"), summary),
        Sheet("Currencies", _total_columns("Volume the month before"), currencies),
        _sheet(
            "Totals",
            document.totals,
            {
                "Currency": "currency",
                "Type": "type",
                "Status": "status",
                "Operations": "count",
                "Amount": money("minor"),
            },
        ),
        _sheet(
            "Balances",
            document.balances,
            {
                "Balance": "balance_name",
                "Currency": "currency",
                "From": "opening_day",
                "Opening": money("opening_minor"),
                "Movements": money("movements_minor"),
                "Unexplained": money("unexplained_minor"),
                "Closing": money("closing_minor"),
                "To": "closing_day",
            },
        ),
        _sheet(
            "Breaks",
            document.breaks,
            {
                "Type": _break_type,
                "Now": "state",
                "Age (days)": "age",
                "Currency": "currency",
                "Breaks": "count",
                "Amount": money_of("minor", "currency"),
            },
        ),
        _sheet(
            "Restatements",
            document.restatements,
            {
                "Day": "business_date",
                "What": "kind",
                "Operations": "count",
                "Currency sealed": "currency_before",
                "Sealed": money_of("minor_before", "currency_before"),
                "Currency now": "currency_after",
                "Now": money_of("minor_after", "currency_after"),
                "Known since": lambda line: moment(line.known_at),
            },
        ),
        Sheet("Days", _DAY_COLUMNS, [_day_row(day) for day in document.days]),
    ]


_DAY_COLUMNS = (
    *("Day", "State", "Operations", "Prepared by", "Closed by", "Row", "Document SHA-256", "Head of the chain"),
    *("Why not", "Next command"),
)


def _day_row(day: MonthDay) -> tuple[Any, ...]:
    seal = day.seal
    if seal is None:
        return (day.business_date, "not sealed", *(None,) * 6, day.reason, day.command)
    who = (seal.prepared_by, seal.closed_by, seal.close_no, seal.document_sha256, seal.entry_hash)
    return (day.business_date, "sealed", day.operations, *who, None, None)


class _Writer:
    """Writes cells in one workbook, a format a pattern."""

    def __init__(self, book: Workbook) -> None:
        self.book = book
        self._formats: dict[str, Format] = {}

    def sheet(self, sheet: Sheet) -> None:
        """Write a table with its head frozen and its columns wide enough."""
        page = self.book.add_worksheet(sheet.name)
        page.freeze_panes(1, 0)
        columns = zip(*sheet.rows, strict=True) if sheet.rows else [()] * len(sheet.columns)
        for number, (name, values) in enumerate(zip(sheet.columns, columns, strict=True)):
            right = any(isinstance(value, Money | int) for value in values) and sheet.name != "Summary"
            page.write_string(0, number, name, self._format(bold=True, bottom=1, align="right" if right else "left"))
            page.set_column(number, number, min(WIDEST, max(len(text) for text in (name, *map(_text, values))) + 2))
            for row, value in enumerate(values, start=1):
                self._cell(page, row, number, value)

    def _cell(self, page: Worksheet, row: int, column: int, value: Any) -> None:
        if isinstance(value, Money):
            self._money(page, row, column, value)
        elif isinstance(value, int):
            page.write_number(row, column, value, self._format(num_format="#,##0"))
        elif isinstance(value, date):
            moment_of = datetime(value.year, value.month, value.day)  # noqa: DTZ001 - a spreadsheet knows no zones
            page.write_datetime(row, column, moment_of, self._format(num_format="yyyy-mm-dd", align="left"))
        elif value is not None:
            # a text, also when it is copied on: a merchant's "=1+1" is no formula
            text = _text(value)
            text = text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…"
            page.write_string(row, column, text, self._format(quote_prefix=True))

    def _money(self, page: Worksheet, row: int, column: int, value: Money) -> None:
        if value.minor is None:
            return
        if value.exponent is None or len(str(abs(value.minor))) > MOST_DIGITS:
            page.write_string(row, column, _text(value), self._format(align="right"))
            return
        decimals = f".{'0' * value.exponent}" if value.exponent else ""
        # at most 15 digits: the nearest double shows exactly these
        number = value.minor / 10**value.exponent
        page.write_number(row, column, number, self._format(num_format=f"#,##0{decimals}"))

    def _format(self, **properties: Any) -> Format:
        key = repr(properties)
        if key not in self._formats:
            self._formats[key] = self.book.add_format(properties)
        return self._formats[key]


def _text(value: Any) -> str:
    if isinstance(value, Money):
        return "" if value.minor is None else amount(value.minor, value.exponent)
    return "" if value is None else str(value)
