"""A ledger file is stored exactly, whole or not at all, and a second time changes nothing."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime
from decimal import Decimal

import openpyxl
import pyarrow as pa
import pytest
from pyarrow import parquet

from fixtures.commands import ROOT, fetch_all
from fixtures.reconciliation import DAY, add_operations, breaks_of, reconcile
from pipelines.reconciliation.ledger_import import import_ledger
from pipelines.reconciliation.mapping import read_mapping
from resources.currencies import exponent_of
from resources.errors import ConfigError

HEADER = ["entry_id", "booked_at", "operation_type", "currency", "amount", "amount_minor", "operation_id", "reference"]
ROWS = [
    ["a", "2024-03-05T12:00:00+01:00", "sale", "JPY", "500", "", "1", "0007"],
    ["b", "2024-03-05T12:00:00Z", "sale", "KWD", "1.234", "", "2", ""],
    ["c", "2024-03-05", "payout", "CLF", "1.2345", "", "3", ""],
    ["d", "2024-03-05", "refund", "USD", "0.01", "", "4", ""],
    ["e", "2024-03-05", "sale", "EUR", "90071992547409.93", "", "5", ""],
    ["f", "2024-03-05", "sale", "EUR", "", "9007199254740993", "6", ""],
    ["g", "2024-03-05", "sale", "UGX", "12.3", "", "7", ""],
]
EXACT = {"a": 500, "b": 1234, "c": 12345, "d": 1, "e": 9_007_199_254_740_993, "f": 9_007_199_254_740_993, "g": 123}


def write(path, header, rows):
    if path.suffix == ".csv":
        path.write_text("\n".join(",".join(row) for row in [header, *rows]) + "\n", encoding="utf-8")
    elif path.suffix == ".xlsx":
        book = openpyxl.Workbook()
        for row in [header, *rows]:
            book.active.append([value or None for value in row])
        book.save(path)
    else:
        columns = {name: pa.array([row[place] or None for row in rows]) for place, name in enumerate(header)}
        columns["amount"] = pa.array([Decimal(row[4]) if row[4] else None for row in rows], pa.decimal128(38, 4))
        columns["amount_minor"] = pa.array([int(row[5]) if row[5] else None for row in rows], pa.int64())
        parquet.write_table(pa.table(columns), path)
    return path


def load(store, path, **options):
    return import_ledger(store, "default", path, "UTC", exponent_of, **options)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".xlsx"])
def test_every_amount_arrives_exactly_and_goes_exactly_into_its_break(store, tmp_path, suffix, monkeypatch):
    monkeypatch.setenv("SYNC_CURRENCY_EXPONENTS", "UGX=1@2024-01-01")
    report = load(store, write(tmp_path / f"ledger{suffix}", HEADER, ROWS))
    assert (report.rows_read, report.rows_new, report.faults) == (7, 7, ())
    stored = fetch_all(
        store, "SELECT entry_id, amount_minor, booked_at, is_date_only, reference FROM recon.ledger_entries"
    )
    assert {row["entry_id"]: row["amount_minor"] for row in stored} == EXACT
    (first,) = (row for row in stored if row["entry_id"] == "a")
    assert (first["booked_at"], first["reference"]) == (datetime(2024, 3, 5, 11, tzinfo=UTC), "0007")
    assert [row["is_date_only"] for row in stored] == [False, False, True, True, True, True, True]
    add_operations(store, {"operation_id": "99"})
    reconcile(store)
    found = {row["entry_id"]: row["amount_minor"] for row in breaks_of(store) if row["entry_id"]}
    assert found == EXACT


def test_a8_amounts_of_a_currency_that_was_in_use_on_their_day_are_imported(store):
    report = load(store, ROOT / "tests" / "data" / "withdrawn_currencies.csv")
    assert (report.rows_new, report.faults) == (2, ())
    stored = fetch_all(store, "SELECT entry_id, currency, amount_minor FROM recon.ledger_entries ORDER BY entry_id")
    assert [tuple(row.values()) for row in stored] == [("E1", "BGN", 1956), ("E2", "HRK", 7530)]


def test_an_amount_of_a_currency_after_its_withdrawal_is_refused(store, tmp_path):
    row = ["x", "2026-03-05", "sale", "BGN", "19.56", "", "1", ""]
    report = load(store, write(tmp_path / "ledger.csv", HEADER, [row]))
    assert report.rows_new == 0
    (fault,) = report.faults
    assert (fault.line, fault.column, fault.problem) == (2, "currency", "has no decimals that we know")


def test_the_same_file_again_changes_nothing_and_a_corrected_one_keeps_the_former_state(store, tmp_path):
    path = write(tmp_path / "ledger.csv", HEADER, ROWS[:2])
    load(store, path)
    again = load(store, path)
    assert (again.rows_new, again.rows_changed, again.rows_unchanged) == (0, 0, 2)
    corrected = [ROWS[0], [*ROWS[1][:4], "1.235", *ROWS[1][5:]]]
    third = load(store, write(tmp_path / "ledger.csv", HEADER, corrected))
    assert (third.rows_new, third.rows_changed, third.rows_unchanged) == (0, 1, 1)
    assert fetch_all(store, "SELECT entry_id, was->>'amount_minor' AS was FROM recon.ledger_entry_versions") == [
        {"entry_id": "b", "was": "1234"}
    ]


BAD = {
    "no entry_id": (["", *ROWS[0][1:]], "entry_id", "is missing"),
    "a time without a zone": (["x", "2024-03-05T12:00:00", *ROWS[0][2:]], "booked_at", "has a time without a zone"),
    "no time": (["x", "yesterday", *ROWS[0][2:]], "booked_at", "is no time"),
    "a currency in small letters": (["x", *ROWS[0][1:3], "eur", *ROWS[0][4:]], "currency", "is no currency code"),
    "too many decimals": (["x", *ROWS[0][1:4], "500.5", *ROWS[0][5:]], "amount", "has more decimals than JPY (0)"),
    "a negative amount": (["x", *ROWS[0][1:4], "-5", *ROWS[0][5:]], "amount", "is negative"),
    "separators": (["x", *ROWS[0][1:4], "1 000", *ROWS[0][5:]], "amount", "is no number"),
    "both amounts": (["x", *ROWS[0][1:4], "5", "5", *ROWS[0][6:]], "amount", "and amount_minor are both given"),
    "no amount": (["x", *ROWS[0][1:4], "", "", *ROWS[0][6:]], "amount", "is missing"),
    "a fraction of a minor unit": (["x", *ROWS[0][1:4], "", "5.5", *ROWS[0][6:]], "amount_minor", "is no whole number"),
    "an amount that is too large": (["x", *ROWS[0][1:4], "", "9" * 19, *ROWS[0][6:]], "amount_minor", "is larger than"),
    "minor units like major ones": (["x", *ROWS[0][1:4], "", "5.00", *ROWS[0][6:]], "amount_minor", "is no whole"),
    "a type in capitals": (["x", ROWS[0][1], "Sale", *ROWS[0][3:]], "operation_type", "is not as the platform names"),
    "an id given twice": (ROWS[0], "entry_id", "stands in line 2 already"),
    "a value too many": ([*ROWS[0], "7"], "(row)", "has 9 values, the header 8"),
    "an unknown currency in major units": (["x", *ROWS[0][1:3], "QQQ", *ROWS[0][4:]], "currency", "has no decimals"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_row_is_reported_with_line_column_problem_and_advice_and_nothing_is_stored(store, tmp_path, name):
    row, column, problem = BAD[name]
    report = load(store, write(tmp_path / "ledger.csv", HEADER, [ROWS[0], row, ROWS[1]]))
    (fault,) = report.faults
    assert (fault.line, fault.column) == (3, column)
    assert problem in fault.problem
    assert fault.advice
    assert (report.import_id, report.rows_new, report.rows_changed, report.rows_unchanged) == (None, 0, 0, 0)
    assert fetch_all(store, "SELECT count(*) FROM recon.ledger_entries") == [{"count": 0}]


@pytest.mark.parametrize("status", ["Success", "DECLINE"])
def test_a_status_in_capitals_is_refused_since_it_would_be_another_one(store, tmp_path, status):
    report = load(
        store, write(tmp_path / "ledger.csv", [*HEADER, "status"], [[*ROWS[0], "success"], [*ROWS[1], status]])
    )
    assert [(fault.line, fault.column) for fault in report.faults] == [(3, "status")]
    assert f"in small letters: {status.lower()}" in report.faults[0].advice


def test_whole_minor_units_that_a_data_frame_kept_as_floats_are_taken(store, tmp_path):
    header = ["entry_id", "booked_at", "operation_type", "currency", "amount_minor", "fee_minor"]
    rows = [["a", "2024-03-05", "sale", "EUR", "1250.0", "10.0"], ["b", "2024-03-05", "sale", "EUR", "99", ""]]
    assert load(store, write(tmp_path / "ledger.csv", header, rows)).faults == ()
    stored = fetch_all(store, "SELECT amount_minor, fee_minor FROM recon.ledger_entries ORDER BY entry_id")
    assert [tuple(row.values()) for row in stored] == [(1250, 10), (99, None)]


def test_with_accept_partial_the_good_rows_are_stored_and_the_bad_ones_are_kept_on_record(store, tmp_path):
    bad = ["x", *ROWS[0][1:4], "-5", *ROWS[0][5:]]
    report = load(store, write(tmp_path / "ledger.csv", HEADER, [ROWS[0], bad]), accept_partial=True)
    assert (report.rows_new, report.rows_rejected) == (1, 1)
    assert fetch_all(store, "SELECT line_number, column_name, problem FROM recon.ledger_rejects") == [
        {"line_number": 3, "column_name": "amount", "problem": "is negative"}
    ]


def test_a_spreadsheets_fraction_is_refused_since_it_is_not_exact(store, tmp_path):
    book = openpyxl.Workbook()
    book.active.append(["entry_id", "booked_at", "operation_type", "currency", "amount"])
    book.active.append(["a", date(2024, 3, 5), "sale", "EUR", 1.1])
    book.active.append(["b", datetime(2024, 3, 5), "sale", "EUR", 7])
    book.save(tmp_path / "ledger.xlsx")
    report = load(store, tmp_path / "ledger.xlsx")
    assert [(fault.line, fault.column) for fault in report.faults] == [(2, "amount")]
    assert "not exact" in report.faults[0].problem


def test_of_a_parquet_column_of_floats_the_whole_numbers_are_taken_and_a_fraction_is_refused(store, tmp_path):
    table = pa.table(
        {
            "entry_id": ["a", "b", "c"],
            "booked_at": ["2024-03-05"] * 3,
            "operation_type": ["sale"] * 3,
            "currency": ["EUR"] * 3,
            "amount": [1.1, 7.0, 1e15],
        }
    )
    parquet.write_table(table, tmp_path / "ledger.parquet")
    report = load(store, tmp_path / "ledger.parquet")
    assert [(fault.line, fault.column) for fault in report.faults] == [(1, "amount"), (3, "amount")]
    parquet.write_table(table.slice(1, 1), tmp_path / "ledger.parquet")
    assert load(store, tmp_path / "ledger.parquet").faults == ()
    assert fetch_all(store, "SELECT entry_id, amount_minor FROM recon.ledger_entries") == [
        {"entry_id": "b", "amount_minor": 700}
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("ledger.txt", b"", "is no .csv, .parquet or .xlsx"),
        ("ledger.csv", b"entry_id;amount\n", "semicolons"),
        ("ledger.csv", b"entry_id,amount\n\xff,1\n", "not UTF-8"),
        ("ledger.csv", "entry_id,amount\nE1,1\n".encode("utf-16-le"), "is UTF-16 text"),
        ("ledger.parquet", b"no", "is no Parquet file"),
        ("ledger.xlsx", b"no", "is no XLSX file"),
        ("ledger.xlsx", b"\xd0\xcf\x11\xe0" + bytes(2000), "needs a password, or is an old .xls"),
    ],
)
def test_a_file_of_another_kind_is_told_in_one_line(store, tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        load(store, tmp_path / name)


def test_a_folder_is_told_as_one(store, tmp_path):
    (tmp_path / "ledger.csv").mkdir()
    with pytest.raises(ConfigError, match="is a folder or a device: name one file"):
        load(store, tmp_path / "ledger.csv")


def test_a_wrong_header_is_told_column_by_column(store, tmp_path):
    (tmp_path / "ledger.csv").write_text("entry_id,booked_at,type,currency\na,b,c,d\n")
    report = load(store, tmp_path / "ledger.csv", accept_partial=True)
    assert {(fault.column, fault.problem) for fault in report.faults} == {
        ("type", "is no column of the contract"),
        ("operation_type", "is missing"),
        ("amount", "is missing"),
    }
    assert report.import_id is None


def test_the_line_number_counts_line_breaks_within_quotes(store, tmp_path):
    (tmp_path / "ledger.csv").write_text(
        "entry_id,booked_at,operation_type,currency,amount,payment_id\n"
        'a,2024-03-05,sale,EUR,1,"x\ny"\nb,2024-03-05,sale,EUR,bad,p\n'
    )
    report = load(store, tmp_path / "ledger.csv")
    assert [(fault.line, fault.column) for fault in report.faults] == [(2, "payment_id"), (4, "amount")]


def test_a_date_alone_is_the_business_day_of_the_reporting_zone(store, tmp_path):
    path = write(tmp_path / "ledger.csv", HEADER, [ROWS[2]])
    import_ledger(store, "default", path, "America/New_York", exponent_of)
    assert fetch_all(store, "SELECT booked_at FROM recon.ledger_entries") == [
        {"booked_at": datetime(DAY.year, DAY.month, DAY.day, 5, tzinfo=UTC)}
    ]


def test_an_import_is_on_record_with_its_files_name_and_digest_and_with_its_counts(store, tmp_path):
    path = write(tmp_path / "ledger.csv", HEADER, ROWS[:2])
    load(store, path)
    bad = ["x", *ROWS[0][1:4], "-5", *ROWS[0][5:]]
    path = write(tmp_path / "led\nger.csv", HEADER, [ROWS[0], [*ROWS[1][:4], "1.235", *ROWS[1][5:]], bad, *ROWS[2:6]])
    report = load(store, path, accept_partial=True)
    counts = {"rows_read": 7, "rows_new": 4, "rows_changed": 1, "rows_unchanged": 1}
    assert {name: getattr(report, name) for name in counts} == counts
    assert fetch_all(store, "SELECT * FROM recon.ledger_imports WHERE import_id = :id", id=report.import_id) == [
        {
            "account": "default",
            "import_id": report.import_id,
            "imported_at": fetch_all(store, "SELECT max(imported_at) AS at FROM recon.ledger_imports")[0]["at"],
            "file_name": "led\\nger.csv",
            "file_sha256": hashlib.sha256(path.read_bytes()).digest(),
            **counts,
            "rows_rejected": 1,
            "rows_withdrawn": 0,
        }
    ]
    imports = fetch_all(store, "SELECT import_id, count(*) FROM recon.ledger_entries GROUP BY 1 ORDER BY 1")
    assert [row["count"] for row in imports] == [1, 5], "an entry names the import that wrote it last"


def test_a_file_is_checked_and_counted_as_a_whole(store, tmp_path):
    load(store, write(tmp_path / "ledger.csv", HEADER, ROWS[:3]))
    path = write(tmp_path / "ledger.csv", HEADER, [*ROWS[:5], ROWS[0], ROWS[4]])
    report = load(store, path, accept_partial=True)
    assert (report.rows_read, report.rows_new, report.rows_unchanged, report.rows_rejected) == (7, 2, 3, 2)
    assert [(fault.line, fault.column, fault.problem) for fault in report.faults] == [
        (7, "entry_id", "stands in line 2 already"),
        (8, "entry_id", "stands in line 6 already"),
    ]


MAPPING = """
[fields]
entry_id = "No"
booked_at = "Day"
operation_type = { value = "sale" }
currency = { value = "EUR" }
amount = "Amount"
[[skip]]
column = "No"
equals = "Opening"
[[totals]]
column = "No"
matches = "^Total"
sum_of = "Amount"
"""


def test_a_file_with_a_mapping_is_stored_and_its_faults_name_its_own_columns(store, tmp_path):
    (tmp_path / "books.toml").write_text(MAPPING, encoding="utf-8")
    mapping = read_mapping(str(tmp_path / "books.toml"), tmp_path)
    rows = [
        ["Opening", "", "9.99"],
        ["1", "2024-03-05", "1.10"],
        ["2", "2024-03-05", "2.20"],
        ["Total", "", "3.30"],
        ["3", "2024-03-05", "0.05"],
        ["Total", "", "3.35"],
    ]
    path = write(tmp_path / "books.csv", ["No", "Day", "Amount"], rows)
    report = load(store, path, mapping=mapping)
    assert (report.rows_read, report.rows_new, report.rows_skipped, report.faults) == (3, 3, 3, ())
    bad = [*rows, ["4", "2024-03-05", "?"], ["Total", "", "3.36"], ["2", "2024-03-05", "2.20"]]
    write(path, ["No", "Day", "Amount"], bad)
    for options in ({}, {"accept_partial": True}):
        report = load(store, path, mapping=mapping, **options)
        assert (report.rows_read, report.rows_skipped, report.rows_rejected) == (6, 4, 3)
        assert [(fault.line, fault.column) for fault in report.faults] == [(8, "Amount"), (9, "Amount"), (10, "No")]


def test_of_the_days_of_a_file_alone_its_own_account_loses_what_the_file_lacks(store, tmp_path):
    load(store, write(tmp_path / "ledger.csv", HEADER, ROWS[2:6]))
    import_ledger(store, "other", tmp_path / "ledger.csv", "UTC", exponent_of)
    report = load(store, write(tmp_path / "ledger.csv", HEADER, ROWS[2:4]), replace_day=True)
    assert (report.rows_read, report.rows_unchanged, report.rows_withdrawn) == (2, 2, 2)
    (kept,) = fetch_all(store, "SELECT rows_withdrawn FROM recon.ledger_imports ORDER BY import_id DESC LIMIT 1")
    assert kept == {"rows_withdrawn": 2}
    states = fetch_all(
        store,
        "SELECT account, entry_id, import_id = :last AS is_by_it FROM recon.ledger_entries "
        "WHERE recon.is_withdrawn(status) ORDER BY entry_id",
        last=report.import_id,
    )
    assert [tuple(row.values()) for row in states] == [("default", "e", True), ("default", "f", True)]
    versions = fetch_all(store, "SELECT account, entry_id FROM recon.ledger_entry_versions ORDER BY entry_id")
    assert [tuple(row.values()) for row in versions] == [("default", "e"), ("default", "f")]


ENTRY = {
    "entry_id": "a",
    "booked_at": "2024-03-05T12:00:00Z",
    "operation_type": "sale",
    "status": "success",
    "currency": "EUR",
    "amount": "5.00",
    "fee": "0.10",
    "operation_id": "1",
    "project_id": "198",
    "payment_id": "p",
    "reference": "r",
}


@pytest.mark.parametrize("column", [*ENTRY][1:])
def test_an_entry_is_corrected_whatever_column_differs(store, tmp_path, column):
    other = {"booked_at": "2024-03-05", "currency": "USD", "amount": "6.00", "fee": ""}.get(column, "other")
    load(store, write(tmp_path / "ledger.csv", [*ENTRY], [[*ENTRY.values()]]))
    before = fetch_all(store, "SELECT * FROM recon.ledger_entries")
    changed = ENTRY | {column: other}
    report = load(store, write(tmp_path / "ledger.csv", [*changed], [[*changed.values()]]))
    assert (report.rows_new, report.rows_changed, report.rows_unchanged) == (0, 1, 0)
    import_ledger(store, "other", write(tmp_path / "ledger.csv", [*ENTRY], [[*ENTRY.values()]]), "UTC", exponent_of)
    (now, _) = fetch_all(store, "SELECT * FROM recon.ledger_entries ORDER BY account")
    differing = {name for name in now if now[name] != before[0][name]} - {"import_id", "entered_at"}
    assert differing == {"booked_at": {"booked_at", "is_date_only", "booked_on"}}.get(
        column, {{"amount": "amount_minor", "fee": "fee_minor"}.get(column, column)}
    )
