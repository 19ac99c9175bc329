"""Whatever a ledger file holds, it is imported exactly or refused in one clear line; never with an unexpected error."""

from __future__ import annotations

import csv
import io
import tempfile
import zipfile
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import openpyxl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from fixtures.examples import examples
from pipelines.reconciliation import ledger_files
from pipelines.reconciliation.ledger_entries import COLUMNS, Fault
from pipelines.reconciliation.ledger_import import EntryReader
from resources.errors import ConfigError

ZONE = ZoneInfo("Europe/Berlin")
FUZZ = settings(
    max_examples=examples(100), deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
HEADER = "entry_id,booked_at,operation_type,currency,amount"
ROW = ("a", "2024-03-05T12:00:00Z", "sale", "EUR", "1.00")


def read(name: str, content: bytes):
    """Read the bytes as a ledger file: what was read, or the one line that refuses it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        refused = None
        try:
            reader = EntryReader(path, ZONE, lambda currency, _: {"EUR": 2, "JPY": 0}.get(currency))
            entries = list(reader)
        except ConfigError as error:
            refused = error
    if refused:
        assert str(refused)
        assert "\n" not in str(refused)
        return refused
    faults, count = reader.faults, reader.rows_read
    assert all(isinstance(fault, Fault) and fault.problem and fault.advice for fault in faults)
    # a row is an entry or has faults; without a readable header there are faults alone
    assert len(entries) + len({fault.line for fault in faults if count}) == count
    assert entries or faults or count == 0
    return entries, faults, count


pieces = st.one_of(
    st.sampled_from(
        [HEADER.encode(), b"\n", b"\r", b"\r\n", b",", b'"', b'""', b";", b"\x00", b"\xef\xbb\xbf", b"\xff"]
    ),
    st.sampled_from([",".join(ROW).encode(), b"2024-03-05", b"EUR", b"1.00", b"-1", b"1e9", b"9" * 45, b"=1+1"]),
    st.sampled_from([column.encode() for column in COLUMNS]),
    st.binary(max_size=8),
    st.text(max_size=4).map(lambda text: text.encode("utf-8", "surrogatepass")),
)


@FUZZ
@given(st.lists(pieces, max_size=30).map(b"".join))
@example(HEADER.encode() + b"\n" + b'"' + b"x" * 200_000 + b'",2024-03-05,sale,EUR,1\n')
@example(HEADER.encode() + b"\na,2024-03-05,sale,EUR,1\r")
@example(b"\x00")
@example("\ufeff\ufeffentry_id\n".encode())
def test_any_bytes_as_csv(content):
    read("ledger.csv", content)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
cells = st.one_of(st.sampled_from(ROW), texts, st.decimals().map(str), st.integers().map(str), st.dates().map(str))


@FUZZ
@given(st.lists(st.lists(cells, min_size=3, max_size=7), max_size=6))
def test_any_rows_as_csv_are_counted_and_read_to_the_byte(rows):
    out = io.StringIO(newline="")
    csv.writer(out).writerows([HEADER.split(","), *rows])
    found = read("ledger.csv", out.getvalue().encode())
    if isinstance(found, ConfigError):
        return
    entries, _, count = found
    assert count == len([row for row in rows if row])
    given_ids = [row[0] for row in rows if row]
    assert all(entry.entry_id in given_ids for entry in entries)


@st.composite
def columns(draw):
    """A column of any Arrow type that a program may write, with values of it and nulls."""
    integers = st.integers(-(2**31), 2**31 - 1)
    kind, values = draw(
        st.sampled_from(
            [
                (pa.string(), cells),
                (pa.large_string(), cells),
                (pa.dictionary(pa.int32(), pa.string()), cells),
                (pa.binary(), st.binary(max_size=5)),
                (pa.bool_(), st.booleans()),
                (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
                (pa.uint64(), st.integers(0, 2**64 - 1)),
                (pa.decimal128(38, 6), st.decimals(-(10**20), 10**20, places=6)),
                (pa.decimal256(60, 2), st.decimals(-(10**50), 10**50, places=2)),
                (pa.float32(), st.floats(width=32)),
                (pa.float16(), st.just(None)),
                (pa.date32(), st.dates()),
                (pa.date64(), st.dates()),
                (pa.timestamp("ns", "Europe/Berlin"), st.integers(-(2**62), 2**62)),
                (pa.timestamp("us"), st.datetimes()),
                (pa.timestamp("s", "UTC"), st.integers(-(2**55), 2**55)),
                (pa.timestamp("us", "Mars/Olympus"), integers),
                (pa.time64("us"), st.times()),
                (pa.duration("s"), st.integers(-(10**6), 10**6).map(lambda seconds: timedelta(seconds=seconds))),
                (pa.duration("ns"), integers),
                (pa.list_(pa.string()), st.lists(texts, max_size=2)),
                (pa.struct({"amount": pa.int64()}), st.fixed_dictionaries({"amount": integers})),
                (pa.map_(pa.string(), pa.int64()), st.lists(st.tuples(texts, integers), max_size=2)),
                (pa.null(), st.none()),
            ]
        )
    )
    found = draw(st.lists(st.one_of(st.none(), values), min_size=3, max_size=3))
    return pa.array(found, kind)


@FUZZ
@given(st.dictionaries(st.one_of(st.sampled_from(COLUMNS), st.text(max_size=3)), columns(), min_size=1, max_size=6))
def test_any_types_as_parquet(drawn):
    whole = {name: pa.array([value] * 3) for name, value in zip(HEADER.split(","), ROW, strict=True)}
    for content in (drawn, whole | drawn):
        out = io.BytesIO()
        try:
            parquet.write_table(pa.table(content), out)
        except (pa.ArrowException, UnicodeEncodeError):
            continue  # of what no Parquet file can be made
        read("ledger.parquet", out.getvalue())


@pytest.mark.parametrize(
    ("kind", "minor"), [(pa.uint64(), 2**63), (pa.int64(), -1), (pa.decimal256(60, 0), 10**40), (pa.bool_(), True)]
)
def test_an_amount_of_another_range_or_type_is_a_fault_and_is_not_wrapped(kind, minor):
    out, columns = io.BytesIO(), {name: [value] for name, value in zip(HEADER.split(",")[:4], ROW[:4], strict=True)}
    value = Decimal(minor) if pa.types.is_decimal(kind) else minor
    parquet.write_table(pa.table({**columns, "amount_minor": pa.array([value], kind)}), out)
    entries, faults, _ = read("ledger.parquet", out.getvalue())
    assert (entries, [fault.column for fault in faults]) == ([], ["amount_minor"])


def xlsx(*rows) -> bytes:
    book, out = openpyxl.Workbook(), io.BytesIO()
    for row in rows:
        book.active.append(row)
    book.save(out)
    return out.getvalue()


def parquet_file() -> bytes:
    out = io.BytesIO()
    parquet.write_table(pa.table({name: [value] for name, value in zip(HEADER.split(","), ROW, strict=True)}), out)
    return out.getvalue()


WHOLE = {
    "ledger.xlsx": xlsx(HEADER.split(","), ROW, ["b", datetime(2024, 3, 5), "sale", "JPY", 7]),
    "ledger.parquet": parquet_file(),
}
damage = st.tuples(st.integers(0, 10**6), st.binary(min_size=1, max_size=6), st.sampled_from(["put", "insert", "cut"]))


@pytest.mark.parametrize("name", WHOLE)
@settings(FUZZ, max_examples=examples(50))
@given(changes=st.lists(damage, min_size=1, max_size=3))
def test_a_file_that_is_damaged_anywhere(name, changes):
    content = WHOLE[name]
    for place, data, how in changes:
        at = place % (len(content) or 1)
        rest = {"put": at + len(data), "insert": at, "cut": len(content)}[how]
        content = content[:at] + (b"" if how == "cut" else data) + content[rest:]
    read(name, content)


def parts_of(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


PARTS = parts_of(WHOLE["ledger.xlsx"])


@settings(FUZZ, max_examples=examples(50))
@given(st.sampled_from(sorted(PARTS)), st.one_of(st.none(), st.lists(damage, min_size=1, max_size=2)))
def test_a_workbook_whose_parts_are_damaged_but_whose_archive_is_whole(part, changes):
    parts = dict(PARTS)
    if changes is None:
        del parts[part]
    else:
        for place, data, how in changes:
            at = place % (len(parts[part]) or 1)
            rest = {"put": at + len(data), "insert": at, "cut": len(parts[part])}[how]
            parts[part] = parts[part][:at] + (b"" if how == "cut" else data) + parts[part][rest:]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    read("ledger.xlsx", out.getvalue())


@settings(FUZZ, max_examples=examples(50))
@given(
    st.lists(
        st.lists(
            st.one_of(
                st.none(),
                texts.filter(str.isprintable),
                st.integers(-(2**63), 2**63),
                st.floats(),
                st.booleans(),
                st.datetimes(datetime(1901, 1, 1), datetime(9999, 1, 1)),
                st.dates(date(1901, 1, 1)),
                st.times(),
                st.sampled_from(["=1+1", '=HYPERLINK("x")', "#N/A", "#DIV/0!"]),
            ),
            max_size=7,
        ),
        max_size=5,
    )
)
def test_any_cells_of_a_workbook(rows):
    read("ledger.xlsx", xlsx(HEADER.split(","), *rows))


def with_sheet(xml: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in PARTS.items():
            archive.writestr(name, xml if name.endswith("sheet1.xml") else data)
    return out.getvalue()


def test_a_workbook_that_unpacks_to_more_than_any_ledger_is_refused_before_it_is_unpacked(monkeypatch):
    monkeypatch.setattr(ledger_files, "LARGEST_WORKBOOK", 2**20)
    refused = read("ledger.xlsx", with_sheet(b" " * 2**21))
    assert isinstance(refused, ConfigError)
    assert "unpacks to 2 MiB" in str(refused)


def test_a_workbook_of_entities_within_entities_is_refused_without_growing():
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    cell = '<sheetData><row><c t="str"><v>&e9;</v></c></row></sheetData>'
    xml = f'<!DOCTYPE x [<!ENTITY e0 "x">{entities}]><worksheet {space}>{cell}</worksheet>'
    assert isinstance(read("ledger.xlsx", with_sheet(xml.encode())), ConfigError)


def test_a_moment_at_the_end_of_time_is_a_fault():
    for moment in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "9999-12-31"):
        content = f"{HEADER}\na,{moment},sale,EUR,1\n".encode()
        entries, faults, _ = read("ledger.csv", content)
        assert (entries, [fault.column for fault in faults]) == ([], ["booked_at"])
