"""Whatever table is written through a kind of file, the same values are read back, each under its own name."""

from __future__ import annotations

import csv

import openpyxl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from pipelines.reconciliation.ledger_files import column_letter, read_ledger_file

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


@pytest.mark.parametrize(("number", "letter"), [(0, "A"), (25, "Z"), (26, "AA"), (51, "AZ"), (52, "BA"), (702, "AAA")])
def test_a_column_is_named_as_spreadsheets_name_it(number, letter):
    assert column_letter(number) == letter
