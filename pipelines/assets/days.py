"""Finished days as Dagster sees them: a materialization for each UTC day that a load made whole; no loading here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import dagster as dg

from pipelines.accounts import Owner
from pipelines.ingest.progress import DayProgress, Progress
from resources.warehouse.engine import Warehouse


def materializations(
    store: Warehouse, owner: Owner, dagster_run_id: str, days: Sequence[date]
) -> Iterator[dg.AssetMaterialization]:
    """Yield a materialization of each of `days`, with what the store holds of operations completed on it."""
    figures: dict[date, list[Any]] = {}
    for row in store.query(
        "metadata/day_figures",
        account=owner.account,
        dagster_run_id=dagster_run_id,
        first=datetime.combine(min(days), time.min, UTC),
        after=datetime.combine(max(days) + timedelta(days=1), time.min, UTC),
    ):
        figures.setdefault(row.day, []).append(row)
    for day in days:
        yield dg.AssetMaterialization(_key(owner), partition=day.isoformat(), metadata=_metadata(figures.get(day, [])))


def _key(owner: Owner) -> dg.AssetKey:
    return dg.AssetKey(owner.key("operations"))


def _metadata(rows: Sequence[Any]) -> dict[str, Any]:
    return {
        "dagster/partition_row_count": dg.MetadataValue.int(sum(row.row_count for row in rows)),
        "rows_new": sum(row.new for row in rows),
        "rows_changed": sum(row.changed for row in rows),
        "verdict": "complete",
        # as text: JavaScript would round large sums
        "minor_units": {row.currency or "none": str(row.minor) for row in rows},
    }


@contextmanager
def finished_days_told(
    context: dg.AssetExecutionContext, store: Warehouse, owner: Owner, progress: Progress
) -> Iterator[DayProgress]:
    """Yield a progress; when the load is stopped or fails, the days that were finished are told all the same.

    A load that succeeds is told by its result, once for each day.
    """
    finished: list[date] = []
    try:
        yield DayProgress(progress, finished.extend, finished.extend)
    except BaseException:
        if finished:
            for materialization in materializations(store, owner, context.run_id, finished):
                context.log_event(materialization)
        raise


def as_they_finish(context: dg.OpExecutionContext, store: Warehouse, owner: Owner, progress: Progress) -> DayProgress:
    """Return a progress that tells of each day when it is finished; of an earlier run's, only what Dagster lacks."""

    def tell(days: Sequence[date]) -> None:
        for materialization in materializations(store, owner, context.run_id, days):
            context.log_event(materialization)

    def tell_missing(days: Sequence[date]) -> None:
        told = context.instance.get_materialized_partitions(_key(owner))
        if missing := [day for day in days if day.isoformat() not in told]:
            tell(missing)

    return DayProgress(progress, tell_missing, tell)
