"""Files of finance to rows of exact values: CSV, Parquet, XLSX; nothing is dropped, shifted or guessed.

What a row means is in `ledger_entries`, a bank's statements are in `statements`. A row has as many values as the header
has cells, in their order; what a cell cannot say exactly is a `Spoiled` value, which becomes a fault of its row.
"""

from __future__ import annotations

import codecs
import csv
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain, repeat
from pathlib import Path
from typing import Annotated, Any, Literal

from resources.errors import ConfigError
from resources.values import Kind, matching, one_of, whole

Rows = Iterator[tuple[int, list[Any]]]
LARGEST_WORKBOOK = 2**30  # bytes when unpacked; a full sheet of a million entries stays far below
DIGITS_OF_A_CELL = 15  # that a spreadsheet keeps of a number: a decimal of so many digits is one float, and back
LARGEST_WHOLE_FLOAT = 10**DIGITS_OF_A_CELL  # below that, a whole number is exact


@dataclass(frozen=True)
class Spoiled:
    """A cell whose value the file does not hold: what is wrong with it, and what to do."""

    problem: str
    advice: str


FileKind = Literal["csv", "xlsx", "parquet", "camt.053", "mt940"]
SEPARATORS = (";", ",", "|", "\t")
QUOTES = ('"', "'", "")


def _encoding(value: str) -> str:
    try:
        "a".encode(value)  # a codec of bytes, such as base64, takes no text
    except LookupError:
        raise ValueError from None
    return codecs.lookup(value).name


def one_mark(marks: tuple[str, ...], write: str) -> Kind:
    """Return the kind of marks of which one is chosen."""
    return Kind(lambda value: marks[marks.index(value)], write)


@dataclass(frozen=True)
class Layout:
    """How a file is laid out: its kind, and where its rows begin."""

    kind: Annotated[FileKind, one_of(FileKind)] = "csv"
    separator: Annotated[str, one_mark(SEPARATORS, r'";", ",", "|" or "\t"')] = ","
    quote: Annotated[str, one_mark(QUOTES, """'"', "'", or "" for none""")] = '"'
    encoding: Annotated[str, Kind(_encoding, 'an encoding such as "utf-8", "cp1252" or "utf-16"')] = "utf-8"
    sheet: Annotated[str | None, matching(r".+", "the name of a sheet")] = None  # None: the only one
    header: Annotated[int, whole(0, 10_000)] = 1  # its row; 0: there is none, and columns are named A, B, C, …


OTHER_KINDS = (  # how files begin that are read as another kind, what they are, what to do; and the kind of each
    (rb"PK\x03\x04.{26}(\[Content_T|_rels/|docProps/|xl/)", "is a workbook: name a mapping of kind xlsx", "XLSX"),
    (rb"PK\x03\x04.{26}mimetypeapplication", "is an OpenDocument file: save it as .xlsx, or as CSV UTF-8", ""),
    (rb"PK\x03\x04|\x1f\x8b|7z\xbc\xaf|Rar!", "is an archive: unpack it, and name the file in it", ""),
    (rb"\xd0\xcf\x11\xe0", "needs a password, or is an old .xls: save it as .xlsx without one", ""),
    (rb"PAR1\x15", "is a Parquet file: end its name with .parquet, or name a mapping of kind parquet", "Parquet"),
    (rb"%PDF-", "is a PDF: export CSV or .xlsx", ""),
    (
        rb"(\xef\xbb\xbf)?\s*<(\?xml|!doctype|html|table|head|meta)",
        "is HTML or XML: save it as .xlsx, or name the mapping of a statement",
        "camt.053",
    ),
    (rb"(\xef\xbb\xbf)?\s*(\[\s*)?[\[{]\s*[\"{\[]", "is JSON: export CSV or .xlsx", ""),
)
FORMULA = re.compile(rb"<(\w+:)?f[ />]")
# of a workbook's texts: a pair of UTF-16 units, or one that is a character by itself (ECMA-376, ST_Xstring)
ESCAPE = re.compile(r"_x(?i:(d[89ab][\da-f]{2})__(?-i:x)(d[c-f][\da-f]{2})|(?!d[89a-f])([\da-f]{4}))_", re.ASCII)
NO_RESULT = Spoiled("has a formula and no value", "open the file in a spreadsheet and save it, so that it has results")
ERROR_CELL = Spoiled("holds an error of the spreadsheet", "correct the formula, or write the value")


def read_ledger_file(path: Path, layout: Layout | None = None) -> tuple[list[str], Rows]:
    """Return the column names of a file, and its rows with their line numbers; values as text or exact numbers.

    Without a layout the file is as the contract has it. A cell of the header without a name gives "". Rows without any
    value are left out.

    Raises:
        ConfigError: it cannot be read, is of another kind, or is malformed (also while the rows are read).
    """
    from pipelines.reconciliation.statements import read_camt, read_mt940

    readers = {
        "csv": _read_csv,
        "parquet": _read_parquet,
        "xlsx": _read_xlsx,
        "camt.053": read_camt,
        "mt940": read_mt940,
    }
    kind = layout.kind if layout else path.suffix.lower().removeprefix(".")
    if kind not in (readers if layout else ("csv", "parquet", "xlsx")):
        raise ConfigError(
            f"{path.name or path} is no .csv, .parquet or .xlsx: save it as one of them, or name a mapping."
        )
    check_file(path)
    names, rows = readers[kind](path, layout or Layout())
    return names, ((line, row) for line, row in rows if not _is_blank(row))


def check_file(path: Path) -> None:
    """Check that there is a file.

    Raises:
        ConfigError: there is none.
    """
    try:
        is_file = path.is_file()
    except OSError as error:
        raise ConfigError(f"{str(path)[:200]} cannot be read: {error.strerror}.") from None
    if not is_file:
        if path.exists():
            raise ConfigError(f"{path} is a folder or a device: name one file.")
        raise ConfigError(f"there is no file {path}: check the path.")


def _check_kind(path: Path, kind: str) -> None:
    """Check that a file does not begin as one of another kind does.

    Raises:
        ConfigError: it does; what it is, and what to do.
    """
    start = start_of(path, 200)
    for begins, words, own in OTHER_KINDS:
        if re.match(begins, start, re.DOTALL | re.IGNORECASE):
            if own != kind:
                raise ConfigError(f"{path.name} {words}.")
            return


def start_of(path: Path, size: int) -> bytes:
    """Return the first bytes of a file.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(size)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None


def column_letter(number: int) -> str:
    """Return what spreadsheets call the column of a number from 0: A to Z, then AA."""
    from xlsxwriter.utility import xl_col_to_name

    return str(xl_col_to_name(number))


def _is_blank(row: Sequence[Any]) -> bool:
    return all(value is None or (isinstance(value, str) and not value.strip()) for value in row)


def _with_names(path: Path, layout: Layout, rows: Rows) -> tuple[list[Any], Rows]:
    """Return the names of the columns, which the first row has or which are letters, and the rows below them.

    Raises:
        ConfigError: there is no first row, and it should have the names.
    """
    first = next(rows, None)
    if first is None and layout.header:
        above = f" from row {layout.header} on" * (layout.header > 1)
        raise ConfigError(f"{path.name} has nothing in it{above}: export it again, or correct the mapping's header.")
    line, values = first or (1, [])
    if layout.header:
        return values, rows
    return [column_letter(place) for place in range(len(values))], chain([(line, values)], rows)


def _read_csv(path: Path, layout: Layout) -> tuple[list[str], Rows]:
    names, rows = _with_names(path, layout, _csv_rows(path, layout))
    if any("\0" in name for name in names):
        raise ConfigError(f"{path.name} is UTF-16 text, by its zero bytes: name its encoding in a mapping.")
    if len(names) == 1 and (other := next((mark for mark in SEPARATORS if mark in names[0]), None)):
        raise ConfigError(
            f"{path.name} separates its columns by {'semicolons' if other == ';' else repr(other)}: save it with "
            "commas, or name a mapping that says so (--map)."
        )
    return names, rows


def _csv_rows(path: Path, layout: Layout) -> Rows:
    encoding = "utf-8-sig" if layout.encoding == "utf-8" else layout.encoding
    quoting = {"quotechar": layout.quote} if layout.quote else {"quoting": csv.QUOTE_NONE}
    before = max(layout.header - 1, 0)
    line = before + 1
    try:
        _check_kind(path, "CSV")
        with path.open(encoding=encoding, newline="") as file:
            for _ in range(before):  # a title, of which no quote is closed
                file.readline()
            reader = csv.reader(file, delimiter=layout.separator, strict=True, **quoting)
            for row in reader:
                if row:
                    yield line, row
                line = before + reader.line_num + 1
    except UnicodeError:
        raise ConfigError(
            f"{path.name} is not {layout.encoding.upper()} text: save it as CSV UTF-8, or name its encoding in a "
            "mapping."
        ) from None
    except csv.Error as error:
        raise ConfigError(f"{path.name}, near line {line}: {error}: correct the quotes there.") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None


def _read_parquet(path: Path, _: Layout) -> tuple[list[str], Rows]:
    from pyarrow import parquet

    with whole_file(path, "Parquet file: write it again"):
        file = parquet.ParquetFile(path)
        names = list(file.schema_arrow.names)
    return names, _parquet_rows(path, file)


def _parquet_rows(path: Path, file: Any) -> Rows:
    with whole_file(path, "Parquet file that can be read: write it again, times with a zone's usual name"):
        blocks = (zip(*(column.to_pylist() for column in batch.columns), strict=True) for batch in file.iter_batches())
        for number, row in enumerate(chain.from_iterable(blocks), start=1):
            yield number, [_of_parquet(value) for value in row]


def _read_xlsx(path: Path, layout: Layout) -> tuple[list[str], Rows]:
    with ExitStack() as stack, whole_file(path, _NO_XLSX):
        # a file of ours: of a damaged workbook the library leaves its own open
        file = stack.enter_context(path.open("rb"))
        with zipfile.ZipFile(file) as archive:
            size = sum(part.file_size for part in archive.infolist())
            if size > LARGEST_WORKBOOK:
                raise ConfigError(f"{path.name} unpacks to {size / 2**20:,.0f} MiB: save the entries as CSV.")
            has_formulas = _has_formulas(archive)
        cells = _sheet(path, file, layout.sheet, data_only=True)
        again = stack.enter_context(path.open("rb")) if has_formulas else None
        formulas = _sheet(path, again, layout.sheet, data_only=False) if again else None
        rows = _xlsx_rows(path, cells, formulas, stack.pop_all(), first=max(layout.header, 1))
    names, rows = _with_names(path, layout, rows)
    if not layout.header:
        return names, rows
    if any(isinstance(name, Spoiled) for name in names):
        raise ConfigError(f"{path.name}: a name of a column is a formula without a value: write the name itself.")
    header = ["" if name is None else str(name) for name in names]
    return header, ((line, _as_wide_as(header, row)) for line, row in rows)


def _as_wide_as(header: list[str], row: list[Any]) -> list[Any]:
    """Return a row with empty cells added, or taken off beyond the header: a sheet writes only the cells it uses."""
    beyond = [value for value in row[len(header) :] if value is not None]
    return row if beyond else (row + [None] * (len(header) - len(row)))[: len(header)]


def sheet_names(path: Path) -> list[str]:
    """Return the names of the sheets of a workbook.

    Raises:
        ConfigError: it is none that can be read.
    """
    import openpyxl

    with whole_file(path, _NO_XLSX), path.open("rb") as file:
        return [sheet.title for sheet in openpyxl.load_workbook(file, read_only=True).worksheets]


def _sheet(path: Path, file: Any, name: str | None, *, data_only: bool) -> Any:
    from openpyxl.cell.text import Text
    from openpyxl.reader.excel import SHARED_STRINGS, ExcelReader
    from openpyxl.xml.constants import SHEET_MAIN_NS
    from openpyxl.xml.functions import iterparse

    class Reader(ExcelReader):  # type: ignore[misc] # the library has no types
        """A reader that keeps texts as they are written: the library's takes x005F_ off wherever it stands."""

        def read_strings(self) -> None:
            part = self.package.find(SHARED_STRINGS)
            if part is None:
                return
            with self.archive.open(part.PartName[1:]) as source:
                for _, node in iterparse(source):
                    if node.tag == f"{{{SHEET_MAIN_NS}}}si":
                        self.shared_strings.append(Text.from_tree(node).content)
                        node.clear()

    reader = Reader(file, read_only=True, data_only=data_only)
    reader.read()
    book = reader.wb
    names = [sheet.title for sheet in book.worksheets]
    if name is None and len(book.sheetnames) > 1:
        raise ConfigError(
            f"{path.name} has {len(book.sheetnames)} sheets: keep the one with the entries, or name it in a mapping."
        )
    if name is not None and name not in names:
        raise ConfigError(f"{path.name} has no sheet {name!r}: there are {', '.join(map(repr, names))}.")
    sheet = book.worksheets[names.index(name) if name is not None else 0]
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


def _xlsx_rows(path: Path, cells: Any, formulas: Any, opened: ExitStack, first: int) -> Rows:
    with opened, whole_file(path, _NO_XLSX):
        sources: Iterable[Sequence[Any]] = formulas.iter_rows(first) if formulas is not None else repeat(())
        for line, (row, source) in enumerate(zip(cells.iter_rows(first), sources, strict=False), start=first):
            values = [ERROR_CELL if cell.data_type == "e" else _of_sheet(cell.value) for cell in row]
            for place, cell in enumerate(source):
                # a formula whose result is an empty text says so: its cell is of type "str"
                if cell.data_type == "f" and values[place] is None and row[place].data_type != "str":
                    values[place] = NO_RESULT
            if any(value is not None for value in values):
                yield line, values


def _of_sheet(value: Any) -> Any:
    """Return the value of a cell: a text without the escapes of the format, a whole number as an integer."""
    if isinstance(value, str):
        return ESCAPE.sub(_unescaped, value) if "_x" in value else value
    return _exact(value)


def _unescaped(escape: re.Match[str]) -> str:
    return bytes.fromhex("".join(filter(None, escape.groups()))).decode("utf-16-be")


def _of_parquet(value: Any) -> Any:
    """Return a value of a Parquet file; a long integer as a Decimal: unlike a cell's, it has all its digits."""
    return Decimal(value) if type(value) is int and abs(value) >= LARGEST_WHOLE_FLOAT else _exact(value)


def _exact(value: Any) -> Any:
    """Return a whole number that a cell holds as a float as the integer it is; anything else as it is."""
    if isinstance(value, float) and value.is_integer() and abs(value) < LARGEST_WHOLE_FLOAT:
        return int(value)
    return value


_NO_XLSX = "XLSX file that can be read: save it again as .xlsx"


@contextmanager
def whole_file(path: Path, what: str) -> Iterator[None]:
    """Tell in one line that a file is damaged: its reader raises an error of any kind where that shows."""
    try:
        yield
    except ConfigError:
        raise
    except Exception as error:  # noqa: BLE001 - of a library, about bytes that somebody else wrote
        _check_kind(path, what.split(maxsplit=1)[0])
        raise ConfigError(f"{path.name} is no {what} ({type(error).__name__}).") from None
