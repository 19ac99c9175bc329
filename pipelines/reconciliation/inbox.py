"""The inbox: a folder from which ledger files are imported, `ACCOUNT/MAPPING/FILE`, and where each of them goes then.

An imported file goes to the folder `done` beside it, a refused one to `refused`, with a report of every fault. Whatever
ends between import and move is harmless: the file is imported again, which changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipelines.reconciliation.ledger_entries import Exponent, Fault
from pipelines.reconciliation.ledger_import import ImportReport, StillWritten, import_ledger
from pipelines.reconciliation.mapping import LedgerMapping, read_mapping
from resources.errors import ConfigError
from resources.output import printable, write_whole
from resources.warehouse.engine import Warehouse

CONTRACT = "contract"  # the mapping of files that need none
DONE, REFUSED = "done", "refused"
REPORT = ".report.txt"
SECONDS_AT_REST = 10  # how long a file was not written before it is taken
UNFINISHED = (".part", ".partial", ".filepart", ".crdownload", ".tmp", "~")  # names while a program still writes


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
        ConfigError: the folder cannot be read.
    """
    found: list[tuple[int, Path]] = []
    now = time.time()
    try:
        folders = [path for path in (inbox / account).iterdir() if path.is_dir()] if (inbox / account).is_dir() else []
        for path in (path for folder in folders for path in folder.iterdir()):
            if path.name.startswith(".") or path.name.lower().endswith(UNFINISHED):
                continue
            with suppress(FileNotFoundError):  # another process took it
                state = path.stat()
                if path.is_file() and now - state.st_mtime >= SECONDS_AT_REST:
                    found.append((state.st_mtime_ns, path))
    except OSError as error:
        raise ConfigError(f"SYNC_LEDGER_INBOX ({inbox}) cannot be read: {error.strerror}.") from None
    return [path for _, path in sorted(found)]


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
        name, mapping = path.parent.name, None
        try:
            mapping = None if name == CONTRACT else read_mapping(name, mappings)
            report = import_ledger(warehouse, account, path, zone, exponent, mapping=mapping)
        except StillWritten:
            continue
        except ConfigError as error:
            if not path.exists():  # another process took it
                continue
            result = _refuse(path, mapping, str(error), ())
        else:
            if report.import_id is None:
                rejected = f"{report.rows_rejected:,} of {report.rows_read:,} rows cannot be read"
                result = _refuse(path, mapping, f"{rejected}; nothing of it was imported", report.faults)
            else:
                moved = _move(path, DONE)
                result = InboxFile(path.name, name, moved, report, None) if moved else None
        if result is not None:
            yield result


def _refuse(path: Path, mapping: LedgerMapping | None, problem: str, faults: Sequence[Fault]) -> InboxFile | None:
    """Move a file to the refused ones, its report first, so that none is there without."""
    sheet = f", sheet {mapping.sheet}" if mapping and mapping.sheet else ""
    lines = [f"{path.name}{sheet}, by the mapping {path.parent.name}: refused", problem, ""]
    lines += [f"row {fault.line}, {fault.column}: {fault.problem}; {fault.advice}" for fault in faults]
    lines += ["", "Correct the file or its mapping, and put it into the inbox again."]
    target = _free_place(path, REFUSED)
    try:
        target.parent.mkdir(exist_ok=True)
        write_whole(target.with_name(f"{target.name}{REPORT}"), "\n".join(map(printable, lines)).encode())
    except OSError as error:
        raise ConfigError(f"{target.parent} cannot be written: {error.strerror}: see SYNC_LEDGER_INBOX.") from None
    moved = _move(path, REFUSED)
    return InboxFile(path.name, path.parent.name, moved, None, problem) if moved else None


def _free_place(path: Path, folder: str) -> Path:
    """Return where the file goes; an earlier one of the same name stays beside it."""
    target, count = path.parent / folder / path.name, 1
    while target.exists():
        count += 1
        target = path.parent / folder / f"{path.stem} ({count}){path.suffix}"
    return target


def _move(path: Path, folder: str) -> Path | None:
    """Move a file at once; None: another process did."""
    target = _free_place(path, folder)
    try:
        target.parent.mkdir(exist_ok=True)
        path.rename(target)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be moved to {target.parent}: {error.strerror}: see SYNC_LEDGER_INBOX."
        ) from None
    return target
