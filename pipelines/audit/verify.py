"""Checks the chains of hashes: the ledger of windows, the closed days, deletions. Nothing is changed."""

from __future__ import annotations

from collections.abc import Sequence
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


@dataclass(frozen=True)
class Contained:
    """The entry of a chain that has a hash noted earlier; `closed_days`: of recon.closes, else of the ledger."""

    account: str
    entry_no: int
    head: str
    closed_days: bool


def verify(connection: Connection) -> tuple[ChainTip, ...]:
    """Return the tips of the ledgers and of the closed days; all chains are proved intact from their first entry on.

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
    for row in run(connection, "warehouse/retention/verify_deletions")[:1]:
        raise WarehouseBroken(
            f"the deletions of raw pages of account {row.account} are broken at row {row.deletion_no} "
            f"({row.deleted_at:%Y-%m-%d %H:%M:%S} UTC): {row.reason}; compare with a backup."
        )
    ledger = run(connection, "warehouse/ledger/chain_tips")
    closes = run(connection, "reconciliation/close/close_tips")
    return (
        *(ChainTip(tip.account, tip.entry_no, tip.head, closed_days=False) for tip in ledger),
        *(ChainTip(tip.account, tip.close_no, tip.head, closed_days=True) for tip in closes),
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
