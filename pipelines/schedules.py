"""What runs when nobody asks: the nightly load with its look-back, and the balance snapshots."""

from __future__ import annotations

from datetime import UTC, date, timedelta

import dagster as dg

from pipelines.partitions import SETTINGS

MARTS = dg.AssetSelection.groups("bi")
DOCUMENTS = dg.AssetSelection.assets(*(["documents", config.name] for config in SETTINGS.documents))

OPERATIONS_JOB = dg.define_asset_job(
    "load_operations",
    selection=dg.AssetSelection.assets("operations"),
    description="Load days of operations by hand, or from the command.",
)
FRAUD_JOB = dg.define_asset_job(
    "load_fraud",
    selection=dg.AssetSelection.assets("fraud"),
    description="Load days of reports of fraud by hand, or from the command.",
)
SPOT_CHECK_JOB = dg.define_asset_job(
    "spot_check_payments",
    selection=dg.AssetSelection.assets("spot_check"),
    description="Ask for a sample of payments by id and compare them with the store.",
)
NIGHTLY_JOB = dg.define_asset_job(
    "nightly",
    selection=dg.AssetSelection.assets("operations", "fraud", "spot_check", "reconciliation", "report", "raw_pages")
    | MARTS
    | DOCUMENTS,
    description="Load yesterday and the look-back days before it, reconcile, build the marts, write the report.",
    # an outage of the platform or of the database is worth another try; a refusal is not, and says so
    op_retry_policy=dg.RetryPolicy(max_retries=3, delay=300, backoff=dg.Backoff.EXPONENTIAL),
    tags={"dagster/max_runtime": "21600"},
)
MARTS_JOB = dg.define_asset_job(
    "build_marts",
    selection=MARTS,
    description="Build the marts of schema bi from what is in the core now.",
)
CHECKS_JOB = dg.define_asset_job(
    "check_operations",
    selection=dg.AssetSelection.checks_for_assets("operations"),
    description="Check the last load, or the one that a tag names; a backfill ends with it.",
)
RECONCILE_JOB = dg.define_asset_job(
    "reconcile",
    # the command tells what it found itself
    selection=dg.AssetSelection.assets("reconciliation").without_checks(),
    description="Reconcile a business day by hand, or from the command.",
)
BALANCES_JOB = dg.define_asset_job(
    "snapshot_balances",
    selection=dg.AssetSelection.assets("balances"),
    description="Take a snapshot of the balances.",
)


@dg.schedule(
    name="nightly",
    job=NIGHTLY_JOB,
    cron_schedule=SETTINGS.nightly_cron,
    execution_timezone=SETTINGS.schedule_time_zone,
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def nightly_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Ask for yesterday and for the look-back days before it, as one run over a range of partitions."""
    first, last = days_of_night(context.scheduled_execution_time.astimezone(UTC).date())
    return dg.RunRequest(run_key=last.isoformat(), tags=range_tags(first, last))


@dg.schedule(
    name="balances",
    job=BALANCES_JOB,
    cron_schedule=SETTINGS.balances_cron,
    execution_timezone=SETTINGS.schedule_time_zone,
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def balances_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Ask for a snapshot."""
    return dg.RunRequest(run_key=context.scheduled_execution_time.isoformat())


def days_of_night(today: date) -> tuple[date, date]:
    """Return the first and the last day that the night of `today` (UTC) loads."""
    yesterday = today - timedelta(days=1)
    return max(SETTINGS.first_day, yesterday - timedelta(days=SETTINGS.look_back_days)), yesterday


def range_tags(first: date, last: date) -> dict[str, str]:
    """Return the tags that make a run load the days `first` to `last`, both included."""
    return {
        "dagster/asset_partition_range_start": first.isoformat(),
        "dagster/asset_partition_range_end": last.isoformat(),
    }
