"""Comparing a payment's operations as stored with those of `get-by-payment`: every difference, and no false one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.audit.spot_check import compare, same_time

AT = datetime(2024, 4, 1, tzinfo=UTC)
STORED = {
    "operation_id": "1",
    "operation_type": "sale",
    "operation_created_at": datetime(2024, 3, 1, 10, tzinfo=UTC),
    "operation_completed_at": datetime(2024, 3, 1, 10, 0, 5, tzinfo=UTC),
    "sum_initial_amount": 1050,
    "sum_initial_currency": "EUR",
    "sum_converted_amount": 1150,
    "sum_converted_currency": "USD",
    "arn": None,
    "rrn": "0012",
}
ANSWERED = {
    "operation_id": "1",
    "operation_type": "sale",
    "operation_created_at": "2024-03-01T10:00:00+00:00",
    "operation_completed_at": "2024-03-01T10:00:05+00:00",
    "amount": 1050,
    "currency": "EUR",
    "arn": "",
    "rrn": "0012",
}


def found(stored, answered):
    return [(item.field, item.outcome) for item in compare("order-1", stored, answered, AT)]


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"operation_id": 1},
        {"amount": "1050"},
        {"amount": 1150, "currency": "USD"},
        {"arn": None},
        {"operation_created_at": "2024-03-01T19:00:00+09:00"},
        {"operation_created_at": "2024-03-01 19:00:00"},
        {"new": 1},
    ],
)
def test_an_answer_that_says_the_same_is_equal(change):
    assert found([STORED], [{**ANSWERED, **change}]) == [("", "equal")]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"amount": 1051}, "amount"),
        ({"amount": 10.5}, "amount"),
        ({"amount": None}, "amount"),
        ({"currency": "USD"}, "amount"),
        ({"operation_type": "refund"}, "operation_type"),
        ({"arn": "1"}, "arn"),
        ({"rrn": "12"}, "rrn"),
        ({"operation_completed_at": ""}, "operation_completed_at"),
        ({"operation_completed_at": "2024-03-01T10:00:06+00:00"}, "operation_completed_at"),
        ({"operation_completed_at": "2024-03-01 10:00:06"}, "operation_completed_at"),
        ({"operation_completed_at": "soon"}, "operation_completed_at"),
    ],
)
def test_every_field_that_differs_is_named(change, field):
    assert found([STORED], [{**ANSWERED, **change}]) == [(field, "different")]


def test_an_operation_on_one_side_only_is_named():
    assert found([STORED], []) == [("operation", "different")]
    assert found([], [ANSWERED]) == [("operation", "different")]
    assert found([STORED], [ANSWERED, {**ANSWERED, "operation_id": "2"}]) == [
        ("", "equal"),
        ("operation", "different"),
    ]


OFFSETS = st.integers(-56, 56).map(lambda quarters: timezone(timedelta(minutes=15 * quarters)))
MOMENTS = st.datetimes(datetime(2000, 1, 2), datetime(2100, 1, 1)).map(
    lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
)


@given(MOMENTS, OFFSETS)
def test_a_moment_is_the_same_in_every_zone_and_with_or_without_its_offset(moment, zone):
    local = moment.astimezone(zone)
    assert same_time(moment, local.isoformat())
    assert same_time(moment, local.strftime("%Y-%m-%d %H:%M:%S"))


@given(MOMENTS, OFFSETS, st.integers(1, 899))
def test_a_moment_that_is_some_seconds_off_is_another(moment, zone, seconds):
    local = (moment + timedelta(seconds=seconds)).astimezone(zone)
    assert not same_time(moment, local.isoformat())
    assert not same_time(moment, local.strftime("%Y-%m-%d %H:%M:%S"))
