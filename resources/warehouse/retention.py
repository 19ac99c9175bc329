"""How long raw pages are kept: older ones are deleted in batches and the deletion is written down; never the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from resources.warehouse.engine import Warehouse, affect, run

BATCH = 500  # pages a transaction: about a hundred megabytes of rows at most, and never a long lock


@dataclass(frozen=True)
class Deleted:
    """What `delete_old_pages` did; `received_before` is None when everything is kept for ever."""

    pages: int
    received_before: datetime | None


def delete_old_pages(warehouse: Warehouse, account: str, raw_days: int, batch: int = BATCH) -> Deleted:
    """Delete the account's raw pages received more than `raw_days` days ago; 0 keeps all.

    Each batch is written down in the transaction that deletes it, so that no deletion looks like tampering.

    Raises:
        WarehouseUnavailable: the database failed; batches committed before stay deleted.
    """
    if raw_days == 0:
        return Deleted(0, None)
    received_before = datetime.now(UTC) - timedelta(days=raw_days)
    pages = 0
    while True:
        with warehouse.transaction() as connection:
            deleted = affect(
                connection,
                "warehouse/retention/delete_batch",
                account=account,
                received_before=received_before,
                batch=batch,
            )
            if deleted:
                run(
                    connection,
                    "warehouse/retention/add_deletion",
                    account=account,
                    received_before=received_before,
                    raw_days=raw_days,
                    pages=deleted,
                )
        pages += deleted
        if deleted < batch:
            return Deleted(pages, received_before)


def deleted_because_of_age(warehouse: Warehouse, account: str) -> tuple[datetime, int] | None:
    """Return up to when pages were deleted, and after how many days; None: none ever was."""
    rows = warehouse.query("warehouse/retention/deleted_before", account=account)
    return (rows[0].received_before, rows[0].raw_days) if rows else None
