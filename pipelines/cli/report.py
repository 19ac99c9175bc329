"""`report`: the daily close report of a business day, as a page and a workbook, with its summary on the terminal."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from pipelines.cli import account, show
from pipelines.cli.store import reading_store
from pipelines.reports.document import DayDocument
from pipelines.reports.publish import Published, publish
from pipelines.reports.words import amount, break_name, change, rate
from resources.settings import report_dir
from resources.warehouse.reference import settings_in_force


def write_report(day: date, folder: Path | None = None) -> Published:
    """Write the report of `day` and print its summary."""
    settings = account.settings()
    with reading_store() as store:
        zone = settings_in_force(store, settings).reference.reporting_zone
        published = publish(store, settings.account, day, zone, folder or report_dir())
    summary(published.document)
    show.line(f"page:     {published.page}")
    show.line(f"workbook: {published.workbook}")
    show.line()
    return published


def summary(document: DayDocument) -> None:
    """Print the day in one line, its totals and its open breaks."""
    from pipelines.reports.page import exponents_of, sentence

    show.line(f"{document.business_date} ({document.reporting_zone}): {sentence(document)}")
    show.line()
    rows = [
        (
            total.currency,
            amount(total.day.credit_minor, total.exponent),
            change(total.day.credit_minor, total.day_before.credit_minor if total.day_before else None),
            amount(total.day.debit_minor, total.exponent),
            rate(total.day.approved, total.day.attempts),
            f"{total.day.operations:,}",
        )
        for total in document.totals
    ]
    if rows:
        of_totals = ("currency", "volume", "day before", "out", "approved", "operations")
        show.table("Totals of the day", of_totals, rows, of_totals[1:])
    exponents = exponents_of(document)
    breaks = [
        (
            break_name(group.break_type),
            group.age,
            group.currency or "—",
            f"{group.count:,}",
            amount(group.amount_minor, exponents.get(group.currency)),
        )
        for group in document.breaks
    ]
    if breaks:
        of_breaks = ("break", "age (days)", "currency", "count", "amount")
        show.table("Open breaks", of_breaks, breaks, of_breaks[3:])
