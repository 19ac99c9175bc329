"""Columns are typed the same on the fast way and the exact one; sums are taken apart."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.normalize import (
    NOW,
    QUICK,
    check_types,
    exactly,
    kinds,
    normalized,
    only,
    reason_of,
    records,
    texts,
    told,
    values,
    written_times,
)
from pipelines.ingest import schema
from pipelines.ingest.normalize import normalize_columns
from pipelines.ingest.operations import OPERATIONS
from pipelines.ingest.schema import ARROW_TYPES, json_text, typed

# Both ways to a column

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
    assert schema._typed_fast(column, kind) is not None


@settings(QUICK, max_examples=150)
@given(data=st.data(), kind=kinds)
def test_the_fast_path_and_the_exact_path_give_the_same_column(data, kind):
    column = data.draw(st.lists(st.one_of(st.none(), CLEAN[kind]), max_size=4))
    fast = schema._typed_fast(column, kind)
    exact, reasons = schema._typed_one_by_one(column, kind)
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


# Arrow columns

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
    batch = normalize_columns(OPERATIONS.schema, pa.array(rows), NOW)
    check_types(batch)
    assert batch.rejects == ()
    assert records(batch) == records(normalized(*rows))


@pytest.mark.parametrize("what", NOT_TYPED_IN_COLUMNS)
def test_columns_that_are_not_plain_are_left_to_the_rows(what):
    assert normalize_columns(OPERATIONS.schema, pa.array([PLAIN | NOT_TYPED_IN_COLUMNS[what]]), NOW) is None


def test_rows_with_one_id_are_no_case_for_columns():
    assert normalize_columns(OPERATIONS.schema, pa.array([PLAIN, PLAIN]), NOW) is None
