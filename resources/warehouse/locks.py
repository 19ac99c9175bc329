"""What processes share through PostgreSQL: locks of days, and one token's pace.

One connection holds all advisory locks of a run, and they die with it. A short run locks the months of its days at
once. A backfill must neither keep the nightly run waiting for hours nor take its share of the platform: it locks a
month only while a window of that month is in flight, and keeps few windows in flight while a short run is under way.
Its last window of a month then ends, and the short run, first in PostgreSQL's queue, goes on.

Of the pace, only what processes exchange is here: a 429 to one of them, and how many requests in flight each has
found. Within a process, `resources.data_api.pace` does the waiting.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import date
from typing import Any

import psycopg
import sqlalchemy
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from resources.data_api.pace import TokenState
from resources.errors import SyncError
from resources.output import duration
from resources.settings import SyncSettings
from resources.warehouse.engine import Warehouse, run
from resources.warehouse.failures import explain

WAIT_SECONDS = 600
LOOK_EVERY = 1.0  # seconds, at the state of a token
LONGEST_SHORT_RUN = 6 * 3600  # seconds a backfill waits for days that shorter runs are loading


class DaysAreBusy(SyncError):
    """Another run loads some of the same days for longer than this one waits."""

    kind = "days_busy"

    def __init__(self, what: str, waited_seconds: float) -> None:
        super().__init__(
            f"another run has been loading {what} for more than {duration(waited_seconds)}: see `ecommpay-sync "
            "status`, and start this one again when that has ended."
        )


class Locks:
    """The locks of one run of a stream."""

    def __init__(self, connection: sqlalchemy.Connection, place: str, account: str, stream: str) -> None:
        self._connection = connection
        self._place = place
        self._stream = stream
        self._scope = {"account": account, "stream": stream}

    def lock_run(self, run_id: int) -> None:
        """Hold the lock by which `sync.was_killed` sees that the run's process lives."""
        self.execute("warehouse/locks/lock_run", run_id=run_id)

    def lock_days(self, first: date, last: date, wait_seconds: float = WAIT_SECONDS) -> None:
        """Lock all months from `first` to `last`, in order, so that no two runs wait for each other.

        Raises:
            DaysAreBusy: another run held one of them for longer than `wait_seconds`.
        """
        for month in _months(first, last):
            self._wait("warehouse/locks/lock_month", f"{self._stream} of {first} to {last}", wait_seconds, month=month)

    def begin(self, first: date, last: date, settings: SyncSettings, look_back_days: int) -> BackfillThrottle | None:
        """Lock what a run over these days needs before it begins; a backfill gets the throttle of its windows.

        Raises:
            DaysAreBusy: other runs have been loading these days for too long.
        """
        if is_backfill(settings, first, last, look_back_days):
            what = f"{self._stream} of {first} to {last}"
            self._wait("warehouse/locks/lock_backfill", what, WAIT_SECONDS, first=str(first), last=str(last))
            return BackfillThrottle(self, settings)
        self._wait("warehouse/locks/lock_short_run", self._stream, WAIT_SECONDS)
        self.lock_days(first, last)
        return None

    def _wait(self, name: str, what: str, wait_seconds: float, **parameters: Any) -> None:
        self.execute("warehouse/locks/set_wait", milliseconds=f"{wait_seconds * 1000:.0f}")
        self.execute(name, DaysAreBusy(what, wait_seconds), **parameters)

    def execute(self, name: str, busy: DaysAreBusy | None = None, **parameters: Any) -> bool:
        """Execute a statement, and return whether it says yes; `busy` is raised if a lock is not free in time."""
        try:
            rows = run(self._connection, name, **(self._scope | parameters))
        except DBAPIError as error:
            if busy and isinstance(error.orig, psycopg.errors.LockNotAvailable):
                raise busy from None
            raise explain(error.orig, self._place) from None
        return bool(rows and rows[0][0])


class BackfillThrottle:
    """Which windows of a backfill may be in flight; used by one thread."""

    def __init__(self, locks: Locks, settings: SyncSettings) -> None:
        self._locks, self._settings = locks, settings

    def windows_in_flight(self) -> int:
        """How many windows may be in flight now; at least 1."""
        most = self._settings.windows_in_flight
        if self._locks.execute("warehouse/locks/short_run_is_under_way"):
            return min(most, self._settings.backfill_windows_beside_others)
        return most

    def acquire(self, first: date, last: date, *, is_first: bool) -> bool:
        """Whether a window over these days may start. The first in flight waits: it holds no other lock, no deadlock.

        Raises:
            DaysAreBusy: a short run loads these days for hours.
        """
        if is_first:
            self._locks.lock_days(first, last, LONGEST_SHORT_RUN)
            return True
        months = _months(first, last)
        for month in months:
            if not self._locks.execute("warehouse/locks/try_month", month=month):
                self._free(range(months.start, month))
                return False
        return True

    def release(self, first: date, last: date) -> None:
        """A window over these days is done."""
        self._free(_months(first, last))

    def _free(self, months: range) -> None:
        for month in months:  # PostgreSQL counts how often each was locked
            self._locks.execute("warehouse/locks/free_month", month=month)


@contextmanager
def open_locks(warehouse: Warehouse, account: str, stream: str) -> Iterator[Locks]:
    """Yield the locks of a run, on a connection of their own.

    Raises:
        WarehouseUnavailable: no connection.
    """
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://",
        creator=lambda: warehouse.connect("ecommpay-sync lock", autocommit=True),
        poolclass=NullPool,
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,
    )
    try:
        connection = engine.connect()
    except (DBAPIError, psycopg.Error) as error:
        raise explain(getattr(error, "orig", error), warehouse.place()) from None
    try:
        yield Locks(connection, warehouse.place(), account, stream)
    finally:
        with suppress(DBAPIError):  # the server may be gone
            connection.close()


@contextmanager
def days_lock(
    warehouse: Warehouse,
    account: str,
    first: date,
    last: date,
    wait_seconds: float = WAIT_SECONDS,
    *,
    stream: str = "operations",
) -> Iterator[None]:
    """Hold the locks of all months from `first` to `last`.

    Raises:
        DaysAreBusy: another run held one of them for longer than `wait_seconds`.
        WarehouseUnavailable: no connection.
    """
    with open_locks(warehouse, account, stream) as locks:
        locks.lock_days(first, last, wait_seconds)
        yield


def is_backfill(settings: SyncSettings, first: date, last: date, look_back_days: int | None = None) -> bool:
    """Whether a run over these days is so long that it yields to others; the nightly run of a stream never is."""
    look_back = settings.look_back_days if look_back_days is None else look_back_days
    # a night loads the day before, its look-back, and up to two days more where its zones differ
    return (last - first).days + 1 > max(settings.backfill_days, look_back + 3)


class TokenBudget:
    """The pause of an account's token as PostgreSQL keeps it; safe to use from several threads.

    A database that fails here is ignored: each process keeps its own pace, and the next load reports it.
    """

    def __init__(self, warehouse: Warehouse, account: str) -> None:
        self._warehouse = warehouse
        self._account = account
        self._lock = threading.Lock()
        self._look_at = 0.0
        self._resume_at = 0.0
        self._token = TokenState()

    def slow_down(self, seconds: float) -> None:
        """Tell every process of this token to wait so many seconds."""
        with suppress(SyncError):
            self._warehouse.query("warehouse/locks/slow_down", account=self._account, seconds=seconds)

    def exchange(self, process: str, in_flight_limit: int) -> TokenState:
        """Tell what this process has found, and return the token's state as known within the last second."""
        with self._lock:
            if time.monotonic() >= self._look_at:
                self._look_at = time.monotonic() + LOOK_EVERY
                self._token = self._asked(process, in_flight_limit)
                self._resume_at = time.monotonic() + self._token.seconds_left
            return replace(self._token, seconds_left=self._resume_at - time.monotonic())

    def leave(self, process: str) -> None:
        """Tell that this process sends no more requests for now."""
        with suppress(SyncError):
            self._warehouse.query("warehouse/locks/leave", account=self._account, process=process)
        with self._lock:
            self._look_at = 0.0

    def _asked(self, process: str, in_flight_limit: int) -> TokenState:
        with suppress(SyncError):
            (row,) = self._warehouse.query(
                "warehouse/locks/exchange", account=self._account, process=process, in_flight_limit=in_flight_limit
            )
            return TokenState(row.seconds_left, row.processes, row.others_in_flight, row.in_flight_limit)
        return TokenState()


def _months(first: date, last: date) -> range:
    """Return the numbers of the months that the days touch; each has a lock of its own."""
    return range(first.year * 12 + first.month, last.year * 12 + last.month + 1)
