"""Minor units to major units: exact at any size, with the decimals of ISO 4217 itself, and no guess."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.money import exponents, major_units

QUICK = settings(max_examples=300, deadline=None, derandomize=True, database=None)
amounts = st.one_of(st.integers(-2_000, 2_000), st.integers(-(2**63), 2**63 - 1), st.integers(-(10**30), 10**30))


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (1_234_567, "EUR", "12,345.67"),
        (1_234_567, "JPY", "1,234,567"),
        (1_234_567, "KWD", "1,234.567"),
        (1_234_567, "IQD", "1,234.567"),
        (1_234_567, "CLF", "123.4567"),
        (1_234_567, "CLP", "1,234,567"),
        (0, "EUR", "0.00"),
        (0, "JPY", "0"),
        (5, "EUR", "0.05"),
        (-5, "EUR", "-0.05"),
        (-5, "KWD", "-0.005"),
        (-5, "CLF", "-0.0005"),
        (-5, "JPY", "-5"),
        (-100, "EUR", "-1.00"),
        (99, "EUR", "0.99"),
        (100, "EUR", "1.00"),
        (9_007_199_254_740_993, "EUR", "90,071,992,547,409.93"),
        (2**63 - 1, "EUR", "92,233,720,368,547,758.07"),
        (-(2**63), "EUR", "-92,233,720,368,547,758.08"),
        (2**63 - 1, "JPY", "9,223,372,036,854,775,807"),
        (10**30, "EUR", "10,000,000,000,000,000,000,000,000,000.00"),
    ],
)
def test_an_amount_is_written_with_the_decimals_of_its_currency(minor, currency, text):
    assert major_units(minor, currency) == text


@pytest.mark.parametrize("currency", ["XXQ", "XAU", "XXX", "eur", "", None])
def test_a_currency_without_an_exponent_keeps_its_minor_units_and_says_so(currency):
    assert major_units(1_234_567, currency) == "1,234,567 minor units"
    assert major_units(-5, currency) == "-5 minor units"


@pytest.mark.parametrize("currency", ["EUR", "JPY", "XXQ", None])
def test_no_amount_is_not_zero(currency):
    assert major_units(None, currency) == "—"


def test_a_sum_may_come_as_the_numeric_that_postgresql_makes_of_it():
    assert major_units(Decimal(3 * (2**63 - 1)), "EUR") == major_units(3 * (2**63 - 1), "EUR")
    assert major_units(Decimal(-5), "EUR") == "-0.05"


def test_the_exponents_are_those_of_iso_4217_and_not_of_a_display_table():
    known = exponents()
    assert {code: known[code] for code in ("JPY", "KRW", "ISK", "UGX", "VND")} == dict.fromkeys(
        ("JPY", "KRW", "ISK", "UGX", "VND"), 0
    )
    # CLDR shows these without decimals
    assert {code: known[code] for code in ("HUF", "TWD", "IDR", "COP", "AMD")} == dict.fromkeys(
        ("HUF", "TWD", "IDR", "COP", "AMD"), 2
    )
    assert {code: known[code] for code in ("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND")} == dict.fromkeys(
        ("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3
    )
    assert {code for code, exponent in known.items() if exponent == 4} == {"CLF", "UYW"}


@QUICK
@given(minor=amounts, currency=st.sampled_from(sorted(exponents())))
def test_no_digit_is_lost_or_added(minor, currency):
    text = major_units(minor, currency)
    whole, _, fraction = text.removeprefix("-").partition(".")
    assert len(fraction) == exponents()[currency]
    assert int(whole.replace(",", "") + fraction) == abs(minor)
    assert text.startswith("-") == (minor < 0)
    assert whole == f"{int(whole.replace(',', '')):,}", "grouped by thousands, without leading zeros"
