"""What the figures of the marts mean: payments, amounts, rates, balances, days and names, exactly."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from fixtures.commands import execute, fetch_all
from fixtures.marts import SETTINGS, daily, load, op, payment
from pipelines.marts import build_marts
from resources.settings import ReferenceSettings
from resources.warehouse import ledger
from resources.warehouse.migrate import migrate


@pytest.mark.parametrize(
    ("rows", "status", "figures"),
    [
        ([op(1)], "paid", {"sold_minor": 100, "net_minor": 100}),
        ([op(1), op(2, "refund", minor=30)], "partially refunded", {"refunded_minor": 30, "net_minor": 70}),
        ([op(1), op(2, "refund", minor=30), op(3, "refund", minor=70)], "refunded", {"net_minor": 0}),
        ([op(1), op(2, "reversal")], "refunded", {"reversed_minor": 100, "net_minor": 0}),
        ([op(1), op(2, "refund", "decline")], "paid", {"refunded_minor": 0, "net_minor": 100}),
        ([op(1, "auth")], "authorised", {"authorised_minor": 100, "net_minor": 0}),
        ([op(1, "auth"), op(2, "capture", minor=60)], "paid", {"captured_minor": 60, "net_minor": 60}),
        ([op(1, "auth"), op(2, "cancel")], "cancelled", {"net_minor": 0}),
        ([op(1, "payout")], "paid out", {"paid_out_minor": 100, "net_minor": -100}),
        ([op(1, "recurring")], "paid", {"sold_minor": 100}),
        ([op(1, "sale", "decline")], "declined", {"sold_minor": 0}),
        ([op(1, "sale", "decline"), op(2, "sale", "processing")], "pending", {"is_pending": True}),
        ([op(1, "account verification", minor=0)], "verified", {"net_minor": 0}),
    ],
)
def test_a_payment_is_told_by_its_successful_operations(store, rows, status, figures):
    load(store, *rows)
    build_marts(store, SETTINGS)
    found = payment(store)
    assert found["payment_status"] == status
    assert figures.items() <= found.items()
    assert found["operations"] == len(rows)


@pytest.mark.parametrize(
    ("currency", "when", "amount"),
    [("BGN", "2025-12-31", "19.56"), ("HRK", "2022-12-31", "19.56"), ("BYR", "2016-06-30", "1956")],
)
def test_a_currency_that_was_withdrawn_since_has_major_units_while_it_was_in_use(store, currency, when, amount):
    load(store, op(1, minor=1956, currency=currency, when=f"{when} 10:00:00"))
    build_marts(store, SETTINGS)
    assert str(payment(store)["sold"]) == amount
    (fact,) = fetch_all(store, "SELECT amount FROM bi.fct_operations")
    assert str(fact["amount"]) == amount
    (day,) = fetch_all(store, "SELECT amount FROM bi.daily_overview")
    assert str(day["amount"]) == amount


def test_amounts_are_exact_in_minor_and_in_major_units(store):
    amounts = [("JPY", 500, "500"), ("KWD", 1234, "1.234"), ("CLF", 12345, "1.2345"), ("USD", 1, "0.01")]
    amounts += [("EUR", 9_007_199_254_740_993, "90071992547409.93"), ("GBP", 2**63 - 1, "92233720368547758.07")]
    load(store, *(op(n, payment=f"p{n}", currency=c, minor=m) for n, (c, m, _) in enumerate(amounts)))
    build_marts(store, SETTINGS)
    for n, (currency, minor, text) in enumerate(amounts):
        found = payment(store, f"p{n}")
        assert (found["currency"], found["sold_minor"], str(found["sold"])) == (currency, minor, text)
        (fact,) = fetch_all(store, "SELECT * FROM bi.fct_operations WHERE operation_id = :n", n=str(n))
        assert (fact["amount_minor"], str(fact["amount"]), fact["net_minor"]) == (minor, text, minor)
        (day,) = fetch_all(store, "SELECT * FROM bi.daily_overview WHERE currency = :c", c=currency)
        assert (day["amount_minor"], str(day["amount"])) == (minor, text)


def test_two_currencies_of_one_payment_are_never_added(store):
    load(store, op(1, minor=100, currency="EUR"), op(2, minor=7, currency="JPY"))
    build_marts(store, SETTINGS)
    rows = fetch_all(store, "SELECT currency, sold_minor FROM bi.fct_payments ORDER BY 1")
    assert [tuple(row.values()) for row in rows] == [("EUR", 100), ("JPY", 7)]


def test_an_amount_in_a_currency_of_unknown_decimals_keeps_its_minor_units_and_has_no_major_ones(store):
    load(store, op(1, currency="XXQ"), op(2, currency=None, minor=None, payment="p2"))
    build_marts(store, SETTINGS)
    assert (payment(store)["sold_minor"], payment(store)["sold"]) == (100, None)
    assert daily(store, "currency, operations, amount_minor, amount") == [
        ("2024-03-02", "(none)", 1, None, None),
        ("2024-03-02", "XXQ", 1, 100, None),
    ]


def test_the_approval_rate_counts_attempts_that_came_to_an_end(store):
    load(
        store,
        *(op(n, payment=f"p{n}") for n in range(6)),
        op(6, status="decline"),
        op(7, status="error"),
        op(8, status="processing"),
        op(9, kind="refund"),
    )
    build_marts(store, SETTINGS)
    (row,) = fetch_all(store, "SELECT * FROM bi.approval_rate_daily")
    figures = ("attempts", "approved", "declined", "failed", "approval_rate", "approved_minor")
    assert [row[name] for name in figures] == [8, 6, 1, 1, Decimal("0.7500"), 600]
    assert (row["attempted"], row["approved_amount"]) == (Decimal("8.00"), Decimal("6.00"))


def test_approval_and_declines_are_told_by_method_country_bin_and_the_providers_words(store):
    visa = {"payment_method_type": "visa", "country_by_bin": "LV", "bin": "411111"}
    load(
        store,
        op(1, **visa),
        op(2, status="decline", payment_provider_code="05", payment_provider_message="Do not honor", **visa),
        op(3, status="error", minor=None, payment_provider_code="X" * 100, payment_provider_message="y" * 5000, **visa),
        op(4, status="processing", **visa),
        op(5, kind="refund", **visa),
        op(6, currency="XXQ", minor=7),
    )
    build_marts(store, SETTINGS)
    figures = ("attempts", "approved", "declined", "failed", "attempted_minor", "attempted", "approved_minor")
    assert {
        (row["payment_method_type"], row["country_by_bin"], row["bin"]): [row[name] for name in figures]
        for row in fetch_all(store, "SELECT * FROM bi.approval_by_method_daily")
    } == {
        ("visa", "LV", "411111"): [3, 1, 1, 1, 200, Decimal("2.00"), 100],
        ("(none)", "(none)", "(none)"): [1, 1, 0, 0, 7, None, 7],
    }
    reasons = fetch_all(store, "SELECT * FROM bi.decline_reasons_daily ORDER BY operation_status")
    columns = ("operation_status", "payment_provider_code", "payment_provider_message", "operations", "amount_minor")
    assert [tuple(row[name] for name in columns) for row in reasons] == [
        ("decline", "05", "Do not honor", 1, 100),
        ("error", "X" * 64, "y" * 200, 1, None),
    ]


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        ([], None),
        ([op(2, when="2024-03-02 10:30:30")], (1, "approved", 30)),
        ([op(2, status="decline", when="2024-03-02 11:00:00")], (1, "declined", None)),
        ([op(2, status="error", when="2024-03-02 11:00:00")], (1, "failed", None)),
        ([op(2, status="processing", when="2024-03-02 11:00:00")], (1, "pending", None)),
        (
            [op(2, status="decline", when="2024-03-02 11:00:00"), op(3, when="2024-03-03 10:00:00")],
            (2, "approved", 1440),
        ),
        ([op(2, when="2024-03-02 11:00:00"), op(3, status="decline", when="2024-03-02 12:00:00")], (2, "approved", 60)),
        ([op(2, when="2024-03-02 09:00:00")], None),
        ([op(2, kind="refund", when="2024-03-02 11:00:00")], None),
        ([op(2, currency="JPY", when="2024-03-02 11:00:00")], None),
        ([op(2, payment="p2", when="2024-03-02 11:00:00")], None),
    ],
    ids=[
        *("alone", "approved", "declined", "failed", "pending", "second retry", "declined after its approval"),
        *("before it", "no attempt", "another currency", "another payment"),
    ],
)
def test_a_retry_is_an_attempt_after_one_that_was_declined_and_ends_in_one_way(store, later, expected):
    load(store, op(1, status="decline", payment_provider_code="05"), *later)
    build_marts(store, SETTINGS)
    rows = fetch_all(store, "SELECT * FROM bi.fct_retries")
    found = [(row["retries"], row["outcome"], row["minutes_to_approval"]) for row in rows]
    assert found == ([] if expected is None else [expected])
    assert {(row["payment_provider_code"], row["amount_minor"], str(row["amount"])) for row in rows} <= {
        ("05", 100, "1.00")
    }


def test_a_refund_belongs_to_the_last_sale_before_it_and_to_the_cohort_of_its_day(store):
    load(
        store,
        op(1, minor=300, when="2024-03-01 10:00:00"),
        op(2, minor=500, kind="recurring", when="2024-03-05 10:00:00"),
        op(3, minor=100, kind="refund", when="2024-03-03 09:59:00"),
        op(4, minor=200, kind="reversal", when="2024-05-05 10:00:00"),
        op(5, minor=100, kind="refund", status="decline", when="2024-03-04 10:00:00"),
        op(6, minor=50, kind="refund", payment="p2", when="2024-03-04 10:00:00"),
        op(7, minor=50, kind="refund", currency="JPY", when="2024-03-04 10:00:00"),
    )
    build_marts(store, SETTINGS)
    rows = fetch_all(store, "SELECT * FROM bi.fct_refunds ORDER BY operation_id")
    columns = ("operation_id", "amount_minor", "days_to_refund", "hours_to_refund")
    assert [tuple(row[name] for name in columns) for row in rows] == [
        ("3", 100, 2, 47),
        ("4", 200, 61, 61 * 24),
        ("6", 50, None, None),
        ("7", 50, None, None),
    ]
    cohorts = fetch_all(store, "SELECT * FROM bi.refund_cohorts ORDER BY sold_date")
    figures = ("sales", "sold_minor", "refunds", "refunded_minor", "refunded_in_30_days_minor", "refund_rate")
    assert [[str(row["sold_date"]), *(row[name] for name in figures)] for row in cohorts] == [
        ["2024-03-01", 1, 300, 1, 100, 100, Decimal("0.3333")],
        ["2024-03-05", 1, 500, 1, 200, 0, Decimal("0.4000")],
    ]


def test_balances_by_day_have_first_last_lowest_and_highest_and_one_name_twice_is_summed(store):
    run_id = ledger.start_run(store, account="default", stream="balances", interval=None)
    for hour, amounts in {1: (100, 5), 9: (-50, 5), 23: (70, 6)}.items():
        for position, minor in enumerate(amounts):
            execute(
                store,
                "INSERT INTO core.balance_snapshots VALUES "
                f"('default', '2024-03-02 {hour}:00Z', {position}, 'Main', 'EUR', {minor}, {run_id})",
            )
    build_marts(store, SETTINGS)
    (row,) = fetch_all(store, "SELECT * FROM bi.fct_balances_daily")
    figures = ("opening_minor", "closing_minor", "lowest_minor", "highest_minor", "snapshots", "closing")
    assert [row[name] for name in figures] == [105, 76, -45, 105, 3, Decimal("0.76")]


def test_the_fiscal_year_is_named_by_the_year_in_which_it_ends(store):
    migrate(store, ReferenceSettings(fiscal_start_month=4))
    load(store, op(1, when="2024-03-31 10:00:00"))
    build_marts(store, SETTINGS)
    rows = fetch_all(
        store,
        "SELECT business_date::text, fiscal_year, fiscal_quarter, fiscal_month, fiscal_year_start_date::text, "
        "iso_week, is_month_end FROM bi.dim_date "
        "WHERE business_date IN ('2024-03-31', '2024-04-01', '2024-12-30') ORDER BY 1",
    )
    assert [tuple(row.values()) for row in rows] == [
        ("2024-03-31", 2024, 4, 12, "2023-04-01", 13, True),
        ("2024-04-01", 2025, 1, 1, "2024-04-01", 14, False),
        ("2024-12-30", 2025, 3, 9, "2024-04-01", 1, False),
    ]


def test_the_days_have_no_hole_from_the_first_fact_to_the_end_of_next_year(store):
    load(store, op(1, when="2021-05-05 10:00:00"), op(2, when="1999-01-01 00:00:00"))
    build_marts(store, SETTINGS)
    days = [row["d"] for row in fetch_all(store, "SELECT business_date AS d FROM bi.dim_date ORDER BY 1")]
    assert days[:1] == [date(1999, 1, 1)]
    assert days[-1] == date(datetime.now(UTC).year + 1, 12, 31)
    later = [day for day in days if day.year >= 2021]
    assert len(later) == (later[-1] - later[0]).days + 1
    assert later[0] == date(2021, 1, 1)


def test_a_project_is_named_as_last_observed(store):
    load(store, op(1, project_name="Old"), op(2, payment="p2"))
    build_marts(store, SETTINGS)
    load(store, op(3, project_name="New", payment="p3"), second=4)
    build_marts(store, SETTINGS)
    assert [row["project_name"] for row in fetch_all(store, "SELECT * FROM bi.dim_project")] == ["New"]
