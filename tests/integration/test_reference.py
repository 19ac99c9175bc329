"""Currencies, settings, types and statuses in the database, and the functions over them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from fixtures.commands import execute, fetch_all
from pipelines.nights import starts_at
from resources.currencies import ExponentOverride, exponents
from resources.errors import ConfigError
from resources.settings import ReferenceSettings
from resources.warehouse.migrate import migrate


def one(store, statement, **parameters):
    (row,) = fetch_all(store, statement, **parameters)
    (value,) = row.values()
    return value


def major(store, amount, currency, day="2026-06-01"):
    return one(store, "SELECT core.minor_to_major(:a, :c, :d)", a=amount, c=currency, d=date.fromisoformat(day))


def test_the_currencies_of_iso_4217_are_there_with_their_own_decimals(store):
    rows = fetch_all(store, "SELECT currency, exponent, source, valid_from, valid_to FROM core.currencies")
    assert {row["currency"]: row["exponent"] for row in rows} == exponents()
    assert {(row["source"], row["valid_from"]) for row in rows} == {("iso4217", date(1900, 1, 1))}
    withdrawn = {row["currency"]: row["valid_to"] for row in rows if row["valid_to"]}
    assert (withdrawn["BGN"], withdrawn["HRK"]) == (date(2026, 2, 1), date(2023, 2, 1))
    assert not withdrawn.keys() & {"EUR", "USD", "JPY", "TRY", "PEN"}


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (500, "JPY", "500"),
        (1234, "KWD", "1.234"),
        (12345, "CLF", "1.2345"),
        (1, "USD", "0.01"),
        (9_007_199_254_740_993, "USD", "90071992547409.93"),
        (Decimal(10**35 + 1), "KWD", "100000000000000000000000000000000.001"),
        (-5, "EUR", "-0.05"),
    ],
)
def test_an_amount_in_major_units_is_exact_and_has_the_decimals_of_its_currency(store, minor, currency, text):
    assert str(major(store, minor, currency)) == text


def test_an_amount_of_a_withdrawn_currency_is_known_up_to_its_withdrawal(store):
    assert str(major(store, 1956, "BGN", "2025-12-31")) == "19.56"
    assert str(major(store, 7530, "HRK", "2022-12-31")) == "75.30"
    assert major(store, 1956, "BGN", "2026-02-01") is None


def test_an_amount_of_a_currency_whose_decimals_are_unknown_is_null_and_not_a_guess(store):
    assert major(store, 100, "XXQ") is None
    assert major(store, 100, None) is None


def test_an_override_holds_from_its_day_on(store):
    migrate(store, ReferenceSettings(currency_exponents=(ExponentOverride("JPY", date(2026, 1, 1), 2),)))
    assert str(major(store, 50_000, "JPY", "2025-12-31")) == "50000"
    assert str(major(store, 50_000, "JPY", "2026-01-01")) == "500.00"
    rows = fetch_all(
        store, "SELECT exponent, source, valid_from, valid_to FROM core.currencies WHERE currency = 'JPY' ORDER BY 3"
    )
    assert [tuple(row.values()) for row in rows] == [
        (0, "iso4217", date(1900, 1, 1), date(2026, 1, 1)),
        (2, "override", date(2026, 1, 1), None),
    ]
    migrate(store, ReferenceSettings())
    assert one(store, "SELECT count(*) FROM core.currencies WHERE source = 'override'") == 0


def test_a_business_day_is_that_of_the_reporting_zone(store):
    moment = datetime(2026, 3, 31, 22, 30, tzinfo=UTC)
    assert one(store, "SELECT core.business_date(:m)", m=moment) == date(2026, 3, 31)
    migrate(store, ReferenceSettings(reporting_zone="Europe/Berlin"))
    assert one(store, "SELECT core.business_date(:m)", m=moment) == date(2026, 4, 1)
    assert one(store, "SELECT core.business_day_starts_at('2026-03-29')") == datetime(2026, 3, 28, 23, tzinfo=UTC)
    assert one(store, "SELECT core.business_day_starts_at('2026-03-30')") == datetime(2026, 3, 29, 22, tzinfo=UTC)


def test_migrating_again_with_the_same_settings_writes_nothing(store):
    before = fetch_all(store, "SELECT xmin::text, * FROM core.currencies ORDER BY currency")
    settings = fetch_all(store, "SELECT xmin::text, * FROM core.settings ORDER BY key")
    migrate(store)
    assert fetch_all(store, "SELECT xmin::text, * FROM core.currencies ORDER BY currency") == before
    assert fetch_all(store, "SELECT xmin::text, * FROM core.settings ORDER BY key") == settings


def test_a_zone_that_the_server_does_not_know_is_refused_and_nothing_is_written(store):
    with pytest.raises(ConfigError, match="SYNC_REPORTING_ZONE is 'Mars/Olympus', which this PostgreSQL"):
        migrate(store, ReferenceSettings(reporting_zone="Mars/Olympus", fiscal_start_month=4))
    assert one(store, "SELECT value FROM core.settings WHERE key = 'fiscal_year_start_month'") == "1"


def test_the_settings_of_the_environment_reach_the_database(store, monkeypatch):
    monkeypatch.setenv("SYNC_REPORTING_ZONE", "Asia/Tokyo")
    monkeypatch.setenv("SYNC_FISCAL_START_MONTH", "4")
    migrate(store)
    assert {row["key"]: row["value"] for row in fetch_all(store, "SELECT key, value FROM core.settings")}.items() >= {
        "reporting_zone": "Asia/Tokyo",
        "fiscal_year_start_month": "4",
    }.items()


def test_only_types_that_move_money_have_a_sign_and_only_success_is_a_success(store):
    types = fetch_all(store, "SELECT * FROM core.operation_types")
    assert all((row["sign"] != 0) == row["is_money"] for row in types)
    assert {row["operation_type"] for row in types if row["sign"] == 1} == {"sale", "capture", "recurring"}
    assert {row["operation_type"] for row in types if row["sign"] == -1} == {"refund", "reversal", "payout"}
    statuses = fetch_all(store, "SELECT * FROM core.operation_statuses")
    assert {row["operation_status"] for row in statuses if row["is_success"]} == {"success"}
    assert {row["operation_status"] for row in statuses if row["is_final"]} == {"success", "decline", "error"}


@pytest.mark.parametrize(
    "zone", ["UTC", "America/Havana", "America/Santiago", "America/New_York", "Atlantic/Azores", "Asia/Kolkata"]
)
def test_a_business_day_starts_at_the_first_moment_that_shows_it_also_where_midnight_comes_twice_or_never(store, zone):
    execute(store, f"UPDATE core.settings SET value = '{zone}' WHERE key = 'reporting_zone'")
    rows = fetch_all(
        store,
        "SELECT day::date AS day, core.business_day_starts_at(day::date) AS starts_at,"
        " core.business_date(core.business_day_starts_at(day::date)) AS first,"
        " core.business_date(core.business_day_starts_at(day::date) - interval '1 second') AS before "
        "FROM generate_series(date '2025-01-01', date '2026-12-31', interval '1 day') AS day",
    )
    assert len(rows) == 730
    for row in rows:
        assert row["starts_at"] == starts_at(row["day"], zone)
        assert row["first"] == row["day"] > row["before"]
