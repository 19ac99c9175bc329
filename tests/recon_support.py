"""What the tests of the reconciliation share: operations and entries by hand, loaded days, and what it leaves."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

import sqlalchemy

from pipelines.recon.books import BooksReport, reconcile_books
from pipelines.recon.completeness import prove_completeness
from resources.data_api.endpoints import DataApi
from resources.sandbox import World
from resources.warehouse.engine import Warehouse
from support import SETTINGS, client_of, fetch_all, sync

DAY = date(2024, 3, 5)
NEXT = date(2024, 3, 6)
CUTOFF = 120


def at(clock: str, day: date = DAY) -> datetime:
    return datetime.fromisoformat(f"{day}T{clock}:00").replace(tzinfo=UTC)


def add_operations(store: Warehouse, *rows: dict) -> None:
    """Operations as a load would leave them; what is left out gets a plain value."""
    plain = {
        "account": "default",
        "project_id": "198",
        "operation_type": "sale",
        "operation_status": "success",
        "sum_initial_currency": "EUR",
        "sum_initial_amount": 1000,
        "operation_completed_at": at("12:00"),
        "arn": None,
        "rrn": None,
        "observed_at": datetime(2024, 3, 7, tzinfo=UTC),
        "first_seen_at": datetime(2024, 3, 7, tzinfo=UTC),
        "window_id": 1,
    }
    _insert(
        store,
        "core.operations",
        [{**plain, "payment_id": f"pay-{row['operation_id']}", **row} for row in rows],
    )


def add_entries(store: Warehouse, *rows: dict) -> None:
    """Entries as the merchant's own ETL would write them."""
    plain = {
        "account": "default",
        "booked_at": at("12:01"),
        "is_date_only": False,
        "operation_type": "sale",
        "status": "success",
        "currency": "EUR",
        "amount_minor": 1000,
        "fee_minor": None,
        "operation_id": None,
        "project_id": None,
        "payment_id": None,
        "reference": None,
    }
    _insert(store, "recon.ledger_entries", [{**plain, **row} for row in rows])


def _insert(store: Warehouse, table: str, rows: list[dict]) -> None:
    if rows:
        names = list(rows[0])
        statement = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(f':{name}' for name in names)})"
        with store.transaction() as connection:
            connection.execute(sqlalchemy.text(statement), rows)


def reconcile(store: Warehouse, day: date = DAY) -> BooksReport:
    return reconcile_books(store, "default", day, CUTOFF)


def four_days() -> World:
    """A platform whose second day is DAY."""
    return World.generate(seed=4, start="2024-03-04", days=4, operations=4000, now="2024-03-20T00:00:00")


def load_all(sandbox, store):
    for day in ("2024-03-04", "2024-03-05", "2024-03-06", "2024-03-07"):
        sync(sandbox, store, day, day)


def prove(sandbox, store, day=DAY, settings=SETTINGS):
    with client_of(sandbox.url) as client:
        return prove_completeness(DataApi(client), store, settings, day)


def breaks_of(store: Warehouse, state: str | None = "open") -> list[dict]:
    return fetch_all(
        store,
        "SELECT break_type, operation_id, entry_id, currency, amount_minor, state, business_date FROM recon.breaks "
        "WHERE state = :state OR CAST(:state AS text) IS NULL ORDER BY break_type, operation_id, entry_id",
        state=state,
    )


def matches_of(store: Warehouse) -> list[tuple]:
    rows = fetch_all(
        store,
        "SELECT operation_id, entry_id, pass, score, shape, match_id FROM recon.matches ORDER BY 1, 2",
    )
    return [tuple(row.values()) for row in rows]


def everything(store: Warehouse) -> str:
    """All that a reconciliation may change, its own log apart: equal before and after a second run."""
    tables = ("recon.matches", "recon.breaks", "recon.break_events", "recon.balance_rollforward")
    return json.dumps(
        [fetch_all(store, f"SELECT * FROM {table} AS t ORDER BY t") for table in tables], default=str, sort_keys=True
    )
