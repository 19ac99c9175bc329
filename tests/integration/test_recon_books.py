"""The platform against the merchant's own books: every break type injected once is found once, and re-runs change
nothing.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from fixtures.commands import execute, fetch_all, waits_for_a_lock
from fixtures.reconciliation import (
    CUTOFF,
    DAY,
    NEXT,
    add_entries,
    add_operations,
    at,
    breaks_of,
    everything,
    found,
    matches_of,
    reconcile,
)
from pipelines.reconciliation.breaks import begin
from pipelines.reconciliation.matching import LedgerReport, reconcile_ledger

# What is found, and how much of it


def test_a_day_on_which_both_sides_agree_has_no_break(store):
    add_operations(store, {"operation_id": "1"}, {"operation_id": "2", "operation_status": "decline"})
    add_entries(store, {"entry_id": "a", "operation_id": "1"})
    assert found(store) == []
    assert matches_of(store) == [("1", "a", "operation_id", 100, "1:1", "o1")]


def test_an_operation_that_the_books_lack_is_missing_in_the_ledger(store):
    add_operations(store, {"operation_id": "1"}, {"operation_id": "2", "sum_initial_amount": 700})
    add_entries(store, {"entry_id": "a", "operation_id": "1"})
    assert found(store) == [("missing_in_ledger", "2", None, "EUR", 700)]


def test_an_entry_that_the_platform_lacks_is_missing_at_the_platform(store):
    add_operations(store, {"operation_id": "1"})
    add_entries(
        store, {"entry_id": "a", "operation_id": "1"}, {"entry_id": "b", "operation_id": "9", "amount_minor": 5}
    )
    assert found(store) == [("missing_at_platform", "9", "b", "EUR", 5)]


def test_another_amount_is_an_amount_break_of_the_ledger_minus_the_platform(store):
    add_operations(store, {"operation_id": "1"})
    add_entries(store, {"entry_id": "a", "operation_id": "1", "amount_minor": 990})
    assert found(store) == [("amount", "1", "a", "EUR", -10)]


def test_what_an_entry_that_names_an_operation_books_the_other_way_round_counts_below_zero(store):
    add_operations(
        store,
        {"operation_id": "1", "operation_type": "refund", "payment_id": "p"},
        {"operation_id": "2", "payment_id": "p"},
        {"operation_id": "3", "operation_type": "payout", "sum_initial_amount": 300},
        {"operation_id": "4"},
        {"operation_id": "5"},
        {"operation_id": "6", "operation_type": "recurring"},
        {"operation_id": "7", "operation_type": "unheard of"},
    )
    add_entries(
        store,
        {"entry_id": "a", "operation_id": "1", "operation_type": "sale"},
        {"entry_id": "b", "operation_id": "2"},
        {"entry_id": "c", "operation_id": "3", "operation_type": "capture", "amount_minor": 299},
        {"entry_id": "d", "operation_id": "4", "amount_minor": 1500},  # and its correction
        {"entry_id": "e", "operation_id": "4", "operation_type": "refund", "amount_minor": 500},
        {"entry_id": "f", "operation_id": "5", "operation_type": "refund"},  # the first by its id, and the wrong way
        {"entry_id": "g", "operation_id": "5"},
        {"entry_id": "h", "operation_id": "6"},  # of another type, the same way
        {"entry_id": "i", "operation_id": "7", "operation_type": "refund"},
    )
    assert sorted(found(store)) == [
        ("amount", "1", "a", "EUR", -2000),
        ("amount", "3", "c", "EUR", -599),
        ("duplicate_in_ledger", "5", "f", "EUR", 1000),
    ]
    (detail,) = fetch_all(store, "SELECT detail FROM recon.breaks WHERE operation_id = '1'")
    assert "the other way round" in detail["detail"]
    before = everything(store)
    reconcile(store)
    assert everything(store) == before


def test_another_currency_is_a_currency_break_and_no_amounts_are_compared(store):
    add_operations(store, {"operation_id": "1"})
    add_entries(store, {"entry_id": "a", "operation_id": "1", "currency": "USD", "amount_minor": 1100})
    assert found(store) == [("currency", "1", "a", "EUR", 1000)]


def test_an_entry_of_a_declined_operation_is_a_status_break(store):
    add_operations(store, {"operation_id": "1", "operation_status": "decline"})
    add_entries(store, {"entry_id": "a", "operation_id": "1"})
    assert found(store) == [("status", "1", "a", "EUR", 1000)]


def test_an_amount_booked_net_of_its_fee_is_a_fee_break(store):
    add_operations(store, {"operation_id": "1"})
    add_entries(store, {"entry_id": "a", "operation_id": "1", "amount_minor": 971, "fee_minor": 29})
    assert found(store) == [("fee", "1", "a", "EUR", -29)]


def test_a_booked_fee_that_is_not_the_agreed_one_is_a_fee_break(store):
    execute(store, "INSERT INTO recon.fee_rules VALUES ('default', 'EUR', 'sale', '2024-01-01', NULL, 10, 195, 'cfo')")
    add_operations(store, {"operation_id": "1"}, {"operation_id": "2"})
    add_entries(
        store,
        {"entry_id": "a", "operation_id": "1", "fee_minor": 30},  # 10 + 19.5, rounded half up
        {"entry_id": "b", "operation_id": "2", "fee_minor": 33},
    )
    assert found(store) == [("fee", "2", "b", "EUR", 3)]


def test_an_operation_booked_twice_is_a_duplicate_in_the_ledger(store):
    add_operations(store, {"operation_id": "1"}, {"operation_id": "2"})
    add_entries(
        store,
        {"entry_id": "a", "operation_id": "1"},
        {"entry_id": "b", "operation_id": "1"},
        {"entry_id": "c", "project_id": "198", "payment_id": "pay-2"},
        {"entry_id": "d", "project_id": "198", "payment_id": "pay-2"},
    )
    assert found(store) == [
        ("duplicate_in_ledger", "1", "b", "EUR", 1000),
        ("duplicate_in_ledger", None, "d", "EUR", 1000),
    ]


def test_a_payment_charged_twice_and_booked_once_is_a_duplicate_at_the_platform(store):
    twice = {"payment_id": "same", "sum_initial_amount": 4200}
    add_operations(store, {"operation_id": "1", **twice}, {"operation_id": "2", **twice})
    add_entries(store, {"entry_id": "a", "operation_id": "1", "amount_minor": 4200})
    assert found(store) == [("duplicate_at_platform", "2", None, "EUR", 4200)]


def test_a_difference_of_one_minor_unit_is_a_rounding_break_and_open(store):
    add_operations(store, {"operation_id": "1"})
    add_entries(store, {"entry_id": "a", "operation_id": "1", "amount_minor": 1001})
    assert found(store) == [("rounding", "1", "a", "EUR", 1)]


def test_a_difference_within_the_tolerance_is_shown_and_explained_by_it(store):
    execute(
        store,
        """INSERT INTO recon.tolerances
               (account, currency, operation_type, valid_from, valid_to, absolute_minor, set_by)
           VALUES ('default', '*', '*', '2024-01-01', NULL, 3, 'cfo'),
                  ('default', 'EUR', 'sale', '2024-01-01', '2024-02-01', 90, 'cfo'),
                  ('default', 'USD', '*', '2024-01-01', NULL, 90, 'cfo')""",
    )
    add_operations(store, {"operation_id": "1"}, {"operation_id": "2"})
    add_entries(
        store,
        {"entry_id": "a", "operation_id": "1", "amount_minor": 1003},
        {"entry_id": "b", "operation_id": "2", "amount_minor": 1004},
    )
    assert found(store) == [("amount", "2", "b", "EUR", 4)]
    assert [(row["break_type"], row["amount_minor"]) for row in breaks_of(store, "explained")] == [("rounding", 3)]


def test_a_relative_tolerance_is_of_the_platforms_amount(store):
    execute(
        store,
        "INSERT INTO recon.tolerances (account, valid_from, relative_bps, set_by) "
        "VALUES ('default', '2024-01-01', 10, 'cfo')",
    )
    big = 9_007_199_254_740_993
    add_operations(store, {"operation_id": "1", "sum_initial_amount": big})
    add_entries(store, {"entry_id": "a", "operation_id": "1", "amount_minor": big + big // 1000 + 1})
    assert found(store) == [("amount", "1", "a", "EUR", big // 1000 + 1)]


def test_a_refund_of_a_payment_that_was_never_taken_is_an_orphan(store):
    add_operations(store, {"operation_id": "1", "operation_type": "refund", "sum_initial_amount": 300})
    add_entries(store, {"entry_id": "a", "operation_id": "1", "operation_type": "refund", "amount_minor": 300})
    assert found(store) == [("orphan_refund", "1", None, "EUR", 300)]


def test_refunds_above_what_was_captured_are_found_with_the_excess_alone(store):
    refund = {"payment_id": "p", "operation_type": "refund"}
    add_operations(
        store,
        {"operation_id": "1", "payment_id": "p", "sum_initial_amount": 1000, "operation_completed_at": at("09:00")},
        {"operation_id": "2", **refund, "sum_initial_amount": 800, "operation_completed_at": at("10:00")},
        {"operation_id": "3", **refund, "sum_initial_amount": 500, "operation_completed_at": at("11:00")},
    )
    add_entries(
        store,
        {"entry_id": "a", "operation_id": "1"},
        {"entry_id": "b", "operation_id": "2", "operation_type": "refund", "amount_minor": 800},
        {"entry_id": "c", "operation_id": "3", "operation_type": "refund", "amount_minor": 500},
    )
    assert found(store) == [("refund_above_capture", "3", None, "EUR", 300)]


# What is reported


def test_a_reconciliation_reports_and_records_its_counts(store):
    add_operations(store, {"operation_id": "1"}, {"operation_id": "2", "operation_status": "decline"})
    assert reconcile(store) == LedgerReport(
        has_books=False,
        operations=0,
        operations_required=0,
        entries=0,
        operations_alone=0,
        entries_alone=0,
        matches={},
        breaks={},
    )
    add_operations(store, {"operation_id": "3"}, {"operation_id": "4"})
    add_operations(store, {"operation_id": "5", "payment_id": "p", "operation_completed_at": at("12:00", NEXT)})
    add_entries(
        store,
        {"entry_id": "a", "operation_id": "1", "amount_minor": 400},
        {"entry_id": "b", "operation_id": "1", "amount_minor": 600},
        {"entry_id": "c", "operation_id": "9"},
        {"entry_id": "d", "payment_id": "pay-3"},
        {"entry_id": "e", "operation_id": "9", "booked_at": at("12:00", NEXT)},
    )
    before = datetime.now(UTC)
    report = reconcile(store)
    assert report == LedgerReport(
        has_books=True,
        operations=4,
        operations_required=3,
        entries=4,
        operations_alone=1,
        entries_alone=1,
        matches={"operation_id": 1, "payment": 1},
        breaks={"missing_in_ledger": 1, "missing_at_platform": 1},
    )
    rows = fetch_all(store, "SELECT * FROM recon.runs ORDER BY run_no")
    assert [row["figures"] for row in rows][-1] == vars(report)
    assert [(row["account"], row["business_date"], row["leg"]) for row in rows] == [("default", DAY, "books")] * 2
    assert before <= rows[-1]["started_at"] <= rows[-1]["finished_at"]


def test_a_reconciliation_waits_for_another_of_its_account_alone(store):
    add_operations(store, {"operation_id": "1"}, {"operation_id": "1", "account": "other"})
    with ThreadPoolExecutor(1) as pool:
        with store.transaction() as connection:
            begin(connection, "default")
            reconcile_ledger(store, "other", DAY, CUTOFF)
            waiting = pool.submit(reconcile, store)
            assert waits_for_a_lock(store)
        assert waiting.result(60).operations == 0


# Time


def test_a_timing_break_clears_itself_when_the_next_day_brings_the_entry(store):
    add_operations(store, {"operation_id": "1", "operation_completed_at": at("23:58")})
    add_entries(store, {"entry_id": "other", "operation_id": "8", "booked_at": at("08:00")})
    assert ("timing", "1", None, "EUR", 1000) in found(store)
    add_entries(store, {"entry_id": "a", "operation_id": "1", "booked_at": at("00:07", NEXT)})
    reconcile(store, NEXT)
    assert "timing" not in {row["break_type"] for row in breaks_of(store)}
    assert matches_of(store) == [("1", "a", "operation_id", 100, "1:1", "o1")]
    before = everything(store)
    reconcile(store)
    reconcile(store, NEXT)
    assert everything(store) == before
    events = fetch_all(
        store,
        "SELECT event FROM recon.break_events JOIN recon.breaks USING (account, break_id) "
        "WHERE break_type = 'timing' ORDER BY event_id",
    )
    assert [row["event"] for row in events] == ["opened", "resolved"]


def test_a_timing_break_that_does_not_clear_becomes_missing(store):
    add_operations(store, {"operation_id": "1", "operation_completed_at": at("23:58")})
    add_entries(store, {"entry_id": "other", "operation_id": "8", "booked_at": at("08:00")})
    reconcile(store)
    add_entries(store, {"entry_id": "b", "operation_id": "7", "booked_at": at("00:07", NEXT)})
    reconcile(store)
    assert [row["break_type"] for row in breaks_of(store)] == ["missing_at_platform", "missing_in_ledger"]


def test_an_entry_at_the_end_of_the_day_waits_for_the_platform(store):
    add_entries(store, {"entry_id": "a", "operation_id": "1", "booked_at": at("23:59")})
    assert found(store) == [("timing", "1", "a", "EUR", 1000)]
    add_operations(store, {"operation_id": "1", "operation_completed_at": at("00:01", NEXT)})
    reconcile(store, NEXT)
    assert breaks_of(store) == []


def test_breaks_are_aged_by_their_business_day(store):
    ages = {0: "0–1", 1: "0–1", 2: "2–3", 3: "2–3", 4: "4–7", 7: "4–7", 8: "8–30", 30: "8–30", 31: "over 30"}
    (today,) = fetch_all(store, "SELECT core.business_date(now()) AS day")
    for age in ages:
        day = today["day"] - timedelta(days=age)
        add_operations(store, {"operation_id": str(age), "operation_completed_at": at("12:00", day)})
        add_entries(
            store, {"entry_id": f"x{age}", "operation_id": str(age), "amount_minor": 5, "booked_at": at("12:00", day)}
        )
        reconcile(store, day)
    rows = fetch_all(store, "SELECT age_days, age_bucket FROM recon.aged_breaks ORDER BY age_days")
    assert {row["age_days"]: row["age_bucket"] for row in rows} == ages


# People


def test_an_explained_break_does_not_come_back_as_new_but_other_figures_open_it_again(store):
    add_operations(store, {"operation_id": "1"})
    add_entries(store, {"entry_id": "a", "operation_id": "1", "amount_minor": 990})
    reconcile(store)
    execute(store, "UPDATE recon.breaks SET state = 'explained', owner = 'ann', note = 'voucher'")
    assert found(store) == []
    execute(store, "UPDATE recon.ledger_entries SET amount_minor = 1000")
    reconcile(store)
    assert [row["state"] for row in breaks_of(store, None)] == ["resolved"]
    execute(store, "UPDATE recon.ledger_entries SET amount_minor = 990")
    reconcile(store)
    assert [row["state"] for row in breaks_of(store, None)] == ["explained"], "gone and back with the same figures"
    execute(store, "UPDATE recon.ledger_entries SET amount_minor = 980")
    assert found(store) == [("amount", "1", "a", "EUR", -20)]
    events = fetch_all(store, "SELECT event FROM recon.break_events ORDER BY event_id")
    assert [row["event"] for row in events] == [
        "opened",
        "explained",
        "resolved",
        "reopened",
        "changed",
    ]


# Books


def test_an_account_without_books_has_no_missing_entries(store):
    add_operations(store, {"operation_id": "1"})
    assert found(store) == []


@pytest.mark.parametrize(
    ("currency", "minor"), [("JPY", 500), ("KWD", 1234), ("CLF", 12345), ("USD", 1), ("EUR", 9_007_199_254_740_993)]
)
def test_amounts_stay_exact_in_a_break(store, currency, minor):
    add_operations(store, {"operation_id": "1", "sum_initial_currency": currency, "sum_initial_amount": minor})
    add_entries(store, {"entry_id": "a", "operation_id": "8", "currency": currency, "amount_minor": minor})
    assert found(store) == [
        ("missing_at_platform", "8", "a", currency, minor),
        ("missing_in_ledger", "1", None, currency, minor),
    ]
