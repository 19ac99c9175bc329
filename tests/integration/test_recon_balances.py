"""Balances are rolled forward over a day: what movements explain, what is lag, what is a break."""

from __future__ import annotations

from datetime import timedelta

import pytest

from fixtures.commands import execute, fetch_all
from fixtures.reconciliation import DAY, NEXT, add_entries, add_operations, at, breaks_of, everything, reconcile
from pipelines.reconciliation.reconcile import roll_forward
from pipelines.reports import first_screen
from pipelines.reports.figures import gather


def snapshots(store, *rows):
    execute(store, "INSERT INTO sync.runs (account, stream, product_version) VALUES ('default', 'balances', '0')")
    for place, (moment, name, currency, minor) in enumerate(rows):
        execute(
            store,
            f"INSERT INTO core.balance_snapshots VALUES ('default', '{moment.isoformat()}', {place}, '{name}', "
            f"'{currency}', {minor}, (SELECT max(run_id) FROM sync.runs))",
        )


def rolled(store):
    roll_forward(store, "default", DAY)
    before = everything(store)
    roll_forward(store, "default", DAY)
    assert everything(store) == before, "a second time changes nothing"
    return [
        tuple(row.values())
        for row in fetch_all(
            store,
            "SELECT balance_name, currency, opening_minor, movements_minor, closing_minor, unexplained_minor, basis, "
            "status FROM recon.balance_rollforward ORDER BY 1, 2",
        )
    ]


OPEN, CLOSE = at("00:00"), at("00:00", NEXT) - timedelta(minutes=1)
PAYOUT = {"operation_type": "payout", "sum_initial_amount": 300}


def test_payouts_drain_the_only_balance_of_their_currency(store):
    snapshots(store, (OPEN, "Main", "EUR", 1000), (CLOSE, "Main", "EUR", 700))
    add_operations(
        store,
        {"operation_id": "1", **PAYOUT},
        {"operation_id": "2"},
        {"operation_id": "3", **PAYOUT, "operation_status": "decline"},
    )
    assert rolled(store) == [("Main", "EUR", 1000, -300, 700, 0, "only balance of its currency", "explained")]
    assert breaks_of(store) == []


def test_what_movements_do_not_explain_is_a_balance_break(store):
    snapshots(store, (OPEN, "Main", "KWD", 1234), (CLOSE, "Main", "KWD", 9_007_199_254_740_993))
    assert rolled(store)[0][5] == 9_007_199_254_740_993 - 1234
    assert [(row["break_type"], row["currency"], row["amount_minor"]) for row in breaks_of(store)] == [
        ("balance", "KWD", 9_007_199_254_740_993 - 1234)
    ]


def test_two_balances_of_a_currency_are_told_apart_by_rules_or_by_the_projects_name_or_not_at_all(store):
    both = [(moment, name, "EUR", 1000) for moment in (OPEN, CLOSE) for name in ("Shop balance EUR", "Other")]
    snapshots(store, *both)
    add_operations(store, {"operation_id": "1", **PAYOUT}, {"operation_id": "2", **PAYOUT, "project_id": "7"})
    assert [row[3] for row in rolled(store)] == [0, 0]
    execute(store, "UPDATE core.operations SET project_name = 'Shop' WHERE operation_id = '1'")
    assert [(row[3], row[6]) for row in rolled(store)] == [(0, "none"), (-300, "project name")]
    execute(
        store,
        "INSERT INTO recon.balance_rules "
        "(account, balance_name, currency, project_id, operation_type, sign, valid_from, set_by) "
        "VALUES ('default', 'Other', 'EUR', '7', 'payout', -1, '2024-01-01', 'cfo')",
    )
    assert [(row[3], row[6]) for row in rolled(store)] == [(-300, "rule"), (-300, "project name")]


@pytest.mark.parametrize(
    ("moment", "closing", "status"),
    [
        (CLOSE - timedelta(minutes=20), 1000, "lag"),  # before the cut, not shown yet
        (CLOSE + timedelta(minutes=20), 700, "lag"),  # after the cut, shown already
        (OPEN - timedelta(minutes=20), 700, "lag"),  # before the opening, shown only now
        (OPEN + timedelta(minutes=20), 1000, "lag"),  # after the opening, which showed it already
        (CLOSE - timedelta(minutes=40), 1000, "unexplained"),
        (CLOSE - timedelta(minutes=20), 999, "unexplained"),
    ],
)
def test_a_residue_that_operations_within_half_an_hour_of_a_cut_explain_is_lag(store, moment, closing, status):
    snapshots(store, (OPEN, "Main", "EUR", 1000), (CLOSE, "Main", "EUR", closing))
    add_operations(store, {"operation_id": "1", **PAYOUT, "operation_completed_at": moment})
    ((*_, residue, _, found),) = rolled(store)
    assert (found, residue != 0) == (status, True)
    assert len(breaks_of(store)) == (status == "unexplained")


def test_a_balance_without_an_opening_snapshot_says_so(store):
    snapshots(store, (CLOSE, "Main", "EUR", 700))
    assert [row[-1] for row in rolled(store)] == ["no opening"]


def test_the_report_lists_the_largest_breaks_of_each_currency_and_knows_which_balances_are_explained(store):
    names = ("Lag", "Said", "Open")
    snapshots(store, *((OPEN, name, "EUR", 1000) for name in names), *((CLOSE, name, "EUR", 900) for name in names))
    roll_forward(store, "default", DAY)
    execute(store, "UPDATE recon.balance_rollforward SET status = 'lag' WHERE balance_name = 'Lag'")
    execute(store, "UPDATE recon.breaks SET state = 'resolved' WHERE balance_name = 'Lag'")
    execute(store, "UPDATE recon.breaks SET state = 'explained', owner = 'Eve', note = 'x' WHERE balance_name = 'Said'")
    amounts = [("JPY", 1000), ("JPY", 3), ("USD", 400), ("USD", 300), ("KWD", 9_000_000), ("KWD", 8_000_000)]
    add_entries(
        store,
        *(
            {"entry_id": f"{currency} {minor}", "currency": currency, "amount_minor": minor, "operation_id": f"{place}"}
            for place, (currency, minor) in enumerate(amounts)
        ),
    )
    reconcile(store)
    with store.transaction() as connection:
        document = gather(connection, "default", DAY, "UTC")
    assert [(line.balance_name, line.is_explained) for line in document.balances] == [
        ("Lag", True),
        ("Open", False),
        ("Said", True),
    ]
    first = [("EUR", -100), ("JPY", 1000), ("KWD", 9_000_000), ("USD", 400)]
    expected = [*first, ("JPY", 3), ("KWD", 8_000_000), ("USD", 300)]
    for lines in (document.largest_breaks, document.new_breaks):
        assert [(line.currency, line.amount_minor) for line in lines] == expected
    assert (document.new_breaks[0].reference, document.new_breaks[0].business_date) == ("Open", DAY)
    said = [task.what for task in first_screen.of_day(document).tasks]
    assert not any(task.startswith("balance ") for task in said), "the only unexplained one is listed as its break"
    assert "2 more new breaks" in said
