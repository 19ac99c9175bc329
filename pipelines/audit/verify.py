"""Checks the chains of hashes: the ledger of windows and the closed days. Nothing is changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from resources.errors import WarehouseBroken
from resources.warehouse.engine import run

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True)
class ChainTip:
    """The last entry of an account's chain that is intact; `closed_days`: of recon.closes, else of the ledger."""

    account: str
    entries: int
    head: str
    closed_days: bool


def verify(connection: Connection, head: str | None = None) -> tuple[ChainTip, ...]:
    """Return the tips of all chains, each proved intact from its first entry on.

    Raises:
        WarehouseBroken: an entry was altered, removed or reordered, or none has the hash `head`.
    """
    for first in run(connection, "warehouse/ledger/verify", account=None)[:1]:
        raise WarehouseBroken(
            f"the ledger of account {first.account} is broken at entry {first.entry_no} (window {first.window_id}, "
            f"{first.interval_from:%Y-%m-%d %H:%M:%S} to {first.interval_to:%Y-%m-%d %H:%M:%S} UTC): "
            f"{first.reason}; compare with a backup, and walk these days again."
        )
    if head is not None and not any(
        (
            run(connection, "warehouse/ledger/entry_with_hash", hash=head),
            run(connection, "reconciliation/close/close_with_hash", hash=head),
        )
    ):
        raise WarehouseBroken(f"no entry of the ledger has the hash {head}: entries at its end were removed.")
    for row in run(connection, "reconciliation/close/verify_closes")[:1]:
        raise WarehouseBroken(
            f"the closed days of account {row.account} are broken at row {row.close_no} "
            f"({row.business_date}): {row.reason}; compare with a backup."
        )
    ledger = run(connection, "warehouse/ledger/chain_tips")
    closes = run(connection, "reconciliation/close/close_tips")
    return (
        *(ChainTip(tip.account, tip.entry_no, tip.head, closed_days=False) for tip in ledger),
        *(ChainTip(tip.account, tip.close_no, tip.head, closed_days=True) for tip in closes),
    )
