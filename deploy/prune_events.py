"""Deletes Dagster's finished runs, with their events, that are older than some days; the ledger keeps what they did.

DAGSTER_HOME=… python deploy/prune_events.py 90
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta

import dagster as dg

BATCH = 100
FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


def prune(instance: dg.DagsterInstance, days: int) -> int:
    """Delete finished runs that are older than `days`; return how many."""
    before = datetime.now(UTC) - timedelta(days=days)
    deleted = 0
    while runs := instance.get_run_records(dg.RunsFilter(statuses=FINISHED, created_before=before), limit=BATCH):
        for run in runs:
            instance.delete_run(run.dagster_run.run_id)
        deleted += len(runs)
    return deleted


if __name__ == "__main__":
    if len(sys.argv) != 2 or not sys.argv[1].isdecimal():
        sys.exit("prune_events.py takes one argument: the number of days whose runs are kept, for example 90.")
    with dg.DagsterInstance.get() as given:
        sys.stdout.write(f"{prune(given, int(sys.argv[1]))} runs were deleted\n")
