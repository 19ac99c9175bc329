"""What the tests of the marts share: operations by hand, their load, and what the marts say of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pipelines.sync.normalize import normalize_operations, unite
from resources.settings import SyncSettings
from resources.warehouse import ledger
from resources.warehouse.ledger import Scope, WalkRecord
from resources.warehouse.load import load_window
from support import fetch_all

SETTINGS = SyncSettings()
START = datetime(2024, 3, 1, tzinfo=UTC)


def at(second: int) -> datetime:
    return START + timedelta(seconds=second)


def op(
    number, kind="sale", status="success", minor=100, currency="EUR", payment="p1", when="2024-03-02 10:00:00", **more
):
    return {
        "operation_id": str(number),
        "project_id": "22",
        "payment_id": payment,
        "operation_type": kind,
        "operation_status": status,
        "operation_created_at": when,
        "operation_completed_at": when if status in {"success", "decline", "error"} else "",
        "sum_initial": {"amount": minor, "currency": currency},
        **more,
    }


def load(store, *rows, second=0, account="default"):
    interval = (START, START + timedelta(days=1))
    run_id = ledger.start_run(store, account=account, stream="operations", interval=interval)
    walk = WalkRecord(*interval, at(second), at(second), walks=1, drifts=0, pages=1, requests=2)
    batch = unite([normalize_operations(list(rows), at(second))])
    report = load_window(store, Scope(account, run_id), walk, batch.frame, batch.rejects, [])
    ledger.finish_run(store, run_id, "complete", None, 1)
    return report


def daily(store, columns="operation_type, operation_status, operations, amount_minor, amount"):
    return [
        tuple(row.values())
        for row in fetch_all(store, f"SELECT business_date::text, {columns} FROM bi.daily_overview ORDER BY 1, 2, 3")
    ]


def payment(store, payment_id="p1") -> dict:
    (row,) = fetch_all(store, "SELECT * FROM bi.fct_payments WHERE payment_id = :p", p=payment_id)
    return row


def freshness(store, stream="operations"):
    (row,) = fetch_all(store, "SELECT * FROM bi.data_freshness WHERE stream = :s", s=stream)
    return row
