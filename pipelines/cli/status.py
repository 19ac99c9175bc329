"""`status` and `database`: what is in the store, how complete it is, where it is."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pipelines.cli import show
from pipelines.money import major_units
from resources.configured import open_warehouse
from resources.settings import database_url
from resources.warehouse.migrate import migrate

if TYPE_CHECKING:
    from datetime import datetime

    from resources.warehouse.engine import Warehouse

LAST_RUNS = 8


def show_status() -> None:
    """Print store, coverage, balances, rejects and the last runs."""
    with open_warehouse(database_url()) as store:
        migrate(store)
        show.line(f"Warehouse: {store.place()}")
        show.line()
        _store(store)
        _documents(store)
        _coverage(store)
        _balances(store)
        _rejects(store)
        _runs(store)


def keep_database() -> None:
    """Print the URL; an embedded PostgreSQL runs as long as this command does."""
    url = database_url()
    with open_warehouse(url) as store:
        migrate(store)
        show.line(store.url if url is None else f"{store.place()} (the whole URL is in DATABASE_URL)")
        if url is None:
            show.line("the embedded PostgreSQL runs until Ctrl-C")
            with suppress(KeyboardInterrupt):
                while True:
                    time.sleep(3600)


def _store(store: Warehouse) -> None:
    rows = [
        (
            row.account,
            f"{row.operations:,}",
            _time(row.first_completed),
            _time(row.last_completed),
            _time(row.last_observed),
        )
        for row in store.query("show/store")
    ]
    columns = ("account", "operations", "first completed", "last completed", "last change seen")
    if rows:
        show.table("Store (times in UTC)", columns, rows, ("operations",))
    else:
        show.line("The store is empty: load days with `ecommpay-sync operations --from DAY --to DAY`.")
        show.line()


def _documents(store: Warehouse) -> None:
    rows = [
        (
            row.account,
            row.stream.removeprefix("documents:"),
            f"{row.documents:,}",
            _time(row.last_changed),
            _time(row.last_walked),
        )
        for row in store.query("show/documents")
    ]
    if rows:
        columns = ("account", "stream", "documents", "last change seen", "last walked")
        show.table("Documents (core.documents)", columns, rows, ("documents",))


def _coverage(store: Warehouse) -> None:
    rows = [(row.account, _time(row.covered_from), _time(row.covered_to)) for row in store.query("show/coverage")]
    if rows:
        show.table("Shown complete, without a hole", ("account", "from", "to"), rows)
    holes = [(row.account, row.stream, _time(row.hole_from), _time(row.hole_to)) for row in store.query("show/holes")]
    if holes:
        show.table("HOLES: not walked, or not shown complete", ("account", "what", "from", "to"), holes)


def _balances(store: Warehouse) -> None:
    found = store.query("show/last_balances")
    rows = [(row.account, row.balance_name, row.currency, major_units(row.amount_minor, row.currency)) for row in found]
    if rows:
        title = f"Balances at {_time(found[0].captured_at)} UTC"
        show.table(title, ("account", "balance", "currency", "amount"), rows, ("amount",))


def _rejects(store: Warehouse) -> None:
    rows = [(row.stream, row.reason, f"{row.rows:,}", _time(row.last_seen_at)) for row in store.query("show/rejects")]
    if rows:
        show.table("Not typed: core.rejects", ("stream", "reason", "rows", "last seen"), rows, ("rows",))


def _runs(store: Warehouse) -> None:
    rows = [
        (row.run_id, row.stream, _days(row), _time(row.started_at), row.state, row.message or "")
        for row in store.query("show/runs", most=LAST_RUNS)
    ]
    if rows:
        show.table("Last runs", ("run", "what", "days", "started", "state", "why"), rows, ("run",))


def _days(row: Any) -> str:
    return f"{row.interval_from:%Y-%m-%d} to {row.interval_to:%Y-%m-%d}" if row.interval_from else ""


def _time(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}" if moment else "—"
