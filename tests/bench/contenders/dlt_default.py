"""dlt with its REST source and nothing but defaults: offset paginator, merge on operation_id, PostgreSQL."""

from __future__ import annotations

import os

import dlt
from dlt_source import operations_source

if __name__ == "__main__":
    destination = dlt.destinations.postgres(credentials=os.environ["DATABASE_URL"])
    pipeline = dlt.pipeline("bench", destination=destination, dataset_name="bench")
    pipeline.run(operations_source()).raise_on_failed_jobs()
