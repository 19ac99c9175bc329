"""The straightforward script: an httpx loop, pandas' json_normalize, an upsert by psycopg's executemany.

As such scripts are: the answer's signature is not checked, the end is the first page that is not full.
"""

from __future__ import annotations

import os

import httpx
import pandas as pd
import psycopg
from interval import interval
from signing import signed

LIMIT = 1000
COLUMNS = {
    "operation_id": "text PRIMARY KEY",
    "project_id": "text",
    "payment_id": "text",
    "operation_type": "text",
    "operation_status": "text",
    "account_number": "text",
    "customer_ip": "text",
    "payment_method_name": "text",
    "payment_method_type": "text",
    "payment_description": "text",
    "operation_created_at": "timestamptz",
    "operation_completed_at": "timestamptz",
    "provider_date": "timestamptz",
    "shipment_date": "timestamptz",
    "sum_initial_amount": "bigint",
    "sum_initial_currency": "text",
    "sum_converted_amount": "bigint",
    "sum_converted_currency": "text",
    "arn": "text",
    "rrn": "text",
    "payment_provider_code": "text",
    "payment_provider_message": "text",
}
TABLE = f"CREATE TABLE IF NOT EXISTS operations ({', '.join(f'{name} {kind}' for name, kind in COLUMNS.items())})"
UPSERT = (
    f"INSERT INTO operations ({', '.join(COLUMNS)}) VALUES ({', '.join(['%s'] * len(COLUMNS))}) "
    f"ON CONFLICT (operation_id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in COLUMNS)}"
)


def rows_of(operations: list[dict]) -> list[list]:
    frame = pd.json_normalize(operations, sep="_").reindex(columns=list(COLUMNS))
    for name in ("sum_initial_amount", "sum_converted_amount"):
        frame[name] = frame[name].astype("Int64")
    frame = frame.astype(object).replace({"": None})
    return frame.where(frame.notna(), None).values.tolist()


def main() -> None:
    with (
        httpx.Client(base_url=os.environ["DATA_API_BASE_URL"], timeout=330) as client,
        psycopg.connect(os.environ["DATABASE_URL"]) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(TABLE)
        offset = 0
        while True:
            body = signed({"interval": interval(), "tz": "UTC", "limit": LIMIT, "offset": offset})
            answer = client.post("/operations/get", json=body)
            answer.raise_for_status()
            operations = answer.json()["operations"]
            if operations:
                cursor.executemany(UPSERT, rows_of(operations))
                connection.commit()
            if len(operations) < LIMIT:
                return
            offset += LIMIT


if __name__ == "__main__":
    main()
