"""The asset `fraud`: days of reports of fraud in core.fraud_reports; the work is in `pipelines.ingest.fraud`."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import dagster as dg

from pipelines.accounts import Owner
from pipelines.assets.failures import told_in_one_line
from pipelines.assets.metadata import of_report, totals_table
from pipelines.ingest.engine import OperationsRequest, SyncReport
from pipelines.ingest.fraud import FRAUD, Skipped, sync_fraud
from pipelines.ingest.progress import Progress
from pipelines.partitions import BACKFILL, DAYS
from pipelines.resources import DataApiResource, WarehouseResource
from resources.warehouse.engine import Warehouse


class FraudConfig(dg.Config):
    """Whether a refusal for want of a role ends the run, whatever SYNC_FRAUD says."""

    refusal_is_failure: bool = False


def fraud_of(owner: Owner) -> dg.AssetsDefinition:
    """Return the account's asset."""
    key = dg.AssetKey(owner.key("fraud"))

    @dg.multi_asset(
        name=owner.op("fraud"),
        specs=[
            dg.AssetSpec(
                key,
                partitions_def=DAYS,
                group_name=owner.group("platform"),
                kinds={"postgres"},
                description=(
                    "Operations that payment systems reported as fraudulent, one row a report, as last observed "
                    "(core.fraud_reports); a partition is a UTC day of receipt."
                ),
                metadata={"dagster/table_name": "core.fraud_reports"},
                skippable=True,  # most tokens have no right to see them
            )
        ],
        backfill_policy=BACKFILL,
    )
    def fraud(
        context: dg.AssetExecutionContext,
        config: FraudConfig,
        data_api: DataApiResource,
        warehouse: WarehouseResource,
        progress: dg.ResourceParam[Progress],
    ) -> Iterator[dg.MaterializeResult[None]]:
        """Walk the days of the partition range, a night also its own look-back, as the asset `operations` does."""
        keys = context.partition_keys
        first, last = date.fromisoformat(keys[0]), date.fromisoformat(keys[-1])
        settings = replace(owner.settings, fraud="on") if config.refusal_is_failure else owner.settings
        if context.run.job_name == owner.job("nightly"):
            first = min(first, FRAUD.first_day_of_night(settings, last))
        with told_in_one_line():
            store = warehouse.warehouse()
            outcome = sync_fraud(
                data_api.api(owner.account),
                store,
                settings,
                OperationsRequest(first, last, (), context.run_id),
                progress,
            )
            if isinstance(outcome, Skipped):
                context.log.warning("reports of fraud were not loaded: %s", outcome.reason)
                return
            context.add_asset_metadata(_metadata(outcome, store), asset_key=key, partition_key=keys[-1])
            yield dg.MaterializeResult(asset_key=key)

    return fraud


def _metadata(report: SyncReport, store: Warehouse) -> dict[str, dg.MetadataValue]:
    return {
        **of_report(report, store.query("metadata/preview_fraud_reports", run_id=report.run_id)),
        "control_totals": totals_table(sorted(report.totals.values(), key=str)),
    }
