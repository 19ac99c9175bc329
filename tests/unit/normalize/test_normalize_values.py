"""Text, times and amounts: read in every form the platform writes, refused in any other."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.normalize import (
    BIGINT_EDGES,
    NOW,
    QUICK,
    exactly,
    normalized,
    only,
    reason_of,
    records,
    told,
    united,
    written_times,
)
from pipelines.ingest.operations import BY_DEFAULT, OPERATIONS
from pipelines.ingest.schema import TIME, typed
from resources.sandbox import operations as sandbox_fields

FIELDS = OPERATIONS.schema.fields
SUMS = OPERATIONS.schema.sums

# The fields


def test_every_field_that_the_sandbox_can_give_is_known_by_its_kind():
    assert set(sandbox_fields.DEFAULT) | set(sandbox_fields.ON_REQUEST) == FIELDS
    kinds = OPERATIONS.schema.typed
    assert {name for name, kind in kinds.items() if kind == "time"} == sandbox_fields.TIMES
    assert {name for name, kind in kinds.items() if kind == "amount"} == {
        *(f"{name}_amount" for name in SUMS),
        *("completed_refund", "remaining_refund"),
    }


def test_the_default_fields_stand_before_those_on_request():
    assert {*BY_DEFAULT} == {
        *(set(sandbox_fields.DEFAULT) - set(SUMS)),
        *(f"{name}_{part}" for name in SUMS for part in ("amount", "currency")),
    }


def test_no_rows_give_an_empty_frame_with_all_columns_and_types():
    batch = normalized()
    assert (batch.table.num_rows, batch.rejects) == (0, ())
    assert (len(united().frame), united().rejects) == (0, ())


def test_every_row_bears_the_time_of_its_request():
    assert [record["observed_at"] for record in records(normalized({"operation_id": "1"}, {"operation_id": "2"}))] == [
        NOW,
        NOW,
    ]


def test_a_field_that_is_missing_null_or_empty_is_null():
    batch = normalized(
        {"operation_id": "1"},
        {"operation_id": "2"} | dict.fromkeys(FIELDS - {"operation_id"}),
        {"operation_id": "3"} | dict.fromkeys(FIELDS - {"operation_id"}, ""),
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


@pytest.mark.parametrize(("value", "text"), [(True, "true"), (False, "false")])
def test_a_boolean_where_text_is_expected_is_its_json(value, text):
    assert only({"secure_3ds_check": value})["secure_3ds_check"] == text


@pytest.mark.parametrize(
    ("field", "value", "what"),
    [
        ("arn", {"a": 1}, "an object"),
        ("arn", ["a"], "a list"),
        *((name, True, "a boolean") for name in ("operation_id", "project_id", "payment_id")),
    ],
)
def test_what_is_no_text_is_refused(field, value, what):
    assert reason_of({field: value}) == f"{field} is {what}, not text"


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
        ("2018-08-01 08:28:47 +0100", datetime(2018, 8, 1, 7, 28, 47, tzinfo=UTC)),
        (" 2018-08-01 08:28:47\n", datetime(2018, 8, 1, 8, 28, 47, tzinfo=UTC)),
        ("2018-08-01T08:28:47.999999999Z", datetime(2018, 8, 1, 8, 28, 47, 999_999, tzinfo=UTC)),
        ("0000-00-00 00:00:00", None),  # how MySQL writes a date that nobody set
        ("-0001-11-30T00:00:00+00:00", None),  # what PHP makes of it
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
        "2024-01-01 00:00:00  Z",
        "2024-01-01 00:00:00.1234567890",
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
    assert united(batch).frame["sum_initial_amount"].dtype == pd.ArrowDtype(pa.int64())
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
