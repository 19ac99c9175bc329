"""The assets `documents/NAME`, one a table of DOCUMENTS_FILE, each with its check; work: pipelines.ingest."""

from collections.abc import Iterator
from datetime import UTC, date, datetime

import dagster as dg

from pipelines.accounts import Owner
from pipelines.assets.failures import told_in_one_line
from pipelines.assets.metadata import of_report
from pipelines.checks import none_found
from pipelines.ingest.documents import document_stream, sync_documents
from pipelines.ingest.engine import OperationsRequest, SyncReport
from pipelines.ingest.progress import LogProgress, Progress
from pipelines.jobs import documents_job
from pipelines.partitions import BACKFILL, DAYS
from pipelines.resources import DataApiResource, WarehouseResource, data_api_from_env, warehouse_from_env
from resources.documents_file import DocumentsConfig
from resources.warehouse.engine import Warehouse

CHECKS = {
    "no_rejects": "Every document could be stored; the others wait in core.rejects with their reason.",
    "windows_complete": "Every window of the run was shown complete.",
    "totals_equal_ledger": "What each walk wrote is in the store, by count, as the ledger says.",
    "documents_keys_tell": "No two windows of the run brought different documents under one key.",
}
WARNINGS = {"documents_keys_tell"}  # a document may have changed between two windows


class LookBack(dg.Config):
    """Whether the stream's own look-back days before the first day are walked too, as every night does."""

    look_back: bool = False


def document_assets(owner: Owner) -> list[dg.AssetsDefinition]:
    """Return an asset for each configured stream of an account; none without DOCUMENTS_FILE."""
    return [_asset(config, owner) for config in owner.settings.documents]


def documents_definitions(owner: Owner) -> dg.Definitions:
    """Return the job over some streams only, since a job's part cannot be run with a progress of the command's own."""
    return dg.Definitions(
        assets=document_assets(owner),
        jobs=[documents_job(owner)],
        resources={"data_api": data_api_from_env(), "warehouse": warehouse_from_env(), "progress": LogProgress()},
        executor=dg.in_process_executor,
    )


def op_name(owner: Owner, config: DocumentsConfig) -> str:
    """Return the name of the step that loads a stream."""
    return owner.op(f"documents__{config.name}")


def _asset(stream: DocumentsConfig, owner: Owner) -> dg.AssetsDefinition:
    key = dg.AssetKey(owner.key("documents", stream.name))
    days = "a partition is a UTC day" if stream.interval_days else "a snapshot of what it shows now"

    @dg.multi_asset(
        name=op_name(owner, stream),
        specs=[
            dg.AssetSpec(
                key,
                partitions_def=DAYS if stream.interval_days else None,
                group_name=owner.group("documents"),
                kinds={"postgres"},
                description=f"Documents of {stream.endpoint}, as last observed (core.documents); {days}.",
                metadata={"dagster/table_name": "core.documents"},
            )
        ],
        check_specs=[dg.AssetCheckSpec(name, asset=key, description=text) for name, text in CHECKS.items()],
        backfill_policy=BACKFILL if stream.interval_days else None,
    )
    def documents(
        context: dg.AssetExecutionContext,
        config: LookBack,
        data_api: DataApiResource,
        warehouse: WarehouseResource,
        progress: dg.ResourceParam[Progress],
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        request = _request(context, stream, owner, look_back=config.look_back)
        with told_in_one_line():
            store = warehouse.warehouse()
            report = sync_documents(stream, data_api.api(owner.account), store, owner.settings, request, progress)
            if stream.interval_days:
                context.add_asset_metadata(
                    _metadata(report, store), asset_key=key, partition_key=context.partition_keys[-1]
                )
                yield dg.MaterializeResult(asset_key=key)
            else:
                yield dg.MaterializeResult(asset_key=key, metadata=_metadata(report, store))
            for name in CHECKS:
                severity = dg.AssetCheckSeverity.WARN if name in WARNINGS else dg.AssetCheckSeverity.ERROR
                found = store.query(f"checks/{name}", run_ids=[report.run_id])
                yield none_found(name, found, key, severity)

    return documents


def _request(
    context: dg.AssetExecutionContext, stream: DocumentsConfig, owner: Owner, *, look_back: bool
) -> OperationsRequest:
    if stream.interval_days is None:
        today = datetime.now(UTC).date()
        return OperationsRequest(today, today, (), context.run_id)
    keys = context.partition_keys
    first, last = date.fromisoformat(keys[0]), date.fromisoformat(keys[-1])
    if look_back or context.run.job_name == owner.job("nightly"):
        first = min(first, document_stream(stream).first_day_of_night(owner.settings, last))
    return OperationsRequest(first, last, (), context.run_id)


def _metadata(report: SyncReport, store: Warehouse) -> dict[str, dg.MetadataValue]:
    return of_report(report, store.query("metadata/preview_documents", run_id=report.run_id), "document")
