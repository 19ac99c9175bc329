"""A mapping says what an export means: the ready ones read their files, doubts are refused, nothing else is guessed."""

from __future__ import annotations

import codecs
import csv
import re
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import openpyxl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from fixtures.commands import ROOT
from pipelines.reconciliation.guess_mapping import guess_mapping
from pipelines.reconciliation.ledger_files import read_ledger_file
from pipelines.reconciliation.ledger_import import EntryReader
from pipelines.reconciliation.mapping import read_mapping
from pipelines.reconciliation.statements import BATCH
from resources.currencies import exponent_of
from resources.errors import ConfigError

EXPORTS = ROOT / "tests" / "data" / "exports"
DAY = "2025-11-11", "2025-11-12", "2025-11-13"
SLOW = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)


def read(path: Path, mapping: str | Path):
    """The reader of a file at its end, and what it yielded."""
    reader = EntryReader(path, ZoneInfo("UTC"), exponent_of, read_mapping(str(mapping), Path("/nowhere")))
    return reader, list(reader)


def mapped(tmp_path, toml: str, text: str = "", name: str = "books.csv"):
    """Read a text as a file, by a mapping."""
    (tmp_path / "books.toml").write_text(toml, encoding="utf-8")
    (tmp_path / name).write_text(text, encoding="utf-8", newline="")
    return read(tmp_path / name, tmp_path / "books.toml")


READY = {
    "datev.csv": [
        ("PAY-1001/2", DAY[0], "sale", "EUR", 123456, "PAY-1001", "74000123"),
        ("PAY-1000/3", DAY[1], "refund", "EUR", 2000, "PAY-1000", None),
    ],
    "sap_fbl3n.txt": [
        ("1000-0100000017-001", DAY[0], "sale", "EUR", 123456, "PAY-1001", "74000123"),
        ("1000-0100000018-001", DAY[1], "refund", "EUR", 2000, "PAY-1000", None),
        ("1000-0100000019-002", DAY[1], "payout", "EUR", 7, '7" screen', None),
    ],
    "1c.csv": [
        ("Поступление 0001-000017", DAY[0], "sale", "RUB", 123456, "PAY-1001", None),
        ("Списание 0001-000003", DAY[1], "refund", "EUR", 2000, "PAY-1000", None),
    ],
    "quickbooks.csv": [
        ("Sales Receipt-1017", DAY[1], "sale", "USD", 123456, "PAY-1001", None),
        ("Refund-1018", "2025-12-11", "refund", "USD", 2000, "PAY-1000", None),
        ("Bill Payment-1019", "2025-12-11", "payout", "USD", 7, None, None),
    ],
    "xero.xlsx": [
        ("Receive Money-PAY-1001", DAY[0], "sale", "GBP", 123456, "PAY-1001", None),
        ("Spend Money-PAY-1000", DAY[1], "refund", "GBP", 2000, "PAY-1000", None),
    ],
    "netsuite.csv": [
        ("9001", DAY[1], "sale", "EUR", 123456, "PAY-1001", None),
        ("9002", DAY[2], "refund", "USD", 2000, "PAY-1000", None),
        ("9003", DAY[2], "sale", "GBP", 700, "PAY-1002", None),
    ],
    "google_sheets.xlsx": [
        ("17", DAY[0], "sale", "EUR", 123456, "PAY-1001", None),
        ("18", DAY[1], "refund", "JPY", 20, "PAY-1000", None),
    ],
    "camt053.xml": [
        ("B-17", DAY[0], "sale", "EUR", 123456, "PAY-1001", None),
        ("B-18/1", DAY[1], "refund", "EUR", 2000, "PAY-1000", None),
        ("B-18/2", DAY[1], "refund", "EUR", 1007, None, None),
    ],
    "mt940.sta": [
        ("10010010/6820101-2025-00012/001-1", DAY[0], "sale", "EUR", 123456, "PAY-1001", None),
        ("10010010/6820101-2025-00012/001-2", DAY[1], "refund", "EUR", 2000, None, None),
    ],
}


@pytest.mark.parametrize("name", READY)
def test_a_ready_mapping_reads_the_export_of_its_system(name):
    reader, entries = read(EXPORTS / name, Path(name).stem)
    assert reader.faults == []
    found = [
        (e.entry_id, f"{e.booked_at:%Y-%m-%d}", e.operation_type, e.currency, e.amount_minor, e.payment_id, e.reference)
        for e in entries
    ]
    assert found == READY[name]
    assert all(entry.is_date_only for entry in entries)


def test_each_ready_mapping_has_a_file_that_it_reads():
    ready = ROOT / "pipelines" / "reconciliation" / "mappings"
    assert {path.stem for path in ready.glob("*.toml")} == {Path(name).stem for name in READY}


PLAIN = """
dates = "%d.%m.%Y"
decimal = ","
thousands = "."
[fields]
entry_id = "No"
booked_at = "Date"
operation_type = { column = "Type", words = { Zahlung = "sale", Erstattung = "refund" } }
currency = { value = "EUR" }
amount = "Amount"
"""
HEADER = "No,Date,Type,Amount\n"

WRONG = {
    "an unknown key": ("seperator = ';'\n" + PLAIN, "seperator is unknown: did you mean separator?"),
    "an unknown field": (PLAIN + "paymentid = 'X'\n", "fields.paymentid is no field of the contract: did you mean"),
    "an unknown key of a field": (
        PLAIN + "fee = { colum = 'X' }\n",
        "fields.fee.colum is unknown: did you mean column?",
    ),
    "an unknown key of a rule": (
        PLAIN + "[[skip]]\ncolumn = 'X'\nequal = 'x'\n",
        "skip.equal is unknown: did you mean",
    ),
    "an undecided value": (PLAIN.replace('"%d.%m.%Y"', '"? which"'), "dates is not decided yet (which)"),
    "an undecided word": (
        PLAIN.replace('= "refund"', '= "?"'),
        "fields.operation_type.words.Erstattung is not decided",
    ),
    "an undecided list": ("units = ['?']\n" + PLAIN, "units is not decided yet"),
    "a kind that is none": ("kind = 'ods'\n" + PLAIN, "kind is 'ods': write csv"),
    "an encoding that is none": ("encoding = 'base64'\n" + PLAIN, "encoding is 'base64'"),
    "a sheet that is no text": ("sheet = 2\n" + PLAIN, "sheet is 2"),
    "a date format without a day": (PLAIN.replace("%d.%m.%Y", "%m.%Y"), "dates has '%m.%Y', which gives no day"),
    "times without a zone": (PLAIN.replace("%d.%m.%Y", "%d.%m.%Y %H:%M"), "zone is missing"),
    "a zone that is none": ("zone = 'Mars/Olympus'\n" + PLAIN, "no IANA time zone"),
    "one mark for two things": (PLAIN.replace('decimal = ","', 'decimal = "."'), "are the same mark"),
    "a pattern that is none": (PLAIN + "fee = { column = 'X', pattern = '(' }\n", "is no regular expression"),
    "no id": (PLAIN.replace('entry_id = "No"\n', ""), "fields.entry_id is missing"),
    "no amount": (PLAIN.replace('amount = "Amount"\n', ""), "the amount comes from one of"),
    "no type": (PLAIN.replace("operation_type", "reference"), "fields.operation_type is missing"),
    "half of two columns": (
        PLAIN.replace('amount = "Amount"\n', "") + "[direction]\ndebit = 'S'\npositive = 'sale'\n",
        "go together",
    ),
    "marks of one sign": (PLAIN + "[direction]\npositive = 'sale'\npositive_marks = 'CR'\n", "go together"),
    "a mark of both signs": (
        PLAIN + "[direction]\npositive = 'sale'\npositive_marks = 'CR'\nnegative_marks = ['DR', 'CR']\n",
        "has 'CR' among the marks of both signs",
    ),
    "a column of marks without marks": (PLAIN + "[direction]\npositive = 'sale'\nmark = 'X'\n", "needs both"),
    "a table that is a list": (PLAIN + "[[direction]]\npositive = 'sale'\n", "direction is no table"),
    "a list that is a table": (PLAIN + "[skip]\ncolumn = 'X'\n", "skip is no list"),
    "two sources": (PLAIN + "fee = { column = 'X', value = '1' }\n", "needs one of column, template and value"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_mapping_is_refused_in_one_line_that_names_the_key(tmp_path, name):
    toml, message = WRONG[name]
    with pytest.raises(ConfigError) as refused:
        mapped(tmp_path, toml, HEADER)
    assert message in str(refused.value)
    assert str(refused.value).startswith("mapping books.toml: ")
    assert "\n" not in str(refused.value)


def test_a_name_that_is_no_mapping_is_told_with_the_nearest(tmp_path):
    (tmp_path / "mine.toml").write_text(PLAIN)
    with pytest.raises(ConfigError, match=r"no mapping 'quickbook' .* did you mean quickbooks\? There are .*mine"):
        read_mapping("quickbook", tmp_path)
    assert read_mapping("mine", tmp_path).decimal == ","


def test_a_mapping_of_your_own_stands_before_a_ready_one_of_the_same_name(tmp_path):
    (tmp_path / "xero.toml").write_text(PLAIN)
    assert read_mapping("xero", tmp_path).kind == "csv"


ROWS = {  # a row, then what it is: minor units, or the column and problem of its fault
    "a number with both marks": ('1,11.11.2025,Zahlung,"1.234,50"', 123450),
    "a number without thousands": ('1,11.11.2025,Zahlung,"1234,5"', 123450),
    "a point that is no thousands mark": (
        "1,11.11.2025,Zahlung,1.23",
        ("Amount", "is no number as the mapping has it"),
    ),
    "marks in the wrong order": ('1,11.11.2025,Zahlung,"1,234.50"', ("Amount", "is no number as the mapping has it")),
    "thousands of two digits": ('1,11.11.2025,Zahlung,"1.23.456,00"', ("Amount", "is no number as the mapping has it")),
    "two signs": ('1,11.11.2025,Zahlung,"-1,00-"', ("Amount", "is no number as the mapping has it")),
    "an open bracket": ('1,11.11.2025,Zahlung,"(1,00"', ("Amount", "is no number as the mapping has it")),
    "a sign without a direction": ('1,11.11.2025,Zahlung,"-1,00"', ("Amount", "is negative")),
    "a day of another format": ("1,2025-11-11,Zahlung,1", ("Date", "is no date as the mapping has it")),
    "a day that is none": ("1,31.11.2025,Zahlung,1", ("Date", "is no date as the mapping has it")),
    "a word that is not in the mapping": ("1,11.11.2025,Storno,1", ("Type", "is no word of the mapping")),
    "no word": ("1,11.11.2025,,1", ("Type", "is empty")),
    "no id": (",11.11.2025,Zahlung,1", ("No", "is missing")),
    "a spoiled id": ("1e5,11.11.2025,Zahlung,1", ("No", "is a number in scientific notation: digits are lost")),
    "a value too many": ("1,11.11.2025,Zahlung,1,2", ("(row)", "has 5 values, the header 4")),
    "more decimals than the currency": ('1,11.11.2025,Zahlung,"1,005"', ("Amount", "has more decimals than EUR (2)")),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_row_is_understood_exactly_or_refused_with_its_column_in_the_file(tmp_path, name):
    row, wanted = ROWS[name]
    reader, entries = mapped(tmp_path, PLAIN, HEADER + row + "\n")
    if isinstance(wanted, int):
        assert [entry.amount_minor for entry in entries] == [wanted]
        assert reader.faults == []
    else:
        assert [(fault.line, fault.column, fault.problem) for fault in reader.faults] == [(2, *wanted)]
        assert entries == []


UNITS = {  # the units of a mapping, a number, then minor units, or the problem of its fault
    "a space that does not break": (["€"], "12,50\u00a0€", 1250),
    "a narrow one": (["€"], "€\u202f12,50", 1250),
    "no space": (["EUR"], "12,50EUR", 1250),
    "the code of another currency": (["EUR", "USD"], "12,50 USD", "is in USD, and the row in EUR"),
    "that code before the number": (["USD", "EUR"], "USD 12,50", "is in USD, and the row in EUR"),
    "the sign of currencies that the row's is none of": (["€", "$"], "$12,50", "is in $, and the row in EUR"),
    "such a sign with a letter": (["€", "US$"], "12,50 US$", "is in US$, and the row in EUR"),
    "the sign of another currency alone": (["£"], "£ 12,50", "is in £, and the row in EUR"),
    "a unit that is no currency": (["zł", "Stk"], "12,50 Stk", 1250),
    "a unit that is not the mapping's": (["€"], "12,50 $", "is no number as the mapping has it"),
}


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("name", UNITS)
def test_a_unit_stands_behind_any_space_and_is_that_of_the_rows_currency(tmp_path, name, kind):
    units, number, wanted = UNITS[name]
    toml = f"kind = '{kind}'\nunits = {units}\n{PLAIN}"
    row = {"No": "1", "Date": "11.11.2025", "Type": "Zahlung", "Amount": number}
    if kind == "csv":
        reader, entries = mapped(tmp_path, toml, HEADER + '1,11.11.2025,Zahlung,"' + number + '"\n')
    else:
        parquet.write_table(pa.table({column: [value] for column, value in row.items()}), tmp_path / "books.parquet")
        (tmp_path / "books.toml").write_text(toml, encoding="utf-8")
        reader, entries = read(tmp_path / "books.parquet", tmp_path / "books.toml")
    found = [entry.amount_minor for entry in entries] or [(fault.column, fault.problem) for fault in reader.faults]
    assert found == [wanted if isinstance(wanted, int) else ("Amount", wanted)]


@pytest.mark.parametrize("currency", ["USD", "CAD", "BRL", "USDT"])
def test_a_sign_of_several_currencies_is_that_of_each(tmp_path, currency):
    toml = "units = ['$', 'R$']\n" + PLAIN.replace('"EUR"', f'"{currency}"').replace("amount =", "amount_minor =")
    reader, entries = mapped(tmp_path, toml, HEADER + "1,11.11.2025,Zahlung,R$ 12\n2,11.11.2025,Zahlung,$12\n")
    assert reader.faults == []
    assert [entry.amount_minor for entry in entries] == [12, 12]


def test_columns_that_the_file_lacks_are_named_once_each_with_what_it_has(tmp_path):
    reader, entries = mapped(tmp_path, PLAIN, "No,Datum,Type,Amount,Amount\n1,11.11.2025,Zahlung,1,1\n")
    assert entries == []
    assert [(f.line, f.column, f.problem) for f in reader.faults] == [
        (1, "Date", "is missing"),
        (1, "Amount", "stands twice"),
    ]


SIGNS = PLAIN + "[direction]\npositive = 'sale'\nnegative = 'refund'\n"
COLUMNS = PLAIN.replace('amount = "Amount"\n', "").replace("operation_type = {", "reference = {")
COLUMNS += "[direction]\ndebit = 'S'\ncredit = 'H'\npositive = 'sale'\nnegative = 'refund'\n"
MARKS = SIGNS + "mark = 'SH'\npositive_marks = 'S'\nnegative_marks = ['H']\n"
IN_CELL = "units = 'EUR'\n" + SIGNS + "positive_marks = 'CR'\nnegative_marks = ['DR', 'DCR']\n"
DIRECTIONS = {
    "a positive sale": (SIGNS, HEADER + '1,11.11.2025,Zahlung,"5,00"', ("sale", 500)),
    "a negative refund": (SIGNS, HEADER + '1,11.11.2025,Erstattung,"5,00-"', ("refund", 500)),
    "a refund in brackets": (SIGNS, HEADER + '1,11.11.2025,Erstattung,"(5,00)"', ("refund", 500)),
    "a negative sale": (SIGNS, HEADER + '1,11.11.2025,Zahlung,"-5,00"', "is negative, which sale is not"),
    "debit": (COLUMNS, 'No,Date,Type,S,H\n1,11.11.2025,Zahlung,"5,00",', ("sale", 500)),
    "credit": (COLUMNS, 'No,Date,Type,S,H\n1,11.11.2025,Zahlung,"0,00","5,00"', ("refund", 500)),
    "both columns": (COLUMNS, 'No,Date,Type,S,H\n1,11.11.2025,Zahlung,"1,00","5,00"', "are both given"),
    "neither column": (COLUMNS, "No,Date,Type,S,H\n1,11.11.2025,Zahlung,,", "is missing"),
    "a negative debit": (COLUMNS, 'No,Date,Type,S,H\n1,11.11.2025,Zahlung,"-5,00",', "is negative"),
    "a mark": (MARKS, "No,Date,Type,Amount,SH\n1,11.11.2025,Erstattung,5,H", ("refund", 500)),
    "a mark of the other way": (MARKS, "No,Date,Type,Amount,SH\n1,11.11.2025,Zahlung,5,H", "which sale is not"),
    "an unknown mark": (MARKS, "No,Date,Type,Amount,SH\n1,11.11.2025,Zahlung,5,X", "has no mark of the mapping"),
    "a mark in the cell": (IN_CELL, HEADER + '1,11.11.2025,Erstattung,"5,00 DR"', ("refund", 500)),
    "a mark in the cell before the number": (
        IN_CELL,
        HEADER + '1,11.11.2025,Erstattung,"DR\u00a05,00"',
        ("refund", 500),
    ),
    "a mark and a unit": (IN_CELL, HEADER + '1,11.11.2025,Zahlung,"5,00 EUR CR"', ("sale", 500)),
    "the longer of two marks": (IN_CELL, HEADER + '1,11.11.2025,Erstattung,"5,00DCR"', ("refund", 500)),
    "a mark in the cell of the other way": (IN_CELL, HEADER + '1,11.11.2025,Zahlung,"5,00 DR"', "which sale is not"),
    "no mark in the cell": (IN_CELL, HEADER + '1,11.11.2025,Zahlung,"5,00"', "has no mark of the mapping"),
    "a mark in the cell and a sign": (
        IN_CELL,
        HEADER + '1,11.11.2025,Zahlung,"-5,00 CR"',
        "has a sign beside the mark",
    ),
    "a mark and a sign": (MARKS, "No,Date,Type,Amount,SH\n1,11.11.2025,Zahlung,-5,S", "has a sign beside the mark"),
}


@pytest.mark.parametrize("name", DIRECTIONS)
def test_sign_columns_or_mark_give_the_direction_and_what_contradicts_is_refused(tmp_path, name):
    toml, text, wanted = DIRECTIONS[name]
    reader, entries = mapped(tmp_path, toml, text + "\n")
    if isinstance(wanted, tuple):
        assert [(entry.operation_type, entry.amount_minor) for entry in entries] == [wanted]
    else:
        (fault,) = reader.faults
        assert wanted in fault.problem


TIMES = """
dates = ["%d.%m.%Y %H:%M", "iso"]
zone = "Europe/Berlin"
[fields]
entry_id = "No"
booked_at = { column = "Date", time = "Time" }
operation_type = { value = "sale" }
currency = { value = "EUR" }
amount = "Amount"
"""


@pytest.mark.parametrize(
    ("day", "clock", "wanted"),
    [
        ("11.11.2025", "00:30", datetime(2025, 11, 10, 23, 30, tzinfo=UTC)),
        ("11.07.2025", "00:30", datetime(2025, 7, 10, 22, 30, tzinfo=UTC)),
        ("26.10.2025", "02:30", "is in an hour that Europe/Berlin had twice"),
        ("30.03.2025", "02:30", "is in an hour that Europe/Berlin left out"),
        ("11.11.2025", "25:00", "is no date as the mapping has it"),
        ("11.11.2025", "", "is no date as the mapping has it"),
    ],
)
def test_a_time_is_in_the_zone_of_the_mapping_and_one_that_is_no_single_moment_is_refused(tmp_path, day, clock, wanted):
    reader, entries = mapped(tmp_path, TIMES, f"No,Date,Time,Amount\n1,{day},{clock},1\n")
    found = [entry.booked_at for entry in entries] or [fault.problem for fault in reader.faults]
    assert found == [wanted]
    if wanted == "is in an hour that Europe/Berlin had twice":
        chosen = 'repeated_hour = "second"\n' + TIMES
        _, entries = mapped(tmp_path, chosen, f"No,Date,Time,Amount\n1,{day},{clock},1\n")
        assert [entry.booked_at for entry in entries] == [datetime(2025, 10, 26, 1, 30, tzinfo=UTC)]


def test_rows_that_are_no_entries_are_told_apart_and_a_total_must_be_the_sum_above_it(tmp_path):
    rules = "[[skip]]\ncolumn = 'Type'\nequals = 'Saldo'\n[[totals]]\ncolumn = 'No'\n"
    rules += "matches = '^Summe'\nsum_of = 'Amount'\n"
    text = HEADER + ',,Saldo,"9,99"\n1,11.11.2025,Zahlung,"1,10"\n2,11.11.2025,Zahlung,"2,20"\nSumme:,,,"{}"\n'
    reader, entries = mapped(tmp_path, PLAIN + rules, text.format("3,30"))
    assert (len(entries), reader.rows_read, sum(reader.skipped.values()), reader.faults) == (2, 2, 2, [])
    reader, _ = mapped(tmp_path, PLAIN + rules, text.format("3,31"))
    assert [(f.line, f.column, f.problem) for f in reader.faults] == [(5, "Amount", "is not the sum of the rows above")]


def test_the_line_of_a_fault_counts_the_title_and_line_breaks_within_quotes(tmp_path):
    text = 'A "title\n\n' + HEADER + '"1\n1",11.11.2025,Zahlung,1\n2,11.11.2025,Zahlung,bad\n'
    reader, _ = mapped(tmp_path, "header = 3\n" + PLAIN, text)
    assert [(fault.line, fault.column) for fault in reader.faults] == [(4, "No"), (6, "Amount")]


def test_a_file_in_another_encoding_is_refused_as_a_whole(tmp_path):
    (tmp_path / "books.toml").write_text(PLAIN)
    (tmp_path / "books.csv").write_bytes(HEADER.encode() + "1,11.11.2025,Zahlung,1\nä".encode("cp1252"))
    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        read(tmp_path / "books.csv", tmp_path / "books.toml")


FIELD_CASES = {  # a file of the field, read through a mapping: how many entries, and its faults
    "dimension_too_few_rows.xlsx": (10, []),
    "dimension_too_few_columns.xlsx": (10, []),
    "whole_numbers_as_floats.xlsx": (10, []),
    "byte_order_mark.csv": (1, []),
    "rows_of_commas_at_the_end.csv": (2, []),
    "empty_header_cell.xlsx": (1, [(2, "column F")]),
    "unquoted_decimal_comma.csv": (0, [(2, "(row)"), (3, "(row)")]),
    "formulas_without_results.xlsx": (0, [(2, "fee_minor"), (2, "operation_id"), (2, "status")]),
    "spoiled_ids.csv": (
        0,
        [(2, "entry_id"), (2, "operation_id"), (2, "payment_id"), (3, "operation_id"), (4, "operation_id")],
    ),
}


@pytest.mark.parametrize("name", FIELD_CASES)
def test_a_file_of_the_field_is_read_through_a_mapping_as_it_is_without_one(tmp_path, name):
    path = ROOT / "tests" / "data" / "field_cases" / name
    columns, _ = read_ledger_file(path)
    fields = "\n".join(f'{column} = {{ column = "{column}", number = true }}' for column in columns if column)
    (tmp_path / "books.toml").write_text(f'kind = "{path.suffix[1:]}"\n[fields]\n{fields}\n')
    reader, entries = read(path, tmp_path / "books.toml")
    plain = EntryReader(path, ZoneInfo("UTC"), exponent_of)
    assert list(plain) == entries
    assert sorted((fault.line, fault.column) for fault in reader.faults) == FIELD_CASES[name][1]
    assert sorted(plain.faults, key=repr) == sorted(reader.faults, key=repr)
    assert len(entries) == FIELD_CASES[name][0]


# Random tables through each kind of file

CELLS = """
kind = "{kind}"
separator = "{separator}"
encoding = "{encoding}"
decimal = "{decimal}"
thousands = "{thousands}"
fraction_cells = true
date_cells = "time"
dates = "%d.%m.%Y %H:%M:%S"
zone = "UTC"
[fields]
entry_id = "No"
booked_at = "Date"
operation_type = "Type"
currency = "Currency"
amount = "Amount"
[direction]
positive = "sale"
negative = "refund"
"""
MOMENTS = st.integers(0, 10**9).map(lambda seconds: datetime(1995, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds))
ENTRIES = st.lists(
    st.tuples(
        MOMENTS, st.sampled_from(["sale", "refund"]), st.sampled_from(["USD", "JPY", "KWD"]), st.integers(1, 10**14)
    ),
    min_size=1,
    max_size=5,
)
MARKS_OF_NUMBERS = st.sampled_from([(".", ""), (".", ","), (",", "."), (",", " "), (".", "'"), (",", "")])


def in_major_units(minor: int, currency: str, decimal: str, thousands: str) -> str:
    exponent = {"USD": 2, "JPY": 0, "KWD": 3}[currency]
    whole, fraction = divmod(minor, 10**exponent)
    text = f"{whole:,}".replace(",", thousands)
    return f"{text}{decimal}{fraction:0{exponent}d}" if exponent else text


@pytest.mark.parametrize("kind", ["csv", "xlsx", "parquet"])
@SLOW
@given(rows=ENTRIES, marks=MARKS_OF_NUMBERS, separator=st.sampled_from([";", ",", "|", "\t"]), wide=st.booleans())
def test_a_random_table_is_read_back_as_it_was_or_refused(tmp_path, kind, rows, marks, separator, wide):
    path = tmp_path / f"books.{kind}"
    encoding = "utf-16" if wide else "cp1252"
    names = ["No", "Date", "Type", "Currency", "Amount"]
    toml = CELLS.format(
        kind=kind,
        separator=separator.replace("\t", "\\t"),
        encoding=encoding,
        decimal=marks[0],
        thousands=marks[1],
    )
    table = []
    for number, (moment, of_type, currency, minor) in enumerate(rows):
        text = in_major_units(minor, currency, *(marks if kind == "csv" else (".", "")))
        signed = f"-{text}" if of_type == "refund" else text
        plain = moment.replace(tzinfo=None)
        amount = {"csv": signed, "xlsx": float(signed) if kind == "xlsx" else 0, "parquet": signed}[kind]
        booked = f"{moment:%d.%m.%Y %H:%M:%S}" if kind == "csv" else plain
        table.append([f"E{number}", booked, of_type, currency, amount])
    if kind == "csv":
        with path.open("w", encoding=encoding, newline="") as file:
            csv.writer(file, delimiter=separator).writerows([names, *table])
    elif kind == "xlsx":
        book = openpyxl.Workbook()
        for row in [names, *table]:
            book.active.append(row)
        book.save(path)
    else:
        columns = [pa.array([row[place] for row in table]) for place in range(4)]
        columns.append(pa.array([Decimal(row[4]) for row in table], pa.decimal128(38, 3)))
        parquet.write_table(pa.table(columns, names=names), path)
    (tmp_path / "books.toml").write_text(toml, encoding="utf-8")
    reader, entries = read(path, tmp_path / "books.toml")
    wanted = {
        f"E{number}": (moment, of_type, currency, minor)
        for number, (moment, of_type, currency, minor) in enumerate(rows)
    }
    for entry in entries:
        booked = entry.booked_at
        assert (booked, entry.operation_type, entry.currency, entry.amount_minor) == wanted[entry.entry_id]
    assert reader.faults == []
    assert len(entries) == len(rows)


@pytest.mark.parametrize(
    ("value", "is_taken"), [(0.1, True), (1234.56, True), (0.1 + 0.2, False), (float("1e300"), False)]
)
def test_a_number_cell_with_a_fraction_is_taken_as_shown_only_where_the_mapping_says_so(tmp_path, value, is_taken):
    columns = [pa.array(["1"]), pa.array(["11.11.2025"]), pa.array(["Zahlung"]), pa.array([value])]
    parquet.write_table(pa.table(columns, names=["No", "Date", "Type", "Amount"]), tmp_path / "books.parquet")
    for allowed in (True, False):
        toml = f"kind = 'parquet'\nfraction_cells = {str(allowed).lower()}\n" + PLAIN
        (tmp_path / "books.toml").write_text(toml)
        reader, entries = read(tmp_path / "books.parquet", tmp_path / "books.toml")
        if allowed and is_taken:
            assert [entry.amount_minor for entry in entries] == [round(value * 100)]
        else:
            assert [fault.column for fault in reader.faults] == ["Amount"]


@pytest.mark.parametrize(
    ("number", "key"),
    [
        (pa.scalar(12345), "12345-x"),
        (pa.scalar(12345678901234567), "12345678901234567-x"),
        (pa.scalar(1.0), "1-x"),
        (pa.scalar(1.5e16), None),
        (pa.scalar(float("inf")), None),
    ],
)
def test_a_template_takes_a_number_with_all_of_its_digits_or_refuses_it(tmp_path, number, key):
    columns = [
        pa.array([number.as_py()], number.type),
        pa.array(["11.11.2025"]),
        pa.array(["Zahlung"]),
        pa.array(["1"]),
    ]
    parquet.write_table(pa.table(columns, names=["No", "Date", "Type", "Amount"]), tmp_path / "books.parquet")
    toml = re.sub("entry_id = .*", "entry_id = { template = '{No}-x' }", "kind = 'parquet'\n" + PLAIN)
    (tmp_path / "books.toml").write_text(toml)
    reader, entries = read(tmp_path / "books.parquet", tmp_path / "books.toml")
    assert [entry.entry_id for entry in entries] == [key] * bool(key)
    assert len(reader.faults) == (not key)


# What `ledger map` writes

GUESSES = {  # a file, and its doubts
    "12/11/2025 is a doubt": (
        "id,date,type,currency,amount\n1,12/11/2025,sale,EUR,1.50\n",
        ["12/11/2025 can be read as"],
    ),
    "a 13th month is none": (
        "id,date,type,currency,amount\n1,12/11/2025,sale,EUR,1.50\n2,13/11/2025,sale,EUR,1.50\n",
        [],
    ),
    "1,234 is a doubt": ("id;date;type;currency;amount\n1;12.11.2025;sale;EUR;1,234\n", ["1,234 has one mark"]),
    "1,234 is a doubt with a unit too": (
        "id;date;type;currency;amount\n1;12.11.2025;sale;EUR;1,234 €\n",
        ["1,234 € has one mark"],
    ),
    "1.5E+05 is one": ("id,date,type,currency,amount\n1,2025-11-12,sale,EUR,1.5E+05\n", ["1.5E+05 has one mark"]),
    "1,23 is none": ("id;date;type;currency;amount\n1;12.11.2025;sale;KWD;1,234\n2;12.11.2025;sale;EUR;1,23\n", []),
    "a time without a zone": ("id,date,type,currency,amount\n1,2025-11-12 10:00:00,sale,EUR,1.50\n", ["no zone"]),
    "no currency": ("id,date,type,amount\n1,2025-11-12,sale,1.50\n", ["no column has the currency"]),
    "symbols and codes beside amounts": (
        (
            "id;date;type;currency;amount\n1;13.11.2025;sale;EUR;1,50\u00a0€\n2;13.11.2025;sale;PLN;zł 1,50\n"
            "3;13.11.2025;sale;USD;1.500,50 USD\n4;13.11.2025;sale;CHF;Fr. 1,50\n"
        ),
        [],
    ),
    "symbols of two currencies and no column for them": (
        "id;date;type;amount\n1;13.11.2025;sale;1,50 €\n2;13.11.2025;sale;1,50 $\n",
        ["$ and € stand beside the numbers: in which currency", "no column has the currency"],
    ),
    "marks beside amounts say which way the money went": (
        "id,date,type,currency,amount\n1,2025-11-12,sale,EUR,1.50 CR\n2,2025-11-12,refund,EUR,0.50 DR\n",
        [
            *("which marks are of money that came in", "which marks are of money that went out"),
            *("marks of positive amounts", "marks of negative amounts"),
        ],
    ),
    "marks beside amounts of two columns are units": (
        "id;date;currency;debit;credit;type\n1;2025-11-12;EUR;1.50 Dr.;;sale\n2;2025-11-12;EUR;;0.50 Cr.;refund\n",
        [],
    ),
    "French": ("N° pièce;Date;Type;Devise;Montant\n1;13/11/2025;Remboursement;EUR;1\u202f234,50\n", []),
    "Spanish": ("Número;Fecha;Tipo;Divisa;Importe\n1;13/11/2025;Venta;EUR;1.234,50\n", []),
    "Italian": ("Numero;Data contabile;Tipo;Divisa;Dare;Avere\n1;13/11/2025;Vendita;EUR;1.234,50;\n", []),
    "Polish": ("Numer;Data;Typ;Waluta;Kwota\n1;13.11.2025;Zwrot;PLN;1 234,50\n", []),
    "no type": ("id,date,currency,amount\n1,2025-11-12,EUR,1.50\n", ["positive amount", "negative amount"]),
    "an unknown word": ("id,date,type,currency,amount\n1,2025-11-12,Sonstiges,EUR,1.50\n", ["what is Sonstiges"]),
    "an id that repeats": (
        "id,date,type,currency,amount\n1,2025-11-12,sale,EUR,1\n1,2025-11-12,sale,EUR,2\n",
        ["id is not one"],
    ),
    "no doubt": ("id,date,type,currency,amount\nA,2025-11-12,Payment,EUR,1.50\n", []),
}


@pytest.mark.parametrize("name", GUESSES)
def test_what_can_be_read_in_two_ways_is_a_doubt_that_import_refuses_and_nothing_else_is(tmp_path, name):
    text, doubts = GUESSES[name]
    (tmp_path / "books.csv").write_text(text)
    guess = guess_mapping(tmp_path / "books.csv")
    assert len(guess.doubts) == len(doubts)
    assert all(words in doubt for words, doubt in zip(doubts, guess.doubts, strict=True))
    (tmp_path / "books.toml").write_text(guess.toml("books.csv"), encoding="utf-8")
    if doubts:
        with pytest.raises(ConfigError, match="is not decided yet"):
            read_mapping(str(tmp_path / "books.toml"), tmp_path)
    else:
        reader, entries = read(tmp_path / "books.csv", tmp_path / "books.toml")
        assert (reader.faults, len(entries)) == ([], text.count("2025"))


@pytest.mark.parametrize("content", [b"", b"hello\n", b"a,b\n1,2\n", b"\x00\xff\xfe", b"PK\x03\x04", b":20:x\n:25:y\n"])
@pytest.mark.parametrize("suffix", [".csv", ".xlsx", ".parquet", ".sta", ".xml"])
def test_a_file_of_which_nothing_is_known_is_refused_in_one_line(tmp_path, suffix, content):
    (tmp_path / f"books{suffix}").write_bytes(content)
    with pytest.raises(ConfigError) as refused:
        guess_mapping(tmp_path / f"books{suffix}")
    assert "\n" not in str(refused.value)


def test_a_date_cell_and_a_time_cell_are_a_time_without_a_zone(tmp_path):
    book = openpyxl.Workbook()
    book.active.append(["id", "date", "time", "type", "currency", "amount"])
    book.active.append(["1", datetime(2025, 11, 12), time(23, 59), "sale", "EUR", 1])
    book.save(tmp_path / "books.xlsx")
    (doubt,) = guess_mapping(tmp_path / "books.xlsx").doubts
    assert "no zone" in doubt


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(("encoding", "wanted"), [("cp1251", "cp1251"), ("utf-8-sig", "utf-8"), ("utf-16", "utf-16")])
def test_the_encoding_is_found_whatever_ends_the_lines(tmp_path, end, encoding, wanted):
    lines = ["Номер;Дата;Вид;Валюта;Сумма", *(f"{n};12.11.2025;Оплата;RUB;1,50" for n in (1, 2))]
    (tmp_path / "books.csv").write_bytes((end.join(lines) + end).encode(encoding))
    (tmp_path / "books.toml").write_text(guess_mapping(tmp_path / "books.csv").toml("books.csv"), encoding="utf-8")
    assert read_mapping(str(tmp_path / "books.toml"), tmp_path).encoding == codecs.lookup(wanted).name
    _, entries = read(tmp_path / "books.csv", tmp_path / "books.toml")
    assert [entry.amount_minor for entry in entries] == [150, 150]


# Statements of a bank

STATEMENT = (EXPORTS / "camt053.xml").read_text(encoding="utf-8")


def test_a_batch_whose_transactions_do_not_add_up_to_it_is_refused(tmp_path):
    (tmp_path / "bank.xml").write_text(STATEMENT.replace(">10.07<", ">10.08<"), encoding="utf-8")
    reader, entries = read(tmp_path / "bank.xml", "camt053")
    assert [entry.entry_id for entry in entries] == ["B-17"]
    assert [(f.line, f.column, f.problem) for f in reader.faults] == [
        (2, "amount", "is of a batch whose transactions do not add up to it")
    ]


@pytest.mark.parametrize(
    "change",
    [
        ("</BkToCstmrStmt>", ""),
        ("<Stmt>", "<Rpt>"),
        ('<?xml version="1.0" encoding="UTF-8"?>', '<!DOCTYPE Document [<!ENTITY a "b">]>'),
    ],
)
def test_a_statement_that_is_cut_or_of_another_kind_is_refused_as_a_whole(tmp_path, change):
    (tmp_path / "bank.xml").write_text(STATEMENT.replace(*change), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"is no camt\.053 file"):
        read(tmp_path / "bank.xml", "camt053")


def camt(*entries: str, name: str = "S-1", balances: str = "") -> str:
    """A statement of camt.053 with these entries."""
    account = "<Acct><Id><IBAN>DE02</IBAN></Id></Acct>"
    statement = f"<Stmt><Id>{name}</Id>{account}{balances}{''.join(entries)}</Stmt>"
    return f"<Document><BkToCstmrStmt>{statement}</BkToCstmrStmt></Document>"


def camt_entry(amount: str, mark: str = "CRDT", more: str = "", day: str = "<Dt>2025-11-12</Dt>") -> str:
    """An entry of 12 November."""
    status = f"<Sts>BOOK</Sts><BookgDt>{day}</BookgDt>"
    return f'<Ntry><Amt Ccy="EUR">{amount}</Amt><CdtDbtInd>{mark}</CdtDbtInd>{status}{more}</Ntry>'


def camt_batch(*parts: tuple[str, str, str]) -> str:
    """The transactions of an entry: amount, currency, and a mark of its own or none."""
    marks = [(amount, currency, mark and f"<CdtDbtInd>{mark}</CdtDbtInd>") for amount, currency, mark in parts]
    texts = [f'<TxDtls><Amt Ccy="{currency}">{amount}</Amt>{mark}</TxDtls>' for amount, currency, mark in marks]
    return f"<NtryDtls>{''.join(texts)}</NtryDtls>"


def balance(code: str, amount: str, mark: str = "CRDT") -> str:
    """A balance of a statement of camt.053."""
    kind = f"<Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp>"
    return f'<Bal>{kind}<Amt Ccy="EUR">{amount}</Amt><CdtDbtInd>{mark}</CdtDbtInd></Bal>'


BATCHES = {  # an entry, its transactions, and what they come to: type and amount of each
    "the sign of the entry": ("10.00", "DBIT", [("6.00", "EUR", ""), ("4.00", "EUR", "")], [-600, -400]),
    "a sign of its own": ("10.00", "CRDT", [("12.00", "EUR", "CRDT"), ("2.00", "EUR", "DBIT")], [1200, -200]),
    "adds up without the sign alone": ("10.00", "CRDT", [("6.00", "EUR", ""), ("4.00", "EUR", "DBIT")], None),
    "another currency": ("10.00", "CRDT", [("6.00", "USD", ""), ("4.00", "USD", "")], None),
}


@pytest.mark.parametrize("name", BATCHES)
def test_a_transaction_of_a_batch_has_its_own_sign_and_the_currency_of_its_entry(tmp_path, name):
    amount, mark, parts, wanted = BATCHES[name]
    (tmp_path / "bank.xml").write_text(camt(camt_entry(amount, mark, camt_batch(*parts))))
    reader, entries = read(tmp_path / "bank.xml", "camt053")
    signs = {"sale": 1, "refund": -1}
    assert [signs[entry.operation_type] * entry.amount_minor for entry in entries] == (wanted or [])
    assert [fault.problem for fault in reader.faults] == ([] if wanted else [BATCH.problem])


@pytest.mark.parametrize("opening", ["OPBD", "PRCD"])
@pytest.mark.parametrize(("closing", "is_whole"), [("107.00", True), ("117.00", False)])
def test_a_camt_statement_leads_from_its_opening_to_its_closing_balance(tmp_path, opening, closing, is_whole):
    entries = [camt_entry("10.00"), camt_entry("3.00", "DBIT"), camt_entry("5.00").replace("BOOK", "PDNG")]
    balances = balance(opening, "100.00") + balance("CLBD", closing) + balance("CLAV", "1.00")
    (tmp_path / "bank.xml").write_text(camt(*entries, balances=balances))
    if is_whole:
        assert len(read(tmp_path / "bank.xml", "camt053")[1]) == 2
    else:
        with pytest.raises(ConfigError, match="do not lead from its opening to its closing balance"):
            read(tmp_path / "bank.xml", "camt053")


@pytest.mark.parametrize("day", ["2025-11-12", "2025-11-12Z", "2025-11-12+02:00", "2025-11-12-05:00"])
def test_a_day_of_camt_is_that_day_whatever_zone_stands_behind_it(tmp_path, day):
    (tmp_path / "bank.xml").write_text(camt(camt_entry("1.00", day=f"<Dt>{day}</Dt>")))
    (entry,) = read(tmp_path / "bank.xml", "camt053")[1]
    assert (entry.is_date_only, entry.booked_at) == (True, datetime(2025, 11, 12, tzinfo=UTC))


def swift(number: str, opened: str, closed: str, *days: str) -> str:
    """A statement of MT940 with an entry of 5.00 for each (value day, month and day of its booking)."""
    lines = [f":61:{day}C5,00NTRFNONREF" for day in days]
    head = [":20:X", ":25:1", f":28C:{number}", f":60F:C{opened}EUR0,00"]
    return "\r\n".join([*head, *lines, f":62F:C{closed}EUR{5 * len(days)},00", "-", ""])


NEIGHBOURS = {  # two statements of an account, no entry of which is the same
    "camt: entries numbered in each statement": [
        camt(camt_entry("1.00", more="<NtryRef>1</NtryRef>"), name=name) for name in ("S-1", "S-2")
    ],
    "camt: no reference, in words": [
        camt(*[camt_entry("1.00", more="<AcctSvcrRef>NONREF</AcctSvcrRef>")] * 2, name=name) for name in ("S-1", "S-2")
    ],
    "MT940: numbered": [swift("7", "251111", "251112", "2511121112"), swift("8", "251112", "251113", "2511131113")],
    "MT940: not numbered": [swift("0", "251111", "251112", "2511121112"), swift("0", "251112", "251113", "2511131113")],
    "MT940: not numbered, with sheets": [
        swift("00000/001", "251111", "251112", "2511121112"),
        swift("00000/001", "251112", "251113", "2511131113"),
    ],
    "MT940: the first of two years": [
        swift("1", "250101", "250102", "2501020102", "2501020102"),
        swift("1", "251230", "260102", "2601020102", "2512311231"),
    ],
}


@pytest.mark.parametrize("name", NEIGHBOURS)
def test_an_entry_of_a_statement_never_replaces_one_of_another_statement(tmp_path, name):
    found: list[list[str]] = []
    for text in NEIGHBOURS[name]:
        (tmp_path / "bank").write_text(text, newline="")
        reader, entries = read(tmp_path / "bank", "camt053" if name.startswith("camt") else "mt940")
        assert reader.faults == []
        found.append([entry.entry_id for entry in entries])
    assert not {*found[0]} & {*found[1]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ((":61:2511121112D20,00NTRFNONREF//B-18\r\n", ""), "do not lead from its opening to its closing balance"),
        (("D20,00", "X20,00"), "is no MT940 file"),
        ((":20:STARTUMS\r\n", ""), "is no MT940 file"),
    ],
)
def test_an_mt940_statement_with_a_line_less_is_refused_as_a_whole(tmp_path, change, message):
    text = (EXPORTS / "mt940.sta").read_bytes().decode()
    (tmp_path / "bank.sta").write_bytes(text.replace(*change).encode())
    with pytest.raises(ConfigError, match=message):
        read(tmp_path / "bank.sta", "mt940")


def test_a_line_of_mt940_that_cannot_be_read_is_not_repeated_anywhere(tmp_path, caplog, capfd):
    text = (EXPORTS / "mt940.sta").read_bytes().decode()
    (tmp_path / "bank.sta").write_bytes(re.sub(r"(?m)^:61:\d+", ":61:EUR", text, count=1).encode())
    with pytest.raises(ConfigError, match="is no MT940 file that can be read") as told:
        read(tmp_path / "bank.sta", "mt940")
    assert len(str(told.value).splitlines()) == 1
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")
