"""The sensor `alerts`: once a minute, what Dagster and the warehouse know is judged; see `pipelines.alerts`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from pipelines.accounts import Owner
from pipelines.alerts.conditions import DagsterFacts, FailedCheck, FailedJob, judge
from pipelines.alerts.notifications import Told, tell
from pipelines.alerts.outage import Outage, begun, ended
from pipelines.jobs import job_names
from pipelines.resources import WarehouseResource
from resources.channels import channels_of
from resources.errors import WarehouseUnavailable
from resources.settings import alert_settings

TICK_SECONDS = 60
VERIFY_EVERY = timedelta(hours=1)  # the whole chain is hashed: too much for each minute
RUNS_LOOKED_AT = 200  # for each account
LOOK_BACK = timedelta(days=7)


def alerts_sensor(owners: Sequence[Owner]) -> dg.SensorDefinition:
    """Return the one sensor, which judges every account."""

    @dg.sensor(
        name="alerts",
        minimum_interval_seconds=TICK_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Tells of failed runs and checks, late nights, odd figures, a refused token, breaks, a broken ledger."
        ),
    )
    def alerts(context: dg.SensorEvaluationContext, warehouse: WarehouseResource) -> dg.SkipReason:
        """Judge and tell; what a channel did not take is told at the next tick."""
        now = datetime.now(UTC)
        state: dict[str, Any] = json.loads(context.cursor) if context.cursor else {}
        outage = Outage(state.get("since"), tuple(state.get("told", ())))
        alerting = alert_settings()
        channels = channels_of(alerting)
        everybody = ", ".join(owner.account for owner in owners)
        verify = now.timestamp() - state.get("verified", 0) >= VERIFY_EVERY.total_seconds()
        causes, told = 0, Told(0, ())
        try:
            store = warehouse.warehouse()
            facts = facts_of(context, now, RUNS_LOOKED_AT * len(owners))
            for owner in owners:
                own = own_facts(facts, owner, owners)
                judgement = judge(store, owner.settings, alerting, now, own, verify=verify, option=owner.option)
                causes += len(judgement.alerts)
                told += tell(store, owner.account, judgement, channels, now, alerting.runbook)
        except WarehouseUnavailable as error:
            outage = begun(outage, channels, str(error), now, everybody, alerting.runbook)
            context.update_cursor(json.dumps({**state, **asdict(outage)}))
            return dg.SkipReason(f"the warehouse is away: {error}")
        outage = ended(outage, channels, now, everybody)
        verified = now.timestamp() if verify else state.get("verified", 0)
        context.update_cursor(json.dumps({"verified": verified, **asdict(outage)}))
        where = ", ".join(channel.name for channel in channels) or "no channel is set"
        failed = f"; not delivered: {'; '.join(told.failures)}" if told.failures else ""
        return dg.SkipReason(f"{causes} causes stand, {told.sent} messages sent ({where}){failed}")

    return alerts


def own_facts(facts: DagsterFacts, owner: Owner, owners: Sequence[Owner]) -> DagsterFacts:
    """Return what of the facts is the account's; a job of no account is told of with the first."""
    if owner.is_only:
        return facts
    others = {name for other in owners if other is not owner for name in job_names(other)}
    mine = job_names(owner)
    return replace(
        facts,
        failed_jobs=tuple(
            job for job in facts.failed_jobs if job.job in mine or (owner is owners[0] and job.job not in others)
        ),
        failed_checks=tuple(
            check for check in facts.failed_checks if check.asset.startswith(f"{'/'.join(owner.prefix)}/")
        ),
    )


def facts_of(context: dg.SensorEvaluationContext, now: datetime, most: int = RUNS_LOOKED_AT) -> DagsterFacts:
    """Return what Dagster alone knows: jobs whose last run failed, checks whose last evaluation did."""
    over = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
    runs = context.instance.get_runs(dg.RunsFilter(statuses=over, updated_after=now - LOOK_BACK), limit=most)
    last: dict[str, dg.DagsterRun] = {}
    for run in runs:  # newest first; whoever ran the command saw how it ended
        if "ecommpay/pid" not in run.tags:
            last.setdefault(run.job_name, run)
    return DagsterFacts(
        failed_jobs=tuple(
            FailedJob(name, run.run_id) for name, run in last.items() if run.status == dg.DagsterRunStatus.FAILURE
        ),
        failed_checks=tuple(_failed_checks(context)),
    )


def _failed_checks(context: dg.SensorEvaluationContext) -> Iterator[FailedCheck]:
    if context.repository_def is None:
        return
    keys = list(context.repository_def.asset_graph.asset_check_keys)
    records = context.instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    for key in sorted(records, key=str):
        event = records[key].event
        data = event.dagster_event.event_specific_data if event and event.dagster_event else None
        if isinstance(data, dg.AssetCheckEvaluation) and not data.passed and data.severity.value == "ERROR":
            yield FailedCheck(key.asset_key.to_user_string(), key.name, data.description or "")
