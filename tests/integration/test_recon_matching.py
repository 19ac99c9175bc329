"""Whatever the two sides hold: every operation and every entry ends in exactly one match, or in exactly one break."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixtures.commands import execute, fetch_all
from fixtures.examples import examples
from fixtures.reconciliation import DAY, add_entries, add_operations, at, everything, reconcile

# few values, so that keys meet, repeat and contradict each other
IDS = st.sampled_from(["1", "2", "3", "4", "9"])
KEYS = st.sampled_from([None, "p", "q"])
MONEY = {"currency": st.sampled_from(["EUR", "JPY"]), "minor": st.sampled_from([0, 1, 2, 3, 9_007_199_254_740_993])}
MINUTES = st.integers(-30, 24 * 60 + 30)  # neighbours of the day too
TYPES = st.sampled_from(["sale", "refund", "auth", "something new"])

OPERATION = st.fixed_dictionaries(
    {
        "payment": KEYS,
        "type": TYPES,
        "status": st.sampled_from(["success", "success", "decline"]),
        "arn": KEYS,
        "minutes": MINUTES,
        **MONEY,
    }
)
ENTRY = st.fixed_dictionaries(
    {
        "operation": st.one_of(st.none(), IDS),
        "payment": KEYS,
        "type": TYPES,
        "reference": KEYS,
        "status": st.sampled_from(["success", "success", "decline"]),
        "minutes": MINUTES,
        "is_date_only": st.booleans(),
        **MONEY,
    }
)
ALONE = ("missing_in_ledger", "missing_at_platform", "duplicate_in_ledger", "duplicate_at_platform", "timing")
TABLES = "core.operations, recon.ledger_entries, recon.matches, recon.break_events, recon.breaks, recon.runs"


def moment(minutes):
    return at("00:00") + timedelta(minutes=minutes)


def fill(store, operations, entries):
    execute(store, f"TRUNCATE {TABLES}")
    add_operations(
        store,
        *(
            {
                "operation_id": str(number),
                "payment_id": row["payment"],
                "operation_type": row["type"],
                "operation_status": row["status"],
                "arn": row["arn"],
                "sum_initial_currency": row["currency"],
                "sum_initial_amount": row["minor"],
                "operation_completed_at": moment(row["minutes"]),
            }
            for number, row in enumerate(operations, start=1)
        ),
    )
    add_entries(
        store,
        {"entry_id": "long ago", "booked_at": at("00:00") - timedelta(days=999)},  # there are books at all
        *(
            {
                "entry_id": f"e{number}",
                "operation_id": row["operation"],
                "payment_id": row["payment"],
                "operation_type": row["type"],
                "reference": row["reference"],
                "status": row["status"],
                "currency": row["currency"],
                "amount_minor": row["minor"],
                "is_date_only": row["is_date_only"],
                "booked_at": moment(0) if row["is_date_only"] else moment(row["minutes"]),
            }
            for number, row in enumerate(entries, start=1)
        ),
    )


@settings(max_examples=examples(30), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(OPERATION, max_size=6), st.lists(ENTRY, max_size=6))
def test_every_operation_and_every_entry_ends_in_one_match_or_one_break(store, operations, entries):
    fill(store, operations, entries)
    reconcile(store)
    before = everything(store)
    reconcile(store)
    assert everything(store) == before, "a second time changes nothing"

    of_operation, of_entry, members = defaultdict(set), defaultdict(set), defaultdict(lambda: (set(), set()))
    for row in fetch_all(store, "SELECT * FROM recon.matches"):
        of_operation[row["operation_id"]].add(row["match_id"])
        of_entry[row["entry_id"]].add(row["match_id"])
        members[row["match_id"]][0].add(row["operation_id"])
        members[row["match_id"]][1].add(row["entry_id"])
    assert all(len(ids) == 1 for ids in [*of_operation.values(), *of_entry.values()])
    assert all(1 in (len(those), len(these)) for those, these in members.values())

    breaks = fetch_all(store, "SELECT break_type, operation_id, entry_id FROM recon.breaks WHERE state <> 'resolved'")
    alone = [row for row in breaks if row["break_type"] in ALONE]
    entries_alone = Counter(row["entry_id"] for row in alone if row["entry_id"])
    operations_alone = Counter(row["operation_id"] for row in alone if not row["entry_id"])

    home = fetch_all(
        store,
        "SELECT o.operation_id, s.is_success AND coalesce(t.is_money, true) AS is_required FROM core.operations o "
        "JOIN core.operation_statuses s USING (operation_status) "
        "LEFT JOIN core.operation_types t USING (operation_type) "
        "WHERE core.business_date(operation_completed_at) = :day",
        day=DAY,
    )
    for row in home:
        found = len(of_operation[row["operation_id"]]) + operations_alone[row["operation_id"]]
        assert found == 1 if row["is_required"] else found <= 1
    of_day = "SELECT entry_id FROM recon.ledger_entries WHERE core.business_date(booked_at) = :day"
    for row in fetch_all(store, of_day, day=DAY):
        assert len(of_entry[row["entry_id"]]) + entries_alone[row["entry_id"]] == 1
    assert {*entries_alone} <= {row["entry_id"] for row in fetch_all(store, of_day, day=DAY)}
    # money is neither made nor lost: what the matches do not say alike, their breaks say
    unequal = fetch_all(
        store,
        """SELECT m.match_id FROM recon.matches m
           JOIN core.operations o USING (account, operation_id) JOIN recon.ledger_entries e USING (account, entry_id)
           LEFT JOIN core.operation_types ot ON ot.operation_type = o.operation_type
           LEFT JOIN core.operation_types et ON et.operation_type = e.operation_type
           CROSS JOIN LATERAL (  -- what names an operation and books it the other way round counts below zero
               SELECT CASE WHEN m.pass = 'operation_id' AND ot.sign * et.sign < 0 THEN -1 ELSE 1 END AS way) AS booked
           GROUP BY m.match_id, m.shape
           HAVING CASE WHEN m.shape = 'n:1' THEN sum(o.sum_initial_amount) ELSE max(o.sum_initial_amount) END
               <> CASE WHEN m.shape = '1:n' THEN sum(way * e.amount_minor) ELSE max(way * e.amount_minor) END
               OR min(o.sum_initial_currency) <> min(e.currency)""",
    )
    assert len(unequal) == len(
        [row for row in breaks if row["break_type"] in ("amount", "rounding", "currency", "fee")]
    )
