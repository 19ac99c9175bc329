"""Which windows of a run may start now: a short run locks its days at once, a backfill only what it is walking.

A backfill must not keep the nightly run waiting for hours, nor take its share of the platform. So it holds the
locks of a month only while a window of that month is in flight, and keeps few windows in flight while a short run
is under way: its last window of a month then lands, and the short run, first in PostgreSQL's queue, is let in.
All locks are advisory and die with their connection.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any, Protocol

import psycopg

import sql
from resources.settings import SyncSettings
from resources.warehouse.engine import Warehouse, explain
from resources.warehouse.locks import WAIT_SECONDS, DaysAreBusy, lock_connection, months, range_lock

LONGEST_SHORT_RUN = 6 * 3600  # seconds a backfill waits for days that shorter runs are loading


class Gate(Protocol):
    """Asked before each window starts, told when it has landed; by one thread only."""

    def windows_in_flight(self) -> int:
        """How many windows may be in flight now; at least 1."""

    def enter(self, first: date, last: date, *, alone: bool) -> bool:
        """Whether a window over these days may start; with none in flight (`alone`) it waits until it may."""

    def leave(self, first: date, last: date) -> None:
        """A window over these days has landed."""


@contextmanager
def open_gate(
    warehouse: Warehouse, settings: SyncSettings, first: date, last: date, stream: str = "operations"
) -> Iterator[Gate]:
    """Yield the gate of a run over the days `first` to `last` of `stream`.

    Raises:
        DaysAreBusy: other runs have been loading these days for too long.
        WarehouseUnavailable: no connection.
    """
    account = settings.account
    with lock_connection(warehouse, "ecommpay-sync gate") as connection:
        held = _Locks(connection, warehouse.place(), account, stream)
        if is_backfill(settings, first, last):
            held.run("warehouse/locks/lock_range", WAIT_SECONDS, first=str(first), last=str(last))
            yield _YieldingGate(held, settings)
            return
        held.run("warehouse/locks/be_short", WAIT_SECONDS)
        with range_lock(warehouse, account, first, last, stream=stream):
            yield _OpenGate(settings.windows_in_flight)


def is_backfill(settings: SyncSettings, first: date, last: date) -> bool:
    """Whether a run over these days is so long that it yields to others."""
    # the nightly run itself is none, however far it looks back: it may have two days more than that and yesterday
    return (last - first).days + 1 > max(settings.backfill_days, settings.look_back_days + 3)


class _OpenGate:
    """The days are locked already."""

    def __init__(self, most: int) -> None:
        self._most = most

    def windows_in_flight(self) -> int:
        return self._most

    def enter(self, first: date, last: date, *, alone: bool) -> bool:
        del first, last, alone
        return True

    def leave(self, first: date, last: date) -> None:
        del first, last


class _YieldingGate:
    """Locks are counted by PostgreSQL: a month taken by two windows is free when both have landed."""

    def __init__(self, locks: _Locks, settings: SyncSettings) -> None:
        self._locks = locks
        self._settings = settings

    def windows_in_flight(self) -> int:
        most = self._settings.windows_in_flight
        if self._locks.run("warehouse/locks/others_under_way"):
            return min(most, self._settings.backfill_windows_beside_others)
        return most

    def enter(self, first: date, last: date, *, alone: bool) -> bool:
        if alone:  # it holds nothing that somebody could wait for: so no two can wait for each other
            for month in months(first, last):
                self._locks.run("warehouse/locks/lock_month", LONGEST_SHORT_RUN, month=month)
            return True
        taken: list[int] = []
        for month in months(first, last):
            if not self._locks.run("warehouse/locks/try_month", month=month):
                for other in taken:
                    self._locks.run("warehouse/locks/free_month", month=other)
                return False
            taken.append(month)
        return True

    def leave(self, first: date, last: date) -> None:
        for month in months(first, last):
            self._locks.run("warehouse/locks/free_month", month=month)


class _Locks:
    """The statements that lock, on one connection."""

    def __init__(self, connection: psycopg.Connection[Any], place: str, account: str, stream: str) -> None:
        self._connection = connection
        self._place = place
        self._scope = {"account": account, "stream": stream}

    def run(self, name: str, wait_seconds: int = 0, **parameters: Any) -> bool:
        """Execute a statement and return its answer; it may wait for a lock for so many seconds."""
        try:
            if wait_seconds:
                self._connection.execute(sql.text("warehouse/locks/wait"), {"milliseconds": f"{wait_seconds * 1000}"})
            row = self._connection.execute(sql.text(name), self._scope | parameters).fetchone()
        except psycopg.errors.LockNotAvailable:
            raise DaysAreBusy(f"{self._scope['stream']} of the same days", wait_seconds) from None
        except psycopg.Error as error:
            raise explain(error, self._place) from None
        return bool(row and row[0])
