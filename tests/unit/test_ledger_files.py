"""Whatever table is written through a kind of file, the same values are read back, each under its own name."""

from __future__ import annotations

import csv
import io
import zipfile
from decimal import Decimal

import openpyxl
import pyarrow as pa
import pytest
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from pipelines.reconciliation.ledger_entries import WrongCell, text_field
from pipelines.reconciliation.ledger_files import column_letter, read_ledger_file
from resources.errors import ConfigError

NAMES = ("entry_id", "", "amount", "note")
TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"), max_size=8
)
CELL = st.none() | TEXT.filter(str.strip) | st.integers(-(10**14), 10**14)
TABLES = st.lists(st.tuples(TEXT.filter(str.strip), CELL, CELL, CELL), max_size=6)


def write(path, rows) -> None:
    if path.suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([NAMES, *rows])
    elif path.suffix == ".xlsx":
        book = openpyxl.Workbook()
        for line, row in enumerate([NAMES, *rows], start=1):
            for place, value in enumerate(row, start=1):
                cell = book.active.cell(line, place)
                cell.value = value or (0 if value == 0 else None)
                if isinstance(value, str) and value:
                    cell.data_type = "s"  # a text that begins with = is a text here
        book.save(path)
    else:
        columns = [pa.array([None if row[n] is None else str(row[n]) for row in rows], pa.string()) for n in range(4)]
        parquet.write_table(pa.table(columns, names=list(NAMES)), path)


@pytest.mark.parametrize("suffix", [".csv", ".xlsx", ".parquet"])
@settings(
    max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture], deadline=None
)
@given(rows=TABLES)
def test_the_same_values_are_read_back(tmp_path, suffix, rows):
    path = tmp_path / f"ledger{suffix}"
    write(path, rows)
    names, read = read_ledger_file(path)
    assert names == list(NAMES)
    back = [["" if value is None else str(value) for value in row] for _, row in read]
    assert back == [["" if value is None else str(value) for value in row] for row in rows]


def archive(*names: str) -> bytes:
    """A zip archive with these files in it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name in names:
            file.writestr(name, "application/vnd.oasis.opendocument.spreadsheet")
    return out.getvalue()


OTHERS = {  # what a file begins with, and the words that it is refused with under each ending but its own
    "a zipped export": (archive("books.csv"), "is an archive: unpack it", ""),
    "a zipped export of gzip": (b"\x1f\x8b\x08" + bytes(9), "is an archive: unpack it", ""),
    "OpenDocument": (archive("mimetype", "content.xml"), "is an OpenDocument file: save it as .xlsx", ""),
    "a workbook": (archive("[Content_Types].xml", "xl/workbook.xml"), "is a workbook: name a mapping", ".xlsx"),
    "an old workbook": (b"\xd0\xcf\x11\xe0" + bytes(2000), "needs a password, or is an old .xls", ""),
    "Parquet": (b"PAR1\x15" + bytes(20), "is a Parquet file: end its name", ".parquet"),
    "a PDF": (b"%PDF-1.7\n\xe2\xe3\xcf\xd3", "is a PDF: export CSV", ""),
    "a page that calls itself a workbook": (b"\xef\xbb\xbf\r\n<HTML><table>", "is HTML or XML: save it", ""),
    "XML of Excel 2003": (b'<?xml version="1.0"?><Workbook>', "is HTML or XML: save it", ""),
    "JSON": (b'[\n  {"id": "A", "amount": 1.5}]', "is JSON: export CSV", ""),
    "lines of JSON": (b'{"id": "A", "amount": 1.5}\n', "is JSON: export CSV", ""),
}


@pytest.mark.parametrize("suffix", [".csv", ".xlsx", ".parquet"])
@pytest.mark.parametrize("name", OTHERS)
def test_a_file_that_is_of_another_kind_than_its_name_is_told_as_what_it_is(tmp_path, name, suffix):
    content, words, own = OTHERS[name]
    (tmp_path / f"books{suffix}").write_bytes(content)
    with pytest.raises(ConfigError) as refused:
        list(read_ledger_file(tmp_path / f"books{suffix}")[1])
    assert words in str(refused.value) or own == suffix


@pytest.mark.parametrize("header", ["<TICKER>,<DATE>", "PAR1,a", "PK,a", "[id],a", "{id},a"])
def test_a_header_that_only_looks_so_is_read(tmp_path, header):
    (tmp_path / "books.csv").write_text(f"{header}\n1,2\n")
    assert read_ledger_file(tmp_path / "books.csv")[0] == header.split(",")


@pytest.mark.parametrize(("number", "letter"), [(0, "A"), (25, "Z"), (26, "AA"), (51, "AZ"), (52, "BA"), (702, "AAA")])
def test_a_column_is_named_as_spreadsheets_name_it(number, letter):
    assert column_letter(number) == letter


ESCAPED = {
    "a carriage return": ("A_x000D_B", "A\rB"),
    "small digits": ("A_x000d_B", "A\rB"),
    "an underscore": ("A_x005F_B", "A_B"),
    "an escape that is a text": ("A_x005F_x000D_B", "A_x000D_B"),
    "no escape: no underscore before it": ("Ax005F_B", "Ax005F_B"),
    "no escape: three digits": ("A_x00D_B", "A_x00D_B"),
    "no escape: a large X": ("A_X000D_B", "A_X000D_B"),
    "a character of two units": ("_xD83D__xDE00_", "\U0001f600"),
    "half a character": ("A_xD83D_B", "A_xD83D_B"),
    "half a character behind an escape": ("A_x000D__xD83D_B", "A\r_xD83D_B"),
}
CELLS = {
    "shared": '<c r="A2" t="s"><v>1</v></c>',
    "inline": '<c r="A2" t="inlineStr"><is><t>{}</t></is></c>',
    "the result of a formula": '<c r="A2" t="str"><f>B2</f><v>{}</v></c>',
}


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
@pytest.mark.parametrize(("written", "text"), ESCAPED.values(), ids=ESCAPED)
def test_a_text_of_a_workbook_is_read_without_escapes(tmp_path, cell, written, text):
    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as book:
        book.add_worksheet().write_column(0, 0, ["entry_id", "WRITTEN"])
    path = tmp_path / "ledger.xlsx"
    with zipfile.ZipFile(out) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            part = old.read(name).decode()
            if name == "xl/worksheets/sheet1.xml":
                assert CELLS["shared"] in part
                part = part.replace(CELLS["shared"], cell.format(written))
            new.writestr(name, part.replace("WRITTEN", written))
    assert [row for _, row in read_ledger_file(path)[1]] == [[text]]


WHOLE = {
    "int64": (pa.int64(), 2**63 - 1, str(2**63 - 1)),
    "uint64": (pa.uint64(), 2**64 - 1, str(2**64 - 1)),
    "sixteen digits": (pa.int64(), 10**15, str(10**15)),
    "a decimal without a fraction": (pa.decimal128(38, 0), Decimal(10**37 + 1), str(10**37 + 1)),
    "a short decimal": (pa.decimal128(38, 0), Decimal(7), "7"),
    "a short float": (pa.float64(), 7.0, "7"),
    "a long float": (pa.float64(), 1e15, None),
    "a decimal with a fraction": (pa.decimal128(38, 2), Decimal("7.00"), None),
    "negative": (pa.int64(), -(10**15), None),
}


@pytest.mark.parametrize(("kind", "value", "digits"), WHOLE.values(), ids=WHOLE)
def test_an_id_of_a_parquet_file_is_taken_where_the_file_has_all_its_digits(tmp_path, kind, value, digits):
    path = tmp_path / "ledger.parquet"
    parquet.write_table(pa.table({"operation_id": pa.array([value], kind)}), path)
    ((_, (read,)),) = read_ledger_file(path)[1]
    if digits is not None:
        assert text_field({"operation_id": read}, "operation_id") == digits
        return
    with pytest.raises(WrongCell, match="is a number, not text"):
        text_field({"operation_id": read}, "operation_id")
