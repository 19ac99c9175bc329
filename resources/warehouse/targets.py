"""The tables that windows are merged into: the names of their statements and what their control totals count.

How they are executed is in `load`; the statements themselves are in sql/load.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """One table of `core` with its versions: statements by name, and the columns of its control totals."""

    stream: str  # as in the ledger
    key: str  # the column that, after the account, tells a row
    any_stored: str  # of these keys
    copy_new: str  # straight into the table
    stage: str
    copy: str
    totals: str
    drop_unchanged: str
    retire: str
    insert: str
    differences: str
    unfounded: str
    orphans: str
    states: str
    forget: str
    unstage: str
    currency: str | None
    type: str
    status: str | None
    minor: str | None


OPERATIONS = Target(
    stream="operations",
    key="operation_id",
    any_stored="ingest/operations/any_stored",
    copy_new="ingest/operations/copy_new",
    stage="ingest/operations/stage",
    copy="ingest/operations/copy",
    totals="ingest/operations/totals",
    drop_unchanged="ingest/operations/drop_unchanged",
    retire="ingest/operations/retire",
    insert="ingest/operations/insert",
    differences="ingest/operations/differences",
    unfounded="ingest/operations/unfounded",
    orphans="ingest/operations/orphans",
    states="ingest/operations/states",
    forget="ingest/operations/forget",
    unstage="ingest/operations/unstage",
    currency="sum_initial_currency",
    type="operation_type",
    status="operation_status",
    minor="sum_initial_amount",
)
FRAUD = Target(
    stream="fraud",
    key="report_key",
    any_stored="ingest/fraud/any_stored",
    copy_new="ingest/fraud/copy_new",
    stage="ingest/fraud/stage",
    copy="ingest/fraud/copy",
    totals="ingest/fraud/totals",
    drop_unchanged="ingest/fraud/drop_unchanged",
    retire="ingest/fraud/retire",
    insert="ingest/fraud/insert",
    differences="ingest/fraud/differences",
    unfounded="ingest/fraud/unfounded",
    orphans="ingest/fraud/orphans",
    states="ingest/fraud/states",
    forget="ingest/fraud/forget",
    unstage="ingest/fraud/unstage",
    currency="tr_ccy",
    type="fraud_type",
    status=None,
    minor="tr_amount_minor",
)


def documents(stream: str) -> Target:
    """Return core.documents as the target of one stream of them; an amount in one is not known to be one."""
    return Target(
        stream=stream,
        key="document_key",
        any_stored="ingest/documents/any_stored",
        copy_new="ingest/documents/copy_new",
        stage="ingest/documents/stage",
        copy="ingest/documents/copy",
        totals="ingest/documents/totals",
        drop_unchanged="ingest/documents/drop_unchanged",
        retire="ingest/documents/retire",
        insert="ingest/documents/insert",
        differences="ingest/documents/differences",
        unfounded="ingest/documents/unfounded",
        orphans="ingest/documents/orphans",
        states="ingest/documents/states",
        forget="ingest/documents/forget",
        unstage="ingest/documents/unstage",
        currency=None,
        type="stream",
        status=None,
        minor=None,
    )
