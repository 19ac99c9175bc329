"""A row of a ledger file is typed exactly, or refused; whatever stands in it, nothing else happens."""

from __future__ import annotations

from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.reconciliation.ledger_entries import COLUMNS, Entry, Fault, header_faults, typed_entry
from pipelines.reconciliation.mapped_rows import parsed_date
from pipelines.reconciliation.mapping import ISO

UTC = ZoneInfo("UTC")
EXPONENTS = {"JPY": 0, "EUR": 2, "KWD": 3, "CLF": 4}


def typed(**row):
    plain = {"entry_id": "a", "booked_at": "2024-03-05", "operation_type": "sale", "currency": "EUR"}
    return typed_entry(7, {**plain, **row}, UTC, lambda currency, _: EXPONENTS.get(currency))


def in_major_units(minor: int, exponent: int) -> str:
    digits = str(minor).rjust(exponent + 1, "0")
    return f"{digits[:-exponent]}.{digits[-exponent:]}" if exponent else digits


@given(st.integers(0, 2**63 - 1), st.sampled_from(sorted(EXPONENTS)))
def test_an_amount_in_major_units_is_exactly_its_minor_units_as_text_and_as_decimal(minor, currency):
    text = in_major_units(minor, EXPONENTS[currency])
    for value in (text, Decimal(text), text + "0" if "." in text else text):
        entry = typed(currency=currency, amount=value)
        assert isinstance(entry, Entry)
        assert entry.amount_minor == minor


@given(st.integers(0, 2**63 - 1))
def test_minor_units_are_taken_as_they_are(minor):
    for value in (minor, str(minor), Decimal(minor)):
        assert typed(amount_minor=value).amount_minor == minor


@pytest.mark.parametrize("text", ["2024-03-05+02:00", "2024-03-05-05:00", "2024-03-05x02:00", "2024-03-05_02:00"])
def test_an_offset_behind_a_day_is_no_time_of_the_day(text):
    assert parsed_date(text, ISO) is None
    (fault,) = typed(booked_at=text, amount="1")
    assert (fault.column, fault.problem) == ("booked_at", "is no time")


@given(st.floats())
def test_no_float_becomes_an_amount(value):
    for name in ("amount", "amount_minor", "fee", "fee_minor"):
        faults = typed(**{"amount": "1", name: value})
        assert faults[0].column in (name, "amount")
        assert isinstance(faults[0], Fault)


ANYTHING = st.one_of(
    st.none(), st.text(), st.integers(), st.decimals(), st.floats(), st.booleans(), st.dates(), st.datetimes()
)


# drawing the first text of all takes seconds on a busy machine
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.dictionaries(st.sampled_from(COLUMNS), ANYTHING))
def test_any_row_is_an_entry_or_faults_with_an_advice_each(row):
    found = typed_entry(7, row, UTC, lambda currency, _: EXPONENTS.get(currency))
    if isinstance(found, Entry):
        assert 0 <= found.amount_minor < 2**63
    else:
        assert found
        assert all(fault.line == 7 and fault.problem and fault.advice for fault in found)


def test_a_header_needs_the_required_columns_and_no_others():
    assert header_faults(["entry_id", "booked_at", "operation_type", "currency", "amount"]) == []
    assert {fault.column for fault in header_faults(["entry_id", "entry_id", "Amount"])} == {
        "Amount",
        "entry_id",
        "booked_at",
        "operation_type",
        "currency",
        "amount",
    }
