"""The assets of the streams: `operations`, `fraud` and `documents/NAME`, all made by one factory; and the backfill.

How one stream differs from another stands in `StreamAsset`; the work is in `pipelines.ingest`, the checks in `checks`.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from functools import partial
from typing import Any

import dagster as dg

from pipelines.assets import PLATFORM, as_dagster_failure, asset_spec, column_schema, table
from pipelines.checks import asset_checks, evaluations
from pipelines.ingest.documents import document_stream, sync_documents
from pipelines.ingest.engine import SyncReport, SyncRequest, sync
from pipelines.ingest.forecast import DayProgress, LogProgress, Progress
from pipelines.ingest.fraud import FRAUD, sync_fraud
from pipelines.ingest.operations import OPERATIONS
from pipelines.ingest.streams import Stream
from pipelines.jobs import BACKFILL, DAYS, jobs_of
from pipelines.resources import DataApiResource, WarehouseResource, data_api_from_env, warehouse_from_env
from resources.accounts import AccountScope
from resources.documents import DocumentsConfig
from resources.warehouse.engine import Warehouse
from resources.warehouse.ledger import ControlTotal, RowCounts

COUNTS = (*(item.name for item in fields(RowCounts)), "windows", "requests", "requests_in_flight")
REPORT_SECONDS = 30  # a load that takes longer shows in Dagster which days it has finished


@dataclass(frozen=True)
class StreamAsset:
    """A stream as Dagster shows it; statements are names of `sql/metadata.sql`."""

    declared: Stream
    path: tuple[str, ...]
    group: str
    description: str
    sync: Callable[..., SyncReport]
    preview: str  # a few rows of a run, without personal data
    day_figures: str | None = None  # figures of each day by currency; None: no time of a row is known
    is_counted: bool = False  # whether the rows of the whole table are counted
    deps: tuple[tuple[str, ...], ...] = (("operations",), PLATFORM)

    @property
    def is_partitioned(self) -> bool:
        """Whether it has days; else it is a snapshot of what the platform shows now."""
        return not self.declared.is_snapshot


class StreamConfig(dg.Config):
    """What a run loads beside its days, and how it takes a refusal."""

    project_ids: list[int] = []  # noqa: RUF012 - pydantic copies it; of operations; none: all that the token may see
    look_back: bool = False  # whether the stream's own look-back days are walked too
    refusal_is_failure: bool = False  # also where SYNC_FRAUD=auto tolerates it


def streams_of(scope: AccountScope) -> tuple[StreamAsset, ...]:
    """Return the streams of an account, with those of DOCUMENTS_FILE."""
    operations = StreamAsset(
        declared=OPERATIONS,
        path=("operations",),
        group="platform",
        description=(
            "Payment operations of the platform, one row an operation, as last observed (core.operations); "
            "a partition is a UTC day of latest actions."
        ),
        sync=lambda api, store, settings, request, days: sync(OPERATIONS, request, api, store, settings, days),
        preview="metadata/preview_operations",
        day_figures="metadata/day_figures",
        is_counted=True,
        deps=(PLATFORM,),
    )
    fraud = StreamAsset(
        declared=FRAUD,
        path=("fraud",),
        group="platform",
        description=(
            "Operations that payment systems reported as fraudulent, one row a report, as last observed "
            "(core.fraud_reports); a partition is a UTC day of receipt."
        ),
        sync=sync_fraud,
        preview="metadata/preview_fraud_reports",
        day_figures="metadata/fraud_day_figures",
    )
    return operations, fraud, *map(_documents, scope.settings.documents)


def _documents(config: DocumentsConfig) -> StreamAsset:
    days = "a partition is a UTC day" if config.interval_days else "a snapshot of what it shows now"
    return StreamAsset(
        declared=document_stream(config),
        path=("documents", config.name),
        group="documents",
        description=f"Documents of {config.endpoint}, as last observed (core.documents); {days}.",
        sync=partial(sync_documents, config),
        preview="metadata/preview_documents",
    )


def stream_assets(scope: AccountScope) -> list[dg.AssetsDefinition]:
    """Return an asset for each stream of an account."""
    return [_asset(stream, scope) for stream in streams_of(scope)]


def definitions_of_load(scope: AccountScope, name: str) -> dg.Definitions:
    """Return what loads the streams of this name by hand, and the backfill: a third of the time that all takes."""
    return dg.Definitions(
        assets=[_asset(stream, scope) for stream in streams_of(scope) if stream.path[0] == name],
        asset_checks=list(asset_checks(scope, name)),
        jobs=[backfill_job(scope), *(job for job in jobs_of(scope) if job.name == scope.job(f"load_{name}"))],
        resources={"data_api": data_api_from_env(), "warehouse": warehouse_from_env(), "progress": LogProgress()},
        executor=dg.in_process_executor,
    )


def _asset(stream: StreamAsset, scope: AccountScope) -> dg.AssetsDefinition:
    spec = asset_spec(
        scope,
        *stream.path,
        group=stream.group,
        description=stream.description,
        table=stream.declared.table,
        deps=stream.deps,
        partitions_def=DAYS if stream.is_partitioned else None,
        skippable=stream.declared.optional,
    )

    @dg.multi_asset(
        name=scope.op(*stream.path), specs=[spec], backfill_policy=BACKFILL if stream.is_partitioned else None
    )
    def load(
        context: dg.AssetExecutionContext,
        config: StreamConfig,
        data_api: DataApiResource,
        warehouse: WarehouseResource,
        progress: dg.ResourceParam[Progress],
    ) -> Iterator[dg.MaterializeResult[None]]:
        """Walk the days of the partition range, prove them complete, load what is new or changed."""
        request = _request(context, config, stream, scope)
        with as_dagster_failure():
            this = _Load(context, warehouse.warehouse(), stream, scope)
            with this.long_load_reporting_days(progress) as days:
                report = stream.sync(data_api.api(scope.account), this.store, scope.settings, request, days)
            if report.skipped:
                context.log.warning("%s is not loaded: %s", "/".join(stream.path), report.skipped)
                return
            metadata = this.run_metadata(report)
            if stream.is_partitioned:
                # of each day its own figures, and those of the run with the last: Dagster would write what a result
                # holds once for each day of the range
                keys = context.partition_keys
                for day, figures in this.day_figures(list(map(date.fromisoformat, keys))).items():
                    context.add_asset_metadata(figures, asset_key=spec.key, partition_key=day.isoformat())
                context.add_asset_metadata(metadata, asset_key=spec.key, partition_key=keys[-1])
                metadata = {}
            yield dg.MaterializeResult(asset_key=spec.key, metadata=metadata)

    return load


def _request(
    context: dg.AssetExecutionContext, config: StreamConfig, stream: StreamAsset, scope: AccountScope
) -> SyncRequest:
    if not stream.is_partitioned:
        today = datetime.now(UTC).date()
        return SyncRequest(today, today, (), context.run.run_id)
    keys = context.partition_keys
    first, last = date.fromisoformat(keys[0]), date.fromisoformat(keys[-1])
    if config.look_back:
        first = min(first, stream.declared.first_day_of_night(scope.settings, last))
    projects = tuple(config.project_ids)
    return SyncRequest(first, last, projects, context.run.run_id, refusal_is_failure=config.refusal_is_failure)


class BackfillConfig(dg.Config):
    """Which UTC days, both included, as YYYY-MM-DD; which projects (empty: every project that the token may see)."""

    first_day: str
    last_day: str
    project_ids: list[int] = []  # noqa: RUF012 - pydantic copies it


def backfill_job(scope: AccountScope) -> dg.JobDefinition:
    """Return the job `backfill_operations`: many days in one run, each day reported once, when it is finished.

    It is a job of an op and not of the asset, because Dagster writes an event for each partition of an asset's run
    before it begins and another at its end, and waits for the disk with each: a month of them takes seconds, and those
    of years more time than their operations. What the run did is an observation of the asset.
    """
    operations = streams_of(scope)[0]

    @dg.op(name=scope.op("backfill"), out={}, tags={"kind": "postgres"})
    def backfill(
        context: dg.OpExecutionContext,
        config: BackfillConfig,
        data_api: DataApiResource,
        warehouse: WarehouseResource,
        progress: dg.ResourceParam[Progress],
    ) -> Iterator[dg.AssetObservation | dg.AssetCheckEvaluation]:
        """Walk the days, prove them complete, load what is new or changed; report each finished day, then check."""
        request = SyncRequest(
            date.fromisoformat(config.first_day),
            date.fromisoformat(config.last_day),
            tuple(config.project_ids),
            context.run.run_id,
        )
        with as_dagster_failure():
            this = _Load(context, warehouse.warehouse(), operations, scope)
            days = this.reporting_days(progress)
            report = sync(OPERATIONS, request, data_api.api(scope.account), this.store, scope.settings, days)
            yield dg.AssetObservation(this.key, metadata=this.run_metadata(report))
            yield from evaluations(scope, *operations.path, store=this.store, dagster_run_id=context.run.run_id)

    @dg.job(name=scope.job("backfill_operations"), description="Load many days of operations in one run.")
    def backfill_operations() -> None:
        """Do it in one step."""
        backfill()

    return backfill_operations


@dataclass(frozen=True)
class _Load:
    """What a run of Dagster that loads a stream tells of it: the days that are finished, figures of days and run."""

    context: dg.AssetExecutionContext | dg.OpExecutionContext
    store: Warehouse
    stream: StreamAsset
    scope: AccountScope

    @property
    def key(self) -> dg.AssetKey:
        """The asset's key."""
        return dg.AssetKey(self.scope.key(*self.stream.path))

    @contextmanager
    def long_load_reporting_days(self, progress: Progress) -> Iterator[Progress]:
        """Yield a progress that reports finished days: while a load is long, and when it is stopped or fails.

        The result of a load that succeeds reports every day, so that a short one reports each day once.
        """
        if not self.stream.is_partitioned:
            yield progress
            return
        keys = set(self.context.partition_keys)
        finished: list[date] = []
        reported_at = time.monotonic()

        def report(days: Sequence[date], after: float = REPORT_SECONDS) -> None:
            nonlocal reported_at
            finished.extend(days)
            if time.monotonic() - reported_at >= after:
                self.report_days([day for day in finished if day.isoformat() in keys])
                finished.clear()
                reported_at = time.monotonic()

        try:
            yield DayProgress(progress, finished.extend, report)
        except BaseException:
            report([], after=0)
            raise

    def reporting_days(self, progress: Progress) -> DayProgress:
        """Return a progress that reports each day when it is finished; of an earlier run's, only what Dagster lacks."""

        def report_missing(days: Sequence[date]) -> None:
            known = self.context.instance.get_materialized_partitions(self.key)
            self.report_days([day for day in days if day.isoformat() not in known])

        return DayProgress(progress, report_missing, self.report_days)

    def report_days(self, days: Sequence[date]) -> None:
        """Report that days are complete, each with its figures."""
        figures = self.day_figures(days)
        for day in days:
            metadata = {**figures.get(day, {}), "verdict": "complete"}
            self.context.log_event(dg.AssetMaterialization(self.key, partition=day.isoformat(), metadata=metadata))

    def day_figures(self, days: Sequence[date]) -> dict[date, dict[str, Any]]:
        """Return the metadata of each day: how many rows are stored, what of them the run wrote, their sums."""
        if self.stream.day_figures is None or not days:
            return {}
        rows: dict[date, list[Any]] = {day: [] for day in days}
        found = self.store.query(
            self.stream.day_figures,
            account=self.scope.account,
            dagster_run_id=self.context.run.run_id,
            first=datetime.combine(min(days), clock.min, UTC),
            after=datetime.combine(max(days) + timedelta(days=1), clock.min, UTC),
        )
        for row in found:
            rows[row.day].append(row)
        return {
            day: {
                "dagster/partition_row_count": dg.MetadataValue.int(sum(row.row_count for row in of_day)),
                "rows_new": sum(row.new for row in of_day),
                "rows_changed": sum(row.changed for row in of_day),
                # as text: JavaScript would round large sums
                "minor_units": {row.currency or "none": str(row.minor) for row in of_day},
            }
            for day, of_day in rows.items()
        }

    def run_metadata(self, report: SyncReport) -> dict[str, dg.MetadataValue | dg.TableSchema]:
        """Return what the run walked, its counts, a preview, its control totals, the columns of the table."""
        written = self.store.query(self.stream.preview, run_id=report.run_id)
        found: dict[str, dg.MetadataValue | dg.TableSchema] = {
            "walked": dg.MetadataValue.text(str(report.window)),
            **{f"run_{name}": dg.MetadataValue.int(getattr(report, name)) for name in COUNTS},
            "sync_run_id": dg.MetadataValue.int(report.run_id),
            "preview": _preview(written) if written else dg.MetadataValue.text("this run changed nothing"),
            **column_schema(self.store, self.stream.declared.table),
        }
        if self.stream.day_figures:
            found["control_totals"] = _totals_table(sorted(report.totals, key=str))
        if self.stream.is_counted:
            (row,) = self.store.query("metadata/count_operations", account=self.scope.account)
            found["dagster/row_count"] = dg.MetadataValue.int(row.row_count)
            # first seen minus completed, of the operations that are new in this run
            lateness = self.store.query("metadata/lateness_of_run", run_id=report.run_id)
            found["lateness"] = table(lateness, lateness="string", operations="int")
        return found


def _preview(rows: Sequence[Any]) -> dg.MetadataValue:
    return table((map(str, row) for row in rows), **dict.fromkeys(rows[0]._fields, "string"))


def _totals_table(totals: Sequence[ControlTotal]) -> dg.MetadataValue:
    """Return control totals as a table: count and Σ minor units for each currency, type and status."""
    rows = []
    for total in totals:
        minor = "—" if total.minor is None else str(total.minor)  # a table of the UI would round large integers
        rows.append((total.currency or "—", total.type or "—", total.status or "—", total.count, minor))
    return table(rows, currency="string", type="string", status="string", count="int", minor_units="string")
