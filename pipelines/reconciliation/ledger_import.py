"""Imports a ledger file into recon.ledger_entries: read, typed row by row, stored whole or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

import sql
from pipelines.reconciliation.ledger_entries import Entry, Exponent, Fault, header_faults, typed_entry
from pipelines.reconciliation.ledger_files import column_letter, read_ledger_file
from resources.errors import ConfigError
from resources.printable import printable
from resources.warehouse.engine import Warehouse, affect, driver_of, run, run_many


@dataclass(frozen=True)
class ImportReport:
    """What an import did; with faults and without `accept_partial` it did nothing (`import_id` is None)."""

    import_id: int | None
    rows_read: int
    rows_new: int
    rows_changed: int
    rows_unchanged: int
    faults: tuple[Fault, ...]
    rows_withdrawn: int = 0

    @property
    def rows_rejected(self) -> int:
        """How many rows have at least one fault."""
        return len({fault.line for fault in self.faults})


def import_ledger(
    warehouse: Warehouse,
    account: str,
    path: Path,
    zone: str,
    exponent: Exponent,
    *,
    accept_partial: bool = False,
    replace_day: bool = False,
) -> ImportReport:
    """Import the entries of a file; an entry known already is left alone, or corrected with its former state kept.

    With `replace_day`, an entry of one of the file's business days that the file does not have is withdrawn.

    Raises:
        ConfigError: the file cannot be read, or is to replace days and be taken in part; nothing is stored.
        WarehouseUnavailable, WarehouseBroken: nothing is stored.
    """
    if accept_partial and replace_day:
        raise ConfigError(
            "--replace-day withdraws what the file does not have: the file must be whole, leave out --accept-partial."
        )
    entries, faults, rows_read = read_entries(path, ZoneInfo(zone), exponent)
    wrong_header = rows_read == 0 and bool(faults)
    if wrong_header or (faults and not accept_partial):
        return ImportReport(None, rows_read, 0, 0, 0, tuple(faults))
    with warehouse.transaction() as connection:
        return _store(connection, account, path, entries, faults, rows_read, replace_day=replace_day)


def read_entries(path: Path, zone: ZoneInfo, exponent: Exponent) -> tuple[list[Entry], list[Fault], int]:
    """Return the entries of a file, what is wrong with its other rows, and how many rows it has.

    A header that breaks the contract is the only fault returned: nothing below it could be read.
    """
    names, rows = read_ledger_file(path)
    faults = header_faults(names)
    if faults:
        return [], faults, 0
    entries: list[Entry] = []
    lines: dict[str, int] = {}
    count = 0
    for line, values in rows:
        count += 1
        entry = _typed(line, names, values, zone, exponent)
        if isinstance(entry, Entry) and entry.entry_id in lines:
            entry = [Fault(line, "entry_id", f"stands in line {lines[entry.entry_id]} already", "keep one of them")]
        if isinstance(entry, Entry):
            lines[entry.entry_id] = line
            entries.append(entry)
        else:
            faults += entry
    return entries, faults, count


def _typed(line: int, names: list[str], values: list[Any], zone: ZoneInfo, exponent: Exponent) -> Entry | list[Fault]:
    if len(values) != len(names):
        advice = "complete the row" if len(values) < len(names) else "quote values with a comma; name every column"
        return [Fault(line, "(row)", f"has {len(values)} values, the header {len(names)}", advice)]
    unnamed = [
        Fault(line, f"column {column_letter(place)}", "has a value and no name", "name the column, or clear it")
        for place, (name, value) in enumerate(zip(names, values, strict=True))
        if not name and value not in (None, "")
    ]
    return unnamed or typed_entry(line, dict(zip(names, values, strict=True)), zone, exponent)


def _store(
    connection: Connection,
    account: str,
    path: Path,
    entries: list[Entry],
    faults: Iterable[Fault],
    rows_read: int,
    *,
    replace_day: bool,
) -> ImportReport:
    faults = tuple(faults)
    run(connection, "reconciliation/matching/lock_account", account=account)
    run(connection, "reconciliation/ledger_import/table")
    _copy(connection, entries)
    run(connection, "reconciliation/ledger_import/analyze")
    (row,) = run(connection, "reconciliation/ledger_import/next_id")
    changed = affect(connection, "reconciliation/ledger_import/versions", account=account)
    written = affect(connection, "reconciliation/ledger_import/save", account=account, import_id=row.import_id)
    withdrawn = 0
    if replace_day:
        withdrawn = affect(
            connection, "reconciliation/ledger_import/withdraw", account=account, import_id=row.import_id
        )
    report = ImportReport(
        row.import_id, rows_read, written - changed, changed, len(entries) - written, faults, withdrawn
    )
    run(
        connection,
        "reconciliation/ledger_import/record",
        account=account,
        import_id=row.import_id,
        file_name=printable(path.name),
        file_sha256=hashlib.sha256(path.read_bytes()).digest(),
        rows_read=rows_read,
        rows_new=report.rows_new,
        rows_changed=report.rows_changed,
        rows_unchanged=report.rows_unchanged,
        rows_rejected=report.rows_rejected,
        rows_withdrawn=withdrawn,
    )
    rejects = [{"account": account, "import_id": row.import_id, **vars(fault)} for fault in faults]
    run_many(connection, "reconciliation/ledger_import/reject", rejects)
    return report


def _copy(connection: Connection, entries: Iterable[Entry]) -> None:
    with driver_of(connection).cursor() as cursor, cursor.copy(sql.text("reconciliation/ledger_import/copy")) as copy:
        for entry in entries:
            copy.write_row(astuple(entry))
