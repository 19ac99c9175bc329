"""Ledger files to rows of exact values: CSV, Parquet, XLSX. What a row means is in `entry_rows`."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from resources.errors import ConfigError
from resources.printable import printable

Rows = Iterator[tuple[int, list[Any]]]
LARGEST_WORKBOOK = 2**30  # bytes when unpacked; a full sheet of a million entries stays far below


def read_ledger_file(path: Path) -> tuple[list[str], Rows]:
    """Return the column names of a file, and its rows with their line numbers; values as text or exact numbers.

    Raises:
        ConfigError: it cannot be read, is of another kind, or is malformed (also while the rows are read).
    """
    readers = {".csv": _read_csv, ".parquet": _read_parquet, ".xlsx": _read_xlsx}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise ConfigError(f"{path.name} is no .csv, .parquet or .xlsx: save it as one of them.")
    if not path.is_file():
        raise ConfigError(f"there is no file {path}: check the path.")
    return reader(path)


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
    import pyarrow as pa
    from pyarrow import parquet

    with _whole(path, "Parquet file: write it again"):
        file = parquet.ParquetFile(path)
        schema = file.schema_arrow
    for column in schema:
        if pa.types.is_floating(column.type):
            raise ConfigError(
                f"column {printable(column.name)} of {path.name} is {column.type}, which is not exact: "
                "write decimal128, int64 or text."
            )
    return list(schema.names), _parquet_rows(path, file)


def _parquet_rows(path: Path, file: Any) -> Rows:
    number = 0
    with _whole(path, "Parquet file that can be read: write it again, times with a zone's usual name"):
        for batch in file.iter_batches():
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                number += 1
                yield number, list(row)


def _read_xlsx(path: Path) -> tuple[list[str], Rows]:
    import openpyxl

    with ExitStack() as stack, _whole(path, _NO_XLSX):
        # a file of ours: of a damaged workbook the library leaves its own open
        file = stack.enter_context(path.open("rb"))
        with zipfile.ZipFile(file) as archive:
            size = sum(part.file_size for part in archive.infolist())
        if size > LARGEST_WORKBOOK:
            raise ConfigError(f"{path.name} unpacks to {size / 2**20:,.0f} MiB: save the entries as CSV.")
        book = openpyxl.load_workbook(file, read_only=True, data_only=True)
        if len(book.sheetnames) > 1:
            raise ConfigError(f"{path.name} has {len(book.sheetnames)} sheets: keep the one with the entries.")
        rows = _xlsx_rows(path, book, stack.pop_all())
    _, names = next(rows, (1, []))
    return [str(name) for name in names if name is not None], rows


def _xlsx_rows(path: Path, book: Any, opened: ExitStack) -> Rows:
    with opened, _whole(path, _NO_XLSX):
        for line, row in enumerate(book.worksheets[0].iter_rows(values_only=True), start=1):
            if any(value is not None for value in row):
                yield line, list(row)


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
