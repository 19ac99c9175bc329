"""The asset `balances`: snapshots of the OUT balances in core.balance_snapshots."""

import dagster as dg

from pipelines.accounts import Owner
from pipelines.assets.failures import told_in_one_line
from pipelines.ingest.balances import BalancesReport, sync_balances
from pipelines.resources import DataApiResource, WarehouseResource


def balances_of(owner: Owner) -> dg.AssetsDefinition:
    """Return the account's asset."""

    @dg.asset(
        key=owner.key("balances"),
        group_name=owner.group("platform"),
        kinds={"postgres"},
        metadata={"dagster/table_name": "core.balance_snapshots"},
    )
    def balances(
        context: dg.AssetExecutionContext, data_api: DataApiResource, warehouse: WarehouseResource
    ) -> dg.MaterializeResult[None]:
        """Current state of the OUT balances, one row a balance and currency, in minor units."""
        with told_in_one_line():
            report = sync_balances(data_api.api(owner.account), warehouse.warehouse(), owner.account, context.run_id)
            return dg.MaterializeResult(metadata=_metadata(report))

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
