"""Commands of finance: the merchant's ledger and its reconciliation. Breaks are in `queue`, closing in `closing`."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from pipelines.cli import console
from pipelines.cli.accounts import each_in_turn, migrated_warehouse, only_account, reading_warehouse
from pipelines.cli.console import AsJson, BusinessDay, EachAccount, OneAccount, read_day
from pipelines.cli.dagster_runs import execute
from resources.accounts import AccountScope, accounts_of
from resources.currencies import exponent_of, major_units
from resources.errors import ConfigError, Incomplete
from resources.output import Column, counted, named_if_refused, with_formula_quote, write_named, write_whole
from resources.settings import ledger_mappings
from resources.warehouse.engine import Warehouse
from resources.warehouse.reference import settings_in_force

if TYPE_CHECKING:
    from pipelines.reconciliation.ledger_entries import Entry, Fault
    from pipelines.reconciliation.mapping import LedgerMapping

app = typer.Typer()
ledger_app = typer.Typer(name="ledger", help="The merchant's own books.", no_args_is_help=True, rich_markup_mode=None)

SHOWN_FAULTS = 20
SHOWN_ROWS = 10


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
            try:
                accounts_of().api_settings(scope.account)
            except ConfigError as error:
                raise ConfigError(f"{error} Books and balances alone need none: --leg books --leg balances.") from None
        settings = scope.settings
        if business_day < settings.first_day:
            raise ConfigError(f"{business_day} is before the first day this system keeps, {settings.first_day}.")
        with migrated_warehouse(scope) as store:
            if not is_over(store, scope.account, business_day):
                zone = settings_in_force(store, settings).reference.reporting_zone
                raise ConfigError(f"{business_day} is not over in {zone}: reconcile it when it is.")
        config = {scope.op("reconciliation"): {"legs": legs, "prove_again": True}}
        execute(scope, "reconcile", days=(business_day, business_day), config=config)
        with reading_warehouse(scope) as store:
            found = _day_of(store, legs, account=scope.account, day=business_day)
        if as_json:
            console.document({"account": scope.account, "day": business_day, **found})
        else:
            _print_day(found)
        proof = found.get("completeness")
        if proof and proof.reason:
            raise Incomplete(f"{business_day} is not complete: {proof.reason}.")

    each_in_turn(account, work, as_json=as_json)


def _day_of(store: Warehouse, legs: Sequence[str], **day: Any) -> dict[str, Any]:
    """Return what each leg found, by its name, and the breaks of the day, counted."""
    figures = {row.leg: row.figures for row in store.query("cli/finance/day_summary", **day)}
    found: dict[str, Any] = {name: figures[name] for name in ("books", "balances") if name in legs}
    if "completeness" in legs:
        (found["completeness"],) = store.query("reconciliation/close/seal_completeness", **day)
    return {**found, "breaks": store.query("cli/finance/day_breaks", **day)}


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


MAPPING = typer.Option(
    "--map", metavar="NAME", help="a mapping of the folder SYNC_LEDGER_MAPPINGS, a ready one, or a path"
)


@ledger_app.command("import")
def ledger_import(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="your export; docs/reconciliation.md")],
    *,
    mapping_name: Annotated[str | None, MAPPING] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="show how the file would be understood, and write nothing")
    ] = False,
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
    from pipelines.reconciliation.mapping import read_mapping

    scope = only_account(account)
    mapping = None if mapping_name is None else read_mapping(mapping_name, ledger_mappings())
    if rejects is not None:
        with suppress(OSError):  # one of them is not there, or cannot be
            if rejects.samefile(file):
                raise ConfigError(f"--rejects {str(rejects)!r} is the file to import: name another one.")
        _write_faults(rejects, ())  # first: nothing is imported whose faults could not be reported
    if dry_run and (accept_partial or replace_day):
        raise ConfigError("--dry-run shows what is in the file: leave out --accept-partial and --replace-day.")
    if dry_run:
        _preview(scope, file, mapping, rejects)
        return
    with migrated_warehouse(scope) as store:
        zone = settings_in_force(store, scope.settings).reference.reporting_zone
        allowed = {"accept_partial": accept_partial, "replace_day": replace_day}
        result = import_ledger(store, scope.account, file, zone, exponent_of, mapping=mapping, **allowed)
    _report_faults(file, mapping, result.faults, rejects)
    if result.faults and not result.rows_read:
        named = f"those of mapping {mapping_name}" if mapping else "those of the contract (docs/reconciliation.md)"
        raise ConfigError(
            f"nothing of {file.name} was imported: its columns are not {named}: name a mapping that fits (--map); "
            "`ecommpay-sync ledger map FILE` writes one."
        )
    rejected = f"{counted(result.rows_rejected, 'row')} of it cannot be read"
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
        + (f"; rows that are no entries: {result.rows_skipped:,}" if result.rows_skipped else "")
    )
    if not result.rows_read:
        console.line(f"{file.name} has no row with an entry: is it the right export?")
    if result.faults:
        raise Incomplete(f"{rejected}: correct and import them again.")


@ledger_app.command("map")
def ledger_map(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="an export of your accounting system")],
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="what to call the mapping; else as the file")
    ] = None,
) -> None:
    """Look at an export and write a first mapping for it, its guesses and doubts marked."""
    from pipelines.reconciliation.guess_mapping import guess_mapping

    name = name or file.stem
    if not re.fullmatch(r"[\w.-]+(?<!\.toml)", name.replace(" ", "_")):
        raise ConfigError(f"--name {name!r} is no name of a mapping: use letters, digits, _, - and points.")
    path = ledger_mappings() / f"{name.replace(' ', '_')}.toml"
    if path.exists():
        raise ConfigError(f"{path} is there already: edit it, or write another one with --name.")
    guess = guess_mapping(file)
    with named_if_refused(str(path), ": see SYNC_LEDGER_MAPPINGS"):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, guess.toml(file.name).encode())
    console.line(f"mapping: {path}")
    for doubt in guess.doubts:
        console.line(f"to decide: {doubt}")
    console.line(
        f"next: {'edit these lines, ' if guess.doubts else ''}look at the guesses, then "
        f"`ecommpay-sync ledger import {file} --map {path.stem} --dry-run`"
    )


@ledger_app.command("inbox")
def ledger_inbox(account: EachAccount = None) -> None:
    """Import the files of the folder SYNC_LEDGER_INBOX that are complete, as the nightly job does."""
    from pipelines.reconciliation.ledger_import import import_inbox, misplaced_files

    def work(scope: AccountScope) -> None:
        inbox = scope.settings.ledger_inbox
        if inbox is None:
            raise ConfigError("SYNC_LEDGER_INBOX is not set: name the folder that files are imported from.")
        with migrated_warehouse(scope) as store:
            zone = settings_in_force(store, scope.settings).reference.reporting_zone
            files = list(import_inbox(store, scope.account, inbox, ledger_mappings(), zone, exponent_of))
        for file in files:
            console.line(f"{file.mapping}/{file.name}: {file.sentence}")
        misplaced = misplaced_files(inbox, scope.account, accounts_of().names)
        for sentence in misplaced:
            console.line(sentence)
        if not files:
            console.line(f"no file is complete in {inbox / scope.account}")
        refused = sum(file.imported is None for file in files)
        said = [f"{refused} of {len(files)} files refused: the reports are beside them"] * bool(refused)
        said += [f"{counted(len(misplaced), 'file')} read by nobody: move or delete"] * bool(misplaced)
        if said:
            raise Incomplete(f"{'; '.join(said)}.")

    each_in_turn(account, work)


def _preview(scope: AccountScope, file: Path, mapping: LedgerMapping | None, rejects: Path | None) -> None:
    """Print the first entries of a file, its totals and its faults; that rows would be refused is raised."""
    from pipelines.reconciliation.ledger_import import EntryReader

    with reading_warehouse(scope) as store:
        zone = ZoneInfo(settings_in_force(store, scope.settings).reference.reporting_zone)
        reader = EntryReader(file, zone, exponent_of, mapping)
        first: list[Entry] = []
        totals: dict[tuple[str, str, str], list[int]] = {}
        days: set[date] = set()

        def booked(entry: Entry) -> str:
            at = entry.booked_at.astimezone(zone)
            return f"{at:%Y-%m-%d}" if entry.is_date_only else f"{at:%Y-%m-%d %H:%M:%S%z}"

        def money(name: str) -> Column:
            return lambda entry: major_units(
                getattr(entry, name), entry.currency, entry.booked_at.astimezone(zone).date()
            )

        for entry in reader:
            if len(first) < SHOWN_ROWS:
                first.append(entry)
            total = totals.setdefault((entry.currency, entry.operation_type, entry.status), [0, 0])
            total[0] += 1
            total[1] += entry.amount_minor
            days.add(entry.booked_at.astimezone(zone).date())
        console.table(
            "The first entries",
            first,
            {"entry": "entry_id", "booked": booked, "type": "operation_type", "status": "status"},
            {"currency": "currency", ">amount": money("amount_minor"), ">fee": money("fee_minor")},
            {"operation": "operation_id", "project": "project_id", "payment": "payment_id", "reference": "reference"},
        )
        console.table(
            "Totals",
            [(*key, count, minor) for key, (count, minor) in sorted(totals.items())],
            {"currency": itemgetter(0), "type": itemgetter(1), "status": itemgetter(2)},
            {">entries": lambda total: f"{total[3]:,}"},
            {">amount": lambda total: major_units(total[4], total[0], max(days))},
        )
        for rule, count in sorted(reader.skipped.items()):
            console.line(f"no entries: {counted(count, 'row')} ({rule})")
        _report_faults(file, mapping, reader.faults, rejects)
        if reader.has_wrong_header:
            raise Incomplete(f"the columns of {file.name} are not those that were to be read: name another mapping.")
        good = sum(count for count, _ in totals.values())
        period = f", {min(days)} to {max(days)} ({zone})" if days else ""
        console.line(f"understood: {good:,} entries of {reader.rows_read:,} rows{period}; nothing was written")
        if reader.faults:
            bad = counted(len({fault.line for fault in reader.faults}), "row")
            raise Incomplete(f"{bad} of {file.name} would be refused.")


def _report_faults(file: Path, mapping: LedgerMapping | None, faults: Sequence[Fault], rejects: Path | None) -> None:
    if rejects is not None:
        _write_faults(rejects, faults)
    sheet = f", sheet {mapping.sheet}" if mapping and mapping.sheet else ""
    columns = {">line": "line", "column": "column", "what was wrong": "problem", "what to do": "advice"}
    console.table(f"Rejected of {file.name}{sheet}", faults[:SHOWN_FAULTS], columns)


def _write_faults(path: Path, faults: Sequence[Fault]) -> None:
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(("line", "column", "problem", "advice"))
    writer.writerows((fault.line, with_formula_quote(fault.column), fault.problem, fault.advice) for fault in faults)
    write_named(f"--rejects {str(path)!r}", path, file.getvalue().encode())


app.add_typer(ledger_app)
