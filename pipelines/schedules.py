"""What runs when nobody asks: the nightly load with its look-back, and the balance snapshots; jobs are in `jobs`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, timedelta

import dagster as dg

from pipelines.accounts import Owner
from resources.settings import SyncSettings


def schedules_of(owner: Owner) -> Iterator[dg.ScheduleDefinition]:
    """Yield the account's schedules."""
    settings = owner.settings

    @dg.schedule(
        name=owner.schedule("nightly"),
        job_name=owner.job("nightly"),
        cron_schedule=settings.nightly_cron,
        execution_timezone=settings.schedule_time_zone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    def nightly(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        """Ask for yesterday and for the look-back days before it, as one run over a range of partitions."""
        first, last = days_of_night(settings, context.scheduled_execution_time.astimezone(UTC).date())
        return dg.RunRequest(run_key=last.isoformat(), tags=range_tags(first, last))

    @dg.schedule(
        name=owner.schedule("balances"),
        job_name=owner.job("snapshot_balances"),
        cron_schedule=settings.balances_cron,
        execution_timezone=settings.schedule_time_zone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    def balances(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        """Ask for a snapshot."""
        return dg.RunRequest(run_key=context.scheduled_execution_time.isoformat())

    yield nightly
    yield balances


def days_of_night(settings: SyncSettings, today: date) -> tuple[date, date]:
    """Return the first and the last day that the night of `today` (UTC) loads."""
    yesterday = today - timedelta(days=1)
    return max(settings.first_day, yesterday - timedelta(days=settings.look_back_days)), yesterday


def range_tags(first: date, last: date) -> dict[str, str]:
    """Return the tags that make a run load the days `first` to `last`, both included."""
    return {
        "dagster/asset_partition_range_start": first.isoformat(),
        "dagster/asset_partition_range_end": last.isoformat(),
    }
