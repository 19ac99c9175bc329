"""Asset checks: what must hold in the store after a load. The same facts are also checked before each commit."""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from pipelines.accounts import Owner
from pipelines.resources import WarehouseResource
from resources.currencies import iso_codes
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


def operations_checks(owner: Owner) -> dg.AssetChecksDefinition:
    """Return the checks of the account's operations."""
    key = dg.AssetKey(owner.key("operations"))

    @dg.multi_asset_check(
        name=owner.op("operations_checks"),
        specs=[
            dg.AssetCheckSpec(name, asset=key, description=description)
            for name, description in OPERATIONS_CHECKS.items()
        ],
    )
    def checks(context: dg.AssetCheckExecutionContext, warehouse: WarehouseResource) -> Iterator[dg.AssetCheckResult]:
        """Check what this Dagster run loaded, or the last load when it loaded nothing."""
        store = warehouse.warehouse()
        run_ids = runs_to_check(store, owner, "operations", _checked_run(context))
        for name in ("keys_unique", "totals_equal_ledger", "windows_complete", "no_rejects"):
            yield none_found(name, store.query(f"checks/{name}", run_ids=run_ids), key)
        yield currency_known(store, run_ids, key)

    return checks


def runs_to_check(store: Warehouse, owner: Owner, stream: str, dagster_run_id: str) -> list[int]:
    """Return the account's runs of a stream that a Dagster run made; without any, the last one."""
    found = store.query("checks/runs_of_stream", stream=stream, account=owner.account, dagster_run_id=dagster_run_id)
    return [row.run_id for row in found]


def _checked_run(context: dg.AssetCheckExecutionContext) -> str:
    return context.run.tags.get(CHECKED_RUN, context.run.run_id)


def balances_no_rejects(owner: Owner) -> dg.AssetChecksDefinition:
    """Return the check of the account's balances."""
    key = dg.AssetKey(owner.key("balances"))

    @dg.asset_check(asset=key, name="no_rejects", description="Every balance could be typed.")
    def no_rejects(context: dg.AssetCheckExecutionContext, warehouse: WarehouseResource) -> dg.AssetCheckResult:
        """Check the snapshot of this Dagster run, or the last one."""
        store = warehouse.warehouse()
        run_ids = runs_to_check(store, owner, "balances", context.run.run_id)
        return none_found("no_rejects", store.query("checks/no_rejects", run_ids=run_ids), key)

    return no_rejects


def reconciliation_checks(owner: Owner) -> dg.AssetChecksDefinition:
    """Return the checks of the account's reconciliation."""
    key = dg.AssetKey(owner.key("reconciliation"))

    @dg.multi_asset_check(
        name=owner.op("reconciliation_checks"),
        specs=[
            dg.AssetCheckSpec(
                "complete", asset=key, description="The last fresh walk of every day found the store complete."
            ),
            dg.AssetCheckSpec("no_open_breaks", asset=key, description="No break is open, of whatever day."),
        ],
    )
    def checks(warehouse: WarehouseResource) -> Iterator[dg.AssetCheckResult]:
        """Check all days that were reconciled; an open break is for people, so it warns."""
        store = warehouse.warehouse()
        yield none_found("complete", store.query("checks/recon_complete", account=owner.account), key)
        found = store.query("checks/recon_open_breaks", account=owner.account)
        yield none_found("no_open_breaks", found, key, dg.AssetCheckSeverity.WARN)

    return checks


def none_found(
    name: str,
    found: Sequence[Any],
    asset: dg.AssetKey,
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


def currency_known(store: Warehouse, run_ids: Sequence[int], asset: dg.AssetKey) -> dg.AssetCheckResult:
    """Return the result of `currency_known`: a warning that names the currencies ISO 4217 does not have."""
    met = {row.currency for row in store.query("checks/currencies", run_ids=run_ids)}
    unknown = sorted(met - iso_codes())
    return dg.AssetCheckResult(
        check_name="currency_known",
        asset_key=asset,
        passed=not unknown,
        severity=dg.AssetCheckSeverity.WARN,  # data, not an error
        description=f"not in ISO 4217: {', '.join(unknown)}" if unknown else "all are in ISO 4217",
        metadata={"met": len(met), "unknown": dg.MetadataValue.json(unknown)},
    )
