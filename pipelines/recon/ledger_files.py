"""Ledger files to rows of exact values: CSV, Parquet, XLSX. What a row means is in `entry_rows`."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from resources.errors import ConfigError

Rows = Iterator[tuple[int, list[Any]]]


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

    try:
        file = parquet.ParquetFile(path)
    except (pa.ArrowInvalid, OSError):
        raise ConfigError(f"{path.name} is no Parquet file: write it again.") from None
    for column in file.schema_arrow:
        if pa.types.is_floating(column.type):
            raise ConfigError(
                f"column {column.name} of {path.name} is {column.type}, which is not exact: "
                "write decimal128, int64 or text."
            )
    return list(file.schema_arrow.names), _parquet_rows(file)


def _parquet_rows(file: Any) -> Rows:
    number = 0
    for batch in file.iter_batches():
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            number += 1
            yield number, list(row)


def _read_xlsx(path: Path) -> tuple[list[str], Rows]:
    import openpyxl

    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (zipfile.BadZipFile, KeyError, OSError, ValueError):
        raise ConfigError(f"{path.name} is no XLSX file: save it again as .xlsx.") from None
    if len(book.sheetnames) > 1:
        book.close()
        raise ConfigError(f"{path.name} has {len(book.sheetnames)} sheets: keep the one with the entries.")
    rows = _xlsx_rows(book)
    _, names = next(rows, (1, []))
    return [str(name) for name in names if name is not None], rows


def _xlsx_rows(book: Any) -> Rows:
    try:
        for line, row in enumerate(book.worksheets[0].iter_rows(values_only=True), start=1):
            if any(value is not None for value in row):
                yield line, list(row)
    finally:
        book.close()
