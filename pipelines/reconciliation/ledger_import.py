"""Imports a ledger file into recon.ledger_entries: read, typed row by row, stored whole or not at all."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
from pyarrow.csv import WriteOptions, write_csv
from sqlalchemy import Connection

import sql
from pipelines.reconciliation.ledger_entries import Entry, Exponent, Fault, header_faults, shape_faults, typed_entry
from pipelines.reconciliation.ledger_files import kind_of_file, read_ledger_file
from pipelines.reconciliation.mapped_rows import MappedRows
from pipelines.reconciliation.mapping import LedgerMapping
from pipelines.reconciliation.plain_rows import SCHEMA, PlainEntries, PlainRows, no_plain_entries
from resources.errors import ConfigError
from resources.output import printable
from resources.warehouse.engine import Warehouse, affect, driver_of, run, run_many

ROWS_AT_ONCE = 20_000


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
    rows_skipped: int = 0

    @property
    def rows_rejected(self) -> int:
        """How many rows have at least one fault."""
        return len({fault.line for fault in self.faults})


class EntryReader:
    """The entries of a file, read once in their order; what is refused or left out is known behind the last of them.

    A header that breaks the contract, or lacks what the mapping names, is the only fault: nothing below it can be read.
    """

    def __init__(self, path: Path, zone: ZoneInfo, exponent: Exponent, mapping: LedgerMapping | None = None) -> None:
        """Read the header.

        Raises:
            ConfigError: the file cannot be read.
        """
        self._zone, self._exponent = zone, lru_cache(maxsize=4096)(exponent)
        self._names, self._rows = read_ledger_file(path, mapping)
        self._mapped = MappedRows(mapping, self._names) if mapping else None
        self.faults = self._mapped.faults if self._mapped else header_faults(self._names)
        self.has_wrong_header = bool(self.faults)
        self.rows_read = 0
        is_text = kind_of_file(path, mapping) == "csv" and not self.has_wrong_header
        self._plain = PlainRows(self._names, self._mapped, zone, self._exponent) if is_text else None

    @property
    def skipped(self) -> Counter[str]:
        """How many rows were left out, by the mapping's rules."""
        return self._mapped.skipped if self._mapped else Counter()

    def __iter__(self) -> Iterator[Entry]:
        """Yield the entries of the rows that have no fault.

        Raises:
            ConfigError: the file is malformed; what was read until then is worth nothing.
        """
        for table in self.tables():
            for row in table.to_pylist():
                yield Entry(**row)

    def tables(self) -> Iterator[pa.Table]:
        """Yield the entries of the rows that have no fault, many at once.

        Raises:
            ConfigError: the file is malformed; what was read until then is worth nothing.
        """
        if self.has_wrong_header:
            return
        lines: dict[str, int] = {}
        while rows := list(islice(self._rows, ROWS_AT_ONCE)):
            entries, numbers, faults = self._block(rows)
            self.rows_read += len(numbers) + len({fault.line for fault in faults})
            ids = entries["entry_id"].to_pylist()
            first = [lines.setdefault(entry_id, line) for entry_id, line in zip(ids, numbers, strict=True)]
            is_first = [line == earlier for line, earlier in zip(numbers, first, strict=True)]
            if not all(is_first):
                place = self._mapped.place("entry_id") if self._mapped else "entry_id"
                faults += [
                    Fault(line, place, f"stands in line {earlier} already", "keep one of them")
                    for line, earlier in zip(numbers, first, strict=True)
                    if line != earlier
                ]
                entries = entries.filter(pa.array(is_first))
            self.faults += sorted(faults, key=attrgetter("line"))
            yield entries

    def _block(self, rows: list[tuple[int, list[Any]]]) -> tuple[pa.Table, list[int], list[Fault]]:
        """Return the entries of some rows, their lines, and what is wrong with the other rows."""
        values = [values for _, values in rows]
        plain = self._plain.read(values) if self._plain else no_plain_entries(len(rows))
        faults: list[Fault] = []
        exact: list[Entry] = []
        places, done = plain.is_taken.nonzero()[0].tolist(), 0
        for place in (~plain.is_taken).nonzero()[0].tolist():
            self._add_to_sums(plain, done, place)
            done = place
            entry = self._typed(*rows[place])
            if isinstance(entry, Entry):
                exact.append(entry)
                places.append(place)
            else:
                faults += entry or ()
        self._add_to_sums(plain, done, len(rows))
        entries = plain.entries
        if exact:
            columns = [[getattr(entry, name) for entry in exact] for name in SCHEMA.names]
            order = sorted(range(len(places)), key=places.__getitem__)
            entries = pa.concat_tables([entries, pa.table(columns, schema=SCHEMA)]).take(order)
            places.sort()
        return entries, [rows[place][0] for place in places], faults

    def _add_to_sums(self, plain: PlainEntries, start: int, stop: int) -> None:
        """Add the plain rows of a part of a block to what the mapping's totals sum up."""
        for column, parts in plain.sums.items():
            whole, millionths = (int(part[start:stop].sum()) for part in parts)
            if self._mapped:
                self._mapped.add_to_sums(column, whole + Decimal(millionths).scaleb(-6))

    def _typed(self, line: int, values: list[Any]) -> Entry | list[Fault] | None:
        if self._mapped is None:
            row = dict(zip(self._names, values, strict=False))
            return shape_faults(line, self._names, values) or typed_entry(line, row, self._zone, self._exponent)
        mapped = self._mapped.row(line, values)
        if not isinstance(mapped, dict):
            return mapped
        found = typed_entry(line, mapped, self._zone, self._exponent)
        if isinstance(found, Entry):
            return found
        return [replace(fault, column=self._mapped.place(fault.column)) for fault in found]


class StillWritten(ConfigError):
    """A file changed while it was read: nothing of it is stored."""


class _Refused(Exception):
    """Rows are refused: what was staged is rolled back."""


def import_ledger(
    warehouse: Warehouse,
    account: str,
    path: Path,
    zone: str,
    exponent: Exponent,
    *,
    mapping: LedgerMapping | None = None,
    accept_partial: bool = False,
    replace_day: bool = False,
) -> ImportReport:
    """Import the entries of a file; an entry known already is left alone, or corrected with its former state kept.

    With `replace_day`, an entry of one of the file's business days that the file does not have is withdrawn. Entries
    are staged while they are read, so that a file of any length takes little memory.

    Raises:
        ConfigError: the file cannot be read, is still written (`StillWritten`), or is to replace days and be taken in
            part; nothing is stored.
        WarehouseUnavailable, WarehouseBroken: nothing is stored.
    """
    if accept_partial and replace_day:
        raise ConfigError(
            "--replace-day withdraws what the file does not have: the file must be whole, leave out --accept-partial."
        )
    reader = EntryReader(path, ZoneInfo(zone), exponent, mapping)
    before = _state_of(path)
    try:
        with warehouse.transaction() as connection:
            run(connection, "reconciliation/ledger_import/table")
            count = _copy(connection, reader.tables())
            if reader.has_wrong_header or (reader.faults and not accept_partial):
                raise _Refused  # noqa: TRY301 - rolls back
            report = _store(connection, account, path, reader, count, replace_day=replace_day)
            if _state_of(path) != before:
                raise StillWritten(f"{path.name} was written while it was read: import it when it is complete.")
            return report
    except _Refused:
        skipped = sum(reader.skipped.values())
        return ImportReport(None, reader.rows_read, 0, 0, 0, tuple(reader.faults), rows_skipped=skipped)


def _state_of(path: Path) -> tuple[int, int]:
    state = path.stat()
    return state.st_size, state.st_mtime_ns


def _store(
    connection: Connection,
    account: str,
    path: Path,
    reader: EntryReader,
    count: int,
    *,
    replace_day: bool,
) -> ImportReport:
    faults = tuple(reader.faults)
    run(connection, "reconciliation/matching/lock_account", account=account)
    run(connection, "reconciliation/ledger_import/analyze")
    (row,) = run(connection, "reconciliation/ledger_import/next_id")
    withdrawn = 0
    if replace_day:
        withdrawn = affect(
            connection, "reconciliation/ledger_import/withdraw", account=account, import_id=row.import_id
        )
    run(connection, "reconciliation/ledger_import/drop_unchanged", account=account)
    changed = affect(connection, "reconciliation/ledger_import/versions", account=account)
    written = affect(connection, "reconciliation/ledger_import/save", account=account, import_id=row.import_id)
    report = ImportReport(
        import_id=row.import_id,
        rows_read=reader.rows_read,
        rows_new=written - changed,
        rows_changed=changed,
        rows_unchanged=count - written,
        faults=faults,
        rows_withdrawn=withdrawn,
        rows_skipped=sum(reader.skipped.values()),
    )
    run(
        connection,
        "reconciliation/ledger_import/record",
        account=account,
        import_id=row.import_id,
        file_name=printable(path.name),
        file_sha256=_sha256_of(path),
        rows_read=reader.rows_read,
        rows_new=report.rows_new,
        rows_changed=report.rows_changed,
        rows_unchanged=report.rows_unchanged,
        rows_rejected=report.rows_rejected,
        rows_withdrawn=withdrawn,
    )
    rejects = [{"account": account, "import_id": row.import_id, **vars(fault)} for fault in faults]
    run_many(connection, "reconciliation/ledger_import/reject", rejects)
    return report


def _sha256_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _copy(connection: Connection, tables: Iterable[pa.Table]) -> int:
    """Stage the entries, and return how many they are."""
    count = 0
    with driver_of(connection).cursor() as cursor, cursor.copy(sql.text("reconciliation/ledger_import/copy")) as copy:
        for table in tables:
            lines = io.BytesIO()
            write_csv(table, lines, WriteOptions(include_header=False, quoting_style="all_valid"))
            copy.write(lines.getvalue())
            count += table.num_rows
    return count
