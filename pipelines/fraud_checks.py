"""Asset checks of reports of fraud: the engine's own facts, and that the reports fit the operations."""

from collections.abc import Iterator

import dagster as dg

from pipelines.accounts import Owner
from pipelines.checks import currency_known, none_found, runs_to_check
from pipelines.resources import WarehouseResource

SHARED = {
    "totals_equal_ledger": "What each walk wrote is in the store, by count and Σ minor units, as the ledger says.",
    "windows_complete": "Every window of the run was shown complete.",
    "no_rejects": "Every report could be typed; the others wait in core.rejects with their reason.",
}
OWN = {
    "units_agree": "tr_amount in minor units is the operation's amount in the same currency, initial or converted.",
    "operation_known": "Every report is about an operation of the store; load the days of the others.",
    "received_in_window": "Every report was received in the interval asked for: the platform counts in UTC here.",
}
WARNINGS = {"operation_known", "received_in_window"}  # facts of the data, or of what was loaded so far


def fraud_checks(owner: Owner) -> dg.AssetChecksDefinition:
    """Return the checks of the account's reports of fraud."""
    key = dg.AssetKey(owner.key("fraud"))

    @dg.multi_asset_check(
        name=owner.op("fraud_checks"),
        specs=[
            *(dg.AssetCheckSpec(name, asset=key, description=text) for name, text in {**SHARED, **OWN}.items()),
            dg.AssetCheckSpec("currency_known", asset=key, description="Every currency is in ISO 4217."),
        ],
    )
    def checks(context: dg.AssetCheckExecutionContext, warehouse: WarehouseResource) -> Iterator[dg.AssetCheckResult]:
        """Check what this Dagster run loaded, or the last load when it loaded nothing."""
        store = warehouse.warehouse()
        run_ids = runs_to_check(store, owner, "fraud", context.run.run_id)
        for name in SHARED:
            yield none_found(name, store.query(f"checks/{name}", run_ids=run_ids), key)
        for name in OWN:
            severity = dg.AssetCheckSeverity.WARN if name in WARNINGS else dg.AssetCheckSeverity.ERROR
            yield none_found(name, store.query(f"checks/fraud_{name}", run_ids=run_ids), key, severity)
        yield currency_known(store, run_ids, key)

    return checks
