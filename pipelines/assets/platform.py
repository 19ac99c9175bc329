"""The assets that hold the store against the platform beside the streams: `balances`, `spot_check`, `raw_pages`.

Those of the streams are in `streams`; the work is in `pipelines.ingest.balances`, `pipelines.audit.spot_check` and
`resources.warehouse.ledger`.
"""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg

from pipelines.assets import PLATFORM, as_dagster_failure, asset_spec, fresh_within, materialized, table
from pipelines.audit.spot_check import spot_check as check_payments
from pipelines.checks import SHOWN
from pipelines.ingest.balances import BalancesReport, sync_balances
from pipelines.resources import DataApiResource, WarehouseResource
from resources.accounts import AccountScope
from resources.warehouse.ledger import delete_old_pages


def balances_asset(scope: AccountScope) -> dg.AssetsDefinition:
    """Return the account's asset."""
    spec = asset_spec(
        scope,
        "balances",
        group="platform",
        description="Current state of the OUT balances, one row a balance and currency, in minor units.",
        table="core.balance_snapshots",
        deps=[PLATFORM],
        freshness_policy=fresh_within(scope, scope.settings.balances_cron, timedelta(hours=2)),
    )

    @dg.multi_asset(name=scope.op("balances"), specs=[spec])
    def balances(
        context: dg.AssetExecutionContext, data_api: DataApiResource, warehouse: WarehouseResource
    ) -> dg.MaterializeResult[None]:
        """Take a snapshot."""
        with as_dagster_failure():
            store = warehouse.warehouse()
            report = sync_balances(data_api.api(scope.account), store, scope.account, context.run.run_id)
            return materialized(spec, store, **_balances_metadata(report))

    return balances


def _balances_metadata(report: BalancesReport) -> dict[str, Any]:
    balances = [(item.name, item.currency, str(item.amount_minor)) for item in report.balances]
    sums = Counter[str]()
    for item in report.balances:
        sums[item.currency] += item.amount_minor
    totals = [(currency, str(minor)) for currency, minor in sorted(sums.items())]
    return {
        "captured_at": dg.MetadataValue.timestamp(report.captured_at),
        "balances": len(report.balances),
        "rejected": len(report.rejects),
        "sync_run_id": report.run_id,
        "control_totals": table(totals, currency="string", minor_units="string"),
        "preview": table(balances, balance="string", currency="string", minor_units="string"),
    }


class SpotCheckConfig(dg.Config):
    """How many payments to ask for (none: SYNC_SPOT_CHECK_SAMPLE), drawn for which UTC day (none: yesterday)."""

    sample: int | None = None
    day: str = ""


def spot_check_asset(scope: AccountScope) -> dg.AssetsDefinition:
    """Return the account's asset."""
    spec = asset_spec(
        scope,
        "spot_check",
        group="platform",
        description="A sample of payments, drawn anew for each day, asked for by id and compared with the store.",
        table="sync.spot_checks",
        deps=[("operations",), PLATFORM],
    )

    @dg.multi_asset(name=scope.op("spot_check"), specs=[spec])
    def spot_check(
        context: dg.AssetExecutionContext,
        config: SpotCheckConfig,
        data_api: DataApiResource,
        warehouse: WarehouseResource,
    ) -> dg.MaterializeResult[None]:
        """Ask for the payments and compare them."""
        yesterday = datetime.now(UTC).date() - timedelta(days=1)
        day = date.fromisoformat(config.day) if config.day else yesterday
        with as_dagster_failure():
            store, api = warehouse.warehouse(), data_api.api(scope.account)
            report = check_payments(api, store, scope.settings, day, config.sample, context.run.run_id)
            outcomes = ("equal", "changed since", "not loaded", "different")
            return materialized(
                spec,
                store,
                payments=report.payments,
                **{outcome.replace(" ", "_"): len(report.of(outcome)) for outcome in outcomes},
                first=[str(item) for item in report.of("different")[:SHOWN]],
                sync_run_id=report.run_id,
            )

    return spot_check


def raw_pages_asset(scope: AccountScope) -> dg.AssetsDefinition:
    """Return the account's asset."""
    spec = asset_spec(
        scope,
        "raw_pages",
        group="platform",
        description="Answers as the platform signed them, kept SYNC_RAW_DAYS (0: for ever); the ledger keeps digests.",
        table="raw.pages",
        deps=[("operations",)],
    )

    @dg.multi_asset(name=scope.op("raw_pages"), specs=[spec])
    def raw_pages(warehouse: WarehouseResource) -> dg.MaterializeResult[None]:
        """Delete the pages that are older."""
        with as_dagster_failure():
            store = warehouse.warehouse()
            deleted = delete_old_pages(store, scope.account, scope.settings.raw_days)
            before = f"{deleted.received_before:%Y-%m-%d %H:%M:%S} UTC" if deleted.received_before else "never"
            return materialized(spec, store, deleted=deleted.pages, received_before=before)

    return raw_pages
