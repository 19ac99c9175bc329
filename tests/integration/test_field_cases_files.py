"""Ledger files as people write them: what is harmless is taken, and nothing is dropped, shifted or guessed."""

from __future__ import annotations

import csv
import zipfile
from collections import Counter
from datetime import date
from zoneinfo import ZoneInfo

import openpyxl
import pyarrow as pa
import pytest
from pyarrow import parquet

from fixtures.commands import ROOT, execute, fetch_all
from fixtures.reconciliation import DAY, NEXT, add_operations, reconcile
from pipelines.reconciliation.ledger_import import EntryReader, import_ledger
from resources.currencies import exponent_of
from resources.errors import ConfigError

CASES = ROOT / "tests" / "data" / "field_cases"
HEADER = ("entry_id", "booked_at", "operation_type", "currency", "amount_minor", "payment_id")


def load(store, path):
    return import_ledger(store, "default", path, "UTC", exponent_of)


def stored(store, columns="entry_id, amount_minor") -> list[tuple]:
    rows = fetch_all(store, f"SELECT {columns} FROM recon.ledger_entries ORDER BY entry_id")
    return [tuple(row.values()) for row in rows]


def faults_of(report) -> list[tuple]:
    return [(fault.line, fault.column, fault.problem) for fault in report.faults]


@pytest.mark.parametrize("name", ["dimension_too_few_rows", "dimension_too_few_columns", "whole_numbers_as_floats"])
def test_a9_b21_all_cells_are_read_whatever_the_dimension_tag_says_and_whole_floats_are_exact(store, name):
    report = load(store, CASES / f"{name}.xlsx")
    assert (report.rows_read, report.rows_new, report.faults) == (10, 10, ())
    expected = [(f"E{n}", 1250 + n, "success", f"{1000 + n}", 10, f"P{n}") for n in range(10)]
    assert stored(store, "entry_id, amount_minor, status, operation_id, fee_minor, payment_id") == expected


def test_a10_a_value_under_no_name_is_a_fault_that_names_the_column(store):
    report = load(store, CASES / "empty_header_cell.xlsx")
    assert faults_of(report) == [(2, "column F", "has a value and no name")]
    assert stored(store) == []


def test_a10_an_empty_column_without_a_name_shifts_nothing(store, tmp_path):
    book = openpyxl.load_workbook(CASES / "empty_header_cell.xlsx")
    book.active["F2"] = None
    book.save(tmp_path / "ledger.xlsx")
    assert load(store, tmp_path / "ledger.xlsx").faults == ()
    assert stored(store, "entry_id, payment_id, reference") == [("E1", "P-1", None), ("E2", "P-2", "740001")]


def test_a11_a_row_of_more_values_than_columns_is_refused(store):
    report = load(store, CASES / "unquoted_decimal_comma.csv")
    assert faults_of(report) == [(line, "(row)", "has 7 values, the header 6") for line in (2, 3)]
    assert stored(store) == []


def test_a12_a_formula_without_a_result_is_a_fault_and_one_with_an_empty_result_is_not(store, tmp_path):
    report = load(store, CASES / "formulas_without_results.xlsx")
    assert faults_of(report) == [
        (2, column, "has a formula and no value") for column in ("status", "operation_id", "fee_minor")
    ]
    assert stored(store) == []
    empty = with_sheet(
        CASES / "formulas_without_results.xlsx",
        tmp_path / "ledger.xlsx",
        lambda sheet: (
            sheet.replace(b'<c r="F2"><f>', b'<c r="F2" t="str"><f>')
            .replace(b'<c r="G2"><f>', b'<c r="G2" t="str"><f>')
            .replace(b"<f>ROUND(25,0)</f><v />", b"<f>ROUND(25,0)</f><v>25</v>")
        ),
    )
    assert load(store, empty).faults == ()
    assert stored(store, "entry_id, status, operation_id, fee_minor") == [("E1", "success", None, 25)]


def with_sheet(source, target, change):
    """A copy of a workbook whose only sheet's XML is another one."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, change(content) if name == "xl/worksheets/sheet1.xml" else content)
    return target


def test_an_error_of_the_spreadsheet_is_a_fault_in_whatever_column(store, tmp_path):
    book = openpyxl.Workbook()
    book.active.append(HEADER)
    book.active.append(["E1", date(2026, 1, 31), "sale", "EUR", 5, "#N/A"])
    book.active.append(["E2", date(2026, 1, 31), "sale", "EUR", "#REF!", "P2"])
    book.save(tmp_path / "ledger.xlsx")
    report = load(store, tmp_path / "ledger.xlsx")
    assert faults_of(report) == [
        (2, "payment_id", "holds an error of the spreadsheet"),
        (3, "amount_minor", "holds an error of the spreadsheet"),
    ]


def test_a13_ids_that_a_spreadsheet_has_spoiled_are_faults(store):
    report = load(store, CASES / "spoiled_ids.csv")
    assert [(line, column) for line, column, _ in faults_of(report)] == [
        (2, "entry_id"),
        (2, "operation_id"),
        (2, "payment_id"),
        (3, "operation_id"),
        (4, "operation_id"),
    ]
    assert stored(store) == []


SPOILED = ('="0001"', "'0007", "1.23457E+11", "1,23457E+11", "1e5", "123456789.0", "7.00", "nan", "NaN", "None")
SPOILED += ("null", "NULL", "<NA>", "inf", "#N/A", "#REF!", "#DIV/0!", "#NAME?", "#NUM!", "#VALUE!", "########")
SPOILED += ("#NV", "#WERT!", "#BEZUG!", "#VALEUR!", "#NOM?", "#¡REF!", "#¿NOMBRE?", "#ЗНАЧ!", "#Н/Д", "#ÜBERLAUF!")  # noqa: RUF001
SPOILED += ("Err:502", "n/a", "N/A", "(null)", "\\N", "undefined")


@pytest.mark.parametrize("text", SPOILED)
@pytest.mark.parametrize("column", ["entry_id", "operation_id", "payment_id", "reference"])
def test_a13_what_no_id_looks_like_is_refused_in_every_column_of_text(store, tmp_path, text, column):
    row = {"entry_id": "E1", "booked_at": "2026-01-31", "operation_type": "sale", "currency": "EUR", "amount": "1"}
    report = load(store, written(tmp_path / "ledger.csv", row | {column: text}))
    assert [(fault.line, fault.column) for fault in report.faults] == [(2, column)]


NUMBERS_FOR_IDS = ("1234.0", "1234,0", "1234,00", "1,234", "1,234,567", "1,234.00", "1.234,00", "12 345,60")
NUMBERS_FOR_IDS += ("1'234'567.00", "1.234E+15", "1,234E+15", "1e+05", "-1.5E-07")
NO_PLATFORM_ID = ("1.234", "1.234.567", "1 234", "1'234", "12.5", "+123", "-123", "(123)", "123-", "#123", "123;")
NO_PLATFORM_ID += ("123%", "$123", "2026-01-31", "31.01.2026", "12:30", "١٢٣", "-")
IDS = ("entry_id", "operation_id", "project_id", "payment_id", "reference")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize(
    ("texts", "refused_in"), [(NUMBERS_FOR_IDS, IDS), (NO_PLATFORM_ID, ("operation_id", "project_id"))]
)
def test_a13_numbers_in_place_of_ids_are_refused_and_what_may_be_ones_own_id_is_not_in_columns_of_ones_own(
    tmp_path, kind, texts, refused_in
):
    rows = [dict.fromkeys(IDS, text) for text in texts]
    reader = EntryReader(table_of(tmp_path, kind, rows), ZoneInfo("UTC"), exponent_of)
    assert list(reader) == []
    first = 2 if kind == "csv" else 1  # line
    found = Counter((fault.line - first, fault.column) for fault in reader.faults)
    assert found == Counter((place, column) for place in range(len(rows)) for column in refused_in)
    taken = [dict.fromkeys(refused_in, f"0071234567890{place}") for place in range(len(rows))]
    taken = [row | ids for row, ids in zip(rows, taken, strict=True)]
    entries = list(EntryReader(table_of(tmp_path, kind, taken), ZoneInfo("UTC"), exponent_of))
    assert [{name: getattr(entry, name) for name in IDS} for entry in entries] == taken


def table_of(folder, kind, rows):
    """A ledger file of the contract with these ids."""
    usual = {"booked_at": "2026-01-31", "operation_type": "sale", "currency": "EUR", "amount": "1"}
    columns = {name: [(usual | row)[name] for row in rows] for name in (*IDS, *usual)}
    if kind == "csv":
        with (folder / "ledger.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([columns, *zip(*columns.values(), strict=True)])
    else:
        parquet.write_table(pa.table(columns), folder / "ledger.parquet")
    return folder / f"ledger.{kind}"


ODD_IDS = ["0001", "7", "P-1.0-x", "nano", "Nullius", "1E", "E5", "12.5a", "10.0.0", "Ü-1"]
ODD_IDS += ["INV-1,2", "INV 1.234,00", "1,2", "17,0001", "24.001", "1.234", "12 345", "2026-01-31", "1,234-A", "-5"]


@pytest.mark.parametrize("text", ODD_IDS)
def test_an_id_that_only_looks_odd_is_taken_as_it_is(store, tmp_path, text):
    row = {"entry_id": text, "booked_at": "2026-01-31", "operation_type": "sale", "currency": "EUR", "amount": "1"}
    assert load(store, written(tmp_path / "ledger.csv", row)).faults == ()
    assert stored(store) == [(text, 100)]


def written(path, row):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, row)
        writer.writeheader()
        writer.writerow(row)
    return path


def test_b18_a_byte_order_mark_and_carriage_returns_are_no_part_of_a_value(store):
    assert load(store, CASES / "byte_order_mark.csv").faults == ()
    assert stored(store) == [("E1", 1250)]


def test_b21_rows_of_commas_at_the_end_are_empty(store):
    report = load(store, CASES / "rows_of_commas_at_the_end.csv")
    assert (report.rows_read, report.faults) == (2, ())
    assert stored(store) == [("E1", 1250), ("E2", 100)]


def table(path, *rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("entry_id", "booked_at", "operation_type", "currency", "amount", "status"), *rows])
    return path


def reconciled_breaks(store) -> set[tuple]:
    reconcile(store)
    return {tuple(row.values()) for row in fetch_all(store, "SELECT break_type, entry_id, state FROM recon.breaks")}


@pytest.mark.parametrize("status", ["withdrawn", "cancelled", "Cancelled"])
def test_b20_an_entry_that_is_cancelled_no_longer_stands_and_its_break_is_resolved(store, tmp_path, status):
    add_operations(store, {"operation_id": "99"})
    load(store, table(tmp_path / "a.csv", ("E1", DAY, "sale", "EUR", "1", "success")))
    assert ("missing_at_platform", "E1", "open") in reconciled_breaks(store)
    load(store, table(tmp_path / "a.csv", ("E1", DAY, "sale", "EUR", "1", status)))
    assert ("missing_at_platform", "E1", "resolved") in reconciled_breaks(store)
    assert fetch_all(store, "SELECT was->>'status' AS was FROM recon.ledger_entry_versions") == [{"was": "success"}]


def test_b20_with_replace_day_what_the_file_no_longer_has_is_withdrawn_on_its_days_only(store, tmp_path):
    add_operations(store, {"operation_id": "99"})
    first = [
        ("E1", DAY, "sale", "EUR", "1", ""),
        ("E2", DAY, "sale", "EUR", "2", ""),
        ("E3", NEXT, "sale", "EUR", "3", ""),
    ]
    load(store, table(tmp_path / "a.csv", *first))
    report = import_ledger(store, "default", table(tmp_path / "b.csv", first[1]), "UTC", exponent_of, replace_day=True)
    assert (report.rows_new, report.rows_unchanged, report.rows_withdrawn) == (0, 1, 1)
    assert stored(store, "entry_id, status") == [("E1", "withdrawn"), ("E2", "success"), ("E3", "success")]
    assert {entry for _, entry, state in reconciled_breaks(store) if state == "open"} == {"E2", None}
    again = import_ledger(store, "default", tmp_path / "b.csv", "UTC", exponent_of, replace_day=True)
    assert (again.rows_unchanged, again.rows_withdrawn) == (1, 0)
    back = load(store, table(tmp_path / "a.csv", *first))
    assert (back.rows_changed, back.rows_unchanged) == (1, 2)
    assert [
        row["was"] for row in fetch_all(store, "SELECT was->>'status' AS was FROM recon.ledger_entry_versions")
    ] == [
        "success",
        "withdrawn",
    ]


def test_a_file_that_replaces_days_must_be_whole(store, tmp_path):
    with pytest.raises(ConfigError, match="must be whole"):
        import_ledger(
            store, "default", table(tmp_path / "a.csv"), "UTC", exponent_of, replace_day=True, accept_partial=True
        )


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo", "Pacific/Kiritimati"])
def test_a14_an_entry_with_a_date_alone_keeps_that_day_when_the_reporting_zone_changes(store, tmp_path, zone):
    load(store, table(tmp_path / "a.csv", ("E1", DAY, "sale", "EUR", "1", "")))
    execute(store, f"UPDATE core.settings SET value = '{zone}' WHERE key = 'reporting_zone'")
    assert stored(store, "core.business_date(booked_at), booked_on") == [(DAY, DAY)]
    import_ledger(store, "default", tmp_path / "a.csv", zone, exponent_of)
    assert fetch_all(store, "SELECT rows_changed FROM recon.ledger_imports ORDER BY import_id")[-1] == {
        "rows_changed": 0
    }
