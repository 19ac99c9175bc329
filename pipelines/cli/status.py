"""`status` and `database`: what is in the store, how complete it is, where it is."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pipelines.cli import account, show
from pipelines.cli.store import reading_store
from pipelines.marts.projects import shared_projects
from pipelines.money import major_units
from pipelines.resources import open_warehouse
from resources.accounts import accounts_of
from resources.settings import database_url
from resources.warehouse.migrate import NotMigrated, migrate

if TYPE_CHECKING:
    from datetime import datetime

    from resources.warehouse.engine import Warehouse

LAST_RUNS = 8
EMPTY = "The store is empty: load days with `ecommpay-sync operations --from DAY --to DAY`."


def show_status() -> None:
    """Print store, coverage, balances, rejects and the last runs, of all accounts in the store or of the one named."""
    accounts = accounts_of()
    named = account.chosen(accounts)
    only = named[0] if accounts.several and len(named) == 1 else None
    try:
        _show(only, several=accounts.several)
    except NotMigrated as error:
        if not error.is_empty:
            raise
        show.line(EMPTY)


def _show(only: str | None, *, several: bool) -> None:
    with reading_store() as store:
        show.line(f"Warehouse: {store.place()}")
        show.line()
        if _store(store, only) > 1:
            _shared_projects(store, only)
        _documents(store, only)
        _coverage(store, only)
        _balances(store, only)
        _rejects(store, only)
        _runs(store, only, several=several)


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


def _store(store: Warehouse, only: str | None) -> int:
    """Print what is stored; return of how many accounts it is."""
    found = store.query("cli/status/store")
    rows = [
        (
            row.account,
            f"{row.operations:,}",
            _time(row.first_completed),
            _time(row.last_completed),
            _time(row.last_observed),
        )
        for row in _of(only, found)
    ]
    columns = ("account", "operations", "first completed", "last completed", "last change seen")
    if rows:
        show.table("Store (times in UTC)", columns, rows, ("operations",))
    else:
        show.line(EMPTY)
        show.line()
    return len(found)


def _documents(store: Warehouse, only: str | None) -> None:
    rows = [
        (
            row.account,
            row.stream.removeprefix("documents:"),
            f"{row.documents:,}",
            _time(row.last_changed),
            _time(row.last_walked),
        )
        for row in _of(only, store.query("cli/status/documents"))
    ]
    if rows:
        columns = ("account", "stream", "documents", "last change seen", "last walked")
        show.table("Documents (core.documents)", columns, rows, ("documents",))


def _coverage(store: Warehouse, only: str | None) -> None:
    rows = [
        (row.account, _time(row.covered_from), _time(row.covered_to))
        for row in _of(only, store.query("cli/status/coverage"))
    ]
    if rows:
        show.table("Shown complete, without a hole", ("account", "from", "to"), rows)
    holes = [
        (row.account, row.stream, _time(row.hole_from), _time(row.hole_to))
        for row in _of(only, store.query("cli/status/holes"))
    ]
    if holes:
        show.table("HOLES: not walked, or not shown complete", ("account", "what", "from", "to"), holes)


def _balances(store: Warehouse, only: str | None) -> None:
    found = _of(only, store.query("cli/status/last_balances"))
    rows = [(row.account, row.balance_name, row.currency, major_units(row.amount_minor, row.currency)) for row in found]
    if rows:
        title = f"Balances at {_time(found[0].captured_at)} UTC"
        show.table(title, ("account", "balance", "currency", "amount"), rows, ("amount",))


def _rejects(store: Warehouse, only: str | None) -> None:
    rows = [
        (row.stream, row.reason, f"{row.rows:,}", _time(row.last_seen_at))
        for row in _of(only, store.query("cli/status/rejects"))
    ]
    if rows:
        show.table("Not typed: core.rejects", ("stream", "reason", "rows", "last seen"), rows, ("rows",))


def _runs(store: Warehouse, only: str | None, *, several: bool) -> None:
    columns = ("run", "what", "days", "started", "state", "why")
    rows = [
        (row.run_id, row.stream, _days(row), _time(row.started_at), row.state, row.message or "", row.account)
        for row in store.query("cli/status/runs", most=LAST_RUNS, account=only)
    ]
    if rows and several:
        show.table("Last runs", (columns[0], "account", *columns[1:]), [(r[0], r[6], *r[1:6]) for r in rows], ("run",))
    elif rows:
        show.table("Last runs", columns, [row[:6] for row in rows], ("run",))


def _shared_projects(store: Warehouse, only: str | None) -> None:
    rows = [
        (project.project_id, sight.account, f"{sight.operations:,}", sight.verdict, project.advice)
        for project in shared_projects(store)
        if only is None or only in project.accounts
        for sight in project.sights
    ]
    if rows:
        columns = ("project", "account", "operations", "in the marts", "what to do")
        show.table("PROJECTS SEEN BY SEVERAL ACCOUNTS", columns, rows, ("operations",))


def _of(only: str | None, rows: Sequence[Any]) -> list[Any]:
    """Return the rows of the account; without one all."""
    return [row for row in rows if only is None or row.account == only]


def _days(row: Any) -> str:
    return f"{row.interval_from:%Y-%m-%d} to {row.interval_to:%Y-%m-%d}" if row.interval_from else ""


def _time(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}" if moment else "—"
