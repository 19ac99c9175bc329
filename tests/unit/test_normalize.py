"""Rows of the API to typed columns: every row is in the frame or among the rejects, and no value is bent.

Each frame made here is checked for its types: 64-bit integers, UTC times, text; never a float.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.sync import typing_values
from pipelines.sync.fields import COLUMNS, KINDS, SUMS
from pipelines.sync.normalize import (
    API_FIELDS,
    Batch,
    empty_frame,
    identity,
    json_text,
    normalize_columns,
    normalize_operations,
    unite,
)
from pipelines.sync.typing_values import ARROW_TYPES, TIME, typed
from resources.sandbox import fields as sandbox_fields

QUICK = settings(max_examples=60, deadline=None, derandomize=True, database=None)
SOME = settings(QUICK, max_examples=20)  # a frame of all columns takes some milliseconds
NOW = datetime(2024, 3, 1, 12, 0, 0, 123_456, tzinfo=UTC)
TYPES = {name: ARROW_TYPES[kind] for name, kind in KINDS.items()} | {"extra": pa.string(), "observed_at": TIME}
BIGINT_EDGES = [-(2**63), -(2**63) + 1, -1, 0, 1, 2**53 + 1, 2**63 - 2, 2**63 - 1]


def normalized(*rows, at=NOW) -> Batch:
    batch = normalize_operations(rows, at)
    check_types(batch.frame)
    return batch


def check_types(frame: pd.DataFrame) -> None:
    assert all(isinstance(dtype, pd.ArrowDtype) for dtype in frame.dtypes)
    assert {name: dtype.pyarrow_dtype for name, dtype in frame.dtypes.items()} == TYPES
    assert tuple(frame.columns) == COLUMNS
    assert frame.index.equals(pd.RangeIndex(len(frame)))


def records(batch: Batch) -> list[dict]:
    return pa.Table.from_pandas(batch.frame, preserve_index=False).to_pylist()


def told(record: dict) -> dict:
    """What a record holds beside nulls and the time of its observation."""
    return {name: value for name, value in record.items() if value is not None and name != "observed_at"}


def only(row: dict) -> dict:
    """The one typed row that `row` gives, with an id when it has none."""
    batch = normalized({"operation_id": "1"} | row)
    assert batch.rejects == ()
    (record,) = records(batch)
    return record


def reason_of(row) -> str:
    batch = normalized({"operation_id": "1"} | row if isinstance(row, dict) else row)
    assert batch.frame.empty
    (reject,) = batch.rejects
    return reject.reason


def exactly(text: str):
    return json.loads(text, parse_float=Decimal)


# The fields


def test_every_field_that_the_sandbox_can_give_is_known_by_its_kind():
    assert set(sandbox_fields.DEFAULT) | set(sandbox_fields.ON_REQUEST) == API_FIELDS
    assert {name for name, kind in KINDS.items() if kind == "time"} == sandbox_fields.TIMES
    assert {name for name, kind in KINDS.items() if kind == "amount"} == {
        *(f"{name}_amount" for name in SUMS),
        *("completed_refund", "remaining_refund"),
    }


def test_the_default_fields_stand_before_those_on_request():
    first_on_request = list(KINDS).index("bin")
    assert {*list(KINDS)[:first_on_request]} == {
        *(set(sandbox_fields.DEFAULT) - set(SUMS)),
        *(f"{name}_{part}" for name in SUMS for part in ("amount", "currency")),
    }


def test_no_rows_give_an_empty_frame_with_all_columns_and_types():
    batch = normalized()
    assert (len(batch.frame), batch.rejects) == (0, ())
    check_types(empty_frame())


def test_every_row_bears_the_time_of_its_request():
    assert [record["observed_at"] for record in records(normalized({"operation_id": "1"}, {"operation_id": "2"}))] == [
        NOW,
        NOW,
    ]


def test_a_field_that_is_missing_null_or_empty_is_null():
    batch = normalized(
        {"operation_id": "1"},
        {"operation_id": "2"} | dict.fromkeys(API_FIELDS - {"operation_id"}),
        {"operation_id": "3"} | dict.fromkeys(API_FIELDS - {"operation_id"}, ""),
    )
    assert [told(record) for record in records(batch)] == [{"operation_id": number} for number in "123"]


# Text


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "000123",
        "00",
        " ",
        "  a  ",
        "1e5",
        "1.50",
        "null",
        "NaN",
        "\ufeff",
        "e\u0301",
        "é",
        "日本",
        "\r\n",
        "\\N",
        "'\"",
    ],
)
def test_text_is_kept_to_the_byte(text):
    assert told(only({"arn": text, "operation_id": text})) == {"arn": text, "operation_id": text}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (7, "7"),
        (0, "0"),
        (2**80, str(2**80)),
        (-5, "-5"),
        (Decimal("1.50"), "1.50"),
        (Decimal("0.000001"), "0.000001"),
    ],
)
def test_a_number_where_text_is_expected_is_its_digits(value, text):
    assert only({"currency_rate": value})["currency_rate"] == text


@pytest.mark.parametrize(
    ("value", "what"), [(True, "a boolean"), (False, "a boolean"), ({"a": 1}, "an object"), (["a"], "a list")]
)
def test_what_is_no_text_is_refused(value, what):
    assert reason_of({"arn": value}) == f"arn is {what}, not text"


@pytest.mark.parametrize(
    "row",
    [
        {"arn": "a\x00b"},
        {"operation_id": "\x00"},
        {"sum_initial": {"amount": 1, "currency": "\x00"}},
    ],
)
def test_a_text_that_postgresql_cannot_store_is_refused_and_its_row_kept(row):
    assert "U+0000, which PostgreSQL cannot store" in reason_of(row)
    (reject,) = normalized({"operation_id": "1"} | row, {"operation_id": "2"}).rejects
    assert "\x00" not in reject.raw_json
    assert exactly(reject.raw_json) == {"operation_id": "1"} | row


@pytest.mark.parametrize("name", ["operation_id", "payment_id"])
def test_an_id_that_no_index_of_postgresql_holds_is_refused(name):
    assert only({name: "é" * 1_000})[name] == "é" * 1_000
    assert reason_of({name: "é" * 1_001}) == f"{name} is too long for an index (2002 bytes)"
    assert only({"payment_description": "é" * 100_000})["payment_description"] == "é" * 100_000


# Times


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2018-08-01T08:28:47+00:00", datetime(2018, 8, 1, 8, 28, 47, tzinfo=UTC)),
        ("2018-08-01 08:28:47", datetime(2018, 8, 1, 8, 28, 47, tzinfo=UTC)),
        ("2018-08-01T08:28:47", datetime(2018, 8, 1, 8, 28, 47, tzinfo=UTC)),
        ("2018-08-01T08:28:47Z", datetime(2018, 8, 1, 8, 28, 47, tzinfo=UTC)),
        ("2018-08-01 08:28:47+03:00", datetime(2018, 8, 1, 5, 28, 47, tzinfo=UTC)),
        ("2018-08-01T08:28:47+0300", datetime(2018, 8, 1, 5, 28, 47, tzinfo=UTC)),
        ("2018-08-01T08:28:47-10:30", datetime(2018, 8, 1, 18, 58, 47, tzinfo=UTC)),
        ("2018-08-01T08:28:47.5Z", datetime(2018, 8, 1, 8, 28, 47, 500_000, tzinfo=UTC)),
        ("2018-08-01 08:28:47.123456", datetime(2018, 8, 1, 8, 28, 47, 123_456, tzinfo=UTC)),
        ("2018-08-01T23:30:00-01:00", datetime(2018, 8, 2, 0, 30, tzinfo=UTC)),
        ("2024-02-29 23:59:59", datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC)),
        ("1969-12-31T23:59:59.999999Z", datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
        ("0001-01-01 00:00:00", datetime(1, 1, 1, tzinfo=UTC)),
        ("9999-12-31 23:59:59", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("", None),
        (None, None),
    ],
)
def test_a_time_is_read_in_either_form_and_kept_in_utc(text, moment):
    assert only({"provider_date": text})["provider_date"] == moment
    beside_a_bad_one = normalized(
        {"operation_id": "1", "provider_date": text}, {"operation_id": "2", "provider_date": 0}
    )
    assert [record["provider_date"] for record in records(beside_a_bad_one)] == [moment], "the exact path agrees"


@pytest.mark.parametrize(
    "text",
    [
        "0000-00-00 00:00:00",  # how MySQL writes a date that nobody set
        "0000-01-01 00:00:00",
        "0001-01-01T00:00:00+10:00",
        "9999-12-31T23:59:59-10:00",
        "2023-02-29 00:00:00",
        "2024-13-01 00:00:00",
        "2024-01-32 00:00:00",
        "2024-01-01 24:00:00",
        "2024-01-01 00:60:00",
        "2024-06-30 23:59:60",
        "2024-01-01 00:00:00+24:00",
        "2024-01-01 00:00:00\n",
    ],
)
def test_a_time_that_does_not_exist_is_refused(text):
    assert reason_of({"provider_date": text}) == f"provider_date is {text!r}, a time that does not exist"


@pytest.mark.parametrize(
    "value",
    [
        "2024-01-01",
        "2024-1-1 00:00:00",
        "01.01.2024 00:00:00",
        "2024-01-01 00:00",
        "2024-01-01 00:00:00 UTC",
        " 2024-01-01 00:00:00",
        "2024-01-01 00:00:00.1234567",
        "tomorrow",
        " ",
        1_704_067_200,
        True,
        {},
        [],
    ],
)
def test_what_is_no_time_is_refused(value):
    assert reason_of({"provider_date": value}).endswith("not a time (YYYY-MM-DD hh:mm:ss)")


@st.composite
def written_times(draw) -> tuple[str, datetime]:
    """Draw a time as the API could write it, and the moment it means."""
    moment = draw(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30))).replace(microsecond=0)
    digits = draw(st.text("0123456789", max_size=6))
    offset = timedelta(minutes=draw(st.integers(-(24 * 60) + 1, 24 * 60 - 1)))
    style = draw(st.sampled_from(["", "Z", "+hh:mm", "+hhmm"]))
    zone = f"{moment.replace(tzinfo=timezone(offset)):%z}" if style.startswith("+") else style
    if style == "+hh:mm":
        zone = f"{zone[:3]}:{zone[3:]}"
    text = moment.isoformat(draw(st.sampled_from("T ")), "seconds") + (f".{digits}" if digits else "") + zone
    utc = moment.replace(microsecond=int(digits.ljust(6, "0")), tzinfo=UTC)
    return text, utc - offset if style.startswith("+") else utc


@QUICK
@given(times=st.lists(written_times(), min_size=1, max_size=5))
def test_whatever_way_times_are_written_beside_each_other_each_is_its_moment(times):
    column, reasons = typed([text for text, _ in times], "time")
    assert column.type == TIME
    assert column.to_pylist() == [moment for _, moment in times]
    assert reasons == {}


# Amounts


@pytest.mark.parametrize("amount", [*BIGINT_EDGES, 9_007_199_254_740_993])
def test_an_amount_is_exact_up_to_both_ends_of_a_bigint(amount):
    for value in (amount, str(amount), Decimal(amount)):
        assert only({"sum_initial": {"amount": value, "currency": "EUR"}})["sum_initial_amount"] == amount
        assert only({"completed_refund": value})["completed_refund"] == amount


def test_a_null_beside_an_amount_does_not_make_it_a_float():
    batch = normalized(
        {"operation_id": "1", "sum_initial": {"amount": 9_007_199_254_740_993, "currency": "EUR"}},
        {"operation_id": "2", "sum_initial": None},
        {"operation_id": "3"},
        {"operation_id": "4", "sum_initial": {"amount": None, "currency": "EUR"}},
    )
    assert batch.frame["sum_initial_amount"].dtype == pd.ArrowDtype(pa.int64())
    assert [record["sum_initial_amount"] for record in records(batch)] == [9_007_199_254_740_993, None, None, None]


@pytest.mark.parametrize(
    ("value", "amount"),
    [
        ("0", 0),
        ("-0", 0),
        ("007", 7),
        ("-12", -12),
        (Decimal(100), 100),
        (Decimal("1E+2"), 100),
        (Decimal("5.00"), 5),
    ],
)
def test_a_whole_number_in_any_spelling_is_an_amount(value, amount):
    assert only({"completed_refund": value})["completed_refund"] == amount


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, str(2**63), Decimal(2**63), 2**64, Decimal("1E+300"), 10**300])
def test_an_amount_beyond_a_bigint_is_refused_and_never_wraps_around(value):
    assert reason_of({"completed_refund": value}) == (
        f"completed_refund is {str(value)[:60]}, larger than a bigint holds"
    )


@pytest.mark.parametrize(
    "value",
    ["1.5", "1,5", "12.00", "1e2", "+5", "--5", " 5", "5 ", "5\n", "0x5", "1_000", "\u0665", "five", "9" * 41],
)
def test_text_that_is_no_whole_number_is_refused(value):
    assert reason_of({"completed_refund": value}) == (
        f"completed_refund is {value!r}, not a whole number of minor units"
    )


@pytest.mark.parametrize("value", [Decimal("1.5"), Decimal("0.1"), Decimal("-0.01"), 1.5, 2.0, 9007199254740992.0])
def test_a_fraction_is_refused_and_so_is_every_float(value):
    assert reason_of({"completed_refund": value}) == f"completed_refund is {value}, not a whole number of minor units"


@pytest.mark.parametrize(
    ("value", "what"), [(True, "a boolean"), (False, "a boolean"), ({"amount": 1}, "an object"), ([1], "a list")]
)
def test_what_is_no_number_is_no_amount(value, what):
    assert reason_of({"completed_refund": value}) == f"completed_refund is {what}, not an amount"
    assert reason_of({"sum_initial": {"amount": value}}) == f"sum_initial_amount is {what}, not an amount"


# Both ways to a column

texts = st.one_of(
    st.sampled_from(["", "0", "007", "-5", "1.5", "5 ", "2024-03-01 10:00:00", "2024-02-30T00:00:00Z", "a\x00", "é"]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
    written_times().map(lambda written: written[0]),
)
numbers = st.one_of(
    st.sampled_from(BIGINT_EDGES),
    st.integers(-(2**64), 2**64),
    st.decimals(allow_nan=False, allow_infinity=False, places=2),
    st.integers().map(Decimal),
)
others = st.sampled_from([True, False, {}, {"a": "b"}, [], [1]])
values = st.one_of(st.none(), texts, numbers, others)
kinds = st.sampled_from(["text", "time", "amount"])
CLEAN = {
    "text": texts,
    "time": st.one_of(
        written_times().map(lambda written: written[0]),
        st.sampled_from(["", "0000-01-01 00:00:00", "9999-12-31T23:59:59-10:00", "2024-02-30 00:00:00"]),
    ),
    "amount": st.one_of(st.integers(-(2**63), 2**63 - 1), st.sampled_from([2**63, -(2**63) - 1])),
}


@pytest.mark.parametrize(
    ("kind", "column"),
    [
        ("text", ["a", "", None, "000123"]),
        ("time", ["2024-03-01T10:00:00+00:00", "", None]),
        ("time", ["2024-03-01 10:00:00", "2024-03-01 10:00:01"]),
        ("time", ["", None]),
        ("amount", [1, None, 9_007_199_254_740_993]),
    ],
)
def test_what_the_platform_usually_sends_takes_the_fast_path(kind, column):
    assert typing_values._FAST[kind](column) is not None


@settings(QUICK, max_examples=150)
@given(data=st.data(), kind=kinds)
def test_the_fast_path_and_the_exact_path_give_the_same_column(data, kind):
    column = data.draw(st.lists(st.one_of(st.none(), CLEAN[kind]), max_size=4))
    fast = typing_values._FAST[kind](column)
    exact, reasons = typing_values._typed_one_by_one(column, kind)
    if fast is None:
        return
    assert reasons == {}
    assert fast.type == exact.type == ARROW_TYPES[kind]
    assert fast.to_pylist() == exact.to_pylist()


@settings(QUICK, max_examples=150)
@given(column=st.lists(values, max_size=6), kind=kinds)
def test_a_value_is_typed_the_same_whatever_stands_beside_it(column, kind):
    together, reasons = typed(column, kind)
    assert together.type == ARROW_TYPES[kind]
    assert len(together) == len(column)
    for number, value in enumerate(column):
        alone, reason = typed([value], kind)
        assert alone.to_pylist() == together[number : number + 1].to_pylist()
        assert reason.get(0) == reasons.get(number)
        if number in reasons or value is None or value == "":
            assert alone.null_count == 1
        else:
            assert alone.null_count == 0, "only null, an empty text and a refused value become null"


# Sums


@pytest.mark.parametrize(
    "nothing", [None, "", [], {}, {"amount": None, "currency": None}, {"amount": "", "currency": ""}]
)
def test_a_sum_that_says_nothing_is_null(nothing):
    assert told(only({"sum_initial": nothing, "sum_converted": nothing})) == {"operation_id": "1"}


def test_a_sum_is_split_into_amount_and_currency():
    row = {"sum_initial": {"amount": 100, "currency": "EUR"}, "sum_converted": {"currency": "XXQ", "amount": "-7"}}
    assert told(only(row)) == {
        "operation_id": "1",
        "sum_initial_amount": 100,
        "sum_initial_currency": "EUR",
        "sum_converted_amount": -7,
        "sum_converted_currency": "XXQ",
    }


def test_half_a_sum_is_kept_as_half_a_sum():
    assert told(only({"sum_initial": {"currency": "EUR"}})) == {"operation_id": "1", "sum_initial_currency": "EUR"}
    assert told(only({"sum_initial": {"amount": 0}})) == {"operation_id": "1", "sum_initial_amount": 0}


def test_an_unknown_part_of_a_sum_is_kept_in_extra():
    record = only({"sum_initial": {"amount": 1, "currency": "EUR", "rate": Decimal("1.10")}, "new": 1})
    assert (record["sum_initial_amount"], record["sum_initial_currency"]) == (1, "EUR")
    assert record["extra"] == '{"new":1,"sum_initial":{"rate":1.10}}'
    assert only({"sum_initial": {"rate": 5}})["extra"] == '{"sum_initial":{"rate":5}}'


@pytest.mark.parametrize("value", ["100", "100 EUR", 100, 0, Decimal("1.5"), True, False, [100, "EUR"], [{}]])
def test_a_sum_that_is_no_object_is_refused(value):
    assert reason_of({"sum_initial": value}) == (
        f"sum_initial is {json_text(value)}, not an object of amount and currency"
    )


def test_a_refused_sum_leaves_those_beside_it_alone():
    batch = normalized(
        {"operation_id": "1", "sum_initial": {"amount": 1, "currency": "EUR"}},
        {"operation_id": "2", "sum_initial": "1 EUR"},
        {"operation_id": "3", "sum_initial": {"amount": 3, "currency": "EUR"}},
    )
    assert [(record["operation_id"], record["sum_initial_amount"]) for record in records(batch)] == [("1", 1), ("3", 3)]
    assert [exactly(reject.raw_json)["operation_id"] for reject in batch.rejects] == ["2"]


# Unknown fields


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2**80, str(2**80)),
        (Decimal("0.10"), "0.10"),
        (Decimal("1234567890.123456789012345678901234567890"), "1234567890.123456789012345678901234567890"),
        ({"points": [1, None, True, "é"]}, '{"points":[1,null,true,"é"]}'),
        ("", '""'),
        ('quotes " and \\', '"quotes \\" and \\\\"'),
        (False, "false"),
        ([], "[]"),
    ],
)
def test_an_unknown_field_is_kept_in_extra_as_it_came(value, text):
    assert only({"loyalty": value})["extra"] == f'{{"loyalty":{text}}}'


def test_an_unknown_field_that_is_null_says_nothing():
    assert only({"loyalty": None})["extra"] is None


def test_a_field_named_like_a_column_of_ours_does_not_reach_that_column():
    ours = {"extra": 1, "observed_at": "x", "account": "y", "window_id": 2, "sum_initial_amount": 7, "": "?"}
    record = only(ours | {"sum_initial": {"amount": 1, "currency": "EUR"}})
    assert exactly(record.pop("extra")) == ours
    assert record["observed_at"] == NOW
    assert record["sum_initial_amount"] == 1


@SOME
@given(text=st.lists(st.sampled_from(["\\", "\\u0000", "u0000", "\x00", '"', "a"]), max_size=5).map("".join))
def test_an_unknown_field_is_refused_for_the_character_u0000_and_not_for_text_that_looks_like_its_escape(text):
    rows = ({"loyalty": text}, {"loyalty": [{"a": text}]}, {f"l{text}": 1}, {"sum_initial": {f"x{text}": 1}})
    batch = normalized(*({"operation_id": "1"} | row for row in rows))
    if "\x00" in text:
        assert {reject.reason for reject in batch.rejects} == {
            "an unknown field contains U+0000, which PostgreSQL cannot store"
        }
        assert len(batch.rejects) == len(rows)
    else:
        assert [exactly(record["extra"]) for record in records(batch)] == [*rows]


# Rejects


@pytest.mark.parametrize("row", [None, "row", 7, True, [], [{"operation_id": "1"}], Decimal("1.5")])
def test_a_row_that_is_no_object_is_kept_among_the_rejects(row):
    assert reason_of(row) == "the row is not an object"
    (reject,) = normalized({"operation_id": "1"}, row).rejects
    assert exactly(reject.raw_json) == row


@pytest.mark.parametrize("row", [{}, {"operation_id": None}, {"operation_id": ""}, {"payment_id": "1"}])
def test_a_row_without_an_id_is_kept_among_the_rejects(row):
    batch = normalized(row, {"operation_id": "2"})
    assert [record["operation_id"] for record in records(batch)] == ["2"]
    (reject,) = batch.rejects
    assert (reject.reason, exactly(reject.raw_json), reject.observed_at) == ("operation_id is missing", row, NOW)


@pytest.mark.parametrize("value", [True, {"a": 1}, [1]])
def test_an_id_that_is_no_text_is_refused(value):
    assert reason_of({"operation_id": value}).startswith("operation_id is a")


def test_a_row_with_many_faults_is_one_reject():
    row = {"operation_id": "1", "sum_initial": "?", "arn": True, "provider_date": "?", "x": "\x00"}
    assert reason_of(row) == 'sum_initial is "?", not an object of amount and currency'


def test_a_reject_keeps_every_number_as_it_came():
    row = {"arn": True, "a": Decimal("1.10"), "b": 2**90, "c": [Decimal("-0.0")], "d": "é"}
    (reject,) = normalized({"operation_id": "1"} | row).rejects
    assert reject.raw_json == f'{{"operation_id":"1","arn":true,"a":1.10,"b":{2**90},"c":[-0.0],"d":"é"}}'


JSON_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
DOCUMENTS = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.decimals(allow_nan=False, allow_infinity=False), JSON_TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(JSON_TEXTS, inner, max_size=3)),
    max_leaves=8,
)


@QUICK
@given(document=DOCUMENTS)
def test_json_text_keeps_every_value(document):
    assert exactly(json_text(document)) == document


# Whole answers


@st.composite
def rows(draw):
    """Draw a row: mostly of known fields with a likely value, of any set of keys, now and then something else."""
    likely = {
        "operation_id": st.one_of(st.sampled_from(["1", "2", "3"]), values),
        "payment_id": texts,
        "operation_status": st.sampled_from(["success", "decline", "", None]),
        "provider_date": st.one_of(written_times().map(lambda written: written[0]), values),
        "sum_initial": st.one_of(
            st.fixed_dictionaries({"amount": st.one_of(st.none(), numbers), "currency": st.just("EUR")}), values
        ),
        "completed_refund": st.one_of(st.integers(0, 100), values),
        "loyalty": st.one_of(values, st.dictionaries(JSON_TEXTS, values, max_size=2)),
    }
    return draw(
        st.one_of(st.fixed_dictionaries({}, optional=likely), st.fixed_dictionaries({}, optional=likely), values)
    )


@SOME
@given(answer=st.lists(rows(), max_size=6))
def test_no_row_is_ever_dropped(answer):
    batch = normalized(*answer)
    assert len(batch.frame) + len(batch.rejects) == len(answer)
    left = list(answer)
    for reject in batch.rejects:
        left.remove(exactly(reject.raw_json))  # the row itself, number by number
    assert [record["operation_id"] for record in records(batch)] == [str(row["operation_id"]) for row in left]


@SOME
@given(answer=st.lists(rows(), max_size=5))
def test_a_row_is_typed_the_same_whatever_rows_and_keys_stand_beside_it(answer):
    together = normalized(*answer)
    alone = [normalized(row) for row in answer]
    assert records(together) == [record for batch in alone for record in records(batch)]
    assert sorted(map(repr, together.rejects)) == sorted(repr(reject) for batch in alone for reject in batch.rejects)


@pytest.mark.parametrize(
    ("row", "name"),
    [({"operation_id": "7"}, "7"), ({"operation_id": 7}, "7"), ({"arn": "1"}, '{"arn":"1"}'), ([1], "[1]")],
)
def test_rows_are_told_apart_by_their_id_and_without_one_by_all_they_say(row, name):
    assert identity(row) == name


# Several answers of one window


def test_of_an_operation_met_twice_the_later_observation_stays():
    first = normalized({"operation_id": "1", "arn": "old"}, {"operation_id": "2"}, at=NOW)
    later = NOW + timedelta(seconds=1)
    second = normalized({"operation_id": "1", "arn": "new"}, {"operation_id": "3"}, at=later)
    united = unite([first, second])
    check_types(united.frame)
    found = [(record["operation_id"], record["arn"], record["observed_at"]) for record in records(united)]
    assert found == [("1", "new", later), ("2", None, NOW), ("3", None, later)]


def test_of_an_operation_twice_in_one_answer_one_row_stays():
    united = unite([normalized({"operation_id": "1", "arn": "a"}, {"operation_id": "1", "arn": "b"})])
    assert [record["arn"] for record in records(united)] == ["b"]


def test_united_rows_are_sorted_by_byte():
    ids = ["10", "9", "09", "1", "a", "B", "é", "e", "\uffff", "\U00010000", " ", "日", "~"]
    united = unite([normalized(*({"operation_id": number} for number in ids))])
    assert [record["operation_id"] for record in records(united)] == sorted(ids, key=str.encode)


def test_a_reject_met_twice_is_one_reject_the_later():
    later = NOW + timedelta(seconds=1)
    united = unite([normalized(["x"], {"arn": "1"}), normalized({"arn": "1"}, ["y"], at=later)])
    assert {(reject.raw_json, reject.observed_at) for reject in united.rejects} == {
        ('["x"]', NOW),
        ('{"arn":"1"}', later),
        ('["y"]', later),
    }


def test_a_row_rejected_once_and_typed_later_stands_on_both_sides():
    united = unite([normalized({"operation_id": "1", "arn": True}), normalized({"operation_id": "1", "arn": "a"})])
    assert [record["arn"] for record in records(united)] == ["a"]
    assert len(united.rejects) == 1


def test_nothing_united_is_an_empty_frame_with_all_columns():
    for united in (unite([]), unite([normalized()]), unite([normalized(), normalized()])):
        check_types(united.frame)
        assert (len(united.frame), united.rejects) == (0, ())


def test_an_answer_without_a_column_does_not_change_its_type():
    united = unite(
        [normalized({"operation_id": "1"}), normalized({"operation_id": "2", "completed_refund": 2**53 + 1})]
    )
    check_types(united.frame)
    assert [record["completed_refund"] for record in records(united)] == [None, 2**53 + 1]


@SOME
@given(answers=st.lists(st.lists(st.sampled_from("abcdé"), max_size=4), max_size=4))
def test_united_answers_hold_each_operation_met_as_it_was_met_last(answers):
    batches, last = [], {}
    for second, ids in enumerate(answers):
        at = NOW + timedelta(seconds=second)
        batches.append(normalized(*({"operation_id": name, "arn": str(second)} for name in ids), at=at))
        last |= dict.fromkeys(ids, (str(second), at))
    united = unite(batches)
    check_types(united.frame)
    assert [(record["operation_id"], (record["arn"], record["observed_at"])) for record in records(united)] == sorted(
        last.items(), key=lambda item: item[0].encode()
    )


PLAIN = {"operation_id": "1", "arn": "007", "provider_date": "2024-03-31 01:28:59", "sum_initial": None}
TYPED_IN_COLUMNS = {
    "a sum": {"sum_initial": {"amount": 2**53 + 1, "currency": "KWD"}},
    "half a sum": {"sum_initial": {"amount": 1}},
    "an empty text": {"arn": ""},
    "a null": {"arn": None, "provider_date": None},
    "a time with a zone": {"provider_date": "2024-03-31T01:28:59+02:00"},
}
NOT_TYPED_IN_COLUMNS = {
    "an unknown field": {"more": "x"},
    "a field named as a column of ours": {"sum_initial_amount": 5},
    "an unknown part of a sum": {"sum_initial": {"amount": 1, "more": "x"}},
    "a number for text": {"arn": 7},
    "text for a sum": {"sum_initial": "x"},
    "text for an amount": {"completed_refund": "7"},
    "no time": {"provider_date": "soon"},
    "a time that does not exist": {"provider_date": "2024-02-30 00:00:00"},
    "no id": {"operation_id": ""},
    "an id too long for an index": {"operation_id": "1" * 3000},
    "a U+0000": {"arn": "\x00"},
}


@pytest.mark.parametrize("what", TYPED_IN_COLUMNS)
def test_columns_are_typed_as_rows_are(what):
    rows = [PLAIN | TYPED_IN_COLUMNS[what], PLAIN | TYPED_IN_COLUMNS[what] | {"operation_id": "2"}]
    batch = normalize_columns(pa.array(rows), NOW)
    check_types(batch.frame)
    assert batch.rejects == ()
    assert records(batch) == records(normalized(*rows))


@pytest.mark.parametrize("what", NOT_TYPED_IN_COLUMNS)
def test_columns_that_are_not_plain_are_left_to_the_rows(what):
    assert normalize_columns(pa.array([PLAIN | NOT_TYPED_IN_COLUMNS[what]]), NOW) is None
