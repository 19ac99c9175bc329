"""One moment decides an operation's business day, whoever asks: when it completed, was created, or was first seen."""

from __future__ import annotations

from datetime import datetime

import pytest

from fixtures.commands import SETTINGS, execute, fetch_all
from fixtures.marts import START, load, op
from fixtures.reconciliation import DAY, NEXT, add_entries, at, reconcile
from pipelines.marts import build_marts
from resources.warehouse.engine import run

HERE, THERE = "2024-03-05 12:00:00", "2024-03-06 13:00:00"
TIMES = {  # completed, created, first seen
    "completed": (HERE, THERE, THERE),
    "created": ("", HERE, THERE),
    "first seen": ("", "", HERE),
}


@pytest.fixture(params=TIMES)
def operation(request, store):
    """An operation of the day, by the first of its times alone."""
    completed, created, seen = TIMES[request.param]
    times = {"operation_completed_at": completed, "operation_created_at": created}
    add_entries(store, {"entry_id": "a", "booked_at": at("12:00", NEXT)})  # books are kept
    load(store, op(1, **times), second=int((datetime.fromisoformat(f"{seen}Z") - START).total_seconds()))
    return store


def test_the_marts_the_reconciliation_the_report_and_the_seal_put_it_on_the_same_day(operation):
    build_marts(operation, SETTINGS)
    (mart,) = fetch_all(operation, "SELECT business_date FROM bi.daily_overview")
    (fact,) = fetch_all(operation, "SELECT business_date FROM bi.fct_operations")
    report = reconcile(operation)
    with operation.transaction() as connection:
        bounds = {"starts_at": at("00:00"), "ends_at": at("00:00", NEXT)}
        days = run(connection, "reports/figures/days_by_currency", account="default", zone="UTC", **bounds)
        totals = run(connection, "reconciliation/close/seal_totals", account="default", day=DAY)
    assert (mart["business_date"], fact["business_date"], report.operations) == (DAY, DAY, 1)
    assert [(line.business_date, line.operations) for line in days] == [(DAY, 1)]
    assert [line.count for line in totals] == [1]


def test_the_day_has_changed_when_it_was_last_observed_there_or_left_it(operation):
    changed = "SELECT recon.day_changed_at('default', :day) AS at"
    (known,) = fetch_all(operation, "SELECT observed_at FROM core.operations")
    assert fetch_all(operation, changed, day=DAY) == [{"at": known["observed_at"]}]
    left = at("09:00", NEXT)
    execute(
        operation,
        f"INSERT INTO core.operation_versions SELECT *, '{left}' FROM core.operations;"
        f"UPDATE core.operations SET operation_completed_at = '{at('12:00', NEXT)}', observed_at = '{left}'",
    )
    assert fetch_all(operation, changed, day=DAY) == [{"at": left}]
