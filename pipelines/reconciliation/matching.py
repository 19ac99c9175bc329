"""Matches a day's operations with the merchant's own books, and types the rest; the steps are in sql/reconciliation.

Runs in one transaction over temporary tables: a day's matches and breaks are replaced as a whole, or not at all.
Entries come in through `pipelines.reconciliation.ledger_import`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import orjson
from sqlalchemy import Connection

from resources.warehouse.engine import Warehouse, run

SHIFT = 450  # seconds: half of the quarter of an hour that pass 4 looks at


@dataclass(frozen=True)
class BooksReport:
    """What a reconciliation with the books found; counts are of the day, `breaks` by type."""

    has_books: bool
    operations: int
    operations_required: int
    entries: int
    operations_alone: int
    entries_alone: int
    matches: dict[str, int]
    breaks: dict[str, int]


def reconcile_books(warehouse: Warehouse, account: str, day: date, cutoff_minutes: int) -> BooksReport:
    """Match a business day and save matches and breaks; a second time changes nothing.

    An account without a single ledger entry has no books: only what the platform's own data contradicts is found.

    Raises:
        WarehouseUnavailable, WarehouseBroken: nothing of the day was changed.
    """
    started = datetime.now(UTC)
    with warehouse.transaction() as connection:
        report = _reconcile(connection, account, day, cutoff_minutes)
        note_run(connection, account, day, "books", started, report)
    return report


def _reconcile(connection: Connection, account: str, day: date, cutoff_minutes: int) -> BooksReport:
    prepare(connection, account)
    tables = (
        "reconciliation/matching/table_operations",
        "reconciliation/matching/table_entries",
        "reconciliation/matching/table_links",
    )
    for table in (
        *tables,
        "reconciliation/matching/table_left_operations",
        "reconciliation/matching/table_left_entries",
    ):
        run(connection, table)
    (bounds,) = run(connection, "reconciliation/matching/day_bounds", account=account, day=day)
    scope = {"account": account, "day": day, "starts_at": bounds.starts_at, "ends_at": bounds.ends_at}
    if bounds.has_books:
        _gather(connection, scope)
        _pass_by_operation(connection)
        _pass_by_payment(connection, scope)
        _pass_by_reference(connection)
        _pass_by_amount(connection, day)
        _type_breaks_of_books(connection, scope, bounds, cutoff_minutes)
    for name in ("reconciliation/matching/break_orphan_refund", "reconciliation/matching/break_refund_above_capture"):
        run(connection, name, **_only(scope, "account", "day", "starts_at", "ends_at"))
    run(connection, "reconciliation/matching/break_late_change", account=account, day=day)
    run(connection, "reconciliation/matching/join_settings", loops="off")
    save_breaks(connection, account, day, balances=False)
    for name in (
        "reconciliation/matching/resolve_matched",
        "reconciliation/matching/drop_matches",
        "reconciliation/matching/save_matches",
    ):
        run(connection, name, account=account, day=day)
    (figures,) = run(connection, "reconciliation/matching/figures")
    return BooksReport(has_books=bounds.has_books, **figures._asdict())


def _gather(connection: Connection, scope: dict[str, Any]) -> None:
    for name in (
        "reconciliation/matching/operations_of_day",
        "reconciliation/matching/entries_of_day",
        "reconciliation/matching/operations_nearby",
        "reconciliation/matching/entries_nearby",
    ):
        run(connection, name, **scope)
    run(connection, "reconciliation/matching/analyze_pool_operations")
    run(connection, "reconciliation/matching/analyze_pool_entries")
    for name in ("reconciliation/matching/operations_named", "reconciliation/matching/entries_naming"):
        run(connection, name, **_only(scope, "account", "day"))


def _pass_by_operation(connection: Connection) -> None:
    for name in (
        "reconciliation/matching/pass_operation_exact",
        "reconciliation/matching/analyze_new_links",
        "reconciliation/matching/left_operations",
        "reconciliation/matching/left_entries",
    ):
        run(connection, name)
    _look_at_what_is_left(connection)
    run(connection, "reconciliation/matching/pass_operation_group")
    _shrink(connection)


def _pass_by_payment(connection: Connection, scope: dict[str, Any]) -> None:
    for name in ("reconciliation/matching/payment_entries", "reconciliation/matching/payment_operations"):
        run(connection, name, **scope)
    run(connection, "reconciliation/matching/fill_projects")
    for name in ("reconciliation/matching/pass_payment_exact", "reconciliation/matching/pass_payment_group"):
        run(connection, name)
        _shrink(connection)


def _pass_by_reference(connection: Connection) -> None:
    for reference in ("arn", "rrn"):
        for name in ("reconciliation/matching/pass_reference_exact", "reconciliation/matching/pass_reference_group"):
            run(connection, name, reference=reference)
            _shrink(connection)


def _pass_by_amount(connection: Connection, day: date) -> None:
    for by_project in (True, False):
        for shift in (0, SHIFT):
            run(connection, "reconciliation/matching/pass_amount_time", shift=shift, by_project=by_project)
            _shrink(connection)
        run(connection, "reconciliation/matching/pass_amount_day", day=day, by_project=by_project)
        _shrink(connection)


def _type_breaks_of_books(connection: Connection, scope: dict[str, Any], bounds: Any, cutoff_minutes: int) -> None:
    account, day = scope["account"], scope["day"]
    run(connection, "reconciliation/matching/table_compared")
    run(connection, "reconciliation/matching/compare")
    run(connection, "reconciliation/matching/break_currency", day=day)
    for name in ("reconciliation/matching/break_amount", "reconciliation/matching/break_fee"):
        run(connection, name, account=account, day=day)
    run(connection, "reconciliation/matching/break_status", day=day)
    late = {"account": account, "day": day, "ends_at": bounds.ends_at, "cutoff_minutes": cutoff_minutes}
    run(connection, "reconciliation/matching/break_operation_alone", books_go_on=bounds.books_go_on, **late)
    run(connection, "reconciliation/matching/join_settings", loops="off")
    run(connection, "reconciliation/matching/break_entry_alone", platform_goes_on=bounds.platform_goes_on, **late)
    run(connection, "reconciliation/matching/join_settings", loops="on")


def _shrink(connection: Connection) -> None:
    run(connection, "reconciliation/matching/shrink_operations")
    run(connection, "reconciliation/matching/shrink_entries")
    _look_at_what_is_left(connection)


def _look_at_what_is_left(connection: Connection) -> None:
    """A temporary table has no statistics until somebody looks; without them the plans are loops."""
    run(connection, "reconciliation/matching/analyze_left_operations")
    run(connection, "reconciliation/matching/analyze_left_entries")
    run(connection, "reconciliation/matching/analyze_new_links")


def prepare(connection: Connection, account: str) -> None:
    """Begin a reconciliation in this transaction: the account's lock, and the table of found breaks."""
    run(connection, "reconciliation/matching/settings")
    run(connection, "reconciliation/matching/lock_account", account=account)
    run(connection, "reconciliation/matching/table_found")


def save_breaks(connection: Connection, account: str, day: date, *, balances: bool) -> None:
    """Merge the found breaks into recon.breaks, and resolve those of the day that were not found again."""
    run(connection, "reconciliation/matching/save_breaks", account=account, day=day)
    run(connection, "reconciliation/matching/resolve_gone", account=account, day=day, balances=balances)


def note_run(connection: Connection, account: str, day: date, leg: str, started: datetime, figures: object) -> None:
    """Write down that a leg of the day was reconciled, and what it found."""
    found = orjson.dumps(figures).decode()
    run(
        connection,
        "reconciliation/matching/add_run",
        account=account,
        day=day,
        leg=leg,
        started_at=started,
        figures=found,
    )


def _only(scope: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: scope[name] for name in names}
