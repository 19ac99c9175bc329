"""`demo`: the main job, whole, against a sandbox of the Data API in its own folder, so that no real data is touched."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from pipelines.cli import account, show
from pipelines.cli.demo_ledger import platform_faults, write_demo_ledger
from pipelines.cli.reconcile import run_import, run_reconcile
from pipelines.cli.report import write_report
from pipelines.cli.run import run_balances, run_operations
from resources.configured import open_warehouse
from resources.settings import PROJECT_ROOT, data_dir, database_url

SEED = 1
# settings that would lead to the user's own data, or to accounts that the sandbox does not have
ELSEWHERE = (
    *("DATABASE_URL", "DATABASE_URL_FILE", "DAGSTER_HOME"),
    *("ACCOUNTS", "ACCOUNTS_FILE", "SYNC_PROJECT_OWNERS"),
)


def run_demo(days: int, rows: int) -> None:
    """Serve a month of made-up operations, load them and the balances, and show what came."""
    from resources.sandbox import sandbox_process

    folder = data_dir() / "demo"
    now = datetime.now(UTC)
    yesterday = now.date() - timedelta(days=1)
    started = time.monotonic()
    # the sandbox's clock stands still, so that the second load can be seen to change nothing
    show.line(f"1. A sandbox of the Data API: signed, {days} days, about {rows:,} operations")
    with sandbox_process(
        seed=SEED, operations=rows, days=days, end=yesterday, now=f"{now:%Y-%m-%dT%H:%M:%S}"
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
        }
        with environment(settings, without=ELSEWHERE):
            show.line("2. Operations, through the Dagster asset `operations`, into the embedded PostgreSQL")
            first = yesterday - timedelta(days=days - 1)
            run_operations(first, yesterday, ())
            show.line("3. Balances, through the Dagster asset `balances`")
            run_balances()
            show.line("4. The same days once more: the platform's state has not changed, so nothing is written")
            run_operations(first, yesterday, (), totals=False)
            show.line("5. A made-up merchant's own books of yesterday, with a fault of each kind, and what is found")
            _reconcile(yesterday, folder)
            show.line("6. The daily close report of yesterday")
            write_report(yesterday)
    show.line(f"Done in {time.monotonic() - started:.0f} s.")
    show.line()
    _what_next(f"SYNC_DATA_DIR={_relative(str(folder))}")


def _reconcile(day: date, folder: Path) -> None:
    ledger = folder / "made-up-ledger.csv"
    with open_warehouse(database_url()) as store:
        write_demo_ledger(store, account.settings().account, day, ledger)
    run_import(ledger, None, accept_partial=False)
    run_reconcile(day, ())
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
