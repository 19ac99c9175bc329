"""The record of runs and windows, and of what retention deleted; loading is in `load`.

Of a run: what was asked for, and how it ended. Of a window: whether it is complete. Raw pages are kept for a set time:
older ones are deleted in batches and the deletion is written down; the ledger itself never is deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.metadata import version
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal

import orjson
from sqlalchemy import Connection

from resources.errors import Incomplete, SyncError, kind_of
from resources.warehouse.engine import Warehouse, affect, run_many
from resources.warehouse.engine import run as execute
from resources.warehouse.locks import Locks, open_locks

if TYPE_CHECKING:
    from resources.data_api.pace import RequestCounts

TotalKey = tuple[str | None, str | None, str | None]  # currency, type, status
RunState = Literal["complete", "incomplete", "failed", "skipped"]
BATCH = 500  # raw pages deleted in a transaction: about a hundred megabytes of rows at most, and never a long lock


@dataclass(frozen=True, order=True)
class ControlTotal:
    """Count and sum of one currency, type and status; `minor` is exact, None when no row has an amount."""

    currency: str | None
    type: str | None
    status: str | None
    count: int
    minor: int | None


@dataclass(frozen=True, order=True)
class DoneWindow:
    """A committed window that a run does not walk again."""

    interval_from: datetime
    interval_to: datetime
    window_id: int


class Neighbours:
    """Keys of what committed windows hold, for the windows of a run that share a boundary second with them.

    A row of both is counted by the one that was committed first. Each window stays here until both of its
    neighbours are committed; whatever the number of windows, few are open at a time. A run that continues another one
    begins with the windows that it does not walk again, whose keys are read when a neighbour of theirs is committed.
    """

    def __init__(
        self, done: Iterable[DoneWindow] = (), keys_of: Callable[[int], frozenset[str]] = lambda _: frozenset()
    ) -> None:
        self._at: dict[datetime, tuple[int, Callable[[], frozenset[str]]]] = {}
        for window in sorted(done, key=attrgetter("window_id")):
            for edge in (window.interval_from, window.interval_to):
                self._at[edge] = window.window_id, partial(keys_of, window.window_id)

    def counted(self, connection: Connection, walk: WalkRecord, window_id: int, keys: frozenset[str]) -> frozenset[str]:
        """Return which of `keys` a committed neighbour has counted, and note them for the neighbours to come.

        The account is locked, from here to the commit: what a neighbour noted is either committed or never will be.
        """
        found = [self._at.pop(edge, None) for edge in (walk.interval_from, walk.interval_to)]
        shared = {number: keys & read_keys() for number, read_keys in filter(None, found)}
        candidates = [number for number, theirs in shared.items() if theirs]
        rows = execute(connection, "warehouse/ledger/committed", ids=candidates) if candidates else []
        for edge, neighbour in zip((walk.interval_from, walk.interval_to), found, strict=True):
            if neighbour is None:
                self._at[edge] = window_id, lambda: keys
        return frozenset().union(*(shared[row.window_id] for row in rows))


@dataclass(frozen=True)
class Scope:
    """Whose rows, of which projects and which stream; no project ids: every project that the token may see."""

    account: str
    run_id: int
    project_ids: tuple[int, ...] = ()
    stream: str = "operations"
    neighbours: Neighbours = field(default_factory=Neighbours, compare=False, repr=False)


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


@dataclass(frozen=True, kw_only=True)
class RowCounts:
    """Rows that were received, and what became of them."""

    rows_met: int = 0
    rows_new: int = 0
    rows_changed: int = 0
    rows_unchanged: int = 0
    rows_rejected: int = 0


@dataclass(frozen=True)
class LoadReport(RowCounts):
    """What a committed window changed in the store."""

    window_id: int
    totals: tuple[ControlTotal, ...] = field(default=())


@dataclass
class Run:
    """A run under way. What it says of its end: a `message`, or why it is `skipped`; failures are exceptions."""

    scope: Scope
    message: str | None = None
    skipped: str | None = None

    @property
    def run_id(self) -> int:
        """Our own number of the run."""
        return self.scope.run_id


@contextmanager
def run(
    warehouse: Warehouse,
    counts: RequestCounts,
    *,
    account: str,
    stream: str,
    interval: tuple[datetime, datetime] | None = None,
    project_ids: Sequence[int] = (),
    dagster_run_id: str | None = None,
    locks: Locks | None = None,
) -> Iterator[Run]:
    """Write the beginning of a run, yield it, and write its end: state, kind of its error, the requests of `counts`.

    To `sync.was_killed` it lives as long as the block lasts; runs of the account that were killed are ended before it
    begins. `Incomplete` ends it incomplete, any other exception failed; all are raised again.

    Raises:
        WarehouseUnavailable: no connection.
    """
    warehouse.query("warehouse/ledger/end_killed_runs", account=account)
    with nullcontext(locks) if locks else open_locks(warehouse, account, stream) as held:
        run_id = start_run(
            warehouse,
            account=account,
            stream=stream,
            interval=interval,
            project_ids=project_ids,
            dagster_run_id=dagster_run_id,
        )
        this = Run(Scope(account, run_id, tuple(project_ids), stream))
        try:
            held.lock_run(run_id)
            yield this
        except BaseException as error:
            state: RunState = "incomplete" if isinstance(error, Incomplete) else "failed"
            with suppress(SyncError):  # the first failure is the one to report
                _end_run(warehouse, run_id, counts, state, _message(error), kind_of(error))
            raise
        _end_run(warehouse, run_id, counts, "skipped" if this.skipped else "complete", this.skipped or this.message)


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
    interval_from, interval_to = interval or (None, None)
    (row,) = warehouse.query(
        "warehouse/ledger/start_run",
        account=account,
        stream=stream,
        interval_from=interval_from,
        interval_to=interval_to,
        project_ids=list(project_ids),
        dagster_run_id=dagster_run_id,
        product_version=version("ecommpay-sync"),
    )
    return int(row.run_id)


def note_resumed_windows(warehouse: Warehouse, run_id: int, done: Sequence[DoneWindow]) -> None:
    """Write into sync.runs which windows a run does not walk again."""
    if done:
        warehouse.query("warehouse/ledger/note_resumed", run_id=run_id, ids=[window.window_id for window in done])


def was_loaded(warehouse: Warehouse, account: str, stream: str) -> bool:
    """Whether a run of the stream was ever complete."""
    return bool(warehouse.query("warehouse/ledger/was_complete", account=account, stream=stream))


def windows_already_done(
    warehouse: Warehouse,
    account: str,
    interval: tuple[datetime, datetime] | None,
    project_ids: Sequence[int],
    look_back_days: int,
    stream: str = "operations",
    *,
    now: datetime,
) -> list[DoneWindow]:
    """Return the windows, older than the look-back, that an interrupted run over the same days has committed."""
    if interval is None:  # a snapshot continues no other one
        return []
    rows = warehouse.query(
        "warehouse/ledger/windows_already_done",
        account=account,
        interval_from=interval[0],
        interval_to=interval[1],
        project_ids=list(project_ids),
        look_back_days=look_back_days,
        stream=stream,
        now=now,
    )
    return [DoneWindow(row.interval_from, row.interval_to, row.window_id) for row in rows]


def next_window_id(connection: Connection) -> int:
    """Reserve the number of a walk."""
    (row,) = execute(connection, "warehouse/ledger/next_window_id")
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
        Whether the rows in the store that this walk wrote have the control totals of all it received.
    """
    facts = (
        vars(scope)
        | vars(walk)
        | vars(report)
        | {
            "project_ids": list(scope.project_ids),
            "verdict": "incomplete" if walk.incomplete_because else "complete",
            "reason": walk.incomplete_because,
            "totals_met": _totals_json(report.totals),
            "rows_digest": digest,
            "pages_digest": pages_digest,
        }
    )
    (row,) = execute(connection, "warehouse/ledger/add_window", **facts)
    return bool(row.all_written)


def written_totals(connection: Connection, window_id: int) -> list[ControlTotal]:
    """Return the control totals of what a window has written, read back from the store."""
    (row,) = execute(connection, "warehouse/ledger/written_totals", window_id=window_id)
    return control_totals_of(row.totals)


class Sums(dict[TotalKey, tuple[int, int | None]]):
    """Count and sum of control totals by currency, type and status."""

    def add(self, totals: Iterable[ControlTotal]) -> None:
        """Count some in."""
        for total in totals:
            key = (total.currency, total.type, total.status)
            count, minor = self.get(key, (0, None))
            if total.minor is not None:
                minor = total.minor + (minor or 0)
            self[key] = count + total.count, minor

    def totals(self) -> tuple[ControlTotal, ...]:
        """Return the sums as control totals."""
        return tuple(ControlTotal(*key, *summed) for key, summed in self.items())


def sum_totals(*totals: Iterable[ControlTotal]) -> tuple[ControlTotal, ...]:
    """Return the sums of control totals by currency, type and status."""
    sums = Sums()
    sums.add(chain(*totals))
    return sums.totals()


def control_totals_of(totals: Iterable[Mapping[str, Any]]) -> list[ControlTotal]:
    """Return control totals as sync.windows keeps them."""
    return [
        ControlTotal(**{**total, "minor": None if total["minor"] is None else int(total["minor"])}) for total in totals
    ]


def add_incomplete_window(warehouse: Warehouse, scope: Scope, walk: WalkRecord) -> None:
    """Record a walk that could not be shown complete; none of its rows is loaded."""
    with warehouse.transaction() as connection:
        add_window(connection, scope, walk, LoadReport(next_window_id(connection)))


@dataclass(frozen=True)
class Deleted:
    """What `delete_old_pages` did; `received_before` is None when everything is kept for ever."""

    pages: int
    received_before: datetime | None


def delete_old_pages(warehouse: Warehouse, account: str, raw_days: int, batch: int = BATCH) -> Deleted:
    """Delete the account's raw pages received more than `raw_days` days ago; 0 keeps all.

    Each batch is written down in the transaction that deletes it, so that no deletion looks like tampering.

    Raises:
        WarehouseUnavailable: the database failed; batches committed before stay deleted.
    """
    if raw_days == 0:
        return Deleted(0, None)
    received_before = datetime.now(UTC) - timedelta(days=raw_days)
    which = {"account": account, "received_before": received_before}
    pages = 0
    while True:
        with warehouse.transaction() as connection:
            deleted = affect(connection, "warehouse/ledger/delete_batch", **which, batch=batch)
            if deleted:
                execute(connection, "warehouse/ledger/add_deletion", **which, raw_days=raw_days, pages=deleted)
        pages += deleted
        if deleted < batch:
            return Deleted(pages, received_before)


def deleted_because_of_age(warehouse: Warehouse, account: str) -> tuple[datetime, int] | None:
    """Return up to when pages were deleted, and after how many days; None: none ever was."""
    rows = warehouse.query("warehouse/ledger/deleted_before", account=account)
    return (rows[0].received_before, rows[0].raw_days) if rows else None


def _end_run(
    warehouse: Warehouse,
    run_id: int,
    counts: RequestCounts,
    state: RunState,
    message: str | None,
    error_kind: str | None = None,
) -> None:
    requests = [{"run_id": run_id, **asdict(count)} for count in counts.by_endpoint()]
    with warehouse.transaction() as connection:
        execute(
            connection,
            "warehouse/ledger/end_run",
            run_id=run_id,
            state=state,
            error_kind=error_kind,
            message=message,
            requests=counts.total,
        )
        run_many(connection, "warehouse/ledger/add_requests", requests)


def _message(error: BaseException) -> str:
    """Return what a run's row says of an error; of one that is not ours, nothing that may hold a secret."""
    if isinstance(error, SyncError):
        return str(error)
    return f"unexpected: {type(error).__name__}" if isinstance(error, Exception) else "stopped from outside"


def _totals_json(totals: Sequence[ControlTotal]) -> str:
    # a sum can exceed 64 bits, which orjson does not write: sums travel as text
    ordered = sorted(totals, key=_as_the_store_orders)
    rows = [vars(total) | {"minor": None if total.minor is None else str(total.minor)} for total in ordered]
    return orjson.dumps(rows).decode()


def _as_the_store_orders(total: ControlTotal) -> tuple[tuple[bool, str], ...]:
    """Order as sync.written_totals does, nulls last, so that the two can be compared."""
    return tuple((value is None, value or "") for value in (total.currency, total.type, total.status))
