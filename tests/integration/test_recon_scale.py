"""A reconciliation's work grows with the day, not with its square, whatever the statistics of the night before say."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import sqlalchemy
from sqlalchemy import event

from fixtures.commands import execute, fetch_all
from fixtures.reconciliation import DAY, NEXT, reconcile
from pipelines.reports.figures import gather

ROWS = 3_000
OPERATIONS = f"""
    INSERT INTO core.operations (account, operation_id, project_id, payment_id, operation_type, operation_status,
        operation_created_at, operation_completed_at, sum_initial_amount, sum_initial_currency,
        observed_at, first_seen_at, window_id)
    SELECT 'default', n::text, '7', 'order-' || n, 'sale', 'success', at, at, 100 + n, 'EUR', at, at, 1
    FROM generate_series(1, {ROWS}) AS n CROSS JOIN LATERAL (SELECT timestamptz '{DAY} 12:00Z' AS at) AS noon
"""
ENTRIES = """
    INSERT INTO recon.ledger_entries (account, entry_id, booked_at, operation_type, currency, amount_minor,
        project_id, payment_id)
    SELECT 'default', 'e' || operation_id, operation_completed_at, 'sale', 'EUR', sum_initial_amount, '7', payment_id
    FROM core.operations
"""
OTHER_PAYMENTS = "UPDATE recon.ledger_entries SET payment_id = 'unknown-' || payment_id, amount_minor = 1"
READ = "SELECT tup_returned AS tuples FROM pg_stat_database WHERE datname = current_database()"
SAVED = "SELECT (SELECT count(*) FROM recon.matches) AS matches, (SELECT count(*) FROM recon.breaks) AS breaks"


@pytest.fixture
def full_day(store):
    """A day whose entries name payments, and statistics of a time when it was not there."""
    execute(store, "ANALYZE recon.matches; ANALYZE recon.breaks")
    execute(store, OPERATIONS)
    execute(store, ENTRIES)
    return store


def rows_read(store):
    execute(store, "SELECT pg_stat_force_next_flush()")
    (row,) = fetch_all(store, READ)
    return row["tuples"]


@pytest.mark.parametrize("what", ["all matched", "nothing matched"])
def test_a_day_reads_each_row_some_times_and_not_once_for_each_other_row(full_day, what):
    if what == "nothing matched":
        execute(full_day, OTHER_PAYMENTS)
    for _ in range(2):
        before = rows_read(full_day)
        reconcile(full_day)
        assert rows_read(full_day) - before < 50 * ROWS
    (saved,) = fetch_all(full_day, SAVED)
    assert (saved["matches"], saved["breaks"]) == ((ROWS, 0) if what == "all matched" else (0, 2 * ROWS))


def handled(node: dict) -> int:
    """Rows that a node of a plan and all below it returned or threw away."""
    rows = sum(
        node.get(name, 0) for name in ("Actual Rows", *(name for name in node if name.startswith("Rows Removed")))
    )
    return int(rows * node.get("Actual Loops", 1)) + sum(map(handled, node.get("Plans", ())))


def test_the_report_of_a_day_on_which_much_was_loaded_handles_each_row_some_times(full_day):
    """Such as the first report after a backfill: what was loaded that day is all new to it."""
    execute(full_day, "UPDATE core.operations SET observed_at = now(), first_seen_at = now(); ANALYZE core.operations")
    plans = []

    def explain(connection, _cursor, statement, parameters, *_):
        cursor = connection.connection.driver_connection.cursor()
        (((plan,),),) = cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement}", parameters).fetchall()
        plans.append(handled(plan["Plan"]))

    event.listen(sqlalchemy.Engine, "before_cursor_execute", explain)
    try:
        for day in (DAY, NEXT, datetime.now(UTC).date()):
            with full_day.transaction() as connection:
                gather(connection, "default", day, "UTC")
    finally:
        event.remove(sqlalchemy.Engine, "before_cursor_execute", explain)
    assert len(plans) > 3 * 10
    assert max(plans) < 50 * ROWS
