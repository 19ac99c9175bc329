"""`demo`: the main job, whole, against a sandbox of the Data API in its own folder, so that no real data is touched."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from pipelines.cli import account, show
from pipelines.cli.demo_balances import FIELDS, TOP_UP, snapshots_at
from pipelines.cli.demo_ledger import (
    a_sale,
    late_change,
    platform_faults,
    reversed_entry,
    write_demo_ledger,
    write_faultless_ledger,
)
from pipelines.cli.reconcile import run_close, run_import, run_reconcile
from pipelines.cli.report import write_report
from pipelines.cli.run import run_balances, run_operations
from pipelines.resources import open_warehouse
from resources.settings import PROJECT_ROOT, data_dir, database_url

if TYPE_CHECKING:
    from resources.sandbox import SandboxProcess

SEED = 1
# settings that would lead to the user's own data, or to accounts that the sandbox does not have
ELSEWHERE = (
    *("DATABASE_URL", "DATABASE_URL_FILE", "DAGSTER_HOME"),
    *("ACCOUNTS", "ACCOUNTS_FILE", "SYNC_PROJECT_OWNERS"),
)
PREPARER, REVIEWER = "Ann", "Bob"
SNAPSHOTS = 15


@dataclass(frozen=True)
class Days:
    """The days that the demo tells of: a month up to yesterday, and the last two of it."""

    first: date
    before: date
    yesterday: date

    @property
    def ended_at(self) -> datetime:
        """The moment at which yesterday ended."""
        return datetime.combine(self.yesterday, time.min, UTC) + timedelta(days=1)

    @property
    def midnights(self) -> list[datetime]:
        """The last midnights of these days, the last of them the end of yesterday."""
        count = min(SNAPSHOTS, (self.yesterday - self.first).days + 2)
        return [self.ended_at - timedelta(days=back) for back in range(count - 1, -1, -1)]


def run_demo(days: int, rows: int) -> None:
    """Serve a month of made-up operations, load, reconcile and close them, and show what came."""
    from resources.sandbox import sandbox_process

    folder = data_dir() / "demo"
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    told = Days(yesterday - timedelta(days=days - 1), yesterday - timedelta(days=1), yesterday)
    started = monotonic()
    _begin_anew(folder)
    show.line(f"1. A sandbox of the Data API: signed, {days} days, about {rows:,} operations")
    with sandbox_process(
        seed=SEED, operations=rows, days=days, end=yesterday, now=f"{told.midnights[0]:%Y-%m-%dT%H:%M:%S}"
    ) as sandbox:
        show.line(f"   listens on {sandbox.url}")
        for change in platform_faults(yesterday):  # what only a platform can get wrong: a double charge, for example
            sandbox.change_world(**change)
        settings = {
            "DATA_API_BASE_URL": sandbox.url,
            "DATA_API_TOKEN": sandbox.token,
            "DATA_API_SECRET": sandbox.secret,
            "SYNC_DATA_DIR": str(folder),
            "SYNC_FIRST_DAY": "2015-01-01",
            "SYNC_FIELDS": ",".join(FIELDS),
            "SYNC_REPORTING_ZONE": "UTC",
        }
        with environment(settings, without=ELSEWHERE):
            _balances(sandbox, told)
            _load(told)
            _close_the_day_before(told, folder)
            _reconcile_yesterday(sandbox, told, folder)
            show.line("7. The daily close report of yesterday")
            write_report(yesterday)
    show.line(f"Done in {monotonic() - started:.0f} s.")
    show.line()
    _what_next(f"SYNC_DATA_DIR={_relative(str(folder))}")


def _begin_anew(folder: Path) -> None:
    """Remove what an earlier demo left: it would have taken its snapshots and closed its day already."""
    if not (folder / "postgres").exists():
        return
    from resources.warehouse.embedded import empty_database

    show.line(f"What an earlier demo left in {_relative(str(folder))} is removed.")
    empty_database(folder)
    for name in ("dagster", "reports"):
        shutil.rmtree(folder / name, ignore_errors=True)


def _balances(sandbox: SandboxProcess, told: Days) -> None:
    show.line(
        "2. Balances: at each midnight of two weeks (sandbox and client are told that it is that moment), and now,"
    )
    show.line("   through the Dagster asset `balances`")
    sandbox.top_up(*TOP_UP, f"{told.yesterday} 15:00:00")
    count = snapshots_at(sandbox, told.midnights)
    show.line(
        f"{len(told.midnights)} snapshots of {count} balances, {told.midnights[0]:%Y-%m-%d} to {told.ended_at:%Y-%m-%d}"
    )
    # the night after: here the sandbox's clock stands still, so that a second load can be seen to change nothing
    sandbox.set_clock(f"{told.ended_at + timedelta(hours=1):%Y-%m-%d %H:%M:%S}")
    run_balances()


def _load(told: Days) -> None:
    show.line("3. Operations, through the Dagster asset `operations`, into the embedded PostgreSQL")
    run_operations(told.first, told.yesterday, ())
    show.line("4. The same days once more: the platform's state has not changed, so nothing is written")
    run_operations(told.first, told.yesterday, (), totals=False)


def _close_the_day_before(told: Days, folder: Path) -> None:
    show.line("5. A made-up merchant's own books of the day before yesterday, without a fault: reconciled, and closed")
    path = folder / "made-up-ledger-before.csv"
    with open_warehouse(database_url()) as store:
        write_faultless_ledger(store, account.settings().account, told.before, path)
    run_import(path, None, accept_partial=False)
    run_reconcile(told.before, ())
    for name in (PREPARER, REVIEWER):
        run_close(told.before, name, with_open_breaks=True)
    show.line()


def _reconcile_yesterday(sandbox: SandboxProcess, told: Days, folder: Path) -> None:
    show.line(
        "6. Yesterday: its books, with a fault of each kind, and a sale of the closed day that was reversed since"
    )
    path = folder / "made-up-ledger.csv"
    name = account.settings().account
    with open_warehouse(database_url()) as store:
        sale = a_sale(store, name, told.before)
        write_demo_ledger(store, name, told.yesterday, path, corrected=reversed_entry(sale))
    sandbox.change_world(**late_change(sale["operation_id"], told.yesterday))
    run_operations(told.yesterday, told.yesterday, (), totals=False)
    run_import(path, None, accept_partial=False)
    show.line(f"{told.before}, closed, held against the books again:")
    run_reconcile(told.before, ("books",))
    show.line(f"{told.yesterday}:")
    run_reconcile(told.yesterday, ())
    show.line()


def _what_next(prefix: str) -> None:
    show.line("Where it is: an embedded PostgreSQL in the folder .data/demo; it runs while a command needs it.")
    show.line("What to try next:")
    show.line(f"  {prefix} .venv/bin/ecommpay-sync status      what is stored, and how complete it is")
    show.line(f"  {prefix} .venv/bin/ecommpay-sync database    its URL for psql or a BI tool, until Ctrl-C")
    show.line("  make dev                                             the Dagster UI on a sandbox")
    show.line("  README.md                                            your own token, in five minutes")


def _relative(folder: str) -> str:
    return os.path.relpath(folder, PROJECT_ROOT) if folder.startswith(str(PROJECT_ROOT)) else folder


@contextmanager
def environment(settings: Mapping[str, str], *, without: tuple[str, ...]) -> Iterator[None]:
    """Set these variables for a while, and unset their files' and those `without`."""
    before = dict(os.environ)
    for name in [*without, *(f"{name}_FILE" for name in settings)]:
        os.environ.pop(name, None)
    os.environ.update(settings)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
