"""A run in the ledger while its process lives: one that was killed is told from one that is under way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

import psycopg

import sql
from resources.warehouse.engine import Warehouse, explain
from resources.warehouse.ledger import start_run
from resources.warehouse.locks import lock_connection


@contextmanager
def run_under_way(
    warehouse: Warehouse,
    *,
    account: str,
    stream: str,
    interval: tuple[datetime, datetime] | None,
    project_ids: Sequence[int] = (),
    dagster_run_id: str | None = None,
) -> Iterator[int]:
    """Write the beginning of a run and yield its number; to `sync.was_killed` it lives as long as the block lasts.

    Runs of the account that were killed are ended before, as failed; how this one ended the caller writes.

    Raises:
        WarehouseUnavailable: no connection.
    """
    warehouse.query("warehouse/ledger/end_killed_runs", account=account)
    with lock_connection(warehouse, "ecommpay-sync run") as connection:
        run_id = start_run(
            warehouse,
            account=account,
            stream=stream,
            interval=interval,
            project_ids=project_ids,
            dagster_run_id=dagster_run_id,
        )
        try:
            connection.execute(sql.text("warehouse/ledger/hold_run"), {"run_id": run_id})
        except psycopg.Error as error:
            raise explain(error, warehouse.place()) from None
        yield run_id
