"""Checks the chains of hashes: the ledger of windows, the closed days, deletions. Nothing is changed."""

from __future__ import annotations

from collections.abc import Sequence
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


@dataclass(frozen=True)
class Contained:
    """The entry of a chain that has a hash noted earlier; `closed_days`: of recon.closes, else of the ledger."""

    account: str
    entry_no: int
    head: str
    closed_days: bool


def verify(connection: Connection) -> ChainTips:
    """Return the tips of all chains, each proved intact from its first entry on.

    Raises:
        WarehouseBroken: an entry was altered, removed or reordered.
    """
    for first in run(connection, "warehouse/ledger/verify", account=None)[:1]:
        raise WarehouseBroken(
            f"the ledger of account {first.account} is broken at entry {first.entry_no} (window {first.window_id}, "
            f"{first.interval_from:%Y-%m-%d %H:%M:%S} to {first.interval_to:%Y-%m-%d %H:%M:%S} UTC): "
            f"{first.reason}; compare with a backup, and walk these days again."
        )
    for row in run(connection, "reconciliation/close/verify_closes")[:1]:
        raise WarehouseBroken(
            f"the closed days of account {row.account} are broken at row {row.close_no} "
            f"({row.business_date}): {row.reason}; compare with a backup."
        )
    for row in run(connection, "warehouse/ledger/verify_deletions")[:1]:
        raise WarehouseBroken(
            f"the deletions of raw pages of account {row.account} are broken at row {row.deletion_no} "
            f"({row.deleted_at:%Y-%m-%d %H:%M:%S} UTC): {row.reason}; compare with a backup."
        )
    return ChainTips(
        tuple(LedgerTip(**row._asdict()) for row in run(connection, "warehouse/ledger/chain_tips")),
        tuple(CloseTip(**row._asdict()) for row in run(connection, "reconciliation/close/close_tips")),
    )


def entries_with(connection: Connection, heads: Sequence[str]) -> tuple[Contained, ...]:
    """Return the entries that have these hashes, in lower case, in the order of the hashes.

    Raises:
        WarehouseBroken: no entry has one of them.
    """
    found: list[Contained] = []
    for head in heads:
        windows = run(connection, "warehouse/ledger/entry_with_hash", hash=head)
        closes = run(connection, "reconciliation/close/close_with_hash", hash=head)
        if not windows and not closes:
            raise WarehouseBroken(f"no entry of the ledger has the hash {head}: entries at its end were removed.")
        found += [Contained(row.account, row.entry_no, head, closed_days=False) for row in windows]
        found += [Contained(row.account, row.close_no, head, closed_days=True) for row in closes]
    return tuple(found)
