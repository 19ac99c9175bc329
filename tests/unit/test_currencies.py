"""Decimals of a currency by period: no gap, no overlap, an override from its day on; malformed ones are told."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.money import exponent_of, exponents, major_units
from resources.currencies import FIRST_DAY, ExponentOverride, exponent_at, periods
from resources.errors import ConfigError
from resources.settings import exponent_overrides, reference_settings, sync_settings

QUICK = settings(max_examples=200, deadline=None, derandomize=True, database=None)
days = st.dates(date(1950, 1, 1), date(2100, 1, 1))
overrides = st.lists(
    st.builds(ExponentOverride, st.sampled_from(["JPY", "EUR", "BTC"]), st.one_of(st.none(), days), st.integers(0, 18)),
    unique_by=lambda item: (item.currency, item.valid_from),
    max_size=8,
)
ISO = {"JPY": 0, "EUR": 2}


@QUICK
@given(overrides=overrides, day=days)
def test_on_any_day_a_currency_has_the_decimals_of_its_latest_override_or_of_iso_4217(overrides, day):
    for currency in ("JPY", "EUR", "BTC"):
        spans = [period for period in periods(ISO, overrides) if period.currency == currency]
        begun = [item for item in overrides if item.currency == currency and (item.valid_from or FIRST_DAY) <= day]
        last = max(begun, key=lambda item: item.valid_from or FIRST_DAY, default=None)
        assert exponent_at(spans, day) == (last.exponent if last else ISO.get(currency))


@QUICK
@given(overrides=overrides)
def test_periods_of_a_currency_follow_each_other_without_gap_or_overlap_and_the_last_is_open(overrides):
    found = periods(ISO, overrides)
    for currency in {period.currency for period in found}:
        spans = [period for period in found if period.currency == currency]
        assert [span.valid_to for span in spans] == [*(span.valid_from for span in spans[1:]), None]
        assert all(span.valid_to is None or span.valid_from < span.valid_to for span in spans)


def test_a_minor_unit_is_exact():
    (period,) = periods({"CLF": 4}, [])
    assert period.smallest_unit == Decimal("0.0001")


def test_overrides_are_read_with_and_without_a_day():
    assert exponent_overrides(" JPY=2@2026-01-01, KWD=2,USDT=6 ,") == (
        ExponentOverride("JPY", date(2026, 1, 1), 2),
        ExponentOverride("KWD", None, 2),
        ExponentOverride("USDT", None, 6),
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("JPY", "'JPY': write CODE=DECIMALS"),
        ("jpy=2", "'jpy=2'"),
        ("JPY=-1", "'JPY=-1'"),
        ("JPY=19", "from 0 to 18"),
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
