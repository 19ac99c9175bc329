"""The job `backfill_operations`: years of days in one run, each day told to Dagster once, when it is finished.

It is a job of an op and not of the asset, because Dagster writes an event for each partition of an asset's run
before it begins and another at its end: for thousands of days that costs more than their operations.
"""

from datetime import date

import dagster as dg

from pipelines.accounts import Owner
from pipelines.assets.days import as_they_finish
from pipelines.assets.failures import told_in_one_line
from pipelines.ingest.engine import SyncRequest, sync
from pipelines.ingest.progress import Progress
from pipelines.ingest.streams import OPERATIONS
from pipelines.resources import DataApiResource, WarehouseResource


class BackfillConfig(dg.Config):
    """Which UTC days, both included, as YYYY-MM-DD; which projects (empty: every project that the token may see)."""

    first_day: str
    last_day: str
    project_ids: list[int] = []  # noqa: RUF012 - pydantic copies it


def backfill_job_of(owner: Owner) -> dg.JobDefinition:
    """Return the account's job."""

    @dg.op(name=owner.op("backfill"), tags={"kind": "postgres"})
    def backfill(
        context: dg.OpExecutionContext,
        config: BackfillConfig,
        data_api: DataApiResource,
        warehouse: WarehouseResource,
        progress: dg.ResourceParam[Progress],
    ) -> None:
        """Walk the days, prove them complete, load what is new or changed, and tell of each finished day."""
        request = SyncRequest(
            date.fromisoformat(config.first_day),
            date.fromisoformat(config.last_day),
            tuple(config.project_ids),
            context.run_id,
        )
        with told_in_one_line():
            store = warehouse.warehouse()
            sync(
                OPERATIONS,
                request,
                data_api.api(owner.account),
                store,
                owner.settings,
                as_they_finish(context, store, owner, progress),
            )

    @dg.job(name=owner.job("backfill_operations"), description="Load years of days of operations in one run.")
    def backfill_operations() -> None:
        """Do it in one step."""
        backfill()

    return backfill_operations
