"""Nights under the real daemon, code server and schedule, at the clock of the zone: `make nights`.

The clocks of platform, PostgreSQL, daemon and runs are shifted alike to a moment before the night is due. Then nobody
touches anything until the run is over: what is looked at is what the night itself left behind.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from fixtures.client import free_port
from fixtures.commands import ROOT, fetch_all
from fixtures.nights import NIGHTS, books_of, night_of
from fixtures.receivers import webhook
from fixtures.shifted_clock import shifted_to
from resources.sandbox import DEMO_SECRET, DEMO_TOKEN
from resources.warehouse.engine import Warehouse

BIN = Path(sys.executable).parent
BEFORE = timedelta(seconds=int(os.environ.get("SECONDS_BEFORE", "75")))
PATIENCE = 900.0


@dataclass
class Processes:
    """What runs at the shifted clock; all of it ends with the test."""

    folder: Path
    environment: dict[str, str]
    stack: ExitStack
    running: dict[str, subprocess.Popen] = field(default_factory=dict)

    def start(self, name: str, *command: str, **more: str) -> None:
        output = self.stack.enter_context((self.folder / f"{name}.log").open("w"))
        process = subprocess.Popen(
            command, env=self.environment | more, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT
        )
        self.stack.callback(_end, process)
        self.running[name] = process

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            [str(BIN / "ecommpay-sync"), *arguments],
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def wait_for(self, what: str, ready):
        give_up_at = time.monotonic() + PATIENCE
        while not (found := ready()):
            ended = [name for name, process in self.running.items() if process.poll() is not None]
            if ended or time.monotonic() > give_up_at:
                raise TimeoutError(f"{what}; ended: {ended}\n" + "\n".join(map(self.words, self.running)))
            time.sleep(1)
        return found

    def words(self, name: str) -> str:
        return f"--- {name}\n{(self.folder / f'{name}.log').read_text()[-4000:]}"


@pytest.mark.parametrize("zone", sorted(NIGHTS))
def test_a_night_under_the_real_daemon_is_complete_reconciled_reported_and_quiet(zone, tmp_path, capsys):
    tick = NIGHTS[zone]
    night = night_of(zone)
    with webhook() as (hook, hook_url), ExitStack() as stack:
        shifted = shifted_to(tick - BEFORE)
        world = start_sandbox(shifted, night, stack)
        code = free_port()
        environment = {
            "PATH": f"{BIN}:/usr/bin:/bin",
            "HOME": str(tmp_path),
            "TMPDIR": str(tmp_path),
            "APP_ROOT": str(ROOT),
            "DAGSTER_HOME": str(tmp_path / "home"),
            "CODE_SERVER_HOST": "127.0.0.1",
            "CODE_SERVER_PORT": str(code),
            "SYNC_DATA_DIR": str(tmp_path / "data"),
            "SYNC_REPORT_DIR": str(tmp_path / "reports"),
            "SYNC_REPORTING_ZONE": zone,
            "SYNC_SCHEDULE_TIME_ZONE": zone,
            "SYNC_SPOT_CHECK_SAMPLE": "3",
            "DATA_API_BASE_URL": world["url"],
            "DATA_API_TOKEN": DEMO_TOKEN,
            "DATA_API_SECRET": DEMO_SECRET,
            "ALERT_WEBHOOK_URL": hook_url,
        }
        processes = Processes(tmp_path, environment | shifted, stack)
        processes.start("database", str(BIN / "ecommpay-sync"), "database")
        url = processes.wait_for("the database", lambda: url_of(tmp_path / "database.log"))
        # what an evening before left: everything but the last two days, and the books
        processes.run(
            *("operations", "--from", str(night.first_day), "--to", str(night.last_day - timedelta(days=2))),
        )
        store = stack.enter_context(Warehouse(url))
        processes.environment |= shifted_to(tick - BEFORE)
        processes.start("code-server", str(ROOT / "deploy/entrypoint.sh"), "code-server", FAKETIME=shifted["FAKETIME"])
        processes.start("daemon", str(ROOT / "deploy/entrypoint.sh"), "daemon")
        runs = "SELECT * FROM sync.runs WHERE dagster_run_id IS NOT NULL AND stream = 'raw pages'"
        processes.wait_for("the end of the night", lambda: fetch_all(store, runs))
        del capsys
        assert hook.texts == []


def url_of(log: Path) -> str | None:
    lines = log.read_text().splitlines()
    return next((line for line in lines if line.startswith("postgresql://")), None)


def _end(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
