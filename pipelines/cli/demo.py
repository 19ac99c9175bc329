"""Commands that try the product without a token: `demo`, `sandbox` and `dev`.

Each works on a sandbox of the Data API and in a folder of its own, so that no real data is touched. The ledger and the
snapshots that the demo makes up are in `demo_data`.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli import closing, console, finance, load
from pipelines.cli.accounts import migrated_warehouse, only_account, settings_of_all
from pipelines.cli.console import SIGNALS, take_time
from pipelines.cli.dagster_runs import dagster_instance, end_runs_of_dead_servers
from resources.accounts import accounts_of
from resources.errors import ConfigError, Failed
from resources.settings import data_dir, database_url
from resources.warehouse.engine import open_warehouse

if TYPE_CHECKING:
    import psutil

    from resources.sandbox import SandboxProcess

app = typer.Typer()

SEED = 1
# settings that would lead to the user's own data, or to accounts that the sandbox does not have
ELSEWHERE = (
    *("DATABASE_URL", "DATABASE_URL_FILE", "DAGSTER_HOME"),
    *("ACCOUNTS", "ACCOUNTS_FILE", "SYNC_PROJECT_OWNERS"),
)
PREPARER, REVIEWER = "Ann", "Bob"
SNAPSHOTS = 15
DEV_DAYS, DEV_OPERATIONS = 31, 20_000
STARTED_BY = "ECOMMPAY_SYNC_STARTED_BY"  # in the environment of all that `dev` starts: the id of its process
PR_SET_PDEATHSIG = 1  # Linux alone: a signal to a process whose parent ends, even killed


@dataclass(frozen=True)
class Days:
    """The days of the demo: a month up to yesterday, and the last two of it."""

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


@app.command()
def demo(
    days: Annotated[int, typer.Option(min=2, max=366, help="days of made-up operations, up to yesterday")] = 31,
    rows: Annotated[int, typer.Option(min=1, max=1_000_000, help="about how many operations")] = 20_000,
) -> None:
    """Load, reconcile, close and report a month of made-up operations from a local sandbox of the Data API."""
    from pipelines.cli.demo_data import FIELDS, platform_faults
    from resources.sandbox import sandbox_process

    folder = data_dir() / "demo"
    yesterday = console.read_day("--to", "yesterday")
    month = Days(yesterday - timedelta(days=days - 1), yesterday - timedelta(days=1), yesterday)
    started = monotonic()
    _remove_earlier_demo(folder)
    console.line(f"1. A sandbox of the Data API: signed, {days} days, about {rows:,} operations")
    with sandbox_process(
        seed=SEED, operations=rows, days=days, end=yesterday, now=f"{month.midnights[0]:%Y-%m-%dT%H:%M:%S}"
    ) as sandbox:
        console.line(f"   listens on {sandbox.url}")
        for change in platform_faults(yesterday):  # what only a platform can get wrong: a double charge, for example
            sandbox.change_world(**change)
        fields = ",".join(FIELDS)
        _work_on(sandbox, folder, SYNC_FIRST_DAY="2015-01-01", SYNC_FIELDS=fields, SYNC_REPORTING_ZONE="UTC")
        _balances(sandbox, month)
        scope, loaded = only_account(None), (month.first, yesterday)
        console.line("3. Operations, through the Dagster asset `operations`, into the embedded PostgreSQL")
        load.load_operations(scope, loaded)
        console.line("4. The same days once more: the platform's state has not changed, so nothing is written")
        load.load_operations(scope, loaded, totals=False)
        _close_the_day_before(month, folder)
        _reconcile_yesterday(sandbox, month, folder)
        console.line("7. The daily close report of yesterday")
        closing.report(day=str(yesterday))
    console.line(f"Done in {monotonic() - started:.0f} s.")
    console.line()
    _print_next_steps(folder)


def _remove_earlier_demo(folder: Path) -> None:
    """Remove what an earlier demo left: it has taken its snapshots and closed its day already."""
    if not (folder / "postgres").exists():
        return
    from resources.warehouse.embedded import empty_database

    console.line(f"What an earlier demo left in {console.path_from_here(folder)} is removed.")
    empty_database(folder)
    for name in ("dagster", "reports"):
        shutil.rmtree(folder / name, ignore_errors=True)


def _balances(sandbox: SandboxProcess, month: Days) -> None:
    from pipelines.cli.demo_data import TOP_UP, snapshots_at

    console.line(
        "2. Balances: at each midnight of two weeks (sandbox and client are told that it is that moment), and now,"
    )
    console.line("   through the Dagster asset `balances`")
    sandbox.top_up(*TOP_UP, f"{month.yesterday} 15:00:00")
    count = snapshots_at(sandbox, month.midnights)
    console.line(
        f"{len(month.midnights)} snapshots of {count} balances, "
        f"{month.midnights[0]:%Y-%m-%d} to {month.ended_at:%Y-%m-%d}"
    )
    # the night after: here the sandbox's clock stands still, so that a second load can be seen to change nothing
    sandbox.set_clock(f"{month.ended_at + timedelta(hours=1):%Y-%m-%d %H:%M:%S}")
    load.balances()


def _close_the_day_before(month: Days, folder: Path) -> None:
    from pipelines.cli.demo_data import write_faultless_ledger

    console.line(
        "5. A made-up merchant's own books of the day before yesterday, without a fault: reconciled, and closed"
    )
    path = folder / "made-up-ledger-before.csv"
    with open_warehouse(database_url()) as store:
        write_faultless_ledger(store, only_account(None).account, month.before, path)
    finance.ledger_import(path)
    finance.reconcile(str(month.before))
    for name in (PREPARER, REVIEWER):
        closing.close(day=str(month.before), by=name, with_open_breaks=True)
    console.line()


def _reconcile_yesterday(sandbox: SandboxProcess, month: Days, folder: Path) -> None:
    from pipelines.cli.demo_data import a_sale, late_change, reversed_entry, write_demo_ledger

    console.line(
        "6. Yesterday: its books, with a fault of each kind, and a sale of the closed day that was reversed since"
    )
    path = folder / "made-up-ledger.csv"
    scope = only_account(None)
    with open_warehouse(database_url()) as store:
        sale = a_sale(store, scope.account, month.before)
        write_demo_ledger(store, scope.account, month.yesterday, path, corrected=reversed_entry(sale))
    console.line(f"   The same books as six systems export them: {console.path_from_here(folder / 'exports')}")
    sandbox.change_world(**late_change(sale["operation_id"], month.yesterday))
    load.load_operations(scope, (month.yesterday, month.yesterday), totals=False)
    finance.ledger_import(path)
    console.line(f"{month.before}, closed, reconciled with the books again:")
    finance.reconcile(str(month.before), ["books"])
    console.line(f"{month.yesterday}:")
    finance.reconcile(str(month.yesterday))
    console.line()


def _print_next_steps(folder: Path) -> None:
    command, place = console.command_here(), console.path_from_here(folder)
    console.line(f"Where it is: an embedded PostgreSQL in the folder {place}; it runs while a command needs it.")
    console.line("What to try next:")
    here = f"SYNC_DATA_DIR={place} {command}"
    for text, purpose in {
        f"{here} status": "what is stored, and how complete it is",
        f"{here} ledger map {place}/exports/datev.csv": "how an export of your books becomes a mapping",
        f"{here} database": "its URL for psql or a BI tool, until Ctrl-C",
        f"{command} dev": "the Dagster UI on a sandbox",
    }.items():
        console.line(f"  {text}    {purpose}")
    console.line(f"Your own token, in five minutes: {command} init")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def sandbox(context: typer.Context) -> None:
    """Serve a local Data API with made-up data, until Ctrl-C; `sandbox --help` lists its options."""
    from resources.sandbox.__main__ import main as serve

    try:
        serve(context.args)
    except OSError as error:
        if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
            raise
        raise ConfigError(f"--port cannot be listened on: {os.strerror(error.errno)}: choose another one.") from None


@app.command()
def dev(
    port: Annotated[int, typer.Option(min=1, max=65535, help="port of the Dagster UI on 127.0.0.1")] = 3000,
    *,
    own: Annotated[bool, typer.Option("--own", help="on your own settings and warehouse, as init wrote them")] = False,
) -> None:
    """Open the Dagster UI on a sandbox and the embedded PostgreSQL, until Ctrl-C; --own: on your own settings."""
    from resources.sandbox import sandbox_process

    if own:
        settings_of_all()  # what is missing or malformed ends the command here
        accounts = accounts_of()
        for name in accounts.names:
            accounts.api_settings(name)
        _open_ui(port)
        return
    yesterday = console.read_day("--to", "yesterday")
    with sandbox_process(operations=DEV_OPERATIONS, days=DEV_DAYS, end=yesterday) as sandbox:
        _work_on(sandbox, data_dir() / "dev")
        console.line(f"sandbox of the Data API: {sandbox.url} (operations of the {DEV_DAYS} days up to {yesterday})")
        _open_ui(port)


def _open_ui(port: int) -> None:
    """Serve Dagster's daemon and UI on the warehouse of the settings, until Ctrl-C.

    A run that is under way then is ended: what it committed stays, and the next one continues from there.
    """
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        raise ConfigError(
            f"--port {port} cannot be listened on: {error.strerror}: choose another one, or end what is there."
        ) from None
    with migrated_warehouse() as store, dagster_instance() as instance:
        end_runs_of_dead_servers(instance)
        console.line(f"warehouse: {store.place() if database_url() else store.url}")
        console.line(f"Dagster: http://127.0.0.1:{port}, in some ten seconds — stop with Ctrl-C")
        console.line("Its schedules run as long as this does.")
        try:
            _serve([["dagster-daemon", "run"], ["dagster-webserver", "-h", "127.0.0.1", "-p", str(port)]])
        finally:
            end_runs_of_dead_servers(instance)


def _serve(commands: list[list[str]]) -> None:
    """Run the commands until the last of them ends or Ctrl-C; then end them all, and what they started.

    On Linux a `kill -9` of this process ends them too.

    Raises:
        Failed: the last of them ended by itself, and badly.
    """
    import psutil

    folder, mark = Path(sys.executable).parent, {STARTED_BY: str(os.getpid())}
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    processes = [
        subprocess.Popen(  # noqa: S603
            [str(folder / name), *arguments, "-m", "pipelines.definitions"],
            env=os.environ | mark,
            preexec_fn=prctl and partial(prctl, PR_SET_PDEATHSIG, signal.SIGTERM),  # noqa: PLW1509 - one system call
        )
        for name, *arguments in commands
    ]
    take_time()
    try:
        with suppress(KeyboardInterrupt):
            if code := processes[-1].wait():
                raise Failed(f"{commands[-1][0]} ended with {code}: what it said is above; is its port free?", 1)
    finally:
        for number in SIGNALS:  # whoever is impatient would leave processes behind
            signal.signal(number, signal.SIG_IGN)
        for end in (psutil.Process.terminate, psutil.Process.kill):
            left = list(_processes_with(mark))  # also of a server that has ended itself by now
            for process in left:
                with suppress(psutil.NoSuchProcess):
                    end(process)
            psutil.wait_procs(left, timeout=10)
        for process in processes:
            process.wait()


def _processes_with(mark: Mapping[str, str]) -> Iterator[psutil.Process]:
    """Yield the processes that have these variables, but for those that have ended and wait to be asked for it."""
    import psutil

    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if mark.items() <= process.environ().items() and process.status() != psutil.STATUS_ZOMBIE:
                yield process


def _work_on(sandbox: SandboxProcess, folder: Path, **settings: str) -> None:
    """Let this process, and those that it starts, work on the sandbox's account and in the folder."""
    settings |= {
        "DATA_API_BASE_URL": sandbox.url,
        "DATA_API_TOKEN": sandbox.token,
        "DATA_API_SECRET": sandbox.secret,
        "SYNC_DATA_DIR": str(folder),
        "SYNC_CONFIG": os.devnull,  # the processes started here read no settings file of the working folder
    }
    for name in (*ELSEWHERE, *(f"{name}_FILE" for name in settings)):
        os.environ.pop(name, None)
    os.environ.update(settings)
