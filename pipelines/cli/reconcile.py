"""`reconcile`, `ledger import`, `breaks`, `explain`, `close`, `reopen`: what they print."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from pipelines.cli import account, show
from pipelines.cli.run import execute
from pipelines.cli.store import migrated_store, reading_store
from pipelines.money import exponent_of, major_units
from pipelines.reconciliation.close import Sealed, close_day, reopen_day
from pipelines.reconciliation.entry_rows import Fault
from pipelines.reconciliation.ledger_import import ImportReport, import_ledger
from pipelines.reconciliation.preparing import is_same_person
from pipelines.reconciliation.reconcile import LEGS, is_over
from resources.errors import ConfigError, Incomplete
from resources.warehouse.engine import Warehouse, run
from resources.warehouse.reference import settings_in_force

SHOWN_FAULTS = 20
MOST_BREAKS = 200


def run_reconcile(day: date, legs: Sequence[str]) -> None:
    """Reconcile a day through the job `reconcile` and print what was found."""
    unknown = [leg for leg in legs if leg not in LEGS]
    if unknown:
        raise ConfigError(f"--leg {unknown[0]!r} is no leg: write {', '.join(LEGS)}.")
    wanted = list(legs or LEGS)
    if "completeness" in wanted:
        account.api_settings()
    settings = account.settings()
    if day < settings.first_day:
        raise ConfigError(f"{day} is before the first day this system keeps, {settings.first_day}.")
    with migrated_store() as store:
        if not is_over(store, settings.account, day):
            zone = settings_in_force(store, settings).reference.reporting_zone
            raise ConfigError(f"{day} is not over in {zone}: reconcile it when it is.")
    from pipelines.schedules import range_tags

    config = {"ops": {account.owner().op("reconciliation"): {"config": {"legs": wanted, "prove_again": True}}}}
    execute("reconcile", tags=range_tags(day, day), config=config)
    with reading_store() as store:
        _print_day(store, settings.account, day, wanted)


def _print_day(store: Warehouse, account: str, day: date, legs: Sequence[str]) -> None:
    found = {row.leg: row.figures for row in store.query("cli/finance/day_summary", account=account, day=day)}
    incomplete = None
    if "completeness" in legs:
        (proof,) = store.query("cli/finance/seal_completeness", account=account, day=day)
        show.line(
            f"completeness: {proof.verdict}, {proof.rows_walked:,} operations walked in {proof.requests:,} requests"
        )
        incomplete = proof.reason
    if "books" in legs:
        books = found["books"]
        if books["has_books"]:
            passes = ", ".join(f"{count:,} by {name}" for name, count in sorted(books["matches"].items())) or "none"
            show.line(
                f"own books: {books['operations_required']:,} operations, {books['entries']:,} entries; "
                f"matches: {passes}"
            )
        else:
            show.line("own books: no ledger entry yet (`ecommpay-sync ledger import FILE`)")
    if "balances" in legs:
        figures = found["balances"]
        show.line(
            f"balances: {figures['balances']} rolled forward, {figures['explained']} explained, {figures['lag']} lag, "
            f"{figures['unexplained']} unexplained, {figures['without_snapshot']} without a snapshot"
        )
    breaks = store.query("cli/finance/day_breaks", account=account, day=day)
    told = ", ".join(f"{row.count:,} {row.break_type.replace('_', ' ')} ({row.state})" for row in breaks)
    show.line(f"breaks of the day: {told or 'none'}")
    if incomplete:
        raise Incomplete(f"{day} is not complete: {incomplete}.")


def run_import(path: Path, rejects: Path | None, *, accept_partial: bool) -> None:
    """Import a ledger file and print what it brought, or what is wrong with it."""
    settings = account.settings()
    with migrated_store() as store:
        zone = settings_in_force(store, settings).reference.reporting_zone
        report = import_ledger(store, settings.account, path, zone, exponent_of, accept_partial=accept_partial)
    if rejects is not None:
        _write_faults(rejects, report.faults)
    if report.faults:
        rows = [(fault.line, fault.column, fault.problem, fault.advice) for fault in report.faults[:SHOWN_FAULTS]]
        show.table("Rejected", ("line", "column", "what was wrong", "what to do"), rows, ("line",))
    if report.import_id is None:
        more = len(report.faults) - SHOWN_FAULTS
        raise ConfigError(
            f"nothing of {path.name} was imported: {_rejected(report)}"
            + (f" ({more:,} faults more than shown: --rejects FILE lists all)" if more > 0 else "")
            + "; correct it, or import the rest with --accept-partial."
        )
    show.line(
        f"imported: {report.rows_new:,} new, {report.rows_changed:,} corrected, {report.rows_unchanged:,} unchanged "
        f"entries of {report.rows_read:,} rows (import {report.import_id})"
    )
    if report.faults:
        raise Incomplete(f"{_rejected(report)}: correct and import them again.")


def _rejected(report: ImportReport) -> str:
    count = report.rows_rejected
    return f"{count:,} row{'s' * (count != 1)} of it cannot be read"


def _write_faults(path: Path, faults: Sequence[Fault]) -> None:
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("line", "column", "problem", "advice"))
            writer.writerows((fault.line, _no_formula(fault.column), fault.problem, fault.advice) for fault in faults)
    except OSError as error:
        raise ConfigError(f"--rejects {path} cannot be written: {error.strerror}.") from None


def _no_formula(text: str) -> str:
    """Without what makes a spreadsheet calculate: it looks at the first character, full-width ones too."""
    return f"'{text}" if text[:1] in _BEGINS_A_FORMULA else text


_BEGINS_A_FORMULA = frozenset("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


def list_breaks(day: date | None, *, everything: bool) -> None:
    """Print the open breaks, oldest first; with `everything` also the explained ones."""
    name = account.settings().account
    with reading_store() as store:
        rows = store.query("cli/finance/breaks_list", account=name, day=day, explained=everything, most=MOST_BREAKS)
    if not rows:
        show.line("no breaks" if everything else "no open breaks")
        return
    show.table(
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
        show.line(f"the first {MOST_BREAKS}; all are in recon.aged_breaks")


def explain_break(break_id: int, by: str, note: str) -> None:
    """Mark a break as explained, with who said what."""
    if not by.strip() or not note.strip():
        raise ConfigError("--by and --note must not be empty: who explains the break, and how.")
    name = account.settings().account
    with migrated_store() as store, store.transaction() as connection:
        run(connection, "cli/finance/break_actor", by=by.strip())
        found = run(
            connection, "cli/finance/break_explain", account=name, break_id=break_id, by=by.strip(), note=note.strip()
        )
    if not found:
        raise ConfigError(f"there is no unresolved break {break_id}: `ecommpay-sync breaks` lists them.")
    show.line(f"explained: break {break_id}, {found[0].break_type}")


def run_close(day: date, by: str, *, with_open_breaks: bool) -> None:
    """Prepare a day's figures, or seal them when somebody else prepared them, and print which of the two it was."""
    name = account.settings().account
    with migrated_store() as store:
        done = close_day(store, name, day, by=by, with_open_breaks=with_open_breaks)
    if isinstance(done, Sealed):
        show.line(f"closed: {day}, row {done.close_no} of recon.closes, figures SHA-256 {done.document_sha256}")
        show.line(f"head of the chain: {done.entry_hash}")
        return
    before = done.instead_of
    if before and not is_same_person(before.by, done.by):
        raise Incomplete(
            f"{day} is not closed: its figures changed since {before.by} prepared them. They are prepared anew by "
            f"{done.by}, and another person closes the day."
        )
    show.line(f"prepared: {day} by {done.by}, figures SHA-256 {done.figures_sha256}")
    show.line(f"now another person looks at the report and closes it: `ecommpay-sync close --date {day} --by NAME`")


def run_reopen(day: date, by: str, reason: str) -> None:
    """Open a closed day again."""
    name = account.settings().account
    with migrated_store() as store:
        number = reopen_day(store, name, day, by=by, reason=reason)
    show.line(f"open again: {day}, row {number} of recon.closes; what was sealed stays there")
