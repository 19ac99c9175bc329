"""What several tests need: a client of a sandbox, quick retries, the store compared with the sandbox's truth."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path

import psycopg
import sqlalchemy

from pipelines.sync.operations import OperationsRequest, SyncReport, sync_operations
from resources.data_api.client import Client
from resources.data_api.endpoints import DataApi
from resources.data_api.retry import RetryPolicy
from resources.sandbox import DEMO_SECRET, DEMO_TOKEN, SandboxServer, World
from resources.settings import SyncSettings, checked_api_settings
from resources.warehouse.engine import Warehouse

ROOT = Path(__file__).resolve().parents[1]
QUICK = RetryPolicy(first_wait=0.001, longest_wait=0.01, never_answered_deadline=0.2)
SETTINGS = SyncSettings()


def client_of(url: str, token: str = DEMO_TOKEN, secret: str = DEMO_SECRET, policy: RetryPolicy = QUICK) -> Client:
    return Client(checked_api_settings(base_url=url, token=token, secret=secret), policy)


def sync(
    sandbox: SandboxServer,
    store: Warehouse,
    first: str,
    last: str,
    *,
    projects=(),
    settings=SETTINGS,
    policy=QUICK,
) -> SyncReport:
    request = OperationsRequest(date.fromisoformat(first), date.fromisoformat(last), tuple(projects))
    with client_of(sandbox.url, policy=policy) as client:
        return sync_operations(DataApi(client), store, settings, request)


def fetch_all(store: Warehouse, statement: str, **parameters) -> list[dict]:
    with store.transaction() as connection:
        return [row._asdict() for row in connection.execute(sqlalchemy.text(statement), parameters)]


def execute(store: Warehouse, statement: str) -> None:
    with store.transaction() as connection:
        connection.exec_driver_sql(statement)


def differences(store: Warehouse, world: World, first: str, last: str, projects=None) -> dict[str, list]:
    """What the store lacks, has too much, or holds otherwise, against the truth of the days; empty: equal."""
    truth = {row["operation_id"]: row for row in world.truth(projects, f"{first} 00:00:00", f"{last} 23:59:59")}
    stored = {row["operation_id"]: row for row in fetch_all(store, "SELECT * FROM core.operations")}
    found = {
        "lost": sorted(truth.keys() - stored.keys()),
        "too_much": sorted(stored.keys() - truth.keys()),
        "different": sorted(key for key in truth.keys() & stored.keys() if not same(truth[key], stored[key])),
    }
    return {name: ids for name, ids in found.items() if ids}


def same(truth: Mapping, stored: Mapping) -> bool:
    """Does the stored row hold exactly what the API's row says?"""
    expected = {key: value for key, value in truth.items() if not key.startswith("sum_")}
    for name in ("sum_initial", "sum_converted"):
        money = truth.get(name) or {}
        expected[f"{name}_amount"] = money.get("amount")
        expected[f"{name}_currency"] = money.get("currency")
    return all(_plain(value) == _stored(stored[key]) for key, value in expected.items())


def _plain(value):
    return None if value == "" else value


def _stored(value):
    return value.isoformat(timespec="seconds") if hasattr(value, "isoformat") else value


def command(
    *arguments: str, environment: Mapping[str, str] | None = None, timeout: float = 120
) -> subprocess.CompletedProcess:
    """Run `ecommpay-sync` as a user would, with an environment of its own."""
    inherited = {key: value for key, value in os.environ.items() if key in {"PATH", "HOME", "LANG", "TMPDIR"}}
    return subprocess.run(
        [str(Path(sys.executable).parent / "ecommpay-sync"), *arguments],
        env=inherited | dict(environment or {}),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


NIGHT = """
import sys
import dagster as dg
from datetime import date
from pipelines.definitions import defs
from pipelines.schedules import range_tags
job, first, last, instance = sys.argv[1:]
with getattr(dg.DagsterInstance, instance)() as instance:
    done = defs.resolve_job_def(job).execute_in_process(
        instance=instance, tags=range_tags(*map(date.fromisoformat, (first, last))), raise_on_error=False)
    made = {event.asset_key.to_user_string() for event in done.get_asset_materialization_events()}
    print(done.success, *sorted(made))
"""


def night(
    first: str, last: str, environment: Mapping[str, str], home: Path, *, job="nightly", instance="ephemeral"
) -> set[str]:
    """Run a nightly job in a process of its own, which must succeed; the names of the assets that it made."""
    done = subprocess.run(
        [sys.executable, "-c", NIGHT, job, first, last, instance],
        cwd=ROOT,
        env=dict(environment) | {"PATH": os.environ["PATH"], "HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    succeeded, *made = done.stdout.split()
    assert succeeded == "True", done.stderr[-3000:]
    return set(made)


def assert_nowhere(
    hidden: Iterable[bytes], runs: Iterable[subprocess.CompletedProcess], folders: Iterable[Path], store_url: str
) -> None:
    """No secret is in the output of commands, in files under the folders, or in a table of the warehouse."""
    written = [(run.stdout + run.stderr).encode() for run in runs]
    written += [file.read_bytes() for folder in folders for file in folder.rglob("*") if file.is_file()]
    with psycopg.connect(store_url) as connection:
        tables = connection.execute(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN ('core', 'raw', 'sync')"
        ).fetchall()
        for (table,) in tables:
            written += [str(row).encode() for row in connection.execute("SELECT t::text FROM " + table + " t")]
    assert sum(map(len, written)) > 100_000, "there is something to search"
    assert not [content[:200] for content in written for secret in hidden if secret in content]
