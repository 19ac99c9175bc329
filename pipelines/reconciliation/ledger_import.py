"""Imports a ledger file into recon.ledger_entries: read, typed row by row, stored whole or not at all.

The inbox is a folder from which files are imported, `ACCOUNT/MAPPING/FILE`: an imported one goes to the folder `done`
beside it, a refused one to `refused`, with a report of every fault. Whatever ends between import and move is harmless:
the file is imported again, which changes nothing.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

import sql
from pipelines.reconciliation.ledger_entries import ContractRows, Entry, Exponent, Fault, typed_entry
from pipelines.reconciliation.ledger_files import read_ledger_file
from pipelines.reconciliation.mapped_rows import MappedRows
from pipelines.reconciliation.mapping import LedgerMapping, read_mapping
from resources.environment import nearest
from resources.errors import ConfigError
from resources.output import printable, write_whole
from resources.warehouse.engine import Warehouse, affect, driver_of, run, run_many

CONTRACT = "contract"  # the mapping of files that need none
DONE, REFUSED = "done", "refused"
REPORT = ".report.txt"
SECONDS_AT_REST = 10  # how long a file was not written before it is taken
UNFINISHED = (".part", ".partial", ".filepart", ".crdownload", ".tmp", "~")  # names while a program still writes


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
        self._table = MappedRows(mapping, self._names) if mapping else ContractRows(self._names)
        self.faults = self._table.faults
        self.has_wrong_header = bool(self.faults)
        self.skipped = self._table.skipped  # how many rows were left out, by the mapping's rules
        self.rows_read = 0

    def __iter__(self) -> Iterator[Entry]:
        """Yield the entries of the rows that have no fault.

        Raises:
            ConfigError: the file is malformed; what was read until then is worth nothing.
        """
        lines: dict[str, int] = {}
        for line, values in () if self.has_wrong_header else self._rows:
            found = self._typed(line, values)
            self.rows_read += found is not None
            if isinstance(found, Entry):
                earlier = lines.setdefault(found.entry_id, line)
                if earlier == line:
                    yield found
                else:
                    place, problem = self._table.place("entry_id"), f"stands in line {earlier} already"
                    self.faults.append(Fault(line, place, problem, "keep one of them"))
            elif found:
                self.faults += found

    def _typed(self, line: int, values: list[Any]) -> Entry | list[Fault] | None:
        row = self._table.row(line, values)
        if not isinstance(row, dict):
            return row
        found = typed_entry(line, row, self._zone, self._exponent)
        if isinstance(found, Entry):
            return found
        return [replace(fault, column=self._table.place(fault.column)) for fault in found]


class StillWritten(ConfigError):
    """A file changed while it was read: nothing of it is stored."""


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
    with warehouse.transaction() as connection:
        run(connection, "reconciliation/ledger_import/table")  # which does not outlast the transaction
        count = _copy(connection, reader)
        if reader.has_wrong_header or (reader.faults and not accept_partial):
            skipped = sum(reader.skipped.values())
            return ImportReport(None, reader.rows_read, 0, 0, 0, tuple(reader.faults), rows_skipped=skipped)
        report = _store(connection, account, path, reader, count, replace_day=replace_day)
        if _state_of(path) != before:
            raise StillWritten(f"{path.name} was written while it was read: import it when it is complete.")
        return report


def _state_of(path: Path) -> tuple[int, int]:
    state = path.stat()
    return state.st_size, state.st_mtime_ns


def _store(
    connection: Connection, account: str, path: Path, reader: EntryReader, count: int, *, replace_day: bool
) -> ImportReport:
    run(connection, "reconciliation/matching/lock_account", account=account)
    run(connection, "reconciliation/ledger_import/analyze")
    (row,) = run(connection, "reconciliation/ledger_import/next_id")
    scope = {"account": account, "import_id": row.import_id}
    withdrawn = affect(connection, "reconciliation/ledger_import/withdraw", **scope) if replace_day else 0
    run(connection, "reconciliation/ledger_import/drop_unchanged", account=account)
    changed = affect(connection, "reconciliation/ledger_import/versions", account=account)
    written = affect(connection, "reconciliation/ledger_import/save", **scope)
    report = ImportReport(
        import_id=row.import_id,
        rows_read=reader.rows_read,
        rows_new=written - changed,
        rows_changed=changed,
        rows_unchanged=count - written,
        faults=tuple(reader.faults),
        rows_withdrawn=withdrawn,
        rows_skipped=sum(reader.skipped.values()),
    )
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
    run(
        connection,
        "reconciliation/ledger_import/record",
        account=account,
        file_name=printable(path.name),
        file_sha256=digest,
        rows_rejected=report.rows_rejected,
        **vars(report),
    )
    rejects = [{**scope, **vars(fault)} for fault in report.faults]
    run_many(connection, "reconciliation/ledger_import/reject", rejects)
    return report


def _copy(connection: Connection, entries: Iterable[Entry]) -> int:
    """Stage the entries, and return how many they are."""
    count = 0
    with driver_of(connection).cursor() as cursor, cursor.copy(sql.text("reconciliation/ledger_import/copy")) as copy:
        for count, entry in enumerate(entries, start=1):  # noqa: B007 - the last one is the count
            copy.write_row(entry)
    return count


@dataclass(frozen=True)
class InboxFile:
    """What became of a file: where it is now, and what the import did, or why it was refused."""

    name: str
    mapping: str
    moved_to: Path
    imported: ImportReport | None
    problem: str | None

    @property
    def sentence(self) -> str:
        """What became of it, in one line."""
        if self.imported is None:
            return f"refused: {self.problem} (now in {self.moved_to.parent})"
        done = self.imported
        return f"imported: {done.rows_new:,} new, {done.rows_changed:,} corrected, {done.rows_unchanged:,} unchanged"


def files_at_rest(inbox: Path, account: str) -> list[Path]:
    """Return the account's files that nobody has written for some seconds, the oldest first.

    Raises:
        ConfigError: there is no such folder, such as one that is not mounted, or it cannot be read.
    """
    if not inbox.is_dir():
        raise ConfigError(f"SYNC_LEDGER_INBOX ({inbox}) is no folder: make or mount it, or correct the setting.")
    try:
        folders = [path for path in (inbox / account).iterdir() if path.is_dir()] if (inbox / account).is_dir() else []
        files = [(_written_at(path), path) for folder in folders for path in folder.iterdir()]
    except OSError as error:
        raise ConfigError(f"SYNC_LEDGER_INBOX ({inbox}) cannot be read: {error.strerror}.") from None
    return [path for written, path in sorted((written, path) for written, path in files if written is not None)]


def _written_at(path: Path) -> int | None:
    """Return when a file was written; None: it is none, or may still be written."""
    if path.name.startswith(".") or path.name.lower().endswith(UNFINISHED):
        return None
    with suppress(FileNotFoundError):  # another process took it
        state, now = path.stat(), time.time()
        # a copy may keep the time of another machine's clock: then it counts when it came to this one
        written = state.st_mtime if state.st_mtime <= now else state.st_ctime
        if path.is_file() and now - written >= SECONDS_AT_REST:
            return state.st_mtime_ns
    return None


def misplaced_files(inbox: Path, account: str, accounts: Sequence[str]) -> list[str]:
    """Return the files of the inbox that nothing reads, each with its place.

    Of a folder that is no account's, one account is told: the one whose name is near, else the first.
    """
    found = []
    for path in sorted(path for depth in range(1, 5) for path in inbox.glob("/".join("*" * depth))):
        name, *folders = path.relative_to(inbox).parts[:-1] or ("",)
        home = name if name in accounts else nearest(name.lower(), accounts) or accounts[0]
        is_read = name in accounts and len(folders) == 1
        if home == account and not is_read and not {DONE, REFUSED} & {*folders[1:]} and _written_at(path) is not None:
            place = f"its place is ACCOUNT/MAPPING, and ACCOUNT is {' or '.join(accounts)}"
            found.append(f"{path.relative_to(inbox)} is read by nobody: {place}")
    return found


def refused_files(inbox: Path, account: str) -> list[str]:
    """Return the refused files that wait for a person, as paths within the inbox."""
    waiting = (inbox / account).glob(f"*/{REFUSED}/*")
    return sorted(str(path.relative_to(inbox)) for path in waiting if not path.name.endswith(REPORT))


def import_inbox(
    warehouse: Warehouse, account: str, inbox: Path, mappings: Path, zone: str, exponent: Exponent
) -> Iterator[InboxFile]:
    """Import the account's files that are at rest, one after the other; yield what became of each.

    Raises:
        ConfigError: the folder cannot be read, or a file cannot be moved.
        WarehouseUnavailable, WarehouseBroken: the file at hand and those behind it stay where they are.
    """
    for path in files_at_rest(inbox, account):
        mapping, report = None, None
        try:
            if path.is_symlink():  # whoever may write here could have any file of this machine read
                raise ConfigError(f"{path.name} is a link: put the file itself into the inbox.")  # noqa: TRY301
            mapping = None if path.parent.name == CONTRACT else read_mapping(path.parent.name, mappings)
            report = import_ledger(warehouse, account, path, zone, exponent, mapping=mapping)
            problem = _problem(report)
        except StillWritten:
            continue
        except ConfigError as error:
            if not path.exists():  # another process took it
                continue
            problem = str(error)
        if problem:
            moved = _move(path, REFUSED, _report(path, mapping, problem, report.faults if report else ()))
        else:
            moved = _move(path, DONE)
        if moved:
            yield InboxFile(path.name, path.parent.name, moved, None if problem else report, problem)


def _problem(report: ImportReport) -> str | None:
    if report.import_id is not None:
        return None
    rejected = f"{report.rows_rejected:,} of {report.rows_read:,} rows cannot be read"
    problem = rejected if report.rows_read else "its columns are not those of the mapping"
    return f"{problem}; nothing of it was imported"


def _report(path: Path, mapping: LedgerMapping | None, problem: str, faults: Sequence[Fault]) -> str:
    sheet = f", sheet {mapping.sheet}" if mapping and mapping.sheet else ""
    lines = [f"{path.name}{sheet}, by the mapping {path.parent.name}: refused", problem, ""]
    lines += [f"row {fault.line}, {fault.column}: {fault.problem}; {fault.advice}" for fault in faults]
    lines += ["", "Correct the file or its mapping, and put it into the inbox again."]
    return "\n".join(map(printable, lines))


def _move(path: Path, folder: str, report: str = "") -> Path | None:
    """Move a file at once, after its report, so that none is there without; None: another process moved it.

    An earlier file of the same name stays beside it.
    """
    target, count = path.parent / folder / path.name, 1
    while target.exists():
        count += 1
        target = path.parent / folder / f"{path.stem} ({count}){path.suffix}"
    try:
        target.parent.mkdir(exist_ok=True)
        if report:
            write_whole(target.with_name(f"{target.name}{REPORT}"), report.encode())
        path.rename(target)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be moved to {target.parent}: {error.strerror}: see SYNC_LEDGER_INBOX."
        ) from None
    return target
