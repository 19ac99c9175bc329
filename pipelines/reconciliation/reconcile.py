"""The three legs of a day's reconciliation in their order, each useful alone; that of the balances stands here.

Balances are rolled forward: opening snapshot + movements = closing snapshot, the residue shown. Which operations move
which balance is not documented by the platform: recon.balance_rules says so, by default as docs/reconciliation.md does.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal

from pipelines.reconciliation import breaks
from pipelines.reconciliation.completeness import CompletenessReport, prove_completeness
from pipelines.reconciliation.matching import LedgerReport, reconcile_ledger
from resources.data_api.endpoints import DataApi
from resources.settings import SyncSettings
from resources.warehouse.engine import Warehouse, run

Leg = Literal["completeness", "books", "balances"]
LEGS: tuple[Leg, ...] = ("completeness", "books", "balances")


@dataclass(frozen=True)
class DayReport:
    """What was found about a business day; None: this leg was not asked for."""

    day: date
    completeness: CompletenessReport | None
    books: LedgerReport | None
    balances: BalancesFigures | None


def reconcile_day(
    api: DataApi | None, warehouse: Warehouse, settings: SyncSettings, day: date, legs: tuple[Leg, ...] = LEGS
) -> DayReport:
    """Reconcile a business day that is over; `api` is needed for completeness only.

    Raises:
        ConfigError: the day is not over.
        Retryable, Permanent, WarehouseUnavailable: the legs before this one stand, this one and those behind do not.
    """
    account = settings.account
    return DayReport(
        day,
        prove_completeness(api, warehouse, settings, day) if "completeness" in legs and api else None,
        reconcile_ledger(warehouse, account, day, settings.recon_cutoff_minutes) if "books" in legs else None,
        roll_forward(warehouse, account, day) if "balances" in legs else None,
    )


def is_over(warehouse: Warehouse, account: str, day: date) -> bool:
    """Return whether a business day has ended in the reporting zone."""
    (bounds,) = warehouse.query("reconciliation/matching/day_bounds", account=account, day=day)
    return bool(bounds.ends_at <= datetime.now(UTC))


def is_proved(warehouse: Warehouse, account: str, day: date) -> bool:
    """Return whether the latest walk of a business day found the store complete."""
    return any(
        row.completeness == "complete"
        for row in warehouse.query("reconciliation/close/close_state", account=account, day=day)
    )


@dataclass(frozen=True)
class BalancesFigures:
    """How many balances were rolled forward, by outcome."""

    balances: int
    explained: int
    lag: int
    unexplained: int
    without_snapshot: int


def roll_forward(warehouse: Warehouse, account: str, day: date) -> BalancesFigures:
    """Roll the balances of a business day forward and save them with their breaks; a second time changes nothing.

    Raises:
        WarehouseUnavailable, WarehouseBroken: nothing of the day was changed.
    """
    started = datetime.now(UTC)
    with warehouse.transaction() as connection:
        breaks.begin(connection, account)
        (bounds,) = run(connection, "reconciliation/matching/day_bounds", account=account, day=day)
        run(connection, "reconciliation/reconcile/table_balances")
        run(
            connection,
            "reconciliation/reconcile/snapshots",
            account=account,
            starts_at=bounds.starts_at,
            ends_at=bounds.ends_at,
        )
        run(connection, "reconciliation/reconcile/table_movements")
        run(connection, "reconciliation/reconcile/movements", account=account, day=day)
        run(connection, "reconciliation/reconcile/basis", account=account, day=day)
        run(connection, "reconciliation/reconcile/table_rolled")
        run(connection, "reconciliation/reconcile/roll_forward", account=account, day=day)
        run(connection, "reconciliation/reconcile/drop_rolled", account=account, day=day)
        run(connection, "reconciliation/reconcile/save_rolled")
        run(connection, "reconciliation/reconcile/break_balance", day=day)
        breaks.save(connection, account, day, balances=True)
        (row,) = run(connection, "reconciliation/reconcile/figures_balances")
        figures = BalancesFigures(**row._asdict())
        breaks.record_run(connection, account, day, "balances", started, figures)
    return figures
