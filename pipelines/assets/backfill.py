"""The job `backfill_operations`: years of days in one run, each day reported to Dagster once, when it is finished.

It is a job of an op and not of the asset, because Dagster writes an event for each partition of an asset's run
before it begins and another at its end: for thousands of days that costs more than their operations.
"""

from collections.abc import Sequence
from datetime import date

import dagster as dg

from pipelines.accounts import AccountScope
from pipelines.assets import as_dagster_failure
from pipelines.assets.streams import day_materializations
from pipelines.ingest.engine import SyncRequest, sync
from pipelines.ingest.operations import OPERATIONS
from pipelines.ingest.progress import DayProgress, Progress
from pipelines.resources import DataApiResource, WarehouseResource
from resources.warehouse.engine import Warehouse


class BackfillConfig(dg.Config):
    """Which UTC days, both included, as YYYY-MM-DD; which projects (empty: every project that the token may see)."""

    first_day: str
    last_day: str
    project_ids: list[int] = []  # noqa: RUF012 - pydantic copies it


def backfill_job(scope: AccountScope) -> dg.JobDefinition:
    """Return the account's job."""

    @dg.op(name=scope.op("backfill"), tags={"kind": "postgres"})
    def backfill(
        context: dg.OpExecutionContext,
        config: BackfillConfig,
        data_api: DataApiResource,
        warehouse: WarehouseResource,
        progress: dg.ResourceParam[Progress],
    ) -> None:
        """Walk the days, prove them complete, load what is new or changed, and report each finished day."""
        request = SyncRequest(
            date.fromisoformat(config.first_day),
            date.fromisoformat(config.last_day),
            tuple(config.project_ids),
            context.run.run_id,
        )
        with as_dagster_failure():
            store = warehouse.warehouse()
            sync(
                OPERATIONS,
                request,
                data_api.api(scope.account),
                store,
                scope.settings,
                _reporting_days(context, store, scope, progress),
            )

    @dg.job(name=scope.job("backfill_operations"), description="Load years of days of operations in one run.")
    def backfill_operations() -> None:
        """Do it in one step."""
        backfill()

    return backfill_operations


def _reporting_days(
    context: dg.OpExecutionContext, store: Warehouse, scope: AccountScope, progress: Progress
) -> DayProgress:
    """Return a progress that reports each day when it is finished; of an earlier run's, only what Dagster lacks."""

    def report(days: Sequence[date]) -> None:
        for materialization in day_materializations(store, scope, context.run.run_id, days):
            context.log_event(materialization)

    def report_missing(days: Sequence[date]) -> None:
        known = context.instance.get_materialized_partitions(dg.AssetKey(scope.key("operations")))
        if missing := [day for day in days if day.isoformat() not in known]:
            report(missing)

    return DayProgress(progress, report_missing, report)
