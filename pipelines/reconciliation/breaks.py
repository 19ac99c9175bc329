"""Types what does not agree on a day as breaks, and merges them into recon.breaks; matching is in `matching`.

A break found again keeps its row, owner and note; one that is no longer found is resolved.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import orjson
from sqlalchemy import Connection

from resources.warehouse.engine import run


def begin(connection: Connection, account: str) -> None:
    """Begin a leg of a reconciliation in this transaction: the account's lock, and the table of breaks found."""
    run(connection, "reconciliation/matching/settings")
    run(connection, "reconciliation/matching/lock_account", account=account)
    run(connection, "reconciliation/breaks/table")


def find_in_ledger(connection: Connection, scope: Mapping[str, Any]) -> None:
    """Find the breaks between matched operations and entries, and those of either side that stands alone.

    Args:
        connection: the transaction, with the tables of `matching` filled.
        scope: account, day, starts_at, ends_at, cutoff_minutes, books_go_on, platform_goes_on.
    """
    run(connection, "reconciliation/breaks/table_compared")
    run(connection, "reconciliation/breaks/compare", **scope)
    run(connection, "reconciliation/breaks/currency", **scope)
    run(connection, "reconciliation/breaks/amount", **scope)
    run(connection, "reconciliation/breaks/status", **scope)
    run(connection, "reconciliation/breaks/fee", **scope)
    run(connection, "reconciliation/breaks/operation_alone", **scope)
    run(connection, "reconciliation/breaks/set_loops", loops="off")
    run(connection, "reconciliation/breaks/entry_alone", **scope)
    run(connection, "reconciliation/breaks/set_loops", loops="on")


def find_at_platform(connection: Connection, scope: Mapping[str, Any]) -> None:
    """Find what the platform's own data contradicts, whether there are own books or not."""
    run(connection, "reconciliation/breaks/orphan_refund", **scope)
    run(connection, "reconciliation/breaks/refund_above_capture", **scope)
    run(connection, "reconciliation/breaks/late_change", **scope)
    run(connection, "reconciliation/breaks/set_loops", loops="off")


def save(connection: Connection, account: str, day: date, *, balances: bool) -> None:
    """Merge the breaks found into recon.breaks, and resolve those of the day that were not found again."""
    run(connection, "reconciliation/breaks/save", account=account, day=day)
    run(connection, "reconciliation/breaks/resolve_gone", account=account, day=day, balances=balances)


def resolve_matched(connection: Connection, account: str, day: date) -> None:
    """Resolve breaks of other days whose other side this day has brought."""
    run(connection, "reconciliation/breaks/resolve_matched", account=account, day=day)


def record_run(
    connection: Connection,
    account: str,
    day: date,
    leg: str,
    started: datetime,
    figures: object,
    changed_at: datetime | None = None,
) -> None:
    """Record that a leg of the day was reconciled, its figures, and when the day had last changed before that."""
    run(
        connection,
        "reconciliation/breaks/add_run",
        account=account,
        day=day,
        leg=leg,
        started_at=started,
        changed_at=changed_at,
        figures=orjson.dumps(figures).decode(),
    )
