"""Matches a day's operations with the merchant's own ledger, pass by pass; what then differs is typed in `breaks`.

Runs in one transaction over temporary tables: a day's matches and breaks are replaced as a whole, or not at all.
Entries come in through `ledger_import`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Connection

from pipelines.reconciliation import breaks
from resources.warehouse.engine import Warehouse, run

SHIFT = 450  # seconds: half of the quarter of an hour that the last pass compares


@dataclass(frozen=True)
class LedgerReport:
    """What a reconciliation with the merchant's ledger found; counts are of the day, `breaks` by type."""

    has_books: bool
    operations: int
    operations_required: int
    entries: int
    operations_alone: int
    entries_alone: int
    matches: dict[str, int]
    breaks: dict[str, int]


def reconcile_ledger(warehouse: Warehouse, account: str, day: date, cutoff_minutes: int) -> LedgerReport:
    """Match a business day and save matches and breaks; a second time changes nothing.

    An account without a single ledger entry has no books: only what the platform's own data contradicts is found.

    Raises:
        WarehouseUnavailable, WarehouseBroken: nothing of the day was changed.
    """
    started = datetime.now(UTC)
    with warehouse.transaction() as connection:
        breaks.begin(connection, account)
        # first: what a load commits from now on may be in what is read below, or not
        (changed,) = run(connection, "reconciliation/matching/day_changed_at", account=account, day=day)
        (bounds,) = run(connection, "reconciliation/matching/day_bounds", account=account, day=day)
        scope = {"account": account, "day": day, "cutoff_minutes": cutoff_minutes, **bounds._asdict()}
        run(connection, "reconciliation/matching/tables")
        if bounds.has_books:
            _match(connection, scope)
            breaks.find_in_ledger(connection, scope)
        breaks.find_at_platform(connection, scope)
        breaks.save(connection, account, day, balances=False)
        breaks.resolve_matched(connection, account, day)
        run(connection, "reconciliation/matching/drop_matches", **scope)
        run(connection, "reconciliation/matching/save_matches", **scope)
        (figures,) = run(connection, "reconciliation/matching/figures")
        report = LedgerReport(has_books=bounds.has_books, **figures._asdict())
        breaks.record_run(connection, account, day, "books", started, report, changed.moment)
    return report


def _match(connection: Connection, scope: Mapping[str, Any]) -> None:
    """Fill the pools of both sides, and let each pass match what the ones before it have left."""
    run(connection, "reconciliation/matching/operations_of_day", **scope)
    run(connection, "reconciliation/matching/entries_of_day", **scope)
    run(connection, "reconciliation/matching/operations_nearby", **scope)
    run(connection, "reconciliation/matching/entries_nearby", **scope)
    run(connection, "reconciliation/matching/analyze_pools")
    run(connection, "reconciliation/matching/operations_named", **scope)
    run(connection, "reconciliation/matching/entries_naming", **scope)

    if run(connection, "reconciliation/matching/decisions", **scope):
        run(connection, "reconciliation/matching/operations_decided", **scope)
        run(connection, "reconciliation/matching/entries_decided", **scope)
        run(connection, "reconciliation/matching/pass_manual")
        run(connection, "reconciliation/matching/withhold_decided")
    run(connection, "reconciliation/matching/pass_operation_exact")
    run(connection, "reconciliation/matching/drop_unmatched")
    run(connection, "reconciliation/matching/start_left")
    _pass(connection, "reconciliation/matching/pass_operation_group")

    run(connection, "reconciliation/matching/payment_entries", **scope)
    run(connection, "reconciliation/matching/payment_operations", **scope)
    run(connection, "reconciliation/matching/fill_projects")
    _pass(connection, "reconciliation/matching/pass_payment_exact")
    _pass(connection, "reconciliation/matching/pass_payment_group")

    for reference in ("arn", "rrn"):
        _pass(connection, "reconciliation/matching/pass_reference_exact", reference=reference)
        _pass(connection, "reconciliation/matching/pass_reference_group", reference=reference)

    for by_project in (True, False):
        for shift in (0, SHIFT):
            _pass(connection, "reconciliation/matching/pass_amount_time", shift=shift, by_project=by_project)
        _pass(connection, "reconciliation/matching/pass_amount_day", day=scope["day"], by_project=by_project)


def _pass(connection: Connection, name: str, **parameters: Any) -> None:
    run(connection, name, **parameters)
    run(connection, "reconciliation/matching/drop_unmatched")
    run(connection, "reconciliation/matching/shrink")
