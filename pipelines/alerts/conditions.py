"""Which causes for an alert stand now, from the warehouse and from what Dagster knows; nothing is sent here.

`evaluate` reads the database, the rest is pure: kinds and fields decide, never the words of a message. Each alert says
what happened, where to look, what to do.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from statistics import median
from typing import Any

from pipelines.ingest.registry import TYPED
from pipelines.ingest.windows import interval_of_days
from pipelines.nights import night_at, required_day
from resources.output import printable
from resources.settings import AlertSettings, SyncSettings
from resources.values import last_due
from resources.warehouse.engine import Warehouse, run

# for the other streams a token needs a right of its own
EVERY_TOKEN_SEES = (
    *(stream.name for stream in TYPED if not stream.optional),
    *("balances", "spot check", "completeness"),
)
OF_DAGSTER, OF_CHAINS = ("run_failed", "check_failed"), ("ledger_broken",)
KINDS = ("token_refused", "right_refused", "nightly_late", "volume", "lateness", "breaks", *OF_DAGSTER, *OF_CHAINS)
REACH_DAYS = 31  # how far back a missing day is still looked for
LEAST_NIGHTS = 7  # before these nothing is usual
FACTOR = 2.5  # a night with that many times more, or fewer, new operations than usual is unusual
LEAST_LATE = 10
COMMANDS = {"spot check": "spot-check", "completeness": "reconcile --date DAY"}  # of streams not called as theirs


@dataclass(frozen=True)
class Alert:
    """A cause that stands: `cause` is its key, the texts are for a person; none ever holds a secret.

    One that goes on day by day has the last of its days: each further day is news, and is sent as such.
    """

    kind: str
    cause: str
    title: str
    what: str
    where: str
    todo: str
    last_day: date | None = None

    def message(self, runbook: str) -> str:
        """Return the text that is sent."""
        return (
            f"What happened: {printable(self.what)}\nWhere to look: {self.where}\nWhat to do: {self.todo}\n"
            f"Runbook: {runbook}#alert-{self.kind.replace('_', '-')}"
        )


@dataclass(frozen=True)
class FailedStep:
    """A step that failed: the stream that it loads, if it loads one, and its failure in one line."""

    name: str
    stream: str | None = None
    message: str = ""
    by_check: bool = False  # by a blocking check, which is a cause itself


@dataclass(frozen=True)
class FailedJob:
    """A Dagster run that failed and is the last of its job; without steps it failed before one began."""

    job: str
    dagster_run_id: str
    steps: tuple[FailedStep, ...] = ()


@dataclass(frozen=True)
class FailedCheck:
    """An asset check whose last evaluation failed with severity error."""

    asset: str
    check: str
    description: str
    blocking: bool = False  # what is made of the asset did not run on it


@dataclass(frozen=True)
class DagsterFacts:
    """What only Dagster knows."""

    failed_jobs: tuple[FailedJob, ...] = ()
    failed_checks: tuple[FailedCheck, ...] = ()


@dataclass(frozen=True)
class Evaluation:
    """The causes that stand, and the kinds that were looked for: others are neither new nor over."""

    alerts: tuple[Alert, ...]
    kinds: tuple[str, ...]


@dataclass(frozen=True)
class Night:
    """The figures of a nightly run."""

    last_day: date
    rows_new: int
    rows_late: int


def evaluate(
    warehouse: Warehouse,
    settings: SyncSettings,
    alerting: AlertSettings,
    now: datetime,
    dagster: DagsterFacts | None = None,
    *,
    verify: bool = True,
    option: str = "",
) -> Evaluation:
    """Return every cause that stands at `now`. Without facts of Dagster, or `verify`, these kinds are left alone.

    `option` is what the commands of the advice need to be about this account, where there are several.

    Raises:
        WarehouseUnavailable: the database is away.
    """
    account, facts = settings.account, dagster or DagsterFacts()
    with warehouse.transaction() as connection:
        scope = {"account": account, "streams": list(EVERY_TOKEN_SEES)}
        refused = run(connection, "alerts/conditions/refused_token", **scope)
        rights = [] if refused else run(connection, "alerts/conditions/refused_rights", **scope)
        failed = run(connection, "alerts/conditions/failed_runs", account=account, now=now)
        ids = [job.dagster_run_id for job in facts.failed_jobs]
        known = run(connection, "alerts/conditions/failed_streams_of_jobs", dagster_run_ids=ids)
        due = required_day(now, settings)
        missing = run(connection, "alerts/conditions/missing_days", account=account, last_day=due, reach=REACH_DAYS)
        stretches = run(connection, "alerts/conditions/late_stretches", account=account)
        loads = run(connection, "alerts/conditions/unmeasured_runs", account=account, now=now)
        nightly = [row.run_id for row in loads if _is_nightly(row, settings)]
        run(connection, "alerts/conditions/measure_nights", account=account, run_ids=nightly)
        nights = run(connection, "alerts/conditions/nights", account=account)
        breaks = run(connection, "alerts/conditions/open_breaks", account=account)
        broken = run(connection, "warehouse/ledger/verify", account=account) if verify else []
        deletions = run(connection, "warehouse/ledger/verify_deletions") if verify else []
    alerts = (
        *(_refused(account, row) for row in refused),
        *(_lost_right(settings, row, option) for row in rights if _is_configured(row.stream, settings)),
        *(_failed(row, option) for row in failed if _is_configured(row.stream, settings)),
        *_failed_jobs(facts.failed_jobs, {(row.dagster_run_id, row.stream) for row in known}),
        *map(_failed_check, facts.failed_checks),
        *_late(settings, grouped([row.day for row in missing], [tuple(row) for row in stretches]), option),
        *unusual([Night(**row._asdict()) for row in nights]),
        *_breaks(alerting, breaks),
        *map(_broken_entry, broken),
        *(_broken_deletion(row) for row in deletions if row.account == account),
    )
    # of what was not asked for, what was known earlier would look as if it were over
    unknown = (() if dagster else OF_DAGSTER) + (() if verify else OF_CHAINS)
    return Evaluation(alerts, tuple(kind for kind in KINDS if kind not in unknown))


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


def _refused(account: str, row: Any) -> Alert:
    return Alert(
        "token_refused",
        f"token_refused:{account}",
        f"the platform refuses the token of account {account}",
        row.message,
        f"`ecommpay-sync doctor`; run {row.run_id} of sync.runs.",
        "put the account's present token and secret into the secret files (a newer token ends the older one), "
        "then load the missing days.",
    )


def _lost_right(settings: SyncSettings, row: Any, option: str) -> Alert:
    right, how = _right(row.stream, settings)
    return Alert(
        "right_refused",
        f"right_refused:{row.stream}",
        f"the token of account {settings.account} {'lost' if row.was_loaded else 'does not have'} the right to {right}",
        row.message,
        f"My team → the token's user in the Dashboard; run {row.run_id} of sync.runs.",
        f"{how}, then `{_again(row)}{option}`. Over when a run of it is complete.",
    )


def _right(stream: str, settings: SyncSettings) -> tuple[str, str]:
    """Return what a right is for, and what to do without it."""
    for config in settings.documents:
        if config.stream == stream:
            grant = f"give the token's user access to {config.endpoint}, or take [{config.name}] out of DOCUMENTS_FILE"
            return f"documents of {config.endpoint} ({config.name})", grant
    typed = next(typed for typed in TYPED if typed.name == stream)
    grant = f"grant the role {typed.required_right} to the token's user, or set SYNC_{stream.upper()}=off"
    return f"{typed.rows_name or typed.name} (role {typed.required_right})", grant


def _is_configured(stream: str, settings: SyncSettings) -> bool:
    """Return whether a stream is still loaded: what was taken out of the settings is no cause for an alert."""
    if stream.startswith("documents:"):
        return any(config.stream == stream for config in settings.documents)
    return stream != "fraud" or settings.fraud != "off"


def _is_nightly(row: Any, settings: SyncSettings) -> bool:
    """Return whether a run was over exactly the days of the night that was due when it started."""
    tick = last_due(settings.nightly_cron, settings.schedule_time_zone, row.started_at) or row.started_at
    night = night_at(tick, settings)
    return (row.interval_from, row.interval_to) == interval_of_days(night.first_day, night.last_day)


def _failed(row: Any, option: str) -> Alert:
    days = f" of {row.interval_from:%Y-%m-%d} to {row.interval_to:%Y-%m-%d}" if row.interval_from else ""
    return Alert(
        "run_failed",
        f"run_failed:{row.stream}" + (f":{row.interval_from:%Y-%m-%d}:{row.interval_to:%Y-%m-%d}" if days else ""),
        f"the run {row.run_id} of {row.stream}{days} is {'not ended' if row.state == 'running' else row.state}",
        row.message,
        f"run {row.run_id} of sync.runs" + (f", Dagster run {row.dagster_run_id}" if row.dagster_run_id else ""),
        f"remove what the message names, then `{_again(row)}{option}`; what was committed stays. It is over when a "
        "later run is complete and no day of these is missing.",
    )


def _failed_jobs(jobs: Sequence[FailedJob], known: set[tuple[str, str]]) -> Iterator[Alert]:
    """Yield what failed beside the streams whose failure the ledger has, by (Dagster run, stream)."""
    runs_in_ledger = {run_id for run_id, _ in known}
    for job in jobs:
        run_id = job.dagster_run_id
        for step in job.steps:
            if (run_id, step.stream) in known or step.by_check:
                continue
            yield Alert(
                "run_failed",
                f"run_failed:job:{job.job}:{step.name}",
                f"the step {step.name} of the job {job.job} failed",
                step.message or "an error that is not known: its stack trace is with Dagster's run.",
                f"Dagster run {run_id}; `ecommpay-sync doctor`.",
                "remove what the message names, and start the job again in Dagster's UI. Over when the job succeeds.",
            )
        if not job.steps and run_id not in runs_in_ledger:
            yield Alert(
                "run_failed",
                f"run_failed:job:{job.job}",
                f"the job {job.job} failed before it could begin",
                "Dagster's run ended as failed, and the ledger does not know it: settings, the code or the database "
                "stopped it at its start.",
                f"Dagster run {run_id}; `ecommpay-sync doctor`.",
                "remove what the run's last line names, and start the job again in Dagster's UI.",
            )


def _again(row: Any) -> str:
    """Return the command that does a run's work again: of days, those that it was about."""
    command = f"ecommpay-sync {COMMANDS.get(row.stream, row.stream.replace(':', ' '))}"
    if not row.interval_from:
        return command
    return f"{command} --from {row.interval_from:%Y-%m-%d} --to {row.interval_to:%Y-%m-%d}"


def _failed_check(check: FailedCheck) -> Alert:
    return Alert(
        "check_failed",
        f"check_failed:{check.asset}:{check.check}",
        f"the check {check.check} of {check.asset} failed",
        f"{check.description or 'no description'}."
        + (" What is made of it (marts, reconciliation, report) did not run on it." if check.blocking else ""),
        f"the asset {check.asset} in Dagster's UI, tab Checks; `ecommpay-sync status`.",
        "see what it found (no_rejects: core.rejects holds the rows and the reason); it is over when the next "
        "load passes the check.",
    )


def grouped(days: Sequence[date], known: Sequence[tuple[date, ...]]) -> dict[date, tuple[date, date]]:
    """Return the first and the last of the missing days (in order) of each alert, by the day that names it.

    A day belongs to the `known` stretch that it lies in, so that an alert stays one while its days are loaded in any
    order; a day behind another to the stretch of that one. The others make new stretches, named by their first day.
    """
    homes: dict[date, date] = {}
    found: dict[date, tuple[date, date]] = {}
    for day in days:
        before = homes.get(day - timedelta(days=1), day)
        home = homes[day] = next((first for first, last in known if first <= day <= last), before)
        found[home] = (found.get(home, (day, day))[0], day)
    return found


def _late(settings: SyncSettings, stretches: dict[date, tuple[date, date]], option: str) -> Iterator[Alert]:
    deadline = f"the deadline is {settings.nightly_deadline:%H:%M} {settings.reference.reporting_zone}"
    for name, (first, last) in stretches.items():
        plural = first != last
        days, are, their = (f"{first} to {last}", "are", "their") if plural else (str(first), "is", "its")
        yield Alert(
            "nightly_late",
            f"nightly_late:{name}",
            f"{days} {are} not complete at {their} deadline",
            f"the UTC day{'s' if plural else ''} {days} {are} not shown complete; {deadline}.",
            "`ecommpay-sync status`; the schedule nightly and the daemon's state in Dagster's UI.",
            f"start the daemon if it is down, then `ecommpay-sync operations --from {first} --to {last}{option}`.",
            last,
        )


def _breaks(alerting: AlertSettings, rows: Sequence[Any]) -> Iterator[Alert]:
    limits = dict(alerting.breaks_above)
    for row in rows:
        limit = limits.get(row.currency)
        if limit is not None and row.minor > limit:
            yield Alert(
                "breaks",
                f"breaks:{row.currency}",
                f"open breaks in {row.currency} exceed {limit:,} minor units",
                f"{row.breaks:,} open breaks add up to {row.minor:,} minor units of {row.currency}; "
                f"ALERT_BREAKS_ABOVE allows {limit:,}.",
                "recon.breaks with state = 'open', the largest first.",
                "match, explain or close them; or raise the limit.",
            )


def _broken_entry(row: Any) -> Alert:
    return Alert(
        "ledger_broken",
        f"ledger_broken:{row.entry_no}",
        f"the ledger's chain is broken at entry {row.entry_no}",
        f"entry {row.entry_no} (window {row.window_id}): {row.reason}.",
        "`ecommpay-sync verify`; who had write access to sync.windows since then.",
        "compare with a backup; walk the days again; keep the broken entry as evidence.",
    )


def _broken_deletion(row: Any) -> Alert:
    return Alert(
        "ledger_broken",
        f"ledger_broken:deletions:{row.deletion_no}",
        f"the chain of deletions is broken at row {row.deletion_no}",
        f"row {row.deletion_no} of raw.deletions, of {row.deleted_at:%Y-%m-%d %H:%M:%S} UTC: {row.reason}.",
        "`ecommpay-sync verify`; who had write access to raw.deletions since then.",
        "compare with a backup; raw pages that it says were deleted for their age may have been removed.",
    )
