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
    tables = ("010_table_operations", "011_table_entries", "012_table_links")
    for table in (*tables, "013_table_left_operations", "014_table_left_entries"):
        step(connection, table)
    (bounds,) = step(connection, "002_day_bounds", account=account, day=day)
    scope = {"account": account, "day": day, "starts_at": bounds.starts_at, "ends_at": bounds.ends_at}
    if bounds.has_books:
        _gather(connection, scope)
        _pass_by_operation(connection)
        _pass_by_payment(connection, scope)
        _pass_by_reference(connection)
        _pass_by_amount(connection, day)
        _type_breaks_of_books(connection, scope, bounds, cutoff_minutes)
    for name in ("080_break_orphan_refund", "081_break_refund_above_capture"):
        step(connection, name, **_only(scope, "account", "day", "starts_at", "ends_at"))
    step(connection, "082_break_late_change", account=account, day=day)
    step(connection, "join_settings", loops="off")
    save_breaks(connection, account, day, balances=False)
    for name in ("092_resolve_matched", "093_drop_matches", "094_save_matches"):
        step(connection, name, account=account, day=day)
    (figures,) = step(connection, "095_figures")
    return BooksReport(has_books=bounds.has_books, **figures._asdict())


def _gather(connection: Connection, scope: dict[str, Any]) -> None:
    for name in ("020_operations_of_day", "021_entries_of_day", "022_operations_nearby", "023_entries_nearby"):
        step(connection, name, **scope)
    step(connection, "analyze_pool_operations")
    step(connection, "analyze_pool_entries")
    for name in ("024_operations_named", "025_entries_naming"):
        step(connection, name, **_only(scope, "account", "day"))


def _pass_by_operation(connection: Connection) -> None:
    for name in ("030_pass_operation_exact", "analyze_new_links", "031_left_operations", "032_left_entries"):
        step(connection, name)
    _look_at_what_is_left(connection)
    step(connection, "033_pass_operation_group")
    _shrink(connection)


def _pass_by_payment(connection: Connection, scope: dict[str, Any]) -> None:
    for name in ("040_payment_entries", "041_payment_operations"):
        step(connection, name, **scope)
    step(connection, "042_fill_projects")
    for name in ("043_pass_payment_exact", "044_pass_payment_group"):
        step(connection, name)
        _shrink(connection)


def _pass_by_reference(connection: Connection) -> None:
    for reference in ("arn", "rrn"):
        for name in ("050_pass_reference_exact", "051_pass_reference_group"):
            step(connection, name, reference=reference)
            _shrink(connection)


def _pass_by_amount(connection: Connection, day: date) -> None:
    for by_project in (True, False):
        for shift in (0, SHIFT):
            step(connection, "060_pass_amount_time", shift=shift, by_project=by_project)
            _shrink(connection)
        step(connection, "061_pass_amount_day", day=day, by_project=by_project)
        _shrink(connection)


def _type_breaks_of_books(connection: Connection, scope: dict[str, Any], bounds: Any, cutoff_minutes: int) -> None:
    account, day = scope["account"], scope["day"]
    step(connection, "070_table_compared")
    step(connection, "071_compare")
    step(connection, "072_break_currency", day=day)
    for name in ("073_break_amount", "075_break_fee"):
        step(connection, name, account=account, day=day)
    step(connection, "074_break_status", day=day)
    late = {"account": account, "day": day, "ends_at": bounds.ends_at, "cutoff_minutes": cutoff_minutes}
    step(connection, "076_break_operation_alone", books_go_on=bounds.books_go_on, **late)
    step(connection, "join_settings", loops="off")
    step(connection, "077_break_entry_alone", platform_goes_on=bounds.platform_goes_on, **late)
    step(connection, "join_settings", loops="on")


def _shrink(connection: Connection) -> None:
    step(connection, "034_shrink_operations")
    step(connection, "035_shrink_entries")
    _look_at_what_is_left(connection)


def _look_at_what_is_left(connection: Connection) -> None:
    """A temporary table has no statistics until somebody looks; without them the plans are loops."""
    for table in ("left_operations", "left_entries", "new_links"):
        step(connection, f"analyze_{table}")


def prepare(connection: Connection, account: str) -> None:
    """Begin a reconciliation in this transaction: the account's lock, and the table of found breaks."""
    step(connection, "000_settings")
    step(connection, "001_lock_account", account=account)
    step(connection, "015_table_found")


def save_breaks(connection: Connection, account: str, day: date, *, balances: bool) -> None:
    """Merge the found breaks into recon.breaks, and resolve those of the day that were not found again."""
    step(connection, "090_save_breaks", account=account, day=day)
    step(connection, "091_resolve_gone", account=account, day=day, balances=balances)


def note_run(connection: Connection, account: str, day: date, leg: str, started: datetime, figures: object) -> None:
    """Write down that a leg of the day was reconciled, and what it found."""
    found = orjson.dumps(figures).decode()
    step(connection, "096_add_run", account=account, day=day, leg=leg, started_at=started, figures=found)


def step(connection: Connection, name: str, **parameters: Any) -> list[Any]:
    """Execute one step of sql/reconciliation."""
    return run(connection, f"reconciliation/{name}", **parameters)


def _only(scope: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: scope[name] for name in names}
