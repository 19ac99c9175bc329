"""Asset checks: what must hold in the store after a load. The same facts are also checked before each commit."""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from pipelines.partitions import SETTINGS
from resources.configured import WarehouseResource
from resources.warehouse.engine import Warehouse

OPERATIONS_CHECKS = {
    "keys_unique": "core.operations holds each operation once: its primary key stands, and no version is newer.",
    "totals_equal_ledger": "What each walk wrote is in the store, by count and Σ minor units, as the ledger says.",
    "windows_complete": "Every window of the run was shown complete.",
    "no_rejects": "Every row could be typed; the others wait in core.rejects with their reason.",
    "currency_known": "Every currency is in ISO 4217; another one is loaded all the same.",
}
SHOWN = 10
CHECKED_RUN = "ecommpay/checked_run"  # tag of a run that checks what another run loaded: the other's id


@dg.multi_asset_check(
    name="operations_checks",
    specs=[
        dg.AssetCheckSpec(name, asset="operations", description=description)
        for name, description in OPERATIONS_CHECKS.items()
    ],
)
def operations_checks(
    context: dg.AssetCheckExecutionContext, warehouse: WarehouseResource
) -> Iterator[dg.AssetCheckResult]:
    """Check what this Dagster run loaded, or the last load when it loaded nothing."""
    store = warehouse.warehouse()
    run_ids = [row.run_id for row in store.query("checks/runs_to_check", dagster_run_id=_checked_run(context))]
    for name in ("keys_unique", "totals_equal_ledger", "windows_complete", "no_rejects"):
        yield none_found(name, store.query(f"checks/{name}", run_ids=run_ids))
    yield currency_known(store, run_ids)


def _checked_run(context: dg.AssetCheckExecutionContext) -> str:
    return context.run.tags.get(CHECKED_RUN, context.run.run_id)


@dg.asset_check(asset="balances", name="no_rejects", description="Every balance could be typed.")
def balances_no_rejects(context: dg.AssetCheckExecutionContext, warehouse: WarehouseResource) -> dg.AssetCheckResult:
    """Check the snapshot of this Dagster run, or the last one."""
    store = warehouse.warehouse()
    run_ids = [row.run_id for row in store.query("checks/runs_to_check_balances", dagster_run_id=context.run.run_id)]
    return none_found("no_rejects", store.query("checks/no_rejects", run_ids=run_ids), asset="balances")


@dg.multi_asset_check(
    name="reconciliation_checks",
    specs=[
        dg.AssetCheckSpec(
            "complete", asset="reconciliation", description="The last fresh walk of every day found the store complete."
        ),
        dg.AssetCheckSpec("no_open_breaks", asset="reconciliation", description="No break is open, of whatever day."),
    ],
)
def reconciliation_checks(warehouse: WarehouseResource) -> Iterator[dg.AssetCheckResult]:
    """Check all days that were reconciled; an open break is for people, so it warns."""
    store = warehouse.warehouse()
    yield none_found("complete", store.query("checks/recon_complete", account=SETTINGS.account), asset="reconciliation")
    found = store.query("checks/recon_open_breaks", account=SETTINGS.account)
    yield none_found("no_open_breaks", found, asset="reconciliation")._replace(severity=dg.AssetCheckSeverity.WARN)


def none_found(
    name: str,
    found: Sequence[Any],
    asset: str = "operations",
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
) -> dg.AssetCheckResult:
    """Return the result of a check whose statement names what should not be there."""
    rows = [{key: str(value) for key, value in row._asdict().items()} for row in found]
    count = sum(int(row.get("rows", 1)) for row in rows)
    return dg.AssetCheckResult(
        check_name=name,
        asset_key=asset,
        passed=not rows,
        severity=severity,
        description=f"{count} found" if rows else "none found",
        metadata={"found": count, "first": dg.MetadataValue.json(rows[:SHOWN])},
    )


def currency_known(store: Warehouse, run_ids: Sequence[int], asset: str = "operations") -> dg.AssetCheckResult:
    """Return the result of `currency_known`: a warning that names the currencies ISO 4217 does not have."""
    from iso4217 import Currency

    known = {currency.code for currency in Currency}
    met = {row.currency for row in store.query("checks/currencies", run_ids=run_ids)}
    unknown = sorted(met - known)
    return dg.AssetCheckResult(
        check_name="currency_known",
        asset_key=asset,
        passed=not unknown,
        severity=dg.AssetCheckSeverity.WARN,  # data, not an error
        description=f"not in ISO 4217: {', '.join(unknown)}" if unknown else "all are in ISO 4217",
        metadata={"met": len(met), "unknown": dg.MetadataValue.json(unknown)},
    )
