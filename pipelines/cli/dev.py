"""`dev`: Dagster's UI and daemon on a sandbox and the embedded PostgreSQL, in a folder of their own, until Ctrl-C."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipelines.cli import show
from pipelines.cli.demo import ELSEWHERE, environment
from pipelines.cli.run import dagster_instance
from pipelines.resources import open_warehouse
from resources.settings import PROJECT_ROOT, data_dir
from resources.warehouse.migrate import migrate

DAYS = 31


def run_dev(port: int) -> None:
    """Serve all of it; Ctrl-C ends all of it."""
    from resources.sandbox import sandbox_process

    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    with sandbox_process(operations=20_000, days=DAYS, end=yesterday) as sandbox:
        settings = {
            "DATA_API_BASE_URL": sandbox.url,
            "DATA_API_TOKEN": sandbox.token,
            "DATA_API_SECRET": sandbox.secret,
            "SYNC_DATA_DIR": str(data_dir() / "dev"),
        }
        with environment(settings, without=ELSEWHERE), open_warehouse(None) as store, dagster_instance():
            migrate(store)
            show.line(f"sandbox of the Data API: {sandbox.url} (operations of the {DAYS} days up to {yesterday})")
            show.line(f"warehouse: {store.url}")
            show.line(f"Dagster: http://127.0.0.1:{port} — stop with Ctrl-C")
            _serve([["dagster-daemon", "run"], ["dagster-webserver", "-h", "127.0.0.1", "-p", str(port)]])


def _serve(commands: list[list[str]]) -> None:
    folder = Path(sys.executable).parent
    workspace = str(PROJECT_ROOT / "workspace.yaml")
    processes = [
        subprocess.Popen([str(folder / name), *arguments, "-w", workspace], env=os.environ.copy())  # noqa: S603
        for name, *arguments in commands
    ]
    try:
        with suppress(KeyboardInterrupt):
            processes[-1].wait()
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
