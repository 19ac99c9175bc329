"""Checks the chains of hashes: the ledger of windows and the closed days. Nothing is changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from resources.errors import WarehouseBroken
from resources.warehouse.engine import run

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True)
class LedgerTip:
    """The last entry of an account's ledger of windows."""

    account: str
    entry_no: int
    head: str
    committed_at: datetime


@dataclass(frozen=True)
class CloseTip:
    """The last row of an account's chain of closed days."""

    account: str
    close_no: int
    head: str


@dataclass(frozen=True)
class ChainTips:
    """The tips of all chains, an account at most once in each."""

    ledger: tuple[LedgerTip, ...]
    closed_days: tuple[CloseTip, ...]


def verify(connection: Connection, head: str | None = None) -> ChainTips:
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
    return ChainTips(
        tuple(LedgerTip(**row._asdict()) for row in run(connection, "warehouse/ledger/chain_tips")),
        tuple(CloseTip(**row._asdict()) for row in run(connection, "reconciliation/close/close_tips")),
    )
