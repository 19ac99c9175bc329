"""Decimals of a currency by period, and amounts in major units: exact at any size, and no guess."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.currencies import (
    FIRST_DAY,
    CurrencyPeriod,
    ExponentOverride,
    exponent_at,
    exponent_of,
    exponent_overrides,
    exponents,
    exponents_by,
    iso_codes,
    iso_periods,
    major_units,
    periods,
)
from resources.errors import ConfigError
from resources.settings import reference_settings, sync_settings

QUICK = settings(max_examples=200, deadline=None, derandomize=True, database=None)
days = st.dates(date(1950, 1, 1), date(2100, 1, 1))
overrides = st.lists(
    st.builds(
        ExponentOverride, st.sampled_from(["JPY", "EUR", "BGN", "BTC"]), st.one_of(st.none(), days), st.integers(0, 18)
    ),
    unique_by=lambda item: (item.currency, item.valid_from),
    max_size=8,
)
amounts = st.one_of(st.integers(-2_000, 2_000), st.integers(-(2**63), 2**63 - 1), st.integers(-(10**30), 10**30))
ENDS = {"BGN": date(2026, 2, 1)}
ISO = [
    CurrencyPeriod(currency, exponent, "iso4217", FIRST_DAY, ENDS.get(currency))
    for currency, exponent in {"JPY": 0, "EUR": 2, "BGN": 2}.items()
]


# Periods


@QUICK
@given(overrides=overrides, day=days)
def test_on_any_day_a_currency_has_the_decimals_of_its_latest_override_or_of_iso_4217(overrides, day):
    for currency in ("JPY", "EUR", "BGN", "BTC"):
        spans = [period for period in periods(ISO, overrides) if period.currency == currency]
        begun = [item for item in overrides if item.currency == currency and (item.valid_from or FIRST_DAY) <= day]
        last = max(begun, key=lambda item: item.valid_from or FIRST_DAY, default=None)
        by_iso = exponent_at([period for period in ISO if period.currency == currency], day)
        assert exponent_at(spans, day) == (last.exponent if last else by_iso)


@QUICK
@given(overrides=overrides)
def test_periods_of_a_currency_do_not_overlap_and_have_a_gap_only_where_it_was_withdrawn(overrides):
    found = periods(ISO, overrides)
    for currency in {period.currency for period in found}:
        spans = [period for period in found if period.currency == currency]
        for span, following in pairwise(spans):
            assert span.valid_to in {following.valid_from, ENDS.get(currency)}
            assert span.valid_from < span.valid_to <= following.valid_from
        assert spans[-1].valid_to in {None, ENDS.get(currency)}


@pytest.mark.parametrize(
    ("currency", "exponent", "last_day"),
    [
        ("BGN", 2, date(2026, 1, 31)),
        ("HRK", 2, date(2023, 1, 31)),
        ("LTL", 2, date(2014, 12, 31)),
        ("BYR", 0, date(2017, 1, 31)),
        ("ANG", 2, date(2025, 3, 31)),
        ("EEK", 2, date(2011, 1, 31)),
        ("MRO", 2, date(2017, 12, 31)),
        ("STD", 2, date(2017, 12, 31)),
        ("VEF", 2, date(2018, 8, 31)),
        ("ZWL", 2, date(2024, 9, 30)),
        ("SLL", 2, date(2023, 12, 31)),
    ],
)
def test_a_withdrawn_currency_has_its_decimals_to_the_end_of_the_month_that_iso_names(currency, exponent, last_day):
    assert exponent_of(currency, last_day) == exponents(last_day)[currency] == exponent
    assert exponent_of(currency, last_day + timedelta(days=1)) is None
    assert currency not in exponents(last_day + timedelta(days=1))
    assert exponent_of(currency) == exponents()[currency] == exponent, "without a day: as last known"


def test_a8_no_currency_withdrawn_since_2007_is_without_decimals():
    from iso_4217 import Currency

    withdrawn = {
        currency.name
        for currency in Currency
        if not currency.entities and max(item.time.end.year for item in currency.withdrew_entities) >= 2007
    }
    units_of_account = {"XFU"}
    assert withdrawn - units_of_account == {period.currency for period in iso_periods() if period.valid_to}
    assert {"EUR", "BGN", "DEM", "XAU"} <= iso_codes()


def test_a_minor_unit_is_exact():
    (period,) = periods([CurrencyPeriod("CLF", 4, "iso4217", FIRST_DAY, None)], [])
    assert period.smallest_unit == Decimal("0.0001")


def test_each_period_says_whether_it_is_of_iso_4217_or_of_an_override():
    found = periods(
        [period for period in iso_periods() if period.currency in {"JPY", "EUR"}],
        exponent_overrides("JPY=2@2026-01-01"),
    )
    assert [(period.currency, period.source) for period in found] == [
        ("EUR", "iso4217"),
        ("JPY", "iso4217"),
        ("JPY", "override"),
    ]


# Overrides


def test_overrides_are_read_with_and_without_a_day():
    assert exponent_overrides(" JPY=2@2026-01-01, KWD=2,USDT=6 , ETH=18") == (
        ExponentOverride("JPY", date(2026, 1, 1), 2),
        ExponentOverride("KWD", None, 2),
        ExponentOverride("USDT", None, 6),
        ExponentOverride("ETH", None, 18),
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("JPY", "'JPY': write CODE=DECIMALS"),
        ("jpy=2", "'jpy=2'"),
        ("JPY=-1", "'JPY=-1'"),
        ("JPY=19", "from 0 to 18"),
        ("JPY=\uff12", "'JPY=\uff12'"),
        ("JPY=2@soon", "'soon': write a day"),
        ("JPY=2,JPY=3", "JPY twice for the same day"),
        ("JPY=2@2026-01-01,JPY=0@2026-01-01", "JPY twice for the same day"),
    ],
)
def test_a_malformed_override_is_told_in_one_line(text, said):
    with pytest.raises(ConfigError) as error:
        exponent_overrides(text)
    assert said in str(error.value)
    assert "SYNC_CURRENCY_EXPONENTS" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("SYNC_REPORTING_ZONE", "Mars/Olympus"), ("SYNC_FISCAL_START_MONTH", "13"), ("SYNC_FISCAL_START_MONTH", "April")],
)
def test_a_malformed_reporting_setting_is_told_with_its_name(name, value):
    with pytest.raises(ConfigError, match=f"{name} is '{value}'"):
        sync_settings({name: value})


def test_without_settings_days_are_utc_and_the_fiscal_year_is_the_calendars():
    assert reference_settings({}) == sync_settings({}).reference
    assert (reference_settings({}).reporting_zone, reference_settings({}).fiscal_start_month) == ("UTC", 1)


def test_amounts_are_shown_with_the_overridden_decimals_from_their_day_on(monkeypatch):
    monkeypatch.setenv("SYNC_CURRENCY_EXPONENTS", "JPY=2@2026-01-01,USDT=6")
    assert major_units(50_000, "JPY", date(2025, 12, 31)) == "50,000"
    assert major_units(50_000, "JPY", date(2026, 1, 1)) == "500.00"
    assert major_units(1_500_000, "USDT") == "1.500000"
    assert exponent_of("JPY", date(2025, 12, 31) + timedelta(days=1)) == 2
    assert exponents(date(2026, 1, 1))["JPY"] == 2
    monkeypatch.delenv("SYNC_CURRENCY_EXPONENTS")
    assert major_units(50_000, "JPY", date(2026, 1, 1)) == "50,000"
    assert exponent_of("USDT") is None


def test_an_override_that_begins_today_holds_today(monkeypatch):
    monkeypatch.setenv("SYNC_CURRENCY_EXPONENTS", f"JPY=2@{datetime.now(UTC).date()}")
    assert major_units(50_000, "JPY") == "500.00"


def test_amounts_of_a_warehouse_have_its_decimals_whatever_the_environment_says(monkeypatch):
    monkeypatch.setenv("SYNC_CURRENCY_EXPONENTS", "JPY=3")
    with exponents_by("JPY=2,USDT=6"):
        assert (major_units(50_000, "JPY"), exponent_of("USDT")) == ("500.00", 6)
        with exponents_by(""):
            assert (major_units(50_000, "JPY"), exponent_of("USDT")) == ("50,000", None)
        assert major_units(50_000, "JPY") == "500.00"
    assert (major_units(50_000, "JPY"), exponent_of("USDT")) == ("50.000", None)


# Amounts


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
