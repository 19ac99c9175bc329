"""dlt as one who knows it would tune it: Arrow tables of a day each, read in parallel, loaded by COPY, one upsert.

No rows pass dlt's per-row normalizer: each day becomes a typed Arrow table, files are CSV for COPY, and PostgreSQL's
MERGE takes them over from the staging table. Which of dlt's settings won is in docs/benchmarks.md.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import date
from typing import Any

import dlt
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from dlt.sources.helpers.requests import Client
from interval import days, interval
from signing import signed

LIMIT = 1000
TIMES = ("operation_created_at", "operation_completed_at", "provider_date", "shipment_date")
TEXTS = (
    *("operation_id", "project_id", "payment_id", "operation_type", "operation_status", "account_number"),
    *("customer_ip", "payment_method_name", "payment_method_type", "payment_description"),
    *("arn", "rrn", "payment_provider_code", "payment_provider_message"),
)
SUM = pa.struct({"amount": pa.int64(), "currency": pa.string()})
RAW = pa.schema(
    {**dict.fromkeys(TEXTS, pa.string()), **dict.fromkeys(TIMES, pa.string()), "sum_initial": SUM, "sum_converted": SUM}
)


def table_of(operations: list[dict[str, Any]]) -> pa.Table:
    raw = pa.Table.from_pylist(operations, RAW)
    columns: dict[str, Any] = {name: raw[name] for name in TEXTS}
    for name in TIMES:
        told = pc.if_else(pc.equal(raw[name], ""), None, raw[name])
        columns[name] = told.cast(pa.timestamp("us", "UTC"))
    for name in ("sum_initial", "sum_converted"):
        for part in ("amount", "currency"):
            columns[f"{name}_{part}"] = pc.struct_field(raw[name], part)
    return pa.table(columns)


@dlt.resource
def each_day() -> Iterator[date]:
    yield from days()


@dlt.transformer(
    data_from=each_day,
    name="operations",
    primary_key="operation_id",
    write_disposition={"disposition": "merge", "strategy": os.environ.get("DLT_STRATEGY", "delete-insert")},
    parallelized=True,
)
def operations_of_day(day: date) -> Iterator[pa.Table]:
    session = Client().session
    found: list[dict[str, Any]] = []
    offset = 0
    while True:
        body = signed({"interval": interval(day, day), "tz": "UTC", "limit": LIMIT, "offset": offset})
        answer = session.post(os.environ["DATA_API_BASE_URL"] + "/operations/get", json=body)
        answer.raise_for_status()
        page = orjson.loads(answer.content)["operations"]
        found += page
        if len(page) < LIMIT:
            break
        offset += LIMIT
    yield table_of(found)


if __name__ == "__main__":
    destination = dlt.destinations.postgres(credentials=os.environ["DATABASE_URL"])
    pipeline = dlt.pipeline("bench", destination=destination, dataset_name="bench")
    pipeline.run(operations_of_day, loader_file_format="csv").raise_on_failed_jobs()
