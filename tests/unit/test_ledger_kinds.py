"""A CSV and a Parquet file of the same texts come to the same entries and faults, whatever stands in them."""

from __future__ import annotations

import csv
import re
import tempfile
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from fixtures.examples import examples
from pipelines.reconciliation.ledger_import import EntryReader
from pipelines.reconciliation.mapping import read_mapping

PROPERTY = settings(
    max_examples=examples(60), deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
EXPONENTS = {"EUR": 2, "JPY": 0, "KWD": 3, "CLF": 4, "ETH": 18}
TEXTS = [
    "A-1",
    "A-2",
    "b 3",
    "0001",
    "17",
    " A",
    "A ",
    "\u00a0A",
    "A\x0b",
    "A\x00",
    "",
    " ",
    "1e5",
    "1.50",
    "nan",
    "None",
]
TEXTS += [
    "'17",
    '="0001"',
    "#N/A",
    "#NV",
    "#¡VALOR!",
    "(null)",
    "###",
    "-",
    "inf",
    "Grüße 7",
    "١٢٣",
    "é" * 1100,
    "x" * 260,
    "x" * 2001,
    "a;b",
    'a"b',
]
DAYS = [
    "11.11.2025",
    "26.10.2025",
    "30.03.2025",
    "1.11.2025",
    "31.02.2025",
    "29.02.2024",
    "11.11.1989",
    "11.11.2201",
    "",
]
DAYS += ["11.11.25", "2025-11-11", "2025-02-30", "12/11/2025", " 11.11.2025 ", "11.11.2025\x0b", "20251111", "11112025"]
CLOCKS = [
    "12:34:56",
    "02:30:00",
    "00:00:00",
    "24:00:00",
    "23:59:60",
    "7:05:00",
    "12:34",
    "",
    " 12:34:56",
    "12:34:56.123",
]
CLOCKS += ["12:34:56Z", "12:34:56+01:00", "12:34:56-11:30", "12:34:56.123456+14:00", "12:34:56+15:00", "12:34:56+01:60"]
TYPES = ["Zahlung", "Erstattung", "sale", "refund", "Sale", "Storno", "", " sale"]
CURRENCIES = ["EUR", "JPY", "KWD", "CLF", "ETH", "XXX", "eur", "", "€", " EUR"]
NUMBERS = [
    "1.234,56",
    "1,234.56",
    "1234.56",
    "1234,56",
    "-5",
    "5-",
    "(5,00)",
    "(5",
    "+5",
    "-(5)",
    "\u22125,00",
    "0",
    "-0,00",
    "",
]
NUMBERS += [
    "5 €",
    "€ 5",
    "5\u00a0€",
    "5 USD",
    "EUR 5",
    "1'234",
    "1\u00a0234,50",
    "1.23",
    "0,001",
    "1,0000000",
    "123456789012345",
    "1250.0",
    "1250.00",
    "9" * 20,
    "1e5",
    " 7 ",
    "\u0667",
]
MARKS = ["S", "H", "", "X", " S"]


NAMES = ("No", "Date", "Time", "Type", "Currency", "Amount", "Second", "Mark", "Text", "")
POOLS = (TEXTS, DAYS, CLOCKS, TYPES, CURRENCIES, NUMBERS, NUMBERS, MARKS, TEXTS, ["x", " "])
ALPHABETS = ("Aa1é .=#", "0123.", "0125:", "", "", "0123456789.,-+() '€", "01,.", "", "Aa1é .=#", "")


@st.composite
def tables(draw, usual, pools, alphabets):
    """Rows of usual cells, of which many have one that is another."""
    rows = []
    for number in range(draw(st.integers(1, 8))):
        row = [draw(st.sampled_from(cells)) for cells in usual]
        row[0] = f"A-{number}"
        place = draw(st.integers(0, 2 * len(row)))
        if place < len(row):
            row[place] = draw(st.one_of(st.sampled_from(pools[place]), st.text(alphabets[place], max_size=7)))
        rows.append(row)
    return rows


ENTRY_IDS = ['"No"', '{ template = "{No}/{Text}" }', '{ column = "No", pattern = "\\\\w-(\\\\d)" }']
MOMENTS = ['"Date"', '{ column = "Date", time = "Time" }']
TYPES_BY = [
    '"Type"',
    '{ column = "Type", words = { Zahlung = "sale", Erstattung = "refund", Storno = "sale" } }',
    '{ value = "sale" }',
    "",
]
AMOUNTS = ["amount", "amount_minor", "sides"]
FEES = ["", 'fee = "Second"', 'fee_minor = { column = "Second", negate = true }']
FORMATS = {  # and days that they read, with a time beside them or without
    '"%d.%m.%Y %H:%M:%S"': (["11.11.2025", "29.02.2024"], True),
    '"%d.%m.%Y"': (["11.11.2025", "29.02.2024"], False),
    '"iso"': (["2025-11-11", "2024-02-29"], None),
    '["%d.%m.%Y %H:%M:%S", "iso"]': (["11.11.2025", "2025-11-11"], True),
    '"%d.%m.%y"': (["11.11.25", "29.02.24"], False),
    '"%d%m%Y%H:%M:%S"': (["11112025", "29022024"], None),
}
RULES = [
    "",
    "[[skip]]\ncolumn = 'Type'\nequals = 'Storno'\n",
    "[[totals]]\ncolumn = 'No'\nempty = true\nsum_of = 'Amount'\n",
]
RULES += ["[[totals]]\ncolumn = 'No'\nmatches = '^A'\nsum_of = 'Second'\n[[skip]]\ncolumn = 'Text'\nempty = true\n"]


@st.composite
def exports(draw):
    """A mapping, and rows of which it reads most."""
    decimal, thousands = draw(st.sampled_from([(",", "."), (".", ","), (".", ""), (",", " "), (".", "'")]))
    of_type, amount = draw(st.sampled_from(TYPES_BY)), draw(st.sampled_from(AMOUNTS))
    dates, (days, has_time) = draw(st.sampled_from(sorted(FORMATS.items())))
    moment = MOMENTS[draw(st.booleans()) if has_time is None else has_time]
    types = ["Zahlung", "Erstattung"] if "words" in of_type else ["sale", "refund"]
    amounts = ["7", "0", "120"] if amount == "amount_minor" else ["7", f"1{thousands}234{decimal}50", f"5{decimal}000"]
    seconds = ["", f"0{decimal}00"] if amount == "sides" else ["", "12"]
    usual = [
        ["A"],
        days,
        ["12:34:56", "00:00:00"],
        types,
        ["EUR", "JPY", "KWD"],
        amounts,
        seconds,
        ["S", "H"],
        ["b 3"],
        [""],
    ]
    lines = [
        f'decimal = "{decimal}"\nthousands = "{thousands}"\ndates = {dates}',
        f'zone = "{draw(st.sampled_from(["Europe/Berlin", "America/St_Johns", "UTC"]))}"',
        *draw(st.sampled_from([[], ['repeated_hour = "second"']])),
        f"trim = {draw(st.sampled_from(['true', 'false']))}",
        f"ignore_unnamed = {draw(st.sampled_from(['true', 'false']))}",
        draw(st.sampled_from(["", 'units = ["€"]', 'units = ["EUR", "USD", "JPY"]'])),
        f"[fields]\nentry_id = {draw(st.sampled_from(ENTRY_IDS))}\nbooked_at = {moment}",
        'currency = "Currency"\n' + draw(st.sampled_from(["", 'reference = "Text"', 'payment_id = "Text"'])),
        f"operation_type = {of_type}" if of_type else "",
        "" if amount == "sides" else f'{amount} = "Amount"',
        draw(st.sampled_from(FEES)),
    ]
    directions = ["debit = 'Amount'\ncredit = 'Second'", ""]
    directions += ["mark = 'Mark'\npositive_marks = 'S'\nnegative_marks = 'H'"] * (amount != "sides")
    if amount == "sides" or not of_type or draw(st.booleans()):
        chosen = draw(st.sampled_from(directions[:1] if amount == "sides" else directions[1:]))
        lines += [f"[direction]\n{chosen}\npositive = 'sale'\n" + draw(st.sampled_from(["", "negative = 'refund'"]))]
    toml = "\n".join([*lines, draw(st.sampled_from(RULES))])
    return draw(tables(usual, POOLS, ALPHABETS)), toml


def read(path: Path, toml: str | None):
    """What a file comes to: entries, faults and rows left out, lines counted from the first row."""
    mapping = None
    if toml is not None:
        place = path.with_suffix(".toml")
        place.write_text(f'kind = "{path.suffix[1:]}"\n{toml}', encoding="utf-8")
        mapping = read_mapping(str(place), path.parent)
    reader = EntryReader(path, ZoneInfo("America/New_York"), lambda currency, _: EXPONENTS.get(currency), mapping)
    entries = list(reader)
    start = 1 if path.suffix == ".csv" else 0

    faults = [
        (fault.line - start, fault.column, re.sub(r"line \d+", "line", fault.problem), fault.advice)
        for fault in reader.faults
    ]
    return entries, faults, reader.skipped, reader.rows_read


def read_both(names, rows, toml: str | None):
    with tempfile.TemporaryDirectory() as folder:
        with (Path(folder) / "books.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([names, *rows])
        columns = [pa.array([row[place] for row in rows], pa.string()) for place in range(len(names))]
        parquet.write_table(pa.table(columns, names=list(names)), Path(folder) / "books.parquet")
        return [read(Path(folder) / name, toml) for name in ("books.csv", "books.parquet")]


@PROPERTY
@given(exports())
def test_rows_through_a_mapping_say_the_same_in_a_csv_and_in_parquet(export):
    rows, toml = export
    by_csv, by_parquet = read_both(NAMES, rows, toml)
    assert by_csv == by_parquet


CONTRACT = ("entry_id", "booked_at", "operation_type", "currency", "amount", "amount_minor", "fee", "status")
CONTRACT += ("operation_id",)
USUAL = [["A"], ["2025-11-11", "2025-11-11T12:34:56Z", "2024-02-29 12:34:56.123-11:30"], ["sale"], ["EUR", "JPY"]]
USUAL += [["7", "1234.00"], ["", "17"], ["", "0.00"], ["", "success"], ["", "17", "0001"]]
MOMENTS_OF_DAYS = [f"2025-11-11{mark}{clock}" for mark in ("T", " ", "") for clock in CLOCKS]


@PROPERTY
@given(
    tables(
        USUAL,
        (TEXTS, MOMENTS_OF_DAYS + DAYS, TYPES, CURRENCIES, NUMBERS, NUMBERS, NUMBERS, TEXTS, TEXTS + NUMBERS),
        ("Aa1é .=#", "0123-T:", "", "", "0123.", "0123.", "01.", "Aa1", "01,.E+ '-a"),
    )
)
@example([("A-1", "2025-11-11T12:34:56.123456+14:00", "sale", "JPY", "5.0", "", "", "", "")])
def test_rows_of_the_contract_say_the_same_in_a_csv_and_in_parquet(rows):
    by_csv, by_parquet = read_both(CONTRACT, rows, None)
    assert by_csv == by_parquet
