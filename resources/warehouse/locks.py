"""Keeps two runs from loading the same days of an account at once; a lock dies with its connection."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

import psycopg

import sql
from resources.errors import SyncError
from resources.warehouse.engine import CONNECT_TIMEOUT, Warehouse, explain

WAIT_SECONDS = 600


class DaysAreBusy(SyncError):
    """Another run is loading some of the same days."""


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
    months = range(first.year * 12 + first.month, last.year * 12 + last.month + 1)
    try:
        connection = psycopg.connect(
            warehouse.url,
            autocommit=True,
            connect_timeout=CONNECT_TIMEOUT,
            application_name="ecommpay-sync lock",
            options=f"-c lock_timeout={wait_seconds * 1000} -c idle_session_timeout=0",
        )
    except psycopg.Error as error:
        raise explain(error, warehouse.place()) from None
    with connection:
        try:
            for month in months:
                connection.execute(
                    sql.text("ledger/lock_month"), {"stream": stream, "account": account, "month": month}
                )
        except psycopg.errors.LockNotAvailable:
            raise DaysAreBusy(
                f"another run has been loading {stream} of {first} to {last} for more than {wait_seconds // 60} "
                "minutes: see `ecommpay-sync status`, and start this one again when that has ended."
            ) from None
        except psycopg.Error as error:
            raise explain(error, warehouse.place()) from None
        yield
