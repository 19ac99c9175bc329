"""The record of runs and windows: what was asked for, and whether it is complete. Rows are loaded in `load`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Literal

import orjson
from sqlalchemy import Connection

from resources.errors import ErrorKind
from resources.warehouse.engine import Warehouse, run, run_many

if TYPE_CHECKING:
    from resources.data_api.client import RequestCount

RunState = Literal["complete", "incomplete", "failed", "skipped"]


@dataclass(frozen=True, order=True)
class ControlTotal:
    """Count and sum of one currency, type and status; `minor` is exact, None when no row has an amount."""

    currency: str | None
    type: str | None
    status: str | None
    count: int
    minor: int | None


@dataclass(frozen=True)
class Scope:
    """Whose rows, of which projects and which stream; no project ids: every project that the token may see."""

    account: str
    run_id: int
    project_ids: tuple[int, ...] = ()
    stream: str = "operations"


@dataclass(frozen=True)
class WalkRecord:
    """What a walk of one window did, as the ledger keeps it; times are UTC, counts are of the whole walk."""

    interval_from: datetime
    interval_to: datetime
    walk_started_at: datetime
    walk_ended_at: datetime
    walks: int
    drifts: int
    pages: int
    requests: int
    incomplete_because: str | None = None


@dataclass(frozen=True)
class LoadReport:
    """What a committed window changed in the store."""

    window_id: int
    rows_met: int = 0
    rows_new: int = 0
    rows_changed: int = 0
    rows_unchanged: int = 0
    rows_rejected: int = 0
    totals: tuple[ControlTotal, ...] = field(default=())


def start_run(
    warehouse: Warehouse,
    *,
    account: str,
    stream: str,
    interval: tuple[datetime, datetime] | None,
    project_ids: Sequence[int] = (),
    dagster_run_id: str | None = None,
) -> int:
    """Write the beginning of a run into sync.runs and return its number."""
    (row,) = warehouse.query(
        "warehouse/ledger/start_run",
        account=account,
        stream=stream,
        interval_from=interval[0] if interval else None,
        interval_to=interval[1] if interval else None,
        project_ids=list(project_ids),
        dagster_run_id=dagster_run_id,
        product_version=version("ecommpay-sync"),
    )
    return int(row.run_id)


def windows_already_done(
    warehouse: Warehouse,
    account: str,
    interval: tuple[datetime, datetime],
    project_ids: Sequence[int],
    look_back_days: int,
    stream: str = "operations",
) -> list[tuple[datetime, datetime]]:
    """Return the intervals, older than the look-back, that an interrupted run over the same days has committed."""
    rows = warehouse.query(
        "warehouse/ledger/windows_already_done",
        account=account,
        interval_from=interval[0],
        interval_to=interval[1],
        project_ids=list(project_ids),
        look_back_days=look_back_days,
        stream=stream,
    )
    return [(row.interval_from, row.interval_to) for row in rows]


def finish_run(
    warehouse: Warehouse,
    run_id: int,
    state: RunState,
    message: str | None,
    requests: int,
    counts: Sequence[RequestCount] = (),
    error_kind: ErrorKind | None = None,
) -> None:
    """Write how a run ended, by which kind of error, and its requests by endpoint and status."""
    ended = {"state": state, "message": message, "requests": requests, "error_kind": error_kind}
    with warehouse.transaction() as connection:
        run(connection, "warehouse/ledger/finish_run", run_id=run_id, **ended)
        run_many(connection, "warehouse/ledger/add_requests", [{"run_id": run_id, **asdict(count)} for count in counts])


def next_window_id(connection: Connection) -> int:
    """Reserve the number of a walk."""
    (row,) = run(connection, "warehouse/ledger/next_window_id")
    return int(row[0])


def add_window(
    connection: Connection,
    scope: Scope,
    walk: WalkRecord,
    report: LoadReport,
    *,
    digest: str | None = None,
    pages_digest: str | None = None,
) -> bool:
    """Append a walk and its verdict to the ledger, in the transaction that holds its rows.

    Returns:
        Whether the rows in the store that this walk wrote have the control totals of all it met.
    """
    (row,) = run(
        connection,
        "warehouse/ledger/add_window",
        window_id=report.window_id,
        account=scope.account,
        run_id=scope.run_id,
        stream=scope.stream,
        project_ids=list(scope.project_ids),
        interval_from=walk.interval_from,
        interval_to=walk.interval_to,
        verdict="incomplete" if walk.incomplete_because else "complete",
        reason=walk.incomplete_because,
        walk_started_at=walk.walk_started_at,
        walk_ended_at=walk.walk_ended_at,
        walks=walk.walks,
        drifts=walk.drifts,
        pages=walk.pages,
        requests=walk.requests,
        rows_met=report.rows_met,
        rows_new=report.rows_new,
        rows_changed=report.rows_changed,
        rows_unchanged=report.rows_unchanged,
        rows_rejected=report.rows_rejected,
        totals_met=_totals_json(report.totals),
        rows_digest=digest,
        pages_digest=pages_digest,
    )
    return bool(row.all_written)


def add_incomplete_window(warehouse: Warehouse, scope: Scope, walk: WalkRecord) -> None:
    """Record a walk that could not be shown complete; none of its rows is loaded."""
    with warehouse.transaction() as connection:
        add_window(connection, scope, walk, LoadReport(next_window_id(connection)))


def _totals_json(totals: Sequence[ControlTotal]) -> str:
    # a sum can exceed 64 bits, which orjson does not write: sums travel as text
    ordered = sorted(totals, key=_as_the_store_orders)
    rows = [asdict(total) | {"minor": None if total.minor is None else str(total.minor)} for total in ordered]
    return orjson.dumps(rows).decode()


def _as_the_store_orders(total: ControlTotal) -> tuple[tuple[bool, str], ...]:
    """Order as sync.written_totals does, nulls last, so that the two can be compared."""
    return tuple((value is None, value or "") for value in (total.currency, total.type, total.status))
