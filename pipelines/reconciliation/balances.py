"""Rolls the balances of a day forward: opening snapshot + movements = closing snapshot, the residue shown.

Which operations move which balance is not documented by the platform: recon.balance_rules says so, with the default
of docs/reconciliation.md. The steps are in sql/reconciliation.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

from pipelines.reconciliation import breaks
from resources.warehouse.engine import Warehouse, run


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
        run(connection, "reconciliation/balances/table_balances")
        run(
            connection,
            "reconciliation/balances/snapshots",
            account=account,
            starts_at=bounds.starts_at,
            ends_at=bounds.ends_at,
        )
        run(connection, "reconciliation/balances/table_movements")
        run(connection, "reconciliation/balances/movements", account=account, day=day)
        run(connection, "reconciliation/balances/basis", account=account, day=day)
        run(connection, "reconciliation/balances/table_rolled")
        run(connection, "reconciliation/balances/roll_forward", account=account, day=day)
        run(connection, "reconciliation/balances/drop_rolled", account=account, day=day)
        run(connection, "reconciliation/balances/save_rolled")
        run(connection, "reconciliation/balances/break_balance", day=day)
        breaks.save(connection, account, day, balances=True)
        (row,) = run(connection, "reconciliation/balances/figures_balances")
        figures = BalancesFigures(**row._asdict())
        breaks.record_run(connection, account, day, "balances", started, figures)
    return figures
