"""Nights under the real daemon, code server and schedule, at a shifted clock: `make nights`.

The clocks of platform, PostgreSQL, daemon and runs are shifted alike, to a moment before the night is due. Then nobody
touches anything until the run is over: what is looked at is what the night itself left behind.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from fixtures.client import free_port
from fixtures.commands import ROOT, fetch_all
from fixtures.nights import NIGHTS, WITHOUT_FRAUD, assert_night_is_whole, books_of, settings_of, tick_of, world_at
from fixtures.receivers import webhook
from fixtures.shifted_clock import ShiftedClock
from pipelines.nights import night_at
from resources.sandbox import DEMO_SECRET, DEMO_TOKEN, SandboxServer
from resources.warehouse.engine import Warehouse

BIN = Path(sys.executable).parent
PATIENCE = 600.0
WANTED = os.environ.get("ZONES", "").split() or sorted(NIGHTS)


@dataclass
class Machine:
    """Processes at a shifted clock; all of them end with the test."""

    folder: Path
    environment: dict[str, str]
    stack: ExitStack
    running: dict[str, subprocess.Popen] = field(default_factory=dict)

    def start(self, name: str, *command: str) -> None:
        output = self.stack.enter_context((self.folder / f"{name}.log").open("w"))
        process = subprocess.Popen(command, env=self.environment, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
        self.stack.callback(_end, process)
        self.running[name] = process

    def run(self, *arguments: str) -> str:
        command = [str(BIN / "ecommpay-sync"), *arguments]
        done = subprocess.run(command, env=self.environment, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def wait_for(self, what: str, ready):
        give_up_at = time.monotonic() + PATIENCE
        while not (found := ready()):
            ended = [name for name, process in self.running.items() if process.poll() is not None]
            if ended or time.monotonic() > give_up_at:
                raise TimeoutError(f"no {what}; ended: {ended}\n" + "\n".join(map(self.words, self.running)))
            time.sleep(1)
        return found

    def words(self, name: str) -> str:
        return f"--- {name}\n{(self.folder / f'{name}.log').read_text()[-6000:]}"


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not one of pytest's, to which each start of pytest takes the access away from PostgreSQL's own user."""
    with tempfile.TemporaryDirectory(prefix="ecommpay-night-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.parametrize("zone", WANTED)
def test_a_night_under_the_real_daemon_is_complete_reconciled_reported_and_quiet(zone, make_database, folder):
    tick = tick_of(zone, NIGHTS[zone][-1])
    night, world = night_at(tick, settings_of(zone)), world_at(tick)
    with webhook() as (hook, hook_url), ExitStack() as stack:
        books = books_of(world, night, zone, stack.enter_context(Warehouse(make_database())), folder)
        sandbox = stack.enter_context(SandboxServer(world, accounts=[WITHOUT_FRAUD]))
        clock = ShiftedClock(folder)

        def set_clocks(moment: datetime) -> timedelta:
            """Of the platform and of all our processes."""
            shift = timedelta(seconds=round((moment - datetime.now(UTC)).total_seconds()))
            clock.shift(round(shift.total_seconds()))
            sandbox.set_behaviour(date_shift=shift.total_seconds())
            return shift

        set_clocks(tick - timedelta(hours=1))
        machine = Machine(folder, environment_of(zone, sandbox.url, hook_url, folder) | clock.environment, stack)
        (folder / "home").mkdir()
        machine.start("database", str(BIN / "ecommpay-sync"), "database")
        url = machine.wait_for("database", lambda: url_of(folder / "database.log"))
        # what the nights before left
        machine.run("operations", "--from", str(night.first_day), "--to", str(night.yesterday - timedelta(days=1)))
        for file in books:
            machine.run("ledger", "import", str(file))
        for role in ("code-server", "daemon"):
            machine.start(role, str(ROOT / "deploy/entrypoint.sh"), role)
        machine.wait_for("schedule that is watched", lambda: is_watched(folder / "home", "nightly"))
        shift = set_clocks(tick - timedelta(seconds=10))
        store = stack.enter_context(Warehouse(url))
        lines = [f"{zone}: {datetime.now(UTC) + shift:%Y-%m-%d %H:%M:%S} UTC, the night is due at {tick:%H:%M:%S} UTC"]
        run = machine.wait_for("end of the night", lambda: night_that_is_over(folder / "home"))
        assert run.status == dg.DagsterRunStatus.SUCCESS, machine.words("daemon") + machine.words("code-server")
        since = datetime.now(UTC) + shift
        machine.wait_for("tick of the alerts since", lambda: alerts_since(folder / "home", since))
        lines += transcript_of(store, run)
        assert hook.texts == []
        assert fetch_all(store, "SELECT * FROM sync.alerts") == []
        assert fetch_all(store, "SELECT now() AT TIME ZONE 'UTC' AS now")[0]["now"].date() == tick.date()
        assert_night_is_whole(store, world, zone, tick, has_books=True)
    reports = sorted(file.name for file in (folder / "reports").iterdir())
    assert reports == [f"daily-close-default-{night.business_day}.{ending}" for ending in ("html", "xlsx")]
    lines += [f"reports: {', '.join(reports)}; alerts: none"]
    print("\n" + "\n".join(lines))


def environment_of(zone: str, platform: str, hook_url: str, folder: Path) -> dict[str, str]:
    return {
        "PATH": f"{BIN}:/usr/bin:/bin",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "APP_ROOT": str(ROOT),
        "DAGSTER_HOME": str(folder / "home"),
        "CODE_SERVER_HOST": "127.0.0.1",
        "CODE_SERVER_PORT": str(free_port()),
        "SYNC_DATA_DIR": str(folder / "data"),
        "SYNC_REPORT_DIR": str(folder / "reports"),
        "SYNC_REPORTING_ZONE": zone,
        "SYNC_SCHEDULE_TIME_ZONE": zone,
        "SYNC_SPOT_CHECK_SAMPLE": "3",
        "SYNC_BALANCES_CRON": "0 0 1 1 *",
        "DATA_API_BASE_URL": platform,
        "DATA_API_TOKEN": DEMO_TOKEN,
        "DATA_API_SECRET": DEMO_SECRET,
        "ALERT_WEBHOOK_URL": hook_url,
    }


def url_of(log: Path) -> str | None:
    return next((line for line in log.read_text().splitlines() if line.startswith("postgresql://")), None)


def night_that_is_over(home: Path) -> dg.DagsterRun | None:
    over = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
    with dg.DagsterInstance.from_config(str(home)) as instance:
        return next(iter(instance.get_runs(dg.RunsFilter(job_name="nightly", statuses=over))), None)


def is_watched(home: Path, schedule: str) -> bool:
    """Whether the daemon has looked at the schedule, so that its next tick is not before the beginning of all."""
    if not (home / "dagster.yaml").exists():
        return False
    with dg.DagsterInstance.from_config(str(home)) as instance:
        return any(state.instigator_name == schedule for state in instance.all_instigator_state())


def alerts_since(home: Path, moment: datetime) -> bool:
    """Whether the sensor `alerts` has looked since a moment; its last word says so."""
    with dg.DagsterInstance.from_config(str(home)) as instance:
        for state in instance.all_instigator_state():
            if state.instigator_name == "alerts":
                (tick,) = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1)
                return tick.timestamp > moment.timestamp() and tick.status.value != "STARTED"
    return False


def transcript_of(store: Warehouse, run: dg.DagsterRun) -> list[str]:
    days = " to ".join(run.tags[f"dagster/asset_partition_range_{end}"] for end in ("start", "end"))
    lines = [f"Dagster: job {run.job_name} over the UTC days {days}, by schedule: {run.status.value}"]
    for row in fetch_all(store, "SELECT * FROM sync.runs ORDER BY run_id"):
        why = f" ({row['error_kind']})" if row["error_kind"] else ""
        lines.append(f"  {row['started_at']:%m-%d %H:%M:%S} {row['stream']}: {row['state']}{why}")
    for row in fetch_all(store, "SELECT * FROM recon.completeness ORDER BY business_date"):
        hours = (row["interval_to"] - row["interval_from"]).total_seconds() / 3600
        bounds = f"{row['interval_from']:%m-%d %H:%M} to {row['interval_to']:%m-%d %H:%M} UTC, {hours:g} h"
        rows = f"{row['rows_walked']} rows walked again, {row['rows_missing']} missing"
        lines.append(f"  business day {row['business_date']} ({bounds}): {row['verdict']}, {rows}")
    return lines


def _end(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
