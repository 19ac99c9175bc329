"""Commands of finance: the merchant's ledger, reconciliation and its breaks, closing a day, the daily report."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.accounts import AccountScope
from pipelines.cli import console
from pipelines.cli.accounts import (
    EachAccount,
    OneAccount,
    api_settings,
    each_in_turn,
    migrated_warehouse,
    only_account,
    reading_warehouse,
)
from pipelines.cli.console import AsJson, BusinessDay, read_day
from pipelines.cli.dagster_runs import execute
from resources.errors import ConfigError, Incomplete
from resources.settings import report_dir
from resources.warehouse.engine import Warehouse, run
from resources.warehouse.reference import check_account, settings_in_force

if TYPE_CHECKING:
    from pipelines.reconciliation.ledger_entries import Fault
    from pipelines.reports.document import DayDocument

app = typer.Typer()
ledger_app = typer.Typer(name="ledger", help="The merchant's own books.", no_args_is_help=True, rich_markup_mode=None)

SHOWN_FAULTS = 20
MOST_BREAKS = 200
FORMULA_STARTS = frozenset("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")  # a spreadsheet calculates a cell that begins so


@app.command()
def reconcile(
    day: BusinessDay,
    leg: Annotated[
        list[str] | None, typer.Option(metavar="LEG", help="completeness, books or balances only; may be given again")
    ] = None,
    account: EachAccount = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Compare a day with a fresh walk, your own books and the balances."""
    from pipelines.reconciliation.reconcile import LEGS, is_over

    business_day = read_day("--date", day)
    legs = leg or list(LEGS)
    for name in legs:
        if name not in LEGS:
            raise ConfigError(f"--leg {name!r} is no leg: write {', '.join(LEGS)}.")

    def work(scope: AccountScope) -> None:
        if "completeness" in legs:
            api_settings(scope)
        settings = scope.settings
        if business_day < settings.first_day:
            raise ConfigError(f"{business_day} is before the first day this system keeps, {settings.first_day}.")
        with migrated_warehouse() as store:
            if not is_over(store, scope.account, business_day):
                zone = settings_in_force(store, settings).reference.reporting_zone
                raise ConfigError(f"{business_day} is not over in {zone}: reconcile it when it is.")
        config = {scope.op("reconciliation"): {"legs": legs, "prove_again": True}}
        execute(scope, "reconcile", days=(business_day, business_day), config=config)
        with reading_warehouse() as store:
            found = _day_of(store, scope.account, business_day, legs)
        if as_json:
            console.document({"account": scope.account, "day": business_day, **found})
        else:
            _print_day(found)
        proof = found.get("completeness")
        if proof and proof.reason:
            raise Incomplete(f"{business_day} is not complete: {proof.reason}.")

    each_in_turn(account, work, as_json=as_json)


def _day_of(store: Warehouse, account: str, day: date, legs: Sequence[str]) -> dict[str, Any]:
    """Return what each leg found, by its name, and the breaks of the day, counted."""
    figures = {row.leg: row.figures for row in store.query("cli/finance/day_summary", account=account, day=day)}
    found: dict[str, Any] = {name: figures[name] for name in ("books", "balances") if name in legs}
    if "completeness" in legs:
        (found["completeness"],) = store.query("reconciliation/close/seal_completeness", account=account, day=day)
    return {**found, "breaks": store.query("cli/finance/day_breaks", account=account, day=day)}


def _print_day(found: Mapping[str, Any]) -> None:
    if "completeness" in found:
        proof = found["completeness"]
        console.line(
            f"completeness: {proof.verdict}, {proof.rows_walked:,} operations walked in {proof.requests:,} requests"
        )
    if "books" in found:
        figures = found["books"]
        if figures["has_books"]:
            passes = ", ".join(f"{count:,} by {name}" for name, count in sorted(figures["matches"].items())) or "none"
            console.line(
                f"own books: {figures['operations_required']:,} operations, {figures['entries']:,} entries; "
                f"matches: {passes}"
            )
        else:
            console.line("own books: no ledger entry yet (`ecommpay-sync ledger import FILE`)")
    if "balances" in found:
        figures = found["balances"]
        console.line(
            f"balances: {figures['balances']} rolled forward, {figures['explained']} explained, {figures['lag']} lag, "
            f"{figures['unexplained']} unexplained, {figures['without_snapshot']} without a snapshot"
        )
    counts = ", ".join(f"{row.count:,} {row.break_type.replace('_', ' ')} ({row.state})" for row in found["breaks"])
    console.line(f"breaks of the day: {counts or 'none'}")


@app.command()
def breaks(
    day: Annotated[str | None, typer.Option("--date", metavar="DAY", help="of this business day only")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="explained ones too")] = False,
    account: EachAccount = None,
    as_json: AsJson = False,
) -> None:
    """List the open breaks, oldest first."""
    from resources.currencies import major_units

    business_day = read_day("--date", day) if day else None

    def show(scope: AccountScope) -> None:
        with reading_warehouse() as store:
            rows = store.query(
                "cli/finance/breaks_list",
                account=scope.account,
                day=business_day,
                explained=everything,
                most=None if as_json else MOST_BREAKS,
            )
        if as_json:
            console.document({"account": scope.account, "breaks": rows})
            return
        if not rows:
            console.line("no breaks" if everything else "no open breaks")
            return
        console.table(
            "Breaks",
            ("id", "day", "age", "type", "state", "amount", "currency", "operation", "entry", "what", "owner", "note"),
            [
                (
                    row.break_id,
                    row.business_date,
                    row.age_bucket,
                    row.break_type,
                    row.state,
                    major_units(row.amount_minor, row.currency, row.business_date),
                    row.currency or "",
                    row.operation_id or "",
                    row.entry_id or row.balance_name or "",
                    row.detail,
                    row.owner or "",
                    row.note or "",
                )
                for row in rows
            ],
            ("id", "amount"),
        )
        if len(rows) == MOST_BREAKS:
            console.line(f"the first {MOST_BREAKS}; all are in recon.aged_breaks")

    each_in_turn(account, show, as_json=as_json)


@app.command()
def explain(
    break_id: Annotated[int, typer.Argument(metavar="BREAK_ID")],
    by: Annotated[str, typer.Option(metavar="NAME", help="who explains it")],
    note: Annotated[str, typer.Option(metavar="TEXT", help="how")],
    account: OneAccount = None,
) -> None:
    """Explain a break: it stays on record and does not come back as new."""
    scope = only_account(account)
    by, note = by.strip(), note.strip()
    if not by or not note:
        raise ConfigError("--by and --note must not be empty: who explains the break, and how.")
    with migrated_warehouse() as store, store.transaction() as connection:
        run(connection, "cli/finance/break_actor", by=by)
        rows = run(connection, "cli/finance/break_explain", account=scope.account, break_id=break_id, by=by, note=note)
    if not rows:
        raise ConfigError(f"there is no unresolved break {break_id}: `ecommpay-sync breaks` lists them.")
    console.line(f"explained: break {break_id}, {rows[0].break_type}")


@app.command()
def close(
    day: BusinessDay,
    by: Annotated[str, typer.Option(metavar="NAME", help="who prepares the figures, or reviewed them and closes")],
    *,
    with_open_breaks: Annotated[bool, typer.Option("--with-open-breaks", help="although breaks are open")] = False,
    account: OneAccount = None,
) -> None:
    """Seal the figures of a day under four eyes: one person's call prepares them, another's closes the day."""
    from pipelines.reconciliation.close import Sealed, close_day, is_same_person

    scope = only_account(account)
    business_day = read_day("--date", day)
    with migrated_warehouse() as store:
        result = close_day(store, scope.account, business_day, by=by, with_open_breaks=with_open_breaks)
    if isinstance(result, Sealed):
        console.line(
            f"closed: {business_day}, row {result.close_no} of recon.closes, figures SHA-256 {result.document_sha256}"
        )
        console.line(f"head of the chain: {result.entry_hash}")
        return
    before = result.instead_of
    if before and not is_same_person(before.by, result.by):
        raise Incomplete(
            f"{business_day} is not closed: its figures changed since {before.by} prepared them. They are prepared "
            f"anew by {result.by}, and another person closes the day."
        )
    console.line(f"prepared: {business_day} by {result.by}, figures SHA-256 {result.figures_sha256}")
    console.line(
        f"now another person looks at the report and closes it: `ecommpay-sync close --date {business_day} --by NAME`"
    )


@app.command()
def reopen(
    day: Annotated[str, typer.Option("--date", metavar="DAY", help="a closed business day")],
    by: Annotated[str, typer.Option(metavar="NAME", help="who opens it")],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="why")],
    account: OneAccount = None,
) -> None:
    """Open a closed day again; what was sealed stays on record."""
    from pipelines.reconciliation.close import reopen_day

    scope = only_account(account)
    business_day = read_day("--date", day)
    with migrated_warehouse() as store:
        number = reopen_day(store, scope.account, business_day, by=by, reason=reason)
    console.line(f"open again: {business_day}, row {number} of recon.closes; what was sealed stays there")


@app.command()
def report(
    day: BusinessDay,
    folder: Annotated[
        Path | None, typer.Option("--output", metavar="FOLDER", help="where to; else SYNC_REPORT_DIR")
    ] = None,
    account: EachAccount = None,
) -> None:
    """Write the daily close report of a day: one page and one workbook; of a closed day the sealed figures."""
    from pipelines.reports.publish import publish

    business_day = read_day("--date", day)

    def write(scope: AccountScope) -> None:
        with reading_warehouse() as store:
            zone = settings_in_force(store, scope.settings).reference.reporting_zone
            published = publish(store, scope.account, business_day, zone, folder or report_dir())
        _print_report(published.document)
        console.line(f"page:     {published.page}")
        console.line(f"workbook: {published.workbook}")
        console.line()

    each_in_turn(account, write)


def _print_report(document: DayDocument) -> None:
    """Print the day in one line, its totals and its open breaks."""
    from pipelines.reports.page import exponents_of, sentence
    from pipelines.reports.words import amount, break_name, change, rate

    console.line(f"{document.business_date} ({document.reporting_zone}): {sentence(document)}")
    console.line()
    totals = [
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
    if totals:
        columns = ("currency", "volume", "day before", "out", "approved", "operations")
        console.table("Totals of the day", columns, totals, columns[1:])
    exponents = exponents_of(document)
    groups = [
        (
            break_name(group.break_type),
            group.age,
            group.currency or "—",
            f"{group.count:,}",
            amount(group.amount_minor, exponents.get(group.currency)),
        )
        for group in document.breaks
    ]
    if groups:
        console.table(
            "Open breaks", ("break", "age (days)", "currency", "count", "amount"), groups, ("count", "amount")
        )


@ledger_app.command("import")
def ledger_import(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="a .csv, .parquet or .xlsx; docs/reconciliation.md")],
    *,
    accept_partial: Annotated[
        bool, typer.Option("--accept-partial", help="import the good rows although others are rejected")
    ] = False,
    replace_day: Annotated[
        bool, typer.Option("--replace-day", help="withdraw the entries of the file's days that it no longer has")
    ] = False,
    rejects: Annotated[Path | None, typer.Option(metavar="FILE", help="write all rejected rows' faults here")] = None,
    account: OneAccount = None,
) -> None:
    """Import entries of your own books: the whole file or nothing; a second time changes nothing."""
    from pipelines.reconciliation.ledger_import import import_ledger
    from resources.currencies import exponent_of

    scope = only_account(account)
    with migrated_warehouse() as store:
        with store.transaction() as connection:
            check_account(connection)
        zone = settings_in_force(store, scope.settings).reference.reporting_zone
        result = import_ledger(
            store, scope.account, file, zone, exponent_of, accept_partial=accept_partial, replace_day=replace_day
        )
    if rejects is not None:
        _write_faults(rejects, result.faults)
    if result.faults:
        rows = [(fault.line, fault.column, fault.problem, fault.advice) for fault in result.faults[:SHOWN_FAULTS]]
        console.table("Rejected", ("line", "column", "what was wrong", "what to do"), rows, ("line",))
    rejected = f"{result.rows_rejected:,} row{'s' * (result.rows_rejected != 1)} of it cannot be read"
    if result.import_id is None:
        more = len(result.faults) - SHOWN_FAULTS
        raise ConfigError(
            f"nothing of {file.name} was imported: {rejected}"
            + (f" ({more:,} faults more than shown: --rejects FILE lists all)" if more > 0 else "")
            + "; correct it, or import the rest with --accept-partial."
        )
    console.line(
        f"imported: {result.rows_new:,} new, {result.rows_changed:,} corrected, {result.rows_unchanged:,} unchanged "
        f"entries of {result.rows_read:,} rows (import {result.import_id})"
        + (f"; {result.rows_withdrawn:,} withdrawn" if replace_day else "")
    )
    if result.faults:
        raise Incomplete(f"{rejected}: correct and import them again.")


def _write_faults(path: Path, faults: Sequence[Fault]) -> None:
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("line", "column", "problem", "advice"))
            writer.writerows((fault.line, _as_text(fault.column), fault.problem, fault.advice) for fault in faults)
    except OSError as error:
        raise ConfigError(f"--rejects {path} cannot be written: {error.strerror}.") from None


def _as_text(cell: str) -> str:
    """Return the cell with a quote before what a spreadsheet would take for a formula."""
    return f"'{cell}" if cell[:1] in FORMULA_STARTS else cell


app.add_typer(ledger_app)
