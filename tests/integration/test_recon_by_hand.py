"""A match by hand holds against every pass, and is parted by hand alone."""

from __future__ import annotations

from datetime import timedelta

import pytest

from fixtures.commands import execute, fetch_all
from fixtures.reconciliation import (
    CUTOFF,
    DAY,
    NEXT,
    add_entries,
    add_operations,
    at,
    breaks_of,
    everything,
    matches_of,
    reconcile,
)
from pipelines.reconciliation.matching import match, reconcile_ledger, unmatch
from resources.errors import ConfigError

FAR = DAY - timedelta(days=20)


def test_a_match_by_hand_survives_later_runs_and_is_parted_by_hand_alone(store):
    add_operations(store, {"operation_id": "1"}, {"operation_id": "2", "sum_initial_amount": 700})
    add_entries(store, {"entry_id": "x", "operation_type": "payout", "booked_at": at("12:00", NEXT)})
    reconcile(store)
    reconcile(store, NEXT)
    assert matches_of(store) == []
    done = match(store, "default", ["1"], ["x"], CUTOFF, by="Ann", note="the voucher says so")
    assert done.days == (DAY, NEXT)
    assert matches_of(store) == [("1", "x", "manual", 100, "1:1", "o1")]
    assert {row["operation_id"] for row in breaks_of(store)} == {"2"}
    before = everything(store)
    reconcile(store)
    reconcile(store, NEXT)
    assert everything(store) == before
    assert match(store, "default", ["1"], ["x"], CUTOFF, by="Bob", note="again").days == ()
    (kept,) = fetch_all(store, "SELECT decision, decided_by, note FROM recon.manual_matches")
    assert tuple(kept.values()) == ("match", "Ann", "the voucher says so")

    unmatch(store, "default", "1", "x", CUTOFF, by="Bob", note="another customer")
    assert matches_of(store) == []
    assert {(row["operation_id"], row["entry_id"]) for row in breaks_of(store)} == {
        ("1", None),
        ("2", None),
        (None, "x"),
    }


def test_a_match_by_hand_holds_however_far_apart_its_sides_are(store):
    add_operations(
        store,
        {"operation_id": "1", "operation_completed_at": at("12:00", FAR)},
        {"operation_id": "2", "operation_completed_at": at("12:00")},
        {"operation_id": "3", "operation_completed_at": at("13:00")},
        {"operation_id": "4", "operation_completed_at": at("13:00")},
        {"operation_id": "5", "operation_completed_at": at("13:00", FAR)},
    )
    plain = {"operation_type": "payout", "booked_at": at("12:00")}
    add_entries(
        store,
        {"entry_id": "x", **plain},
        {"entry_id": "y", **plain, "booked_at": at("12:00", FAR)},
        {"entry_id": "v", **plain, "amount_minor": 400},
        {"entry_id": "w", **plain, "amount_minor": 600},
        {"entry_id": "z", **plain, "booked_at": at("12:00", FAR), "amount_minor": 2000},
    )
    for operations, entries in (("1", "x"), ("2", "y"), ("34", "z"), ("5", "vw")):
        match(store, "default", [*operations], [*entries], CUTOFF, by="Ann", note="the voucher")
    add_operations(store, {"operation_id": "1", "account": "other", "operation_completed_at": at("12:00", FAR)})
    add_entries(store, {"entry_id": "y", "account": "other", "operation_id": "1", "booked_at": at("12:00", FAR)})
    reconcile_ledger(store, "other", FAR, CUTOFF)  # the same ids of another account are no hindrance
    execute(store, "DELETE FROM recon.matches WHERE account = 'default'")
    for _ in range(2):
        reconcile(store)
        own = "SELECT operation_id, entry_id, pass, score, shape FROM recon.matches WHERE account = 'default'"
        rows = fetch_all(store, f"{own} ORDER BY 1, 2")
        assert [tuple(row.values()) for row in rows] == [
            ("1", "x", "manual", 100, "1:1"),
            ("2", "y", "manual", 100, "1:1"),
            ("3", "z", "manual", 100, "n:1"),
            ("4", "z", "manual", 100, "n:1"),
            ("5", "v", "manual", 100, "1:n"),
            ("5", "w", "manual", 100, "1:n"),
        ]
    before = everything(store)
    reconcile(store, FAR)
    assert everything(store) == before


def test_a_match_by_hand_of_which_a_part_was_withdrawn_waits_until_it_stands_again(store):
    add_operations(store, {"operation_id": "1"}, {"operation_id": "2"})
    parts = {"operation_type": "payout", "amount_minor": 500}
    add_entries(store, {"entry_id": "a", **parts}, {"entry_id": "b", **parts})
    match(store, "default", ["1"], ["a", "b"], CUTOFF, by="Ann", note="two parts")
    for status, found in (("withdrawn", []), ("success", [("1", "a"), ("1", "b")])):
        execute(store, f"UPDATE recon.ledger_entries SET status = '{status}' WHERE entry_id = 'b'")
        reconcile(store)
        assert [row[:2] for row in matches_of(store)] == found


def test_what_a_person_matched_on_another_day_no_pass_takes_from_there(store):
    add_operations(store, {"operation_id": "1", "operation_completed_at": at("12:00", NEXT), "arn": "r"})
    add_operations(store, {"operation_id": "2", "operation_completed_at": at("12:00"), "arn": "s"})
    add_entries(
        store,
        {"entry_id": "x", "operation_type": "payout", "booked_at": at("13:00", NEXT), "reference": None},
        {"entry_id": "r", "operation_type": "sale", "booked_at": at("12:00"), "reference": "r"},
        {"entry_id": "s", "operation_type": "sale", "booked_at": at("12:00", NEXT), "reference": "s"},
    )
    add_operations(store, {"operation_id": "3", "operation_completed_at": at("14:00", NEXT), "operation_type": "x"})
    match(store, "default", ["1"], ["x"], CUTOFF, by="Ann", note="the voucher")
    match(store, "default", ["3"], ["s"], CUTOFF, by="Ann", note="the voucher")
    execute(store, "DELETE FROM recon.matches")
    reconcile(store)
    assert matches_of(store) == []
    reconcile(store, NEXT)
    assert [row[:3] for row in matches_of(store)] == [("1", "x", "manual"), ("3", "s", "manual")]


def test_what_a_person_decides_for_one_account_says_nothing_of_another(store):
    for account in ("default", "other"):
        add_operations(store, {"operation_id": "1", "account": account}, {"operation_id": "2", "account": account})
        add_entries(
            store,
            {"entry_id": "a", "operation_id": "1", "operation_type": "sale", "account": account},
            {"entry_id": "b", "operation_id": None, "operation_type": "payout", "account": account},
        )
        reconcile_ledger(store, account, DAY, CUTOFF)
    unmatch(store, "other", "1", "a", CUTOFF, by="Ann", note="another customer")
    match(store, "other", ["2"], ["b"], CUTOFF, by="Ann", note="the voucher")
    for account, found in (("default", [("1", "a")]), ("other", [("2", "b")])):
        reconcile_ledger(store, account, DAY, CUTOFF)
        rows = fetch_all(store, f"SELECT operation_id, entry_id FROM recon.matches WHERE account = '{account}'")
        assert [tuple(row.values()) for row in rows] == found


def test_what_is_parted_by_hand_no_pass_puts_together_again(store):
    add_operations(store, {"operation_id": "1"}, {"operation_id": "2"})
    add_entries(store, {"entry_id": "a"})
    reconcile(store)
    ((operation, *_),) = matches_of(store)
    other = {"1": "2", "2": "1"}[operation]
    unmatch(store, "default", operation, "a", CUTOFF, by="Ann", note="not this one")
    reconcile(store)
    assert all((row[0], row[1]) != (operation, "a") for row in matches_of(store))
    if not matches_of(store):
        match(store, "default", [other], ["a"], CUTOFF, by="Ann", note="this one")
    assert [row[:2] for row in matches_of(store)] == [(other, "a")]


def test_sums_that_differ_need_a_reason_which_explains_that_difference_alone(store):
    add_operations(store, {"operation_id": "1"})
    add_entries(
        store,
        {"entry_id": "a", "operation_type": "x", "amount_minor": 400},
        {"entry_id": "b", "operation_type": "x", "amount_minor": 590},
    )
    reconcile(store)
    with pytest.raises(ConfigError, match=r"the sums differ by -0.10 EUR .* --reason"):
        match(store, "default", ["1"], ["a", "b"], CUTOFF, by="Ann", note="two parts")
    match(store, "default", ["1"], ["a", "b"], CUTOFF, by="Ann", note="two parts", reason="fee")
    assert [row[:3] for row in matches_of(store)] == [("1", "a", "manual"), ("1", "b", "manual")]
    assert breaks_of(store) == []
    (left,) = breaks_of(store, "explained")
    assert (left["break_type"], left["amount_minor"]) == ("amount", -10)
    execute(store, "UPDATE recon.ledger_entries SET amount_minor = 500 WHERE entry_id = 'b'")
    reconcile(store)
    assert [(row["break_type"], row["amount_minor"]) for row in breaks_of(store)] == [("amount", -100)]


REFUSED = [
    (["1", "3"], ["a", "b"], "several of both are several matches"),
    (["1"], ["u"], "the currencies differ"),
    (["1"], ["w"], "entry w was withdrawn"),
    (["1"], ["m"], "m is matched with 2: part them"),
    (["2"], ["a"], "2 is matched with m: part them"),
    (["9"], ["a"], "there is no operation 9"),
    (["1"], ["z"], "there is no entry z"),
]


def test_a_match_that_cannot_be_is_refused(store):
    add_operations(store, {"operation_id": "1"}, {"operation_id": "2"}, {"operation_id": "3"})
    far = {"operation_type": "x"}
    add_entries(
        store,
        {"entry_id": "a", **far},
        {"entry_id": "b", **far},
        {"entry_id": "u", **far, "currency": "USD"},
        {"entry_id": "w", **far, "status": "withdrawn"},
        {"entry_id": "m", **far, "operation_id": "2"},
    )
    reconcile(store)
    before = everything(store)
    for operations, entries, message in REFUSED:
        with pytest.raises(ConfigError, match=message):
            match(store, "default", operations, entries, CUTOFF, by="Ann", note="x", reason="other")
        assert everything(store) == before
        assert fetch_all(store, "SELECT * FROM recon.manual_matches") == []


def test_a_decision_on_a_match_is_never_changed(store):
    add_operations(store, {"operation_id": "1"})
    add_entries(store, {"entry_id": "a", "operation_type": "x"})
    match(store, "default", ["1"], ["a"], CUTOFF, by="Ann", note="x")
    for statement in ("UPDATE recon.manual_matches SET note = 'y'", "DELETE FROM recon.manual_matches"):
        with pytest.raises(Exception, match="never changed"):
            execute(store, statement)
