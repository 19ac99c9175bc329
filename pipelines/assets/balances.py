"""The asset `balances`: snapshots of the OUT balances in core.balance_snapshots."""

from datetime import timedelta

import dagster as dg

from pipelines.accounts import AccountScope
from pipelines.assets import PLATFORM, as_dagster_failure, asset_spec, column_schema, fresh_within
from pipelines.ingest.balances import BalancesReport, sync_balances
from pipelines.resources import DataApiResource, WarehouseResource


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
            return dg.MaterializeResult(
                asset_key=spec.key, metadata={**_metadata(report), **column_schema(store, "core.balance_snapshots")}
            )

    return balances


def _metadata(report: BalancesReport) -> dict[str, dg.MetadataValue]:
    records = [
        dg.TableRecord({"balance": item.name, "currency": item.currency, "minor_units": str(item.amount_minor)})
        for item in report.balances
    ]
    columns = [dg.TableColumn("balance"), dg.TableColumn("currency"), dg.TableColumn("minor_units")]
    totals: dict[str, int] = {}
    for item in report.balances:
        totals[item.currency] = totals.get(item.currency, 0) + item.amount_minor
    total_records = [dg.TableRecord({"currency": key, "minor_units": str(totals[key])}) for key in sorted(totals)]
    return {
        "captured_at": dg.MetadataValue.timestamp(report.captured_at),
        "balances": dg.MetadataValue.int(len(report.balances)),
        "rejected": dg.MetadataValue.int(len(report.rejects)),
        "sync_run_id": dg.MetadataValue.int(report.run_id),
        "control_totals": dg.MetadataValue.table(total_records, schema=dg.TableSchema(columns[1:])),
        "preview": dg.MetadataValue.table(records, schema=dg.TableSchema(columns)),
    }
