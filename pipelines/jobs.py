"""The jobs of an account, the partitions that they share, and the schedules that run them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from functools import partial
from typing import Any

import dagster as dg

from pipelines.nights import Night, night_at
from pipelines.resources import settings_of_warehouse
from resources.accounts import AccountScope
from resources.config_file import add_settings_of_file
from resources.settings import sync_settings

# before the first variable is read; a command has done so already
add_settings_of_file()

# UTC days from SYNC_FIRST_DAY on, the same for every account; one day more than Dagster's default, so that today can
# be loaded up to the current second
DAYS = dg.DailyPartitionsDefinition(start_date=sync_settings().first_day.isoformat(), timezone="UTC", end_offset=1)

# a backfill of the UI: single runs over as many days as the longest window has, so that there are few of both;
# all assets share it, since Dagster asks that of the assets of one job
BACKFILL = dg.BackfillPolicy.multi_run(max_partitions_per_run=179)

OF_THE_NIGHT = ("operations", "fraud", "spot_check", "reconciliation", "report", "raw_pages")


def job_names(scope: AccountScope) -> frozenset[str]:
    """Return the names of all jobs of the account."""
    return frozenset({*(job.name for job in jobs_of(scope)), scope.job("backfill_operations")})


def jobs_of(scope: AccountScope) -> Iterator[Any]:
    """Yield the account's jobs, but for `backfill_operations`, which is not made of assets."""
    only = partial(_assets, scope)
    marts = dg.AssetSelection.groups(scope.group("bi"))
    inbox = only(*["ledger_entries"] * bool(scope.settings.ledger_inbox))
    configured = (scope.key("documents", config.name) for config in scope.settings.documents)
    documents = dg.AssetSelection.assets(*map(dg.AssetKey, configured))
    checks = dg.AssetSelection.checks_for_assets(dg.AssetKey(scope.key("operations")))
    jobs = {
        "load_operations": (only("operations"), "Load days of operations by hand, or from the command."),
        "load_fraud": (only("fraud"), "Load days of reports of fraud by hand, or from the command."),
        "spot_check_payments": (only("spot_check"), "Ask for some payments by id and compare them with the store."),
        "snapshot_balances": (only("balances"), "Take a snapshot of the balances."),
        "build_marts": (marts, "Build the marts of schema bi from what is in the core now."),
        "check_operations": (checks, "Check the last load once more."),
        # without checks: the command shows what it found itself
        "reconcile": (
            only("reconciliation").without_checks(),
            "Reconcile a business day by hand, or from the command.",
        ),
    }
    if scope.settings.documents:
        jobs["load_documents"] = documents, "Load the streams of DOCUMENTS_FILE by hand, or from the command."
    if scope.settings.ledger_inbox:
        jobs["import_ledger"] = inbox, "Import the files of SYNC_LEDGER_INBOX; the sensor `ledger_inbox` asks for it."
    for name, (selection, what_for) in jobs.items():
        yield dg.define_asset_job(scope.job(name), selection=selection, description=what_for)
    yield dg.define_asset_job(
        scope.job("nightly"),
        selection=only(*OF_THE_NIGHT) | marts | documents | inbox,
        description="Load yesterday and the look-back days before it, reconcile, build the marts, write the report.",
        config=night_config(scope),
        # an outage of the platform or of the database is worth another try; a refusal is not, and says so
        op_retry_policy=dg.RetryPolicy(max_retries=3, delay=300, backoff=dg.Backoff.EXPONENTIAL),
        tags={"dagster/max_runtime": "21600"},
    )


def _assets(scope: AccountScope, *names: str) -> dg.AssetSelection:
    return dg.AssetSelection.assets(*(dg.AssetKey(scope.key(name)) for name in names))


def schedules_of(scope: AccountScope) -> Iterator[dg.ScheduleDefinition]:
    """Yield the account's schedules."""
    settings = scope.settings
    schedule = partial(
        dg.schedule, execution_timezone=settings.schedule_time_zone, default_status=dg.DefaultScheduleStatus.RUNNING
    )

    @schedule(name=scope.schedule("nightly"), job_name=scope.job("nightly"), cron_schedule=settings.nightly_cron)
    def nightly(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        """Ask for the days of the night that was due, as one run over a range of partitions.

        A tick that was missed is made up for later, and its run is about its own night. The reporting zone is the
        warehouse's, as it is for the run.
        """
        night = night_at(context.scheduled_execution_time, settings_of_warehouse(settings))
        if night.first_day > night.last_day:
            return dg.SkipReason(f"SYNC_FIRST_DAY is {settings.first_day}: there is no day to load yet")
        return dg.RunRequest(
            run_key=f"{night.yesterday} {night.business_day}",  # once a night, however often the cron is due
            tags=range_tags(night.first_day, night.last_day),
            run_config=night_config(scope, night),
        )

    @schedule(
        name=scope.schedule("balances"), job_name=scope.job("snapshot_balances"), cron_schedule=settings.balances_cron
    )
    def balances(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        """Ask for a snapshot."""
        return dg.RunRequest(run_key=context.scheduled_execution_time.isoformat())

    yield nightly
    yield balances


def night_config(scope: AccountScope, night: Night | None = None) -> dict[str, Any]:
    """Return the run config of the job `nightly`; without a night, for a run over other days that somebody starts."""
    streams = [("fraud",), *(("documents", config.name) for config in scope.settings.documents)]
    ops: dict[str, dict[str, Any]] = {scope.op(*path): {"look_back": True} for path in streams}
    if night:
        ops[scope.op("spot_check")] = {"day": night.yesterday.isoformat()}
        ops[scope.op("reconciliation")] = {"days": [day.isoformat() for day in night.business_days]}
        missed = [day.isoformat() for day in night.missed_days]
        ops[scope.op("report")] = {"day": night.business_day.isoformat(), "missed": missed}
    return {"ops": {op: {"config": config} for op, config in ops.items()}}


def range_tags(first: date, last: date) -> dict[str, str]:
    """Return the tags that make a run load the days `first` to `last`, both included."""
    return {
        "dagster/asset_partition_range_start": first.isoformat(),
        "dagster/asset_partition_range_end": last.isoformat(),
    }
