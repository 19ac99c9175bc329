"""Keeps two runs from loading the same days of an account at once; a lock dies with its connection."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import psycopg

import sql
from resources.errors import SyncError
from resources.warehouse.engine import Warehouse, explain

WAIT_SECONDS = 600


class DaysAreBusy(SyncError):
    """Another run has been loading some of the same days for longer than was waited for."""

    def __init__(self, what: str, waited_seconds: int) -> None:
        super().__init__(
            f"another run has been loading {what} for more than {waited_seconds // 60} minutes: see `ecommpay-sync "
            "status`, and start this one again when that has ended."
        )


@contextmanager
def range_lock(
    warehouse: Warehouse,
    account: str,
    first: date,
    last: date,
    wait_seconds: int = WAIT_SECONDS,
    *,
    stream: str = "operations",
) -> Iterator[None]:
    """Hold the advisory locks of all months from `first` to `last`, taken in order so that none waits for ever.

    Raises:
        DaysAreBusy: another run held one of them for longer than `wait_seconds`.
        WarehouseUnavailable: no connection.
    """
    with lock_connection(warehouse, "ecommpay-sync lock", wait_seconds) as connection:
        try:
            for month in months(first, last):
                connection.execute(
                    sql.text("warehouse/locks/lock_month"), {"stream": stream, "account": account, "month": month}
                )
        except psycopg.errors.LockNotAvailable:
            raise DaysAreBusy(f"{stream} of {first} to {last}", wait_seconds) from None
        except psycopg.Error as error:
            raise explain(error, warehouse.place()) from None
        yield


def months(first: date, last: date) -> range:
    """Return the numbers of the months that the days touch; each has a lock of its own."""
    return range(first.year * 12 + first.month, last.year * 12 + last.month + 1)


@contextmanager
def lock_connection(
    warehouse: Warehouse, name: str, wait_seconds: int = 0
) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """Yield a connection for advisory locks, which go with it; a lock is waited for so long (0: as long as elsewhere).

    Raises:
        WarehouseUnavailable: no connection.
    """
    connection = warehouse.connect(name, autocommit=True, lock_seconds=wait_seconds)
    try:
        yield connection
    finally:
        connection.close()  # also where the server is gone, which a `with` would complain of
