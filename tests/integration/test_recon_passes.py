"""What each pass puts together: its own, in the order of the passes, within its bounds, of one account."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

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
    found,
    matches_of,
    reconcile,
)
from pipelines.reconciliation.matching import reconcile_ledger

BEFORE = date(2024, 3, 4)
SECOND, ONE_DAY = timedelta(seconds=1), timedelta(days=1)


def pairs(store) -> list[tuple]:
    return [row[:2] for row in matches_of(store)]


def test_each_pass_finds_its_own_and_says_how_sure_it_is(store):
    add_operations(
        store,
        {"operation_id": "1"},
        {"operation_id": "2", "payment_id": "p2"},
        {"operation_id": "3", "arn": "007"},
        {"operation_id": "4", "rrn": "008", "sum_initial_amount": 50},
        {"operation_id": "5", "sum_initial_amount": 77, "operation_completed_at": at("14:14")},
        {"operation_id": "6", "sum_initial_amount": 88},
    )
    add_entries(
        store,
        {"entry_id": "a", "operation_id": "1"},
        {"entry_id": "b", "payment_id": "p2"},
        {"entry_id": "c", "reference": "007"},
        {"entry_id": "d", "reference": "008", "amount_minor": 50},
        {"entry_id": "e", "amount_minor": 77, "booked_at": at("14:16")},
        {"entry_id": "f", "amount_minor": 88, "booked_at": at("00:00"), "is_date_only": True},
    )
    assert found(store) == []
    assert [row[:5] for row in matches_of(store)] == [
        ("1", "a", "operation_id", 100, "1:1"),
        ("2", "b", "payment", 90, "1:1"),
        ("3", "c", "reference", 75, "1:1"),
        ("4", "d", "reference", 75, "1:1"),
        ("5", "e", "amount_time", 60, "1:1"),
        ("6", "f", "amount_time", 60, "1:1"),
    ]


def test_a_split_booking_is_one_to_many_and_a_batch_many_to_one(store):
    add_operations(
        store,
        {"operation_id": "1"},
        {"operation_id": "2", "arn": "00", "sum_initial_amount": 10},
        {"operation_id": "3", "arn": "00", "sum_initial_amount": 20},
        {"operation_id": "4", "payment_id": "p", "sum_initial_amount": 10},
        {"operation_id": "5", "payment_id": "p", "sum_initial_amount": 30},
        {"operation_id": "6", "payment_id": "q", "sum_initial_amount": 9},
    )
    add_entries(
        store,
        {"entry_id": "a", "operation_id": "1", "amount_minor": 600},
        {"entry_id": "b", "operation_id": "1", "amount_minor": 395},
        {"entry_id": "c", "reference": "00", "amount_minor": 30},
        {"entry_id": "d", "payment_id": "p", "amount_minor": 40},
        {"entry_id": "e", "payment_id": "q", "amount_minor": 4},
        {"entry_id": "f", "payment_id": "q", "amount_minor": 5},
    )
    assert found(store) == [("amount", "1", "a", "EUR", -5)]
    assert [(row[0], row[1], row[4], row[5]) for row in matches_of(store)] == [
        ("1", "a", "1:n", "o1"),
        ("1", "b", "1:n", "o1"),
        ("2", "c", "n:1", "ec"),
        ("3", "c", "n:1", "ec"),
        ("4", "d", "n:1", "ed"),
        ("5", "d", "n:1", "ed"),
        ("6", "e", "1:n", "o6"),
        ("6", "f", "1:n", "o6"),
    ]


def test_an_entry_finds_its_operation_weeks_away_by_what_it_names(store):
    then = DAY - timedelta(days=20)
    add_operations(
        store,
        {"operation_id": "1", "operation_completed_at": at("12:00", then)},
        {"operation_id": "2", "operation_completed_at": at("12:00", then), "payment_id": "p2"},
    )
    add_entries(store, {"entry_id": "a", "operation_id": "1"}, {"entry_id": "b", "payment_id": "p2"})
    assert found(store) == []
    assert [row[:2] for row in matches_of(store)] == [("1", "a"), ("2", "b")]


def test_several_alike_are_put_together_in_the_order_of_time_whatever_their_ids(store):
    by_payment, by_arn = {"payment_id": "p"}, {"arn": "007", "sum_initial_amount": 7}
    add_operations(
        store,
        {"operation_id": "p2", **by_payment, "operation_completed_at": at("09:00")},
        {"operation_id": "p1", **by_payment, "operation_completed_at": at("10:00")},
        {"operation_id": "p0", **by_payment, "operation_completed_at": at("11:00"), "sum_initial_amount": 5},
    )
    add_operations(
        store,
        {"operation_id": "r2", **by_arn, "operation_completed_at": at("09:00")},
        {"operation_id": "r1", **by_arn, "operation_completed_at": at("10:00")},
        {"operation_id": "t2", "arn": None, "sum_initial_amount": 9, "operation_completed_at": at("09:01")},
        {"operation_id": "t1", "arn": None, "sum_initial_amount": 9, "operation_completed_at": at("09:02")},
        {"operation_id": "d2", "arn": None, "sum_initial_amount": 11, "operation_completed_at": at("09:01")},
        {"operation_id": "d1", "arn": None, "sum_initial_amount": 11, "operation_completed_at": at("22:02")},
    )
    add_entries(
        store,
        {"entry_id": "pb", "payment_id": "p", "booked_at": at("12:00")},
        {"entry_id": "pa", "payment_id": "p", "booked_at": at("13:00")},
        {"entry_id": "pc", "payment_id": "p", "booked_at": at("08:00"), "amount_minor": 6},
    )
    add_entries(
        store,
        {"entry_id": "rb", "reference": "007", "amount_minor": 7, "booked_at": at("12:00")},
        {"entry_id": "ra", "reference": "007", "amount_minor": 7, "booked_at": at("13:00")},
        {"entry_id": "tb", "reference": None, "amount_minor": 9, "booked_at": at("09:03")},
        {"entry_id": "ta", "reference": None, "amount_minor": 9, "booked_at": at("09:04")},
    )
    day = {"amount_minor": 11, "booked_at": at("00:00"), "is_date_only": True}
    add_entries(store, {"entry_id": "da", **day}, {"entry_id": "db", **day})
    assert found(store) == [("rounding", "p0", "pc", "EUR", 1)]
    assert [row[:5] for row in matches_of(store)] == [
        ("d1", "db", "amount_time", 50, "1:1"),
        ("d2", "da", "amount_time", 50, "1:1"),
        ("p0", "pc", "payment", 80, "1:1"),
        ("p1", "pa", "payment", 90, "1:1"),
        ("p2", "pb", "payment", 90, "1:1"),
        ("r1", "ra", "reference", 75, "1:1"),
        ("r2", "rb", "reference", 75, "1:1"),
        ("t1", "ta", "amount_time", 50, "1:1"),
        ("t2", "tb", "amount_time", 50, "1:1"),
    ]


def test_by_a_reference_the_day_before_and_the_day_after_take_part_to_the_second_and_no_further(store):
    starts, ends = at("00:00"), at("00:00", NEXT)
    moments = {
        "too early": starts - ONE_DAY - SECOND,
        "first of the day before": starts - ONE_DAY,
        "last of the day before": starts - SECOND,
        "first": starts,
        "last": ends - SECOND,
        "first of the day after": ends,
        "last of the day after": ends + ONE_DAY - SECOND,
        "too late": ends + ONE_DAY,
    }
    add_operations(
        store,
        *(
            {"operation_id": f"o {name}", "arn": f"o {name}", "operation_completed_at": when}
            for name, when in moments.items()
        ),
        *({"operation_id": f"e {name}", "arn": f"e {name}", "operation_completed_at": at("12:00")} for name in moments),
    )
    add_entries(
        store,
        *({"entry_id": f"o {name}", "reference": f"o {name}", "booked_at": at("12:00")} for name in moments),
        *({"entry_id": f"e {name}", "reference": f"e {name}", "booked_at": when} for name, when in moments.items()),
    )
    reconcile(store)
    near = [name for name in moments if not name.startswith("too")]
    assert pairs(store) == sorted((f"{side} {name}",) * 2 for side in "eo" for name in near)


def test_without_a_reference_a_quarter_of_an_hour_may_lie_between_and_the_type_and_currency_are_the_same(store):
    twelve = at("12:00")
    apart = {"same": 0, "7 minutes": 7 * 60 + 29, "14 minutes": 14 * 60, "quarter": 15 * 60, "hour": 3600}
    amounts = {name: number for number, name in enumerate([*apart, "type", "currency", "declined", "auth"], start=1)}
    add_operations(
        store,
        *(
            {"operation_id": name, "sum_initial_amount": minor, "operation_completed_at": twelve}
            for name, minor in amounts.items()
        ),
    )
    execute(
        store,
        "UPDATE core.operations SET operation_status = 'decline' WHERE operation_id = 'declined';"
        "UPDATE core.operations SET operation_type = 'auth' WHERE operation_id = 'auth'",
    )
    entries = [
        {"entry_id": name, "amount_minor": amounts[name], "booked_at": twelve + timedelta(seconds=apart.get(name, 0))}
        for name in amounts
    ]
    other = {"type": {"operation_type": "refund"}, "currency": {"currency": "USD"}, "auth": {"operation_type": "auth"}}
    add_entries(
        store,
        *({"operation_type": "sale", "currency": "EUR", **row, **other.get(row["entry_id"], {})} for row in entries),
    )
    reconcile(store)
    assert pairs(store) == sorted((name, name) for name in ("same", "7 minutes", "14 minutes"))


def test_by_a_reference_or_an_amount_alone_an_operation_that_did_not_succeed_is_not_found(store):
    declined = {"operation_status": "decline", "payment_id": None}
    add_operations(
        store,
        {"operation_id": "1", **declined, "arn": "r", "rrn": None},
        {"operation_id": "2", **declined, "arn": None, "rrn": "s"},
        {"operation_id": "3", **declined, "arn": "t", "rrn": None, "sum_initial_amount": 400},
        {"operation_id": "4", **declined, "arn": "t", "rrn": None, "sum_initial_amount": 600},
        {"operation_id": "5", **declined, "arn": None, "rrn": None, "sum_initial_amount": 7},
    )
    add_entries(store, *({"entry_id": name, "reference": name} for name in "rst"))
    add_entries(store, {"entry_id": "u", "amount_minor": 7, "booked_at": at("12:00")})
    date_only = {"booked_at": at("00:00"), "is_date_only": True}
    add_entries(store, {"entry_id": "v", "amount_minor": 7, **date_only})
    assert {row[0] for row in found(store)} == {"missing_at_platform"}
    assert pairs(store) == []


def test_an_entry_that_knows_its_project_meets_no_other_project(store):
    add_operations(
        store,
        {"operation_id": "1", "project_id": "1", "sum_initial_amount": 5},
        {"operation_id": "2", "project_id": "2", "sum_initial_amount": 5},
        {"operation_id": "3", "project_id": "3", "sum_initial_amount": 6},
        {"operation_id": "4", "project_id": "4", "sum_initial_amount": 7, "payment_id": "p"},
        {"operation_id": "5", "project_id": "5", "sum_initial_amount": 7, "payment_id": "p"},
        {"operation_id": "6", "project_id": "6", "sum_initial_amount": 8, "payment_id": "q"},
    )
    add_operations(
        store,
        {"operation_id": "7", "project_id": "7", "sum_initial_amount": 9},
        {"operation_id": "8", "project_id": "8", "sum_initial_amount": 9},
    )
    date_only = {"booked_at": at("00:00"), "is_date_only": True}
    add_entries(
        store,
        {"entry_id": "a", "project_id": "2", "amount_minor": 5, "payment_id": None},
        {"entry_id": "b", "project_id": None, "amount_minor": 5, "payment_id": None},
        {"entry_id": "c", "project_id": "9", "amount_minor": 6, "payment_id": None},
        {"entry_id": "d", "project_id": None, "amount_minor": 7, "payment_id": "p"},
        {"entry_id": "e", "project_id": None, "amount_minor": 8, "payment_id": "q"},
    )
    add_entries(
        store,
        {"entry_id": "f", "project_id": "8", "amount_minor": 9, **date_only},
        {"entry_id": "g", "project_id": None, "amount_minor": 9, **date_only},
    )
    reconcile(store)
    assert pairs(store) == [("1", "b"), ("2", "a"), ("6", "e"), ("7", "g"), ("8", "f")]


def test_sums_of_a_payment_or_batch_never_mix_currencies_types_or_references(store):
    plain = {"sum_initial_currency": "EUR", "operation_type": "sale", "arn": None, "payment_id": None}
    add_operations(
        store,
        {"operation_id": "1", **plain, "payment_id": "p", "sum_initial_amount": 10},
        {"operation_id": "2", **plain, "payment_id": "p", "sum_initial_amount": 20, "sum_initial_currency": "USD"},
        {"operation_id": "3", **plain, "arn": "b", "sum_initial_amount": 10},
        {"operation_id": "4", **plain, "arn": "b", "sum_initial_amount": 20, "sum_initial_currency": "USD"},
        {"operation_id": "5", **plain, "arn": "c", "sum_initial_amount": 10},
        {"operation_id": "6", **plain, "arn": "c", "sum_initial_amount": 20, "operation_type": "refund"},
        {"operation_id": "7", **plain, "arn": "d", "sum_initial_amount": 30},
        {"operation_id": "8", **plain, "arn": "e", "sum_initial_amount": 10},
        {"operation_id": "9", **plain, "arn": "e", "sum_initial_amount": 20},
        {"operation_id": "A", **plain, "payment_id": "q", "sum_initial_amount": 30},
        {"operation_id": "B", **plain, "arn": "f", "sum_initial_amount": 30},
    )
    entry = {"currency": "EUR", "reference": None, "payment_id": None, "amount_minor": 30}
    add_entries(
        store,
        {"entry_id": "a", **entry, "payment_id": "p"},
        {"entry_id": "b", **entry, "reference": "b"},
        {"entry_id": "c", **entry, "reference": "c"},
        {"entry_id": "d1", **entry, "reference": "d", "amount_minor": 19},
        {"entry_id": "d2", **entry, "reference": "d", "amount_minor": 11},
        {"entry_id": "e1", **entry, "reference": "e", "amount_minor": 15},
        {"entry_id": "e2", **entry, "reference": "e", "amount_minor": 15},
        {"entry_id": "q1", **entry, "payment_id": "q", "amount_minor": 10},
        {"entry_id": "q2", **entry, "payment_id": "q", "amount_minor": 20, "currency": "USD"},
        {"entry_id": "f1", **entry, "reference": "f", "amount_minor": 10},
        {"entry_id": "f2", **entry, "reference": "f", "amount_minor": 20, "currency": "USD"},
    )
    reconcile(store)
    assert [row[:5] for row in matches_of(store)] == [
        ("1", "a", "payment", 80, "1:1"),
        ("7", "d1", "reference", 75, "1:n"),
        ("7", "d2", "reference", 75, "1:n"),
        ("A", "q1", "payment", 80, "1:1"),
    ]


def test_of_a_payment_the_operations_that_did_not_succeed_count_only_where_none_did_and_then_the_last(store):
    add_operations(
        store,
        *(
            {
                "operation_id": name,
                "payment_id": payment,
                "operation_status": status,
                "operation_completed_at": at(clock),
                "sum_initial_amount": 50,
            }
            for name, payment, status, clock in [
                ("1", "p", "decline", "10:00"),
                ("2", "p", "success", "11:00"),
                ("3", "p", "decline", "12:00"),
                ("4", "q", "decline", "12:00"),
                ("5", "q", "decline", "11:00"),
                ("6", "r", "decline", "11:00"),
            ]
        ),
    )
    add_entries(
        store,
        {"entry_id": "a", "payment_id": "p", "amount_minor": 49, "status": "success"},
        {"entry_id": "b", "payment_id": "q", "amount_minor": 50, "status": "success"},
        {"entry_id": "c", "payment_id": "r", "amount_minor": 50, "status": "decline"},
    )
    reconcile(store)
    assert [row[:4] for row in matches_of(store)] == [
        ("2", "a", "payment", 80),
        ("4", "b", "payment", 80),
        ("6", "c", "payment", 90),
    ]


def test_of_the_entries_that_name_an_operation_those_in_its_currency_are_its_bookings(store):
    add_operations(store, {"operation_id": "1"}, {"operation_id": "2"}, {"operation_id": "3", "project_id": None})
    add_entries(
        store,
        {"entry_id": "a", "operation_id": "1", "currency": "CHF"},
        {"entry_id": "b", "operation_id": "1", "amount_minor": 400},
        {"entry_id": "c", "operation_id": "1", "amount_minor": 600},
        {"entry_id": "d", "operation_id": "2", "currency": "USD"},
        {"entry_id": "e", "operation_id": "2", "currency": "CHF"},
        {"entry_id": "f", "operation_id": "2", "currency": "CHF"},
        {"entry_id": "h", "operation_id": "3"},
        {"entry_id": "g", "operation_id": "3"},
    )
    reconcile(store)
    assert pairs(store) == [("1", "b"), ("1", "c"), ("2", "e"), ("2", "f"), ("3", "g")]


def test_an_operation_of_a_type_or_status_that_is_not_known_takes_part(store):
    add_operations(
        store,
        {"operation_id": "1", "operation_type": "brand new", "operation_status": "success", "payment_id": "p1"},
        {"operation_id": "2", "operation_type": "sale", "operation_status": "brand new", "payment_id": "p2"},
        {"operation_id": "3", "operation_type": None, "operation_status": None, "payment_id": "p3"},
    )
    then = {"operation_completed_at": at("12:00", DAY - timedelta(days=20)), "operation_type": "brand new"}
    add_operations(store, {"operation_id": "4", **then}, {"operation_id": "5", **then}, {"operation_id": "6", **then})
    yesterday = at("12:00", BEFORE)
    add_operations(
        store,
        {"operation_id": "7", "operation_type": "brand new", "operation_completed_at": yesterday, "arn": "r"},
        {"operation_id": "8", "operation_type": "brand new", "operation_completed_at": at("12:00"), "arn": None},
    )
    execute(store, "UPDATE core.operations SET operation_status = 'brand new' WHERE operation_id = '6'")
    add_entries(
        store,
        {"entry_id": "b", "operation_id": "2"},
        {"entry_id": "c", "operation_id": "3"},
        {"entry_id": "d", "operation_id": "4"},
        {"entry_id": "f", "operation_id": "6"},
    )
    new = {"operation_type": "brand new"}
    add_entries(
        store,
        {"entry_id": "e", **new, "payment_id": "pay-5", "reference": None},
        {"entry_id": "g", **new, "payment_id": None, "reference": "r"},
    )
    reconcile(store)
    assert pairs(store) == [("2", "b"), ("3", "c"), ("4", "d"), ("5", "e"), ("6", "f"), ("7", "g")]
    missing = [row["operation_id"] for row in breaks_of(store) if row["break_type"] == "missing_in_ledger"]
    assert missing == ["1", "8"]


def test_an_operation_that_was_never_completed_is_of_the_day_on_which_it_was_created(store):
    created = {"first": at("00:00"), "last": at("23:59"), "before": at("23:59", BEFORE), "after": at("00:00", NEXT)}
    add_operations(
        store,
        *(
            {
                "operation_id": name,
                "operation_status": "decline",
                "operation_completed_at": None,
                "operation_created_at": when,
                "payment_id": name,
            }
            for name, when in created.items()
        ),
    )
    add_entries(
        store,
        {"entry_id": "books", "booked_at": datetime(2020, 1, 1, tzinfo=UTC)},
        *({"entry_id": name, "payment_id": name, "status": "decline", "booked_at": at("12:00")} for name in created),
    )
    assert reconcile(store).operations == 2
    assert pairs(store) == [("first", "first"), ("last", "last")]


# each way on which an entry and an operation of the day may meet: what the operation has, what the entry has
FAR = DAY - timedelta(days=20)
WAYS = {
    "named": ({}, {"operation_id": "named"}),
    "named, the operation of long ago": (
        {"operation_completed_at": at("12:00", FAR)},
        {"operation_id": "named, the operation of long ago"},
    ),
    "named, the entry of long ago": (
        {},
        {"operation_id": "named, the entry of long ago", "booked_at": at("12:00", FAR)},
    ),
    "payment": ({"payment_id": "p1"}, {"payment_id": "p1"}),
    "payment, the operation of long ago": (
        {"payment_id": "p2", "operation_completed_at": at("12:00", FAR)},
        {"payment_id": "p2"},
    ),
    "payment, the entry of long ago": (
        {"payment_id": "p3"},
        {"payment_id": "p3", "booked_at": at("12:00", FAR)},
    ),
    "reference": ({"arn": "r1"}, {"reference": "r1"}),
    "reference, the operation of yesterday": (
        {"arn": "r2", "operation_completed_at": at("12:00", BEFORE)},
        {"reference": "r2"},
    ),
    "reference, the entry of yesterday": (
        {"arn": "r3"},
        {"reference": "r3", "booked_at": at("12:00", BEFORE)},
    ),
    "amount": ({"sum_initial_amount": 77}, {"amount_minor": 77}),
}


def add_ways(store, operations="default", entries="default", **entry) -> None:
    for name, (of_operation, of_entry) in WAYS.items():
        add_operations(store, {"operation_id": name, "account": operations, **of_operation})
        add_entries(store, {"entry_id": name, "account": entries, **entry, **of_entry})


def test_an_entry_finds_its_operation_on_each_way_and_stays_with_the_day_that_put_them_together(store):
    add_ways(store)
    add_ways(store, "other", "other")
    reconcile(store)
    assert pairs(store) == [(name, name) for name in sorted(WAYS)]
    before = everything(store)
    for day in (BEFORE, FAR, NEXT, DAY):
        reconcile(store, day)
    assert everything(store) == before, "another day leaves them, and another account's are not touched"
    reconcile_ledger(store, "other", BEFORE, CUTOFF)
    reconcile_ledger(store, "other", DAY, CUTOFF)
    assert len(pairs(store)) == 2 * len(WAYS), "the same ids of another account are no hindrance"
    days = fetch_all(store, "SELECT DISTINCT account, business_date FROM recon.matches WHERE account = 'default'")
    assert [tuple(row.values()) for row in days] == [("default", DAY)]


def test_what_one_day_put_together_another_days_operations_and_entries_do_not_part(store):
    add_ways(store)
    reconcile(store)
    before = matches_of(store)
    for name, (of_operation, of_entry) in WAYS.items():
        again = {"operation_id": f"{name}, again", **of_operation, "operation_completed_at": at("12:01", NEXT)}
        add_operations(store, again)
        add_entries(store, {"entry_id": f"{name}, again", **of_entry, "booked_at": at("12:01", NEXT + 3 * ONE_DAY)})
    for day in (NEXT, NEXT + 3 * ONE_DAY):
        reconcile(store, day)
        assert [row for row in matches_of(store) if row[0] in WAYS or row[1] in WAYS] == before


def test_an_entry_that_was_withdrawn_is_put_together_with_nothing(store):
    add_entries(store, {"entry_id": "books", "booked_at": datetime(2020, 1, 1, tzinfo=UTC)})
    add_ways(store, status="withdrawn")
    assert {row[0] for row in found(store)} == {"missing_in_ledger"}
    assert pairs(store) == []


def test_what_another_account_has_is_put_together_with_nothing_of_this_one(store):
    add_ways(store, "default", "other")
    add_entries(store, {"entry_id": "books", "booked_at": datetime(2020, 1, 1, tzinfo=UTC)})
    for account in ("default", "other"):
        reconcile_ledger(store, account, DAY, CUTOFF)
    assert pairs(store) == []
    alone = fetch_all(store, "SELECT account, break_type, count(*) FROM recon.breaks GROUP BY 1, 2 ORDER BY 1, 2")
    assert [tuple(row.values()) for row in alone] == [
        ("default", "missing_in_ledger", 7),
        ("other", "missing_at_platform", 7),
    ]


def test_at_the_end_of_the_day_only_the_other_side_of_the_same_account_shows_that_it_goes_on(store):
    add_operations(store, {"operation_id": "1", "operation_completed_at": at("23:58")})
    add_entries(store, {"entry_id": "a", "operation_id": "9", "booked_at": at("23:59")})
    add_ways(store, "other", "other")
    for way in ("operation_completed_at", "booked_at"):
        add = add_operations if way == "operation_completed_at" else add_entries
        key = "operation_id" if way == "operation_completed_at" else "entry_id"
        add(store, {key: "later", "account": "other", way: at("12:00", NEXT)})
        assert [row[:3] for row in found(store)] == [("timing", "1", None), ("timing", "9", "a")]
    add_entries(store, {"entry_id": "next", "operation_id": "8", "booked_at": at("00:00", NEXT)})
    assert [row[:3] for row in found(store)] == [("missing_in_ledger", "1", None), ("timing", "9", "a")]
    add_operations(store, {"operation_id": "next", "operation_completed_at": at("00:00", NEXT)})
    assert [row[:3] for row in found(store)] == [("missing_at_platform", "9", "a"), ("missing_in_ledger", "1", None)]
