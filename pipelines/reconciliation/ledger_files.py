"""Ledger files to rows of exact values: CSV, Parquet, XLSX; nothing is dropped, shifted or guessed.

What a row means is in `ledger_entries`. A row has as many values as the header has cells, in their order; what a cell
cannot say exactly is a `Spoiled` value, which becomes a fault of its row.
"""

from __future__ import annotations

import csv
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

from resources.errors import ConfigError

Rows = Iterator[tuple[int, list[Any]]]
LARGEST_WORKBOOK = 2**30  # bytes when unpacked; a full sheet of a million entries stays far below
LARGEST_WHOLE_FLOAT = 10**15  # a spreadsheet keeps 15 digits: below that, a whole number is exact


@dataclass(frozen=True)
class Spoiled:
    """A cell whose value the file does not hold: what is wrong with it, and what to do."""

    problem: str
    advice: str


FORMULA = re.compile(rb"<(\w+:)?f[ />]")
NO_RESULT = Spoiled("has a formula and no value", "open the file in a spreadsheet and save it, so that it has results")
ERROR_CELL = Spoiled("holds an error of the spreadsheet", "correct the formula, or write the value")


def read_ledger_file(path: Path) -> tuple[list[str], Rows]:
    """Return the column names of a file, and its rows with their line numbers; values as text or exact numbers.

    A cell of the header without a name gives "". Rows without any value are left out.

    Raises:
        ConfigError: it cannot be read, is of another kind, or is malformed (also while the rows are read).
    """
    readers = {".csv": _read_csv, ".parquet": _read_parquet, ".xlsx": _read_xlsx}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise ConfigError(f"{path.name} is no .csv, .parquet or .xlsx: save it as one of them.")
    try:
        is_file = path.is_file()
    except OSError as error:
        raise ConfigError(f"{str(path)[:200]} cannot be read: {error.strerror}.") from None
    if not is_file:
        raise ConfigError(f"there is no file {path}: check the path.")
    names, rows = reader(path)
    return names, ((line, row) for line, row in rows if not all(_is_empty(value) for value in row))


def column_letter(number: int) -> str:
    """Return what spreadsheets call the column of a number from 0: A to Z, then AA."""
    letters = ""
    number += 1
    while number:
        number, place = divmod(number - 1, 26)
        letters = chr(ord("A") + place) + letters
    return letters


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _read_csv(path: Path) -> tuple[list[str], Rows]:
    rows = _csv_rows(path)
    _, names = next(rows, (1, []))
    if len(names) == 1 and ";" in names[0]:
        raise ConfigError(f"{path.name} separates its columns by semicolons: save it with commas.")
    return names, rows


def _csv_rows(path: Path) -> Rows:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            line = 1
            for row in reader:
                if row:
                    yield line, row
                line = reader.line_num + 1
    except UnicodeDecodeError:
        raise ConfigError(f"{path.name} is not UTF-8 text: save it as CSV UTF-8.") from None
    except csv.Error as error:
        raise ConfigError(f"{path.name}, near line {reader.line_num}: {error}: correct the quotes there.") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None


def _read_parquet(path: Path) -> tuple[list[str], Rows]:
    from pyarrow import parquet

    with _whole(path, "Parquet file: write it again"):
        file = parquet.ParquetFile(path)
        names = list(file.schema_arrow.names)
    return names, _parquet_rows(path, file)


def _parquet_rows(path: Path, file: Any) -> Rows:
    number = 0
    with _whole(path, "Parquet file that can be read: write it again, times with a zone's usual name"):
        for batch in file.iter_batches():
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                number += 1
                yield number, [_exact(value) for value in row]


def _read_xlsx(path: Path) -> tuple[list[str], Rows]:
    with ExitStack() as stack, _whole(path, _NO_XLSX):
        # a file of ours: of a damaged workbook the library leaves its own open
        file = stack.enter_context(path.open("rb"))
        with zipfile.ZipFile(file) as archive:
            size = sum(part.file_size for part in archive.infolist())
            if size > LARGEST_WORKBOOK:
                raise ConfigError(f"{path.name} unpacks to {size / 2**20:,.0f} MiB: save the entries as CSV.")
            has_formulas = _has_formulas(archive)
        cells = _only_sheet(path, file, data_only=True)
        formulas = _only_sheet(path, stack.enter_context(path.open("rb")), data_only=False) if has_formulas else None
        rows = _xlsx_rows(path, cells, formulas, stack.pop_all())
    _, names = next(rows, (1, []))
    if any(isinstance(name, Spoiled) for name in names):
        raise ConfigError(f"{path.name}: a name of a column is a formula without a value: write the name itself.")
    header = ["" if name is None else str(name) for name in names]
    return header, ((line, _as_wide_as(header, row)) for line, row in rows)


def _as_wide_as(header: list[str], row: list[Any]) -> list[Any]:
    """Return a row with empty cells added, or taken off beyond the header: a sheet writes only the cells it uses."""
    beyond = [value for value in row[len(header) :] if value is not None]
    return row if beyond else (row + [None] * (len(header) - len(row)))[: len(header)]


def _only_sheet(path: Path, file: Any, *, data_only: bool) -> Any:
    import openpyxl

    book = openpyxl.load_workbook(file, read_only=True, data_only=data_only)
    if len(book.sheetnames) > 1:
        raise ConfigError(f"{path.name} has {len(book.sheetnames)} sheets: keep the one with the entries.")
    sheet = book.worksheets[0]
    sheet.reset_dimensions()  # a tag that some programs write wrong; rows and cells say themselves where they are
    return sheet


def _has_formulas(archive: zipfile.ZipFile) -> bool:
    for name in archive.namelist():
        if name.startswith("xl/worksheets/"):
            tail = b""
            with archive.open(name) as part:
                while block := part.read(2**20):
                    if FORMULA.search(tail + block):
                        return True
                    tail = block[-32:]
    return False


def _xlsx_rows(path: Path, cells: Any, formulas: Any, opened: ExitStack) -> Rows:
    with opened, _whole(path, _NO_XLSX):
        sources: Iterable[Sequence[Any]] = formulas.iter_rows() if formulas is not None else repeat(())
        for line, (row, source) in enumerate(zip(cells.iter_rows(), sources, strict=False), start=1):
            values = [_exact(ERROR_CELL if cell.data_type == "e" else cell.value) for cell in row]
            for place, cell in enumerate(source):
                # a formula whose result is an empty text says so: its cell is of type "str"
                if cell.data_type == "f" and values[place] is None and row[place].data_type != "str":
                    values[place] = NO_RESULT
            if any(value is not None for value in values):
                yield line, values


def _exact(value: Any) -> Any:
    """Return a whole number that a cell holds as a float as the integer it is; anything else as it is."""
    if isinstance(value, float) and value.is_integer() and abs(value) < LARGEST_WHOLE_FLOAT:
        return int(value)
    return value


_NO_XLSX = "XLSX file that can be read: save it again as .xlsx"


@contextmanager
def _whole(path: Path, what: str) -> Iterator[None]:
    """Tell in one line that a file is damaged: its reader raises an error of any kind where that shows."""
    try:
        yield
    except ConfigError:
        raise
    except Exception as error:  # noqa: BLE001 - of a library, about bytes that somebody else wrote
        raise ConfigError(f"{path.name} is no {what} ({type(error).__name__}).") from None
