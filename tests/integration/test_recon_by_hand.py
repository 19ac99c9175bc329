"""A match by hand holds against every pass, and is parted by hand alone."""

from __future__ import annotations

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
from pipelines.reconciliation.manual_matches import match, unmatch
from resources.errors import ConfigError


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
