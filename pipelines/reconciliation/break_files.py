"""A list of breaks as a file for a spreadsheet, .xlsx or .csv, and back; what the rows then do is in `breaks`.

No cell that we write is a formula. What spreadsheets do to a file changes nothing: columns moved or added, rows sorted,
filtered, emptied or deleted, ids turned into numbers, semicolons, a byte order mark.
"""

import codecs
import csv
import io
import re
from collections.abc import Sequence
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any

from pipelines.reconciliation.breaks import FILLED_IN, FilledRow, nothing_applied, shown
from pipelines.reconciliation.ledger_entries import digits_of
from pipelines.reconciliation.ledger_files import (
    DIGITS_OF_A_CELL,
    Layout,
    Spoiled,
    check_file,
    read_ledger_file,
    sheet_names,
    start_of,
)
from resources.currencies import major_units
from resources.errors import ConfigError
from resources.output import with_formula_quote, without_formula_quote

COLUMNS = {  # and their widths
    "id": 8,
    "day": 11,
    "due": 11,
    "type": 22,
    "state": 10,
    "amount": 14,
    "currency": 9,
    "operation": 22,
    "entry": 22,
    "what": 48,
    "owner": 18,
    "reason": 18,
    "note": 40,
    "version": 9,
}
NEEDED = ("id", "version")
TAKEN = (*NEEDED, *FILLED_IN)
START = 2**16  # bytes in which the header is
LIST_ROWS = 2**20 - 1  # the last row of a sheet
WHOLE = re.compile(r"'?(\d{1,18}|\d{1,3}(?:[.,'\u2019 \u00a0\u202f]\d{3})+)(?:[.,]0+)?")
NUMBER = re.compile(r"-?\d+(\.\d+)?")
CREATED = datetime(2020, 1, 1)  # noqa: DTZ001 - a constant, so that the bytes do not depend on the clock


def write_breaks(kind: str, breaks: Sequence[Any], owners: Sequence[str], reasons: Sequence[str]) -> bytes:
    """Return the file of these breaks; `kind` is .xlsx or .csv.

    Raises:
        ConfigError: it is of another kind.
    """
    rows = [_cells(row) for row in breaks]
    if kind == ".csv":
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow(COLUMNS)
        writer.writerows(
            [
                str(cell) if name == "amount" else with_formula_quote(str(cell))
                for name, cell in zip(COLUMNS, row, strict=True)
            ]
            for row in rows
        )
        return text.getvalue().encode("utf-8-sig")
    if kind == ".xlsx":
        return _workbook(rows, owners, reasons)
    raise ConfigError(f"{kind or 'a file without an ending'} is no .xlsx or .csv: name the list so.")


def _cells(row: Any) -> tuple[int | str, ...]:
    texts = (
        *(row.business_date, row.due_date, row.break_type, row.state),
        *(_amount(row), row.currency, row.operation_id),
        *(row.entry_id or row.balance_name, row.detail, row.owner, row.reason, row.note),
    )
    return (row.break_id, *("" if text is None else shown(str(text)) for text in texts), row.version)


def _amount(row: Any) -> str | None:
    """Return the amount as any spreadsheet takes it, without marks of thousands; of unknown decimals, in words."""
    if row.amount_minor is None:
        return None
    return major_units(row.amount_minor, row.currency, row.business_date).replace(",", "")


def _workbook(rows: Sequence[Sequence[int | str]], owners: Sequence[str], reasons: Sequence[str]) -> bytes:
    import xlsxwriter

    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}) as book:
        book.set_properties({"title": "Breaks", "created": CREATED})
        sheet, lists = book.add_worksheet("Breaks"), book.add_worksheet("Lists")
        sheet.freeze_panes(1, 1)
        sheet.autofilter(0, 0, max(1, len(rows)), len(COLUMNS) - 1)
        head = book.add_format({"bold": True, "bottom": 1})
        for column, (name, width) in enumerate(COLUMNS.items()):
            sheet.write_string(0, column, name, head)
            sheet.set_column(column, column, width)
        _write_rows(book, sheet, rows)
        _offer(sheet, lists, "owner", owners, "warning")
        _offer(sheet, lists, "reason", reasons, "stop")
    return out.getvalue()


def _write_rows(book: Any, sheet: Any, rows: Sequence[Sequence[int | str]]) -> None:
    plain = {"quote_prefix": True}
    text, fill_in = book.add_format(plain), book.add_format(plain | {"bg_color": "#FFF8E1"})
    formats = dict.fromkeys(COLUMNS, text) | dict.fromkeys(FILLED_IN, fill_in) | dict.fromkeys(NEEDED)
    money = cache(lambda pattern: book.add_format({"num_format": pattern}))
    for line, row in enumerate(rows, start=1):
        for column, (name, cell) in enumerate(zip(COLUMNS, row, strict=True)):
            amount = str(cell) if name == "amount" else ""
            if NUMBER.fullmatch(amount) and len(amount) <= DIGITS_OF_A_CELL:
                decimals = re.sub(r"[0-9]", "0", amount.lstrip("-0123456789"))
                sheet.write(line, column, float(amount), money(f"#,##0{decimals}"))
            elif cell or name in FILLED_IN:
                sheet.write(line, column, cell, formats[name])


def _offer(sheet: Any, lists: Any, name: str, values: Sequence[str], style: str) -> None:
    """Let a spreadsheet offer these values in a column; another one is refused (stop), or taken on a second click."""
    place = ("owner", "reason").index(name)
    for line, value in enumerate((name, *values)):
        lists.write_string(line, place, shown(value))
    if values:
        column = list(COLUMNS).index(name)
        allowed = {
            "validate": "list",
            "source": f"=Lists!${'AB'[place]}$2:${'AB'[place]}${len(values) + 1}",
            "error_type": style,
            "error_message": f"The sheet Lists has the {name}s.",
        }
        sheet.data_validation(1, column, LIST_ROWS, column, allowed)


def read_breaks(path: Path) -> list[FilledRow]:
    """Return the rows of a file of breaks that name a break.

    Raises:
        ConfigError: it cannot be read, has not the columns, or a cell of a row says nothing that can be taken.
    """
    kind = path.suffix.lower()
    if kind not in (".csv", ".xlsx"):
        raise ConfigError(f"{path.name} is no .xlsx or .csv: save it as one of them.")
    check_file(path)
    layout = _layout_of_csv(path) if kind == ".csv" else _layout_of_workbook(path)
    if layout is None:
        raise ConfigError(f"{path.name} is empty: write the list with `ecommpay-sync breaks --output FILE`.")
    names, rows = read_ledger_file(path, layout)
    places = _header(path, names)
    found, faults = [], []
    for line, cells in rows:
        filled = {name: cells[at] if at < len(cells) else "" for name, at in places.items()}
        if kind == ".csv":
            filled = {name: without_formula_quote(cell) for name, cell in filled.items()}
        try:
            found.append(_filled_row(line, filled))
        except ConfigError as error:
            faults.append(f"row {line}: {error}")
    if faults:
        raise ConfigError(nothing_applied(faults, "correct these cells"))
    return [row for row in found if row is not None]


def _layout_of_csv(path: Path) -> Layout | None:
    """Return how a list was saved: its first line with a text is the header; None: it has none."""
    start = start_of(path, START)
    encoding = "utf-16" if start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8"
    lines = start.decode("utf-8-sig" if encoding == "utf-8" else encoding, errors="replace").splitlines()
    for number, line in enumerate(lines, start=1):
        if line.strip(",;\t \"'"):
            return Layout("csv", separator=max(",;\t", key=line.count), encoding=encoding, header=number)
    return None


def _layout_of_workbook(path: Path) -> Layout | None:
    """Return where the list is: in the sheet whose header has its columns, else in the first; None: all are empty."""
    layouts = []
    for sheet in sheet_names(path):
        _, rows = read_ledger_file(path, Layout("xlsx", sheet=sheet, header=0))
        line, cells = next(rows, (0, []))
        if line:
            layouts.append(Layout("xlsx", sheet=sheet, header=line))
            if {*NEEDED} <= {str(cell).strip().lower() for cell in cells}:
                return layouts[-1]
    return layouts[0] if layouts else None


def _header(path: Path, cells: Sequence[Any]) -> dict[str, int]:
    names = [shown(str(cell or "")).lower() for cell in cells]
    places = {name: names.index(name) for name in COLUMNS if name in names}
    for name in places:
        if names.count(name) > 1:
            raise ConfigError(f"{path.name} has the column {name} twice: keep one.")
    missing = [name for name in NEEDED if name not in places]
    if missing or not any(name in places for name in FILLED_IN):
        lacking = " and ".join(missing) or "owner, reason or note"
        raise ConfigError(
            f"{path.name} has no column {lacking} in its first row: keep the header that "
            "`ecommpay-sync breaks --output FILE` wrote."
        )
    return places


def _filled_row(line: int, cells: dict[str, Any]) -> FilledRow | None:
    """Return a row, or None where neither a break is named nor anything filled in (a sum below the list)."""
    for name in TAKEN:
        if isinstance(cell := cells.get(name), Spoiled):
            raise ConfigError(f"the {name} {cell.problem}: {cell.advice}")
    filled = [_text(cells[name]) if name in cells else None for name in FILLED_IN]
    if cells["id"] in (None, "") and cells["version"] in (None, "") and not any(filled):
        return None
    return FilledRow(line, _whole("id", cells["id"]), _whole("version", cells["version"]), *filled)


def _whole(name: str, value: Any) -> int:
    if digits := digits_of(value):
        return int(digits)
    match = WHOLE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        written = "empty" if value in (None, "") else repr(str(value))
        raise ConfigError(f"the {name} is {written}: it must be the number that the list had")
    return int(re.sub(r"\D", "", match[1]))


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime) and value.time() == datetime.min.time():
        value = value.date()
    return shown(value.isoformat() if isinstance(value, date) else str(value))
