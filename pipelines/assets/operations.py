"""The asset `operations`: days of the platform's operations in core.operations; the work is in `pipelines.ingest`."""

from collections.abc import Iterator
from datetime import date

import dagster as dg

from pipelines.accounts import Owner
from pipelines.assets.days import finished_days_told
from pipelines.assets.failures import told_in_one_line
from pipelines.assets.metadata import of_report, totals_table
from pipelines.ingest.engine import SyncReport, SyncRequest, sync
from pipelines.ingest.progress import Progress
from pipelines.ingest.streams import OPERATIONS
from pipelines.partitions import BACKFILL, DAYS
from pipelines.resources import DataApiResource, WarehouseResource
from resources.warehouse.engine import Warehouse


class OperationsConfig(dg.Config):
    """Which projects; empty: every project that the token may see."""

    project_ids: list[int] = []  # noqa: RUF012 - pydantic copies it


def operations_of(owner: Owner) -> dg.AssetsDefinition:
    """Return the account's asset."""
    key = dg.AssetKey(owner.key("operations"))

    @dg.multi_asset(
        name=owner.op("operations"),
        specs=[
            dg.AssetSpec(
                key,
                partitions_def=DAYS,
                group_name=owner.group("platform"),
                kinds={"postgres"},
                description=(
                    "Payment operations of the platform, one row an operation, as last observed "
                    "(core.operations); a partition is a UTC day of latest actions."
                ),
                metadata={"dagster/table_name": "core.operations"},
            )
        ],
        backfill_policy=BACKFILL,
    )
    def operations(
        context: dg.AssetExecutionContext,
        config: OperationsConfig,
        data_api: DataApiResource,
        warehouse: WarehouseResource,
        progress: dg.ResourceParam[Progress],
    ) -> Iterator[dg.MaterializeResult[None]]:
        """Walk the days of the partition range, prove them complete, load what is new or changed."""
        keys = context.partition_keys
        request = SyncRequest(
            date.fromisoformat(keys[0]), date.fromisoformat(keys[-1]), tuple(config.project_ids), context.run_id
        )
        with told_in_one_line():
            store = warehouse.warehouse()
            with finished_days_told(context, store, owner, progress) as days:
                report = sync(OPERATIONS, request, data_api.api(owner.account), store, owner.settings, days)
            # on the last day only: Dagster writes the metadata of a result once for each day of the range
            context.add_asset_metadata(_metadata(report, store, owner.account), asset_key=key, partition_key=keys[-1])
            yield dg.MaterializeResult(asset_key=key)

    return operations


def _metadata(report: SyncReport, store: Warehouse, account: str) -> dict[str, dg.MetadataValue]:
    return {
        "dagster/row_count": dg.MetadataValue.int(_stored(store, account)),
        "dagster/partition_row_count": dg.MetadataValue.int(report.rows_met - report.rows_rejected),
        **of_report(report, store.query("metadata/preview_operations", run_id=report.run_id)),
        "control_totals": totals_table(sorted(report.totals.values(), key=str)),
        "lateness": _lateness(store, report.run_id),
    }


def _lateness(store: Warehouse, run_id: int) -> dg.MetadataValue:
    """Return first seen minus completed, of the operations that this run met first, as a histogram."""
    rows = store.query("metadata/lateness_of_run", run_id=run_id)
    records = [dg.TableRecord({"lateness": row.lateness, "operations": row.operations}) for row in rows]
    columns = [dg.TableColumn("lateness"), dg.TableColumn("operations", "int")]
    return dg.MetadataValue.table(records, schema=dg.TableSchema(columns))


def _stored(store: Warehouse, account: str) -> int:
    (row,) = store.query("metadata/count_operations", account=account)
    return int(row.row_count)
