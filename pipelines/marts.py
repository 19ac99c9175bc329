"""Builds the marts of schema bi from the core: views when they changed, tables by what the ledger says is new.

One transaction that sees the core of one moment. A full build and one that continues run the same statements; only
the list of days and payments to build differs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Connection

import sql
from resources.settings import SyncSettings
from resources.values import next_due
from resources.warehouse.engine import Warehouse, run, script

VIEWS = (  # in the order in which they are made
    *("dim_currency", "fct_operations", "approval_rate_daily", "refund_cohorts"),
    *("control_totals", "data_freshness", "ops_runs", "ops_lateness", "fct_fraud"),
    *("recon_match_rate", "recon_open_breaks", "recon_resolution", "recon_days"),
)
TABLES = (
    *("dim_date", "dim_project", "dim_operation_status"),
    *("daily_overview", "approval_by_method_daily", "decline_reasons_daily"),
    *("fct_payments", "fct_retries", "fct_refunds", "fct_balances_daily"),
)
MARTS = (*TABLES, *VIEWS)
FINGERPRINT = "bi_views_fingerprint"

COMPUTE = (
    *("marts/new_daily_overview", "marts/new_approval_by_method", "marts/new_decline_reasons"),
    *("marts/new_payments", "marts/analyze_new_payments", "marts/new_retries", "marts/new_refunds"),
    *("marts/new_balances_daily", "marts/new_dates", "marts/new_projects", "marts/new_operation_status"),
    "marts/analyze_new",
)
# what differs from the marts is written, and nothing else: readers see the state before until the commit
PUT_DIMENSIONS = ("marts/put_dates", "marts/put_projects", "marts/put_operation_status")  # the facts refer to them
DROP_DAYS = (
    *("marts/drop_daily_overview", "marts/drop_approval_by_method", "marts/drop_decline_reasons"),
    "marts/drop_balances_daily",
)
DROP_STALE = ("marts/drop_payments", "marts/drop_retries", "marts/drop_refunds")
DROP_ANY = ("marts/drop_any_payments", "marts/drop_any_retries", "marts/drop_any_refunds")
PUT = (
    *("marts/put_daily_overview", "marts/put_approval_by_method", "marts/put_decline_reasons"),
    *("marts/put_payments", "marts/put_retries", "marts/put_refunds", "marts/put_balances_daily"),
    *("marts/forget_projects_not_seen", "marts/forget_strays"),
)


@dataclass(frozen=True)
class MartsReport:
    """What a build did: business days and payments built, ledger entries taken in, and whether it built everything."""

    refreshed_at: datetime
    is_full: bool
    windows: int
    days: int
    payments: int
    rows: Mapping[str, int]


def build_marts(
    warehouse: Warehouse,
    settings: SyncSettings,
    *others: SyncSettings,
    full: bool = False,
    now: datetime | None = None,
) -> MartsReport:
    """Bring all marts, of every account, to the state of the core; with `full`, build everything anew.

    It also notes when the next runs of these accounts are due. The first settings name the owners of shared projects.

    Everything is built anew of itself when currencies, zone or fiscal year have changed.

    Raises:
        WarehouseUnavailable, WarehouseBroken: nothing has changed then.
    """
    with warehouse.transaction() as connection:  # of its own: a view that is made anew keeps its readers waiting
        run(connection, "marts/lock")
        _make_views(connection)
    with warehouse.transaction() as connection:
        run(connection, "marts/isolate")
        run(connection, "marts/lock")
        is_full = full or bool(run(connection, "marts/needs_full"))
        if is_full:
            run(connection, "marts/plan_for_all_rows")
        _find_what_is_stale(connection, settings, is_full=is_full)
        _run_all(connection, COMPUTE, is_full=is_full)
        if is_full:
            _run_all(connection, ("marts/all_days", "marts/analyze_stale"))
        _run_all(
            connection, (*PUT_DIMENSIONS, *DROP_DAYS, *(DROP_ANY if is_full else DROP_STALE), *PUT), is_full=is_full
        )
        if not run(connection, "marts/references"):
            script(connection, "bi/references")
        for account in (settings, *others):
            _note_what_is_due(connection, account, now or datetime.now(UTC))
        run(connection, "marts/record", is_full=is_full)
        (done,) = run(connection, "marts/report")
        rows = {row.mart: int(row.row_count) for row in run(connection, "marts/row_counts")}
        return MartsReport(done.refreshed_at, is_full, done.windows, done.days, done.payments, rows)


def _make_views(connection: Connection) -> None:
    fingerprint = hashlib.sha256("".join(sql.script(f"bi/{name}") for name in VIEWS).encode()).hexdigest()
    if any(row.value == fingerprint for row in run(connection, "warehouse/reference/setting", key=FINGERPRINT)):
        return
    for name in VIEWS:
        script(connection, f"bi/{name}")
    run(connection, "warehouse/reference/set", key=FINGERPRINT, value=fingerprint)


def _find_what_is_stale(connection: Connection, settings: SyncSettings, *, is_full: bool) -> None:
    _run_all(connection, ("marts/new_windows", "marts/analyze_new_windows"), is_full=is_full)
    changed = _decide_what_is_counted(connection, settings, is_full=is_full)
    if is_full:
        _run_all(connection, ("marts/no_stale_days", "marts/no_stale_payments"))
    else:
        touched = ("marts/touched_of_windows", *(("marts/touched_of_projects",) if changed else ()))
        _run_all(connection, (*touched, "marts/stale_days", "marts/stale_payments"))
    stale = ("marts/analyze_stale", "marts/stale_operations", "marts/analyze_stale_operations")
    _run_all(connection, stale, is_full=is_full)


def _decide_what_is_counted(connection: Connection, settings: SyncSettings, *, is_full: bool) -> bool:
    """Return whether a project is counted for another account than before."""
    if is_full:
        run(connection, "marts/forget_projects")
    owners = {
        "projects": [owner.project_id for owner in settings.project_owners],
        "accounts": [owner.account for owner in settings.project_owners],
    }
    _run_all(connection, ("marts/new_project_states", "marts/see_projects"))
    _run_all(connection, ("marts/forget_owners", "marts/name_owners", "marts/changed_projects"), **owners)
    return bool(run(connection, "marts/count_projects"))


def _run_all(connection: Connection, names: Iterable[str], **parameters: Any) -> None:
    """Execute these statements in turn, each with those of the parameters that it names."""
    for name in names:
        run(connection, name, **parameters)


def _note_what_is_due(connection: Connection, settings: SyncSettings, now: datetime) -> None:
    account, zone = settings.account, settings.schedule_time_zone
    for stream, cron in {"operations": settings.nightly_cron, "balances": settings.balances_cron}.items():
        if due := next_due(cron, zone, now):
            schedule = f"{cron} {zone}"
            run(connection, "marts/due", account=account, stream=stream, next_run_at=due, schedule=schedule)


def currencies_missing_from_grain(warehouse: Warehouse) -> list[str]:
    """Return the columns of amounts in bi.* whose mart has no currency beside them, or not in its key."""
    return [str(row.offence) for row in warehouse.query("marts/currency_in_grain")]


def differences_from_core(warehouse: Warehouse) -> list[Any]:
    """Return account, currency, type and status of which the marts hold other totals than the core does."""
    return warehouse.query("marts/marts_equal_core")


@dataclass(frozen=True)
class Sight:
    """What an account's token has shown of a project; `only_here` of it the counted account does not hold."""

    account: str
    operations: int
    is_counted: bool | None  # None: the marts were not built since
    only_here: int

    @property
    def verdict(self) -> str:
        """What the marts do with it."""
        if self.is_counted is None:
            return "not built yet"
        if self.is_counted:
            return "counted"
        return "not counted" + (f", {self.only_here:,} of them nowhere" if self.only_here else "")

    def __str__(self) -> str:
        return f"{self.account} ({self.operations:,} operations, {self.verdict})"


@dataclass(frozen=True)
class SharedProject:
    """A project that several accounts see, the counted one first."""

    project_id: str
    sights: tuple[Sight, ...]

    @property
    def accounts(self) -> tuple[str, ...]:
        """Who sees it."""
        return tuple(sight.account for sight in self.sights)

    @property
    def advice(self) -> str:
        """What to do about it."""
        if any(sight.only_here for sight in self.sights):
            return "load the counted account's missing days, or name another owner (SYNC_PROJECT_OWNERS, [projects])"
        return "take the right to see it from all tokens but one, or leave it so"

    def __str__(self) -> str:
        return f"project {self.project_id} is seen by {' and '.join(map(str, self.sights))}: {self.advice}"


def shared_projects(warehouse: Warehouse) -> list[SharedProject]:
    """Return every project that several accounts see."""
    rows = warehouse.query("marts/shared_projects")
    return [
        SharedProject(
            project, tuple(Sight(row.account, row.operations, row.is_counted, row.only_here) for row in of_project)
        )
        for project, of_project in groupby(rows, key=lambda row: str(row.project_id))
    ]
