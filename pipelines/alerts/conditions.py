"""Which causes for an alert stand now, from the warehouse and from what Dagster told; nothing is sent here.

`judge` asks the database, the rest is pure. Each alert says what happened, where to look, what to do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from statistics import median
from typing import Any

from pipelines.alerts.deadline import required_day
from resources.alerts.settings import AlertSettings
from resources.printable import printable
from resources.settings import SyncSettings
from resources.warehouse.engine import Warehouse, run

REACH_DAYS = 31  # how far back a missing day is still looked for
LEAST_NIGHTS = 7  # before these nothing is usual
FACTOR = 2.5  # a night with that many times more, or fewer, new operations than usual is told of
LEAST_LATE = 10
COMMANDS = {"spot check": "spot-check", "completeness": "reconcile"}  # of streams that are not called as theirs


@dataclass(frozen=True)
class Alert:
    """A cause that stands: `cause` is its key, the texts are for a person; none ever holds a secret."""

    kind: str
    cause: str
    title: str
    what: str
    where: str
    todo: str

    def message(self, runbook: str) -> str:
        """Return the text that is sent."""
        return (
            f"What happened: {printable(self.what)}\nWhere to look: {self.where}\nWhat to do: {self.todo}\n"
            f"Runbook: {runbook}#alert-{self.kind.replace('_', '-')}"
        )


@dataclass(frozen=True)
class FailedJob:
    """A Dagster run that failed and is the last of its job."""

    job: str
    dagster_run_id: str


@dataclass(frozen=True)
class FailedCheck:
    """An asset check whose last evaluation failed with severity error."""

    asset: str
    check: str
    description: str


@dataclass(frozen=True)
class DagsterFacts:
    """What only Dagster knows."""

    failed_jobs: tuple[FailedJob, ...] = ()
    failed_checks: tuple[FailedCheck, ...] = ()


@dataclass(frozen=True)
class Judgement:
    """The causes that stand, and the kinds that were looked for: others are neither new nor over."""

    alerts: tuple[Alert, ...]
    kinds: tuple[str, ...]


@dataclass(frozen=True)
class Night:
    """The figures of a nightly run."""

    last_day: date
    rows_new: int
    rows_late: int


@dataclass
class _Found:
    alerts: list[Alert] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)

    def add(self, kinds: Sequence[str], alerts: Iterator[Alert]) -> None:
        self.kinds += kinds
        self.alerts += alerts


def judge(
    warehouse: Warehouse,
    settings: SyncSettings,
    alerting: AlertSettings,
    now: datetime,
    dagster: DagsterFacts | None = None,
    *,
    verify: bool = True,
    option: str = "",
) -> Judgement:
    """Return every cause that stands at `now`. Without facts of Dagster, or `verify`, these kinds are left alone.

    `option` is what the commands of the advice need to be about this account, where there are several.

    Raises:
        WarehouseUnavailable: the database is away.
    """
    found, account = _Found(), settings.account
    facts = dagster or DagsterFacts()
    with warehouse.transaction() as connection:
        refused = run(connection, "alerts/refused_token", account=account)
        found.add(["token_refused"], _refused(account, refused))
        failed = run(connection, "alerts/failed_runs", account=account, now=now)
        ids = [job.dagster_run_id for job in facts.failed_jobs]
        known = {row[0] for row in run(connection, "alerts/known_dagster_runs", dagster_run_ids=ids)}
        jobs = [job for job in facts.failed_jobs if job.dagster_run_id not in known]
        # without Dagster's facts, what it told of earlier would look as if it were over
        found.add(["run_failed"] if dagster else [], _failed(failed, jobs, option))
        if dagster:
            found.add(["check_failed"], _checks(facts.failed_checks))
        day = required_day(now, settings)
        missing = run(connection, "alerts/missing_days", account=account, last_day=day, reach=REACH_DAYS)
        found.add(["nightly_late"], _late(settings, [row.day for row in missing], option))
        run(connection, "alerts/measure_nights", account=account, now=now, days=settings.look_back_days + 1)
        nights = [
            Night(row.last_day, row.rows_new, row.rows_late)
            for row in run(connection, "alerts/nights", account=account)
        ]
        found.add(["volume", "lateness"], unusual(nights))
        found.add(["breaks"], _breaks(alerting, run(connection, "alerts/open_breaks", account=account)))
        if verify:
            broken = run(connection, "ledger/verify", account=account)
            found.add(["ledger_broken"], _broken(broken))
    return Judgement(tuple(found.alerts), tuple(found.kinds))


def unusual(nights: Sequence[Night]) -> Iterator[Alert]:
    """Yield what of the first of `nights` (newest first) is outside what the others make usual."""
    if len(nights) <= LEAST_NIGHTS:
        return
    last, before = nights[0], nights[1:]
    usual = median(night.rows_new for night in before)
    # for small figures chance alone makes a factor: four standard deviations of a count
    chance = 4 * usual**0.5
    if not usual / FACTOR <= last.rows_new <= usual * FACTOR and abs(last.rows_new - usual) > chance:
        yield Alert(
            "volume",
            f"volume:{last.last_day}",
            f"{last.rows_new:,} new operations in the night of {last.last_day}, usual are {usual:,.0f}",
            f"the nightly run up to {last.last_day} met {last.rows_new:,} operations first; the median of the "
            f"{len(before)} nights before is {usual:,.0f}.",
            "sync.nights, and the Dashboard's own count of that day.",
            "if the Dashboard shows the same, nothing: the business was unusual. If it shows more, load the day "
            "again; look for a project that the token no longer sees.",
        )
    usual_late = median(night.rows_late for night in before)
    if last.rows_late > max(LEAST_LATE, 3 * usual_late, last.rows_new / 200):
        yield Alert(
            "lateness",
            f"lateness:{last.last_day}",
            f"{last.rows_late:,} late operations in the night of {last.last_day}, usual are {usual_late:,.0f}",
            f"the nightly run up to {last.last_day} met {last.rows_late:,} operations that were completed more than "
            f"48 hours before; the median of the {len(before)} nights before is {usual_late:,.0f}.",
            "sync.lateness and sync.nights; after a missed night this is expected.",
            "if no night was missed, the platform delivers late: load the last 31 days again once, and raise "
            "SYNC_LOOK_BACK_DAYS if it stays so.",
        )


def _refused(account: str, rows: Sequence[Any]) -> Iterator[Alert]:
    for row in rows:
        yield Alert(
            "token_refused",
            f"token_refused:{account}",
            f"the platform refuses the token of account {account}",
            row.message,
            f"`ecommpay-sync doctor`; run {row.run_id} of sync.runs.",
            "put the account's present token and secret into the secret files (a newer token ends the older one), "
            "then load the missing days.",
        )


def _failed(rows: Sequence[Any], jobs: Sequence[FailedJob], option: str) -> Iterator[Alert]:
    for row in rows:
        if row.message.startswith(("the platform answered 401 ", "the platform answered 403 ")):
            continue  # that cause is the token's
        days = f" of {row.interval_from:%Y-%m-%d} to {row.interval_to:%Y-%m-%d}" if row.interval_from else ""
        yield Alert(
            "run_failed",
            f"run_failed:{row.stream}" + (f":{row.interval_from:%Y-%m-%d}:{row.interval_to:%Y-%m-%d}" if days else ""),
            f"the run {row.run_id} of {row.stream}{days} is {'not ended' if row.state == 'running' else row.state}",
            row.message,
            f"run {row.run_id} of sync.runs" + (f", Dagster run {row.dagster_run_id}" if row.dagster_run_id else ""),
            f"remove what the message names, then `{_again(row)}{option}`; what was committed stays. It is over when a "
            "later run is complete and no day of these is missing.",
        )
    for job in jobs:
        yield Alert(
            "run_failed",
            f"run_failed:job:{job.job}",
            f"the job {job.job} failed before it could begin",
            "Dagster's run ended as failed, and the ledger does not know it: settings, the code or the database "
            "stopped it at its start.",
            f"Dagster run {job.dagster_run_id}; `ecommpay-sync doctor`.",
            "remove what the run's last line names, and start the job again in Dagster's UI.",
        )


def _again(row: Any) -> str:
    """Return the command that does a run's work again: of days, those that it was about."""
    command = f"ecommpay-sync {COMMANDS.get(row.stream, row.stream.replace(':', ' '))}"
    if not row.interval_from:
        return command
    return f"{command} --from {row.interval_from:%Y-%m-%d} --to {row.interval_to:%Y-%m-%d}"


def _checks(checks: Sequence[FailedCheck]) -> Iterator[Alert]:
    for check in checks:
        yield Alert(
            "check_failed",
            f"check_failed:{check.asset}:{check.check}",
            f"the check {check.check} of {check.asset} failed",
            f"{check.description or 'no description'}.",
            f"the asset {check.asset} in Dagster's UI, tab Checks; `ecommpay-sync status`.",
            "see what it found (no_rejects: core.rejects holds the rows and the reason); it is over when the next "
            "load passes the check.",
        )


def _late(settings: SyncSettings, days: Sequence[date], option: str) -> Iterator[Alert]:
    for day in days:
        yield Alert(
            "nightly_late",
            f"nightly_late:{day}",
            f"{day} is not complete at its deadline",
            f"the UTC day {day} is not shown complete; the deadline is {settings.nightly_deadline:%H:%M} "
            f"{settings.reference.reporting_zone}.",
            "`ecommpay-sync status`; the schedule nightly and the daemon's state in Dagster's UI.",
            f"start the daemon if it is down, then `ecommpay-sync operations --from {day} --to {day}{option}`.",
        )


def _breaks(alerting: AlertSettings, rows: Sequence[Any]) -> Iterator[Alert]:
    limits = dict(alerting.breaks_above)
    for row in rows:
        limit = limits.get(row.currency)
        if limit is not None and int(row.minor) > limit:
            yield Alert(
                "breaks",
                f"breaks:{row.currency}",
                f"open breaks in {row.currency} exceed {limit:,} minor units",
                f"{row.breaks:,} open breaks add up to {int(row.minor):,} minor units of {row.currency}; "
                f"ALERT_BREAKS_ABOVE allows {limit:,}.",
                "recon.breaks with state = 'open', the largest first.",
                "match, explain or close them; or raise the limit.",
            )


def _broken(rows: Sequence[Any]) -> Iterator[Alert]:
    for row in rows:
        yield Alert(
            "ledger_broken",
            f"ledger_broken:{row.entry_no}",
            f"the ledger's chain is broken at entry {row.entry_no}",
            f"entry {row.entry_no} (window {row.window_id}): {row.reason}.",
            "`ecommpay-sync verify`; who had write access to sync.windows since then.",
            "compare with a backup; walk the days again; keep the broken entry as evidence.",
        )
