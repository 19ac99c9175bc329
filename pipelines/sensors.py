"""The sensors: `alerts` looks for causes and reports them (which there are: `pipelines.alerts`), and `ledger_inbox`."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import dagster as dg
from pydantic import BaseModel, ValidationError

from pipelines.alerts.conditions import DagsterFacts, FailedCheck, FailedJob, FailedStep, evaluate
from pipelines.alerts.notifications import (
    Delivery,
    Outage,
    begin_outage,
    end_outage,
    notify,
    say_how_alerts_stand,
    tips_of_chains,
)
from pipelines.assets import is_failed_by_check
from pipelines.audit.spot_check import STREAM as SPOT_CHECK
from pipelines.jobs import job_names
from pipelines.reconciliation.ledger_import import files_at_rest
from pipelines.resources import WarehouseResource
from resources.accounts import AccountScope
from resources.channels import Channel, ChannelFailed, Heartbeat, channels_of, heartbeat_of
from resources.errors import ConfigError
from resources.settings import AlertSettings, Environment, alert_settings
from resources.warehouse.reference import settings_in_force

TICK_SECONDS = 60
VERIFY_EVERY = timedelta(hours=1)  # the whole chain is hashed: too much for each minute
HEARTBEAT_EVERY = timedelta(hours=1)
LOOK_BACK = timedelta(days=14)  # as far back as the ledger's own failed runs are looked for
PAGE_OF_RUNS = 50
OVER = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
OF_A_COMMAND = "ecommpay/pid"  # tag of a run whose end somebody saw in a terminal
CHANNEL_PREFIXES = (("ALERT_WEBHOOK_",), ("ALERT_SMTP_", "ALERT_EMAIL_"), ("ALERT_HEARTBEAT_",))


class _Cursor(BaseModel):
    """What the sensor remembers between ticks, where no database is needed."""

    outage: Outage = Outage()
    verified: float = 0.0  # when the ledger's chain was verified last
    heartbeat: float = 0.0  # when the watcher took the hourly heartbeat last; 0: it is due
    nights: dict[str, str] = {}  # job → the state of its last run that was reported by heartbeat

    @classmethod
    def read(cls, text: str | None) -> _Cursor:
        """Return what was written; a text that cannot be read is as none, and keeps no cause from being reported."""
        try:
            return cls.model_validate_json(text or "{}")
        except ValidationError:
            return cls()


def alerts_sensor(scopes: Sequence[AccountScope]) -> dg.SensorDefinition:
    """Return the one sensor, which looks at every account."""

    @dg.sensor(
        name="alerts",
        minimum_interval_seconds=TICK_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Reports failed runs and checks, late nights, odd figures, a refused token or right, breaks, a broken "
            "ledger, and what keeps it from looking for them."
        ),
    )
    def alerts(context: dg.SensorEvaluationContext, warehouse: WarehouseResource) -> dg.SkipReason:
        """Look for causes and report them; what a channel did not take is sent at the next tick.

        Whatever fails is reported too, once: a sensor that only fails its ticks is seen by nobody.
        """
        now, cursor = datetime.now(UTC), _Cursor.read(context.cursor)
        accounts = ", ".join(scope.account for scope in scopes)
        channels: Sequence[Channel] = ()
        heartbeat: Heartbeat | None = None
        runbook = AlertSettings().runbook
        try:
            try:
                alerting = alert_settings()
                channels, heartbeat = channels_of(alerting), heartbeat_of(alerting)
            except ConfigError:
                channels, heartbeat = _channels_that_are_right(os.environ)
                raise
            runbook = alerting.runbook
            verify = now.timestamp() - cursor.verified >= VERIFY_EVERY.total_seconds()
            causes, delivery = _look(context, warehouse, scopes, alerting, channels, now, verify=verify)
            missed = ""
            if heartbeat:
                untold = delivery.failures or (causes and not channels)
                missed = _beat(heartbeat, context, warehouse, scopes, cursor, now, untold=bool(untold))
        except Exception as error:
            context.log.exception("alerts could not be evaluated")
            before = cursor.outage
            cursor.outage = begin_outage(before, channels, error, now, accounts, runbook)
            cursor.heartbeat = 0.0  # the watcher hears at once that it is over
            if heartbeat and (before.since, before.kind) != (cursor.outage.since, cursor.outage.kind):
                _said(heartbeat.fail, f"{accounts}: alerts could not be evaluated ({cursor.outage.kind})")
            context.update_cursor(cursor.model_dump_json())
            return dg.SkipReason(f"alerts could not be evaluated ({cursor.outage.kind}): {error}")
        cursor.outage = end_outage(cursor.outage, channels, now, accounts)
        cursor.verified = now.timestamp() if verify else cursor.verified
        context.update_cursor(cursor.model_dump_json())
        where = ", ".join(channel.name for channel in channels) or "no channel is set"
        failed = f"; not delivered: {'; '.join(delivery.failures)}" if delivery.failures else ""
        return dg.SkipReason(f"{causes} causes stand, {delivery.sent} messages sent ({where}){failed}{missed}")

    return alerts


def _beat(
    heartbeat: Heartbeat,
    context: dg.SensorEvaluationContext,
    warehouse: WarehouseResource,
    scopes: Sequence[AccountScope],
    cursor: _Cursor,
    now: datetime,
    *,
    untold: bool,
) -> str:
    """Say each hour that all was looked for, and of each night that it began and how it ended; return what was missed.

    `untold`: a cause stands that no channel took. What the watcher did not take is said again at the next tick.
    """
    tips = tips_of_chains(warehouse.warehouse())
    missed = ""
    for scope in scopes:
        job = scope.job("nightly")
        runs = context.instance.get_runs(dg.RunsFilter(job_name=job, updated_after=now - LOOK_BACK), limit=1)
        state = f"{runs[0].run_id} {runs[0].status.value}" if runs else ""
        if not runs or cursor.nights.get(job) == state:
            continue
        run, status, text = runs[0].run_id, runs[0].status, f"{job} of account {scope.account}"
        if status == dg.DagsterRunStatus.STARTED:
            failed = _said(heartbeat.start, run)
        elif status == dg.DagsterRunStatus.SUCCESS:
            failed = _said(heartbeat.success, f"{text} succeeded\n{tips}", run)
        elif status in OVER:
            failed = _said(heartbeat.fail, f"{text} ended as {status.value}", run)
        else:
            continue
        missed = failed or missed
        if not failed:
            cursor.nights[job] = state
    if now.timestamp() - cursor.heartbeat >= HEARTBEAT_EVERY.total_seconds():
        failed = _said(partial(say_how_alerts_stand, heartbeat, tips, undelivered=untold))
        missed = failed or missed
        if not failed:
            cursor.heartbeat = now.timestamp()
    return missed


def _said(say: Callable[..., None], *words: str) -> str:
    """Say it; return what the skip reason tells when the watcher did not take it: its silence is the alarm."""
    try:
        say(*words)
    except ChannelFailed as error:
        return f"; no heartbeat: {error}"
    return ""


def inbox_sensor(scope: AccountScope) -> dg.SensorDefinition:
    """Return the sensor of an account that has an inbox of ledger files."""
    inbox = scope.settings.ledger_inbox
    assert inbox is not None  # noqa: S101 - without one there is no such sensor

    @dg.sensor(
        name=scope.job("ledger_inbox"),
        job_name=scope.job("import_ledger"),
        minimum_interval_seconds=TICK_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Imports the files of SYNC_LEDGER_INBOX when they are complete.",
    )
    def ledger_inbox(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        """Ask for an import of the files that are at rest; the same files are asked for once."""
        del context
        files = files_at_rest(inbox, scope.account)
        if not files:
            return dg.SkipReason("no file is complete")
        states = [(str(path), path.stat().st_mtime_ns) for path in files if path.exists()]
        return dg.RunRequest(run_key=hashlib.sha256(repr(states).encode()).hexdigest())

    return ledger_inbox


def _look(
    context: dg.SensorEvaluationContext,
    warehouse: WarehouseResource,
    scopes: Sequence[AccountScope],
    alerting: AlertSettings,
    channels: Sequence[Channel],
    now: datetime,
    *,
    verify: bool,
) -> tuple[int, Delivery]:
    """Look for causes of every account and report them; return how many stand, and what was sent.

    An account that fails keeps no other from being looked at; the first failure is raised at the end.
    """
    store, facts = warehouse.warehouse(), dagster_facts(context, scopes, now)
    causes, delivery, failures = 0, Delivery(0, ()), list[Exception]()
    for scope in scopes:
        own = facts_of_account(facts, scope, scopes)
        try:
            settings = settings_in_force(store, scope.settings)
            found = evaluate(store, settings, alerting, now, own, verify=verify, option=scope.option)
            causes += len(found.alerts)
            delivery += notify(store, scope.account, found, channels, now, alerting.runbook)
        except Exception as error:  # noqa: BLE001 - raised below
            failures.append(error)
    if failures:
        raise failures[0]
    return causes, delivery


def _channels_that_are_right(environment: Environment) -> tuple[list[Channel], Heartbeat | None]:
    """Return the channels and the heartbeat that can be used, to report over them what of the others is refused."""
    found: list[Channel] = []
    heartbeat: Heartbeat | None = None
    for prefixes in CHANNEL_PREFIXES:
        try:
            of_channel = {name: value for name, value in environment.items() if name.startswith(prefixes)}
            settings = alert_settings(of_channel)
            found += channels_of(settings)
            heartbeat = heartbeat or heartbeat_of(settings)
        except ConfigError:
            continue
    return found, heartbeat


def facts_of_account(facts: DagsterFacts, scope: AccountScope, scopes: Sequence[AccountScope]) -> DagsterFacts:
    """Return what of the facts is the account's; a job of no account is reported with the first."""
    if scope.is_only:
        return facts
    others = {name for other in scopes if other is not scope for name in job_names(other)}
    mine = job_names(scope)
    return replace(
        facts,
        failed_jobs=tuple(
            job for job in facts.failed_jobs if job.job in mine or (scope is scopes[0] and job.job not in others)
        ),
        failed_checks=tuple(
            check for check in facts.failed_checks if check.asset.startswith(f"{'/'.join(scope.prefix)}/")
        ),
    )


def dagster_facts(context: dg.SensorEvaluationContext, scopes: Sequence[AccountScope], now: datetime) -> DagsterFacts:
    """Return what Dagster alone knows: jobs whose last run failed, checks whose last evaluation did."""
    names = {name for scope in scopes for name in job_names(scope)}
    if context.repository_def is not None:  # with the one that materializes assets by hand
        names |= {job.name for job in context.repository_def.get_all_jobs()}
    last_runs = [_last_run(context.instance, name, now) for name in sorted(names)]
    streams = _streams_of_steps(scopes)
    failed = [run for run in last_runs if run and run.status == dg.DagsterRunStatus.FAILURE]
    jobs = (FailedJob(run.job_name, run.run_id, tuple(_failed_steps(context.instance, run, streams))) for run in failed)
    return DagsterFacts(failed_jobs=tuple(jobs), failed_checks=tuple(_failed_checks(context)))


def _last_run(instance: dg.DagsterInstance, job: str, now: datetime) -> dg.DagsterRun | None:
    """Return the last run of a job that is over, other than a command's, however many runs other jobs had since."""
    runs_over = dg.RunsFilter(job_name=job, statuses=OVER, updated_after=now - LOOK_BACK)
    cursor = None
    while runs := instance.get_runs(runs_over, cursor=cursor, limit=PAGE_OF_RUNS):
        for run in runs:  # newest first
            if OF_A_COMMAND not in run.tags:
                return run
        cursor = runs[-1].run_id
    return None


def _streams_of_steps(scopes: Sequence[AccountScope]) -> dict[str, str]:
    """Return which stream of the ledger a step loads."""
    found: dict[str, str] = {}
    for scope in scopes:
        found |= {scope.op(name): name for name in ("operations", "fraud", "balances")}
        found |= {scope.op("backfill"): "operations", scope.op("spot_check"): SPOT_CHECK}
        found |= {scope.op("documents", config.name): config.stream for config in scope.settings.documents}
    return found


def _failed_steps(instance: dg.DagsterInstance, run: dg.DagsterRun, streams: dict[str, str]) -> Iterator[FailedStep]:
    for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE):
        event = entry.dagster_event
        if event is None or event.step_key is None:
            continue
        failure = event.step_failure_data.user_failure_data
        message = (failure.description if failure else None) or ""
        yield FailedStep(event.step_key, streams.get(event.step_key), message, is_failed_by_check(event))


def _failed_checks(context: dg.SensorEvaluationContext) -> Iterator[FailedCheck]:
    if context.repository_def is None:
        return
    keys = list(context.repository_def.asset_graph.asset_check_keys)
    records = context.instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    for key in sorted(records, key=str):
        event = records[key].event
        data = event.dagster_event.event_specific_data if event and event.dagster_event else None
        if isinstance(data, dg.AssetCheckEvaluation) and not data.passed and data.severity.value == "ERROR":
            yield FailedCheck(key.asset_key.to_user_string(), key.name, data.description or "", bool(data.blocking))
