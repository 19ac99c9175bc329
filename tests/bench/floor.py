"""The floor: COPY plus the same merge of rows that are ready, without a request, a signature or a parser.

`python tests/bench/floor.py SOURCE TARGET`: libpq URLs of a loaded warehouse and of an empty database; prints the
seconds of the loading alone.
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime

import pandas as pd
import psycopg
import pyarrow as pa

from pipelines.ingest.normalize import concat
from pipelines.ingest.operations import OPERATIONS
from resources.warehouse.engine import Warehouse
from resources.warehouse.ledger import Scope, WalkRecord, start_run
from resources.warehouse.load import load_window
from resources.warehouse.migrate import migrate

ROWS = 5_000  # a window


def floor_seconds(source_url: str, target: Warehouse, account: str = "default") -> float:
    """Load the rows of a warehouse into another one (or another account), one window after the other."""
    frame = _ready_rows(source_url)
    now = datetime.now(UTC).replace(microsecond=0)
    scope = Scope(account, start_run(target, account=account, stream="operations", interval=(now, now)))
    started = time.perf_counter()
    for start in range(0, len(frame), ROWS):
        walk = WalkRecord(now, now, now, now, walks=1, drifts=0, pages=0, requests=0)
        load_window(target, OPERATIONS, scope, walk, frame.iloc[start : start + ROWS].reset_index(drop=True), [], [])
    return time.perf_counter() - started


def _ready_rows(url: str) -> pd.DataFrame:
    with psycopg.connect(url) as connection:
        columns: dict[str, list] = {name: [] for name in OPERATIONS.schema.frame_columns}
        rows = connection.execute("SELECT * FROM core.operations ORDER BY operation_id")
        names = [column.name for column in rows.description]
        for row in rows:
            values = dict(zip(names, row, strict=True))
            for name in OPERATIONS.schema.frame_columns:
                columns[name].append(values[name])
    schema = pa.Table.from_pandas(concat(OPERATIONS.schema, []).frame, preserve_index=False).schema
    return pa.table(columns, schema=schema).to_pandas(types_mapper=pd.ArrowDtype)


if __name__ == "__main__":
    with Warehouse(sys.argv[2]) as store:
        migrate(store)
        print(f"{floor_seconds(sys.argv[1], store):.3f}")
